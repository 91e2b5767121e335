"""What must never change: golden files, the shipped model's id, and what both encoders write.

A refactoring that changes a byte here changed the format.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intact import decode, load_model
from intact.codec.image import Encoder, Runtime
from intact.codec.store import DEFAULT
from intact.intnet.backends import choose

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "vectors"
SUMS = {
    name: digest
    for digest, name in (line.split() for line in (VECTORS / "SHA256SUMS").read_text().splitlines())
}
"""As ``sha256sum`` writes them; ``cd vectors && sha256sum -c SHA256SUMS`` checks them, too."""

SHIPPED_ID = "ec891a6891a074743692deda480850fc"
SHIPPED_FILES = {  # of a cut of demo/original.png, by level: the ends and the middle
    0: "bb7b7804f729da874118ec4bca3c7e69a8f7a1cdcfb3e927321f73d27cb1987d",
    31: "e9669f773e474e499a93240e438321b80ef9816f32479d45bb24870beaf7cc33",
    63: "524d4f3da60dfea6ec7ebc6379be51525d3016693ce06dff367c6b93fae9ecf4",
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def original():
    with Image.open(ROOT / "demo" / "original.png") as image:
        return np.asarray(image.convert("RGB"))


def generator():
    path = VECTORS / "image" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate_images", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()


@pytest.mark.parametrize("name", SUMS)
def test_a_golden_file_keeps_its_bytes(name):
    assert sha256((VECTORS / name).read_bytes()) == SUMS[name]


def test_every_golden_file_is_pinned():
    files = (p for p in VECTORS.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    found = {path.relative_to(VECTORS).as_posix() for path in files if path.suffix != ".py"}
    assert found == set(SUMS) | {"SHA256SUMS"}


@pytest.mark.parametrize("name", GENERATOR.CASES)
def test_the_encoder_still_writes_the_golden_images(tiny, name):
    assert sha256(GENERATOR.encoded(name, tiny)) == SUMS[f"image/{name}.intact"]


def test_the_shipped_models_id_is_stable():
    assert load_model(DEFAULT).id.hex() == SHIPPED_ID


@pytest.mark.parametrize("backend", [n for n in choose.available() if n in ("native", "numpy")])
def test_the_shipped_model_still_writes_the_same_files(backend):
    encoder = Encoder(original()[100:280, 60:250], load_model(), runtime=Runtime(backend, 1))
    found = {level: sha256(encoder.encode(level).data) for level in SHIPPED_FILES}
    assert found == SHIPPED_FILES


def test_the_demos_photograph_gives_the_demos_hashes():
    expected = json.loads((ROOT / "demo" / "expected.json").read_text())
    data = Encoder(original(), load_model()).encode(load_model().levels.of_quality(50)).data
    assert sha256(data) == expected["photo.intact sha256"]
    assert sha256(decode(data).pixels.tobytes()) == expected["pixels sha256"]
