"""Files of the kind `hyperprior`: the exact ones for ever, the others as far as floats go."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from intact import InexactError, Model, NotExactError, decode
from intact.container.image_file import peek
from intact.intnet.backends import choose
from tiny_hyperprior import MODELS

FOLDER = Path(__file__).parents[2] / "vectors" / "image" / "hyperprior"
INDEX = json.loads((FOLDER / "index.json").read_text())
EXACT = [name for name in INDEX if INDEX[name]["profile"] == "exact"]


def files(name):
    """The model and the bytes of a file."""
    model = Model.from_bytes((FOLDER / f"{name}.intactm").read_bytes())
    return model, (FOLDER / f"{name}.intact").read_bytes()


def generator():
    spec = importlib.util.spec_from_file_location("generate_hyperprior", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_vector_is_missing_or_unlisted():
    assert {path.stem for path in FOLDER.glob("*.intact")} == set(INDEX) == set(MODELS)


@pytest.mark.parametrize("name", INDEX)
def test_ids_and_headers_are_stable(name):
    model, data = files(name)
    assert model.id.hex() == INDEX[name]["model_id"]
    assert model.bottleneck.profile == INDEX[name]["profile"] == peek(data).profile.name.lower()


@pytest.mark.parametrize("backend", choose.available())
@pytest.mark.parametrize("name", EXACT)
def test_exact_files_decode_to_their_pixels(name, backend):
    model, data = files(name)
    pixels = decode(data, model=model, backend=backend).pixels
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == INDEX[name]["pixels_sha256"]


@pytest.mark.parametrize("name", EXACT)
def test_the_encoder_still_writes_them(name):
    assert generator().encoded(name) == files(name)[1]


@pytest.mark.parametrize("name", sorted(set(INDEX) - set(EXACT)))
def test_the_others_decode_only_where_that_is_allowed(name):
    model, data = files(name)
    with pytest.raises(InexactError, match=f"profile {name}"):
        decode(data, model=model)
    try:
        decoded = decode(data, model=model, allow_inexact=True)
    except NotExactError:
        assert name == "float"  # a float prior may come out differently here, which is then said
        return
    assert decoded.mode == INDEX[name]["mode"]
    means = decoded.pixels[:, :, :3].mean(axis=(0, 1))
    np.testing.assert_allclose(means, INDEX[name]["mean_colors"], atol=0.5)


def test_gray_that_is_stored_as_rgb_is_gray_with_this_kind_too():
    model, data = files("factorized")
    assert peek(data).gray
    assert np.ptp(decode(data, model=model).pixels.astype(int), axis=2).max() == 0
