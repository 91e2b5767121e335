"""What the installed package carries."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import intact

PACKAGE = Path(intact.__file__).parent
ROOT = PACKAGE.parents[1]


def test_the_version_has_one_source():
    assert re.fullmatch(r"\d+\.\d+\.\d+", intact.__version__)
    assert importlib.metadata.version("intact") == intact.__version__


def test_types_are_announced():
    assert (PACKAGE / "py.typed").is_file()


def test_the_base_install_needs_no_training_library():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    base = {re.split(r"[^\w-]", line)[0] for line in needed}
    assert base == {"numpy", "pillow", "threadpoolctl", "rich"}


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "demo"])
def test_no_pickle_anywhere(folder):
    # ruff's S301 sees calls; a file that came as data is seen here.
    suffixes = {".pkl", ".pickle", ".pt", ".pth", ".npy"}
    assert [p for p in (ROOT / folder).rglob("*") if p.suffix in suffixes] == []
