"""Files written once decode to the same pixels for ever, with every backend."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from intact import Model, decode
from intact.bits.fast import Decoder
from intact.bottleneck import colors, repeats
from intact.bottleneck.checkerboard import Checkerboard
from intact.container.image_file import unpack_image
from intact.intnet.backends import choose

FOLDER = Path(__file__).parents[2] / "vectors" / "image"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.fixture(scope="module")
def model():
    return Model.from_bytes((FOLDER / INDEX["model"]).read_bytes())


def test_the_models_id_is_stable(model):
    assert model.id.hex() == INDEX["model_id"]


@pytest.mark.parametrize("backend", choose.available())
@pytest.mark.parametrize("name", INDEX["files"])
def test_golden_files_decode_to_their_pixels(model, name, backend):
    wanted = INDEX["files"][name]
    image = decode((FOLDER / name).read_bytes(), model=model, backend=backend)
    assert image.mode == wanted["mode"]
    assert image.cicp.hex() == wanted.get("cicp", "")
    assert image.pixels.shape[:2] == (wanted["height"], wanted["width"])
    assert hashlib.sha256(image.pixels.tobytes()).hexdigest() == wanted["pixels_sha256"]


def test_plain_images_have_repeats_of_every_mode():
    """What the vectors are there for must be in them."""
    modes = {}
    for name in INDEX["files"]:
        tiles = [Decoder(tile) for tile in unpack_image((FOLDER / name).read_bytes()).tiles]
        found = [tile.decode(np.zeros(1, np.uint16), repeats.BANK) for tile in tiles]
        modes[name.removesuffix(".intact")] = [int(mode[0]) for mode in found]
    assert modes["plain"] == [2]
    assert modes["plain_two_tiles"] == [3, 3]
    assert {mode for tiles in modes.values() for mode in tiles} == {0, 1, 2, 3}


def test_the_large_image_has_a_whole_block_and_parts_of_others(model):
    wanted = INDEX["files"]["whole_block.intact"]
    rows, columns = (-(-wanted[side] // 16) for side in ("height", "width"))
    blocks = {(height, width) for _, _, height, width in colors.regions(rows, columns)}
    assert model.bottleneck_of(Checkerboard).predicted == 3
    assert blocks == {(16, 16), (16, 3), (3, 16), (3, 3)}


@pytest.mark.parametrize("name", INDEX["files"])
def test_gray_that_is_stored_as_rgb_has_the_flag(name):
    header = unpack_image((FOLDER / name).read_bytes()).header
    assert header.gray == name.startswith("gray_as_rgb")


def test_no_vector_is_missing_or_unlisted():
    assert {p.name for p in FOLDER.glob("*.intact")} == set(INDEX["files"])
