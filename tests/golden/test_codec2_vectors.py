"""Files of the kind `image codec 2` decode to the same pixels for ever, with every backend."""

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from intact import Model, decode
from intact.intnet.backends import choose

FOLDER = Path(__file__).parents[2] / "vectors" / "image" / "codec2"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.fixture(scope="module")
def model():
    return Model.from_bytes((FOLDER / INDEX["model"]).read_bytes())


def generator():
    spec = importlib.util.spec_from_file_location("generate_codec2", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_models_id_is_stable(model):
    assert model.id.hex() == INDEX["model_id"]


@pytest.mark.parametrize("backend", choose.available())
@pytest.mark.parametrize("name", INDEX["files"])
def test_golden_files_decode_to_their_pixels(model, name, backend):
    wanted = INDEX["files"][name]
    image = decode((FOLDER / name).read_bytes(), model=model, backend=backend)
    assert (image.mode, image.level) == (wanted["mode"], wanted["level"])
    assert image.pixels.shape[:2] == (wanted["height"], wanted["width"])
    assert hashlib.sha256(image.pixels.tobytes()).hexdigest() == wanted["pixels_sha256"]


@pytest.mark.parametrize("name", INDEX["files"])
def test_the_encoder_still_writes_them(model, name):
    data = generator().encoded(name.removesuffix(".intact"), model)
    assert data == (FOLDER / name).read_bytes()


def test_no_vector_is_missing_or_unlisted():
    assert {path.name for path in FOLDER.glob("*.intact")} == set(INDEX["files"])
