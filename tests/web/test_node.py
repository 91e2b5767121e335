"""The browser decoder in Node: its own tests, with all golden files, and mutated ones."""

import json
import subprocess
from pathlib import Path

import pytest

from web.mutated import case, compare

WEB = Path(__file__).parents[2] / "web"
PAGE = Path(__file__).parents[2] / "src" / "intact" / "web" / "page"


def run(folder, *command, timeout=600):
    """Standard output of a command that must succeed."""
    found = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


def test_the_tests_of_the_decoder_pass_in_node(built):
    assert "# fail 0" in run(built, "node", "--test", "test/")


def test_the_types_of_the_decoder_and_of_the_page_are_right(built):
    run(built, "node_modules/.bin/tsc", "--noEmit", "-p", ".")
    run(built, "node_modules/.bin/tsc", "-p", "page")


def test_the_types_of_the_package_need_no_others(built, tmp_path):
    run(built, "node_modules/.bin/tsc", "-p", ".", "--emitDeclarationOnly")
    user = tmp_path / "user.ts"
    user.write_text(
        f'import {{ Decoder, decode }} from "{(built / "dist/types/index.js").as_posix()}";\n'
        "export const width = async (b: Uint8Array) => (await decode(b)).width;\n"
        "export const plain = new Decoder();\n"
    )
    alone = ("--noEmit", "--strict", "--target", "es2022", "--lib", "ES2022", "--types", "")
    tsc = str(built / "node_modules/.bin/tsc")
    run(tmp_path, tsc, *alone, "--module", "nodenext", str(user))


def test_the_page_in_the_package_is_built_from_its_sources(built):
    made = {path.name: path.read_bytes() for path in (built / "dist" / "page").iterdir()}
    assert {path.name: path.read_bytes() for path in PAGE.iterdir()} == made


def test_the_npm_package_has_the_decoder_its_types_and_a_readme(built):
    (packed,) = json.loads(run(built, "npm", "pack", "--dry-run", "--json"))
    names = {file["path"] for file in packed["files"]}
    wanted = {"LICENSE", "README.md", "package.json", "dist/intact.js", "dist/types/index.d.ts"}
    assert wanted <= names
    assert all(name in wanted or name.startswith("dist/types/") for name in names)
    assert packed["size"] < 300_000


def test_the_page_without_models_is_small():
    assert sum(path.stat().st_size for path in PAGE.iterdir()) < 300_000


def test_the_kernels_are_compiled_from_native(tmp_path, need):
    need("clang", "wasm-ld")
    version = run(WEB, "clang", "--version")
    if "version 14.0.6" not in version:
        pytest.skip(f"the kernels were compiled with clang 14.0.6, here is {version.split()[3]}")
    run(WEB, "./build_wasm.sh", str(tmp_path / "kernels.wasm"))
    assert (tmp_path / "kernels.wasm").read_bytes() == (WEB / "wasm/kernels.wasm").read_bytes()


def test_python_and_node_say_the_same_of_mutated_files(built):
    counts, wrong = compare(0, range(250))
    assert wrong == []
    assert {name.split()[1] for name in counts} >= {"accepted", "corrupt", "model", "unsupported"}


def test_a_mutated_file_follows_from_its_number():
    assert [case(5, number) for number in range(20)] == [case(5, number) for number in range(20)]
