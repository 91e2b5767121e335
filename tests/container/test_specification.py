"""docs/spec/container.md says what the code does: its examples and tables, read from the page."""

import re
from pathlib import Path

import pytest

from intact.container.arrays import unpack_array
from intact.container.histograms import DELTA_BANK
from intact.container.image_file import ImageFile, pack_image, unpack_image
from intact.container.model_file import unpack_model
from intact.container.tree import canonical, model_id

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "container.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def example(page, number):
    """The bytes of the page's n-th annotated listing: what stands before two spaces."""
    listing = re.findall(r"```\n(.*?)```", page, re.DOTALL)[number]
    return bytes.fromhex("".join(line.split("  ")[0] for line in listing.splitlines()))


def test_the_image_example_is_an_image(page):
    data = example(page, 0)
    image = unpack_image(data)
    assert isinstance(image, ImageFile)
    assert (image.header.width, image.header.height, image.tiles) == (300, 2, (b"paint",))
    assert pack_image(image) == data
    assert f"{len(data)} bytes" in page


def test_the_model_example_is_a_model(page):
    tree = unpack_model(example(page, 1))
    assert f"`{canonical(tree).hex(' ')}`" in page
    assert f"`{model_id(tree).hex()}`" in page


def test_the_rans_blob_is_the_array(page):
    rows, blob = re.findall(r"`\[(\[.*?\] \[.*?\])\]`, int8, is\n`(.*?)`", page)[0]
    values = [int(value) for value in re.findall(r"-?\d+", rows)]
    array = unpack_array(3, bytes.fromhex(blob), "int8", (2, 8))
    assert array.ravel().tolist() == values


def test_the_fixed_table_is_the_code_s(page):
    listing = re.findall(r"\n\n((?:    [\d ]+\n)+)", page)[0]
    assert [int(number) for number in listing.split()] == DELTA_BANK.freqs.tolist()
