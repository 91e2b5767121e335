"""docs/api.md has every public name, as its docstring says it now."""

import importlib.util
from pathlib import Path

import pytest

import intact
import intact.measure

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_every_public_name():
    page = (DOCS / "api.md").read_text("utf-8")
    for name in intact.__all__:
        assert f"### `{name}" in page or f"## intact.{name}" in page
    for name in intact.measure.__all__:
        assert f"### `measure.{name}`" in page
    assert "### `pillow.register`" in page


def test_the_page_says_what_the_docstrings_say(make_api):
    written = (DOCS / "api.md").read_text("utf-8")
    assert written == make_api.page(), "run: python docs/make_api.py"


def test_every_public_name_can_be_had():
    for name in intact.__all__:
        assert getattr(intact, name) is not None
    assert intact.measure.psnr is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        intact.nothing  # noqa: B018
