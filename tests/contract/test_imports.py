"""What importing the runtime may load. import-linter reads the source; this runs it."""

import subprocess
import sys

import pytest

# Training, pictures and tests need these; a decoder on a small machine must not.
HEAVY = ["torch", "scipy", "PIL", "safetensors", "tensorboard", "typer", "rich", "jaxtyping"]


def assert_not_imported(module, code):
    """Run code in a fresh interpreter and fail if it loaded the module."""
    check = f"{code}\nimport sys\nsys.exit({module!r} in sys.modules and 'loaded ' + {module!r})"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", HEAVY)
def test_importing_the_codec_does_not_import(module):
    assert_not_imported(module, "import intact.codec.image, intact.codec.store")


@pytest.mark.parametrize("module", ["torch", "scipy", "safetensors", "tensorboard"])
def test_importing_the_command_line_does_not_import(module):
    # `intact --version` and `intact --help` answer at once only if training stays unloaded.
    assert_not_imported(module, "import intact.cli")


def test_importing_the_codec_does_not_import_what_computes_in_float():
    # It is loaded by name, where import-linter sees nothing, and only after a caller allowed it.
    code = "import intact.codec.image, intact.codec.runtime, intact.pillow, intact.cli"
    assert_not_imported("intact.inexact", code)


def test_no_imports_go_in_a_circle():
    """Not even within a package, or inside a function, where a contract of layers does not look."""
    graph = pytest.importorskip("grimp").build_graph("intact", include_external_packages=False)
    left = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    while free := {name for name, needs in left.items() if not needs & left.keys() - {name}}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"a circle, or what needs one: {sorted(left)}"


@pytest.mark.parametrize("module", ["torch", "PIL"])
def test_the_check_itself_can_fail(module):
    with pytest.raises(AssertionError, match=f"loaded {module}"):
        assert_not_imported(module, f"import {module}")


def test_a_missing_room_is_not_mistaken_for_a_clean_one():
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        assert_not_imported("torch", "import intact.no_such_room")
