"""Files of the kind `vector`: for ever the same pixels, on every backend."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from intact import Model, decode
from intact.intnet.backends import choose
from tiny_vector import MODELS

FOLDER = Path(__file__).parents[2] / "vectors" / "image" / "vector"
INDEX = json.loads((FOLDER / "index.json").read_text())


def files(name):
    """The model and the bytes of a file."""
    model = Model.from_bytes((FOLDER / f"{name}.intactm").read_bytes())
    return model, (FOLDER / f"{name}.intact").read_bytes()


def generator():
    spec = importlib.util.spec_from_file_location("generate_vector", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_vector_is_missing_or_unlisted():
    assert {path.stem for path in FOLDER.glob("*.intact")} == set(INDEX) == set(MODELS)


@pytest.mark.parametrize("backend", choose.available())
@pytest.mark.parametrize("name", INDEX)
def test_files_decode_to_their_pixels(name, backend):
    model, data = files(name)
    assert model.id.hex() == INDEX[name]["model_id"]
    decoded = decode(data, model=model, backend=backend)
    assert decoded.mode == INDEX[name]["mode"]
    digest = hashlib.sha256(np.ascontiguousarray(decoded.pixels).tobytes()).hexdigest()
    assert digest == INDEX[name]["pixels_sha256"]


@pytest.mark.parametrize("name", INDEX)
def test_the_encoder_still_writes_them(name):
    assert generator().encoded(name) == files(name)[1]
