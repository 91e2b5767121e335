"""Files written once decode to the same pixels for ever, with every backend."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from intact import Model, decode
from intact.bits.fast import Decoder
from intact.codec import lattice, repeats
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
    assert image.pixels.shape[:2] == (wanted["height"], wanted["width"])
    assert hashlib.sha256(image.pixels.tobytes()).hexdigest() == wanted["pixels_sha256"]


def test_the_plain_image_has_repeats_and_the_large_one_a_whole_block(model):
    """What the vectors are there for must be in them."""
    modes = {}
    for name in ("plain.intact", "whole_block.intact"):
        payload = unpack_image((FOLDER / name).read_bytes()).tiles[0]
        modes[name] = int(Decoder(payload).decode(np.zeros(1, np.uint16), repeats.BANK)[0])
    assert modes["plain.intact"] > 0
    wanted = INDEX["files"]["whole_block.intact"]
    rows, columns = (-(-wanted[side] // 16) for side in ("height", "width"))
    blocks = {(height, width) for _, _, height, width in lattice.regions(rows, columns)}
    assert model.predicted == 3
    assert blocks == {(16, 16), (16, 3), (3, 16), (3, 3)}


def test_no_vector_is_missing_or_unlisted():
    assert {p.name for p in FOLDER.glob("*.intact")} == set(INDEX["files"])
