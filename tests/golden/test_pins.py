"""What must never change: golden files, the shipped models' ids, and what encoders write.

A refactoring that changes a byte here changed the format.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from intact import decode, load_model, models
from intact.codec.image import Encoder, Runtime
from intact.intnet.backends import choose

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "vectors"
SUMS = {
    name: digest
    for digest, name in (line.split() for line in (VECTORS / "SHA256SUMS").read_text().splitlines())
}
"""As ``sha256sum`` writes them; ``cd vectors && sha256sum -c SHA256SUMS`` checks them, too."""

SHIPPED = {  # ids, and the files of a cut of demo/original.png at the ends and the middle level
    "photo": (
        "ec891a6891a074743692deda480850fc",
        {
            0: "bb7b7804f729da874118ec4bca3c7e69a8f7a1cdcfb3e927321f73d27cb1987d",
            31: "e9669f773e474e499a93240e438321b80ef9816f32479d45bb24870beaf7cc33",
            63: "524d4f3da60dfea6ec7ebc6379be51525d3016693ce06dff367c6b93fae9ecf4",
        },
    ),
    "photo-eyes": (
        "d21c312595fc06d249871ed398527f48",
        {
            0: "85ffe94db10695676c7680aee333f018e9f901433fc1f1791005d6b9a423f3e9",
            31: "696644b58f3c79178766e4a5ca8dec1b3c9ca661dc278447fcc0e83dded5c26d",
            63: "c8f4323ff655d1d228a2bb27fa7d5a1d8f213bc845782fe3b9c781efd43172d2",
        },
    ),
    "photo-2": (
        "815cda07a8e77dce9cf4a9a0e2a917c5",
        {
            0: "8e0f824023db5870d3ad79c4ed1b050f927d2d1616a4e5495cde0a1b074e9efb",
            31: "9a3b7abaf5d86421a88f988d89391df6f24d49b75e8b4392e9f8a414efa28cc5",
            63: "d3c138c39e6042fa30f80d157582894eb8ce92ceb28a9ad841953656d122eeb3",
        },
    ),
    "photo-3": (
        "92a804a6d310c15b216129d77e9b83d8",
        {
            0: "e29413d7a7326472c4ad34cbcc50eea4c4f6f871fd7f3d95c6e666f005a04a45",
            31: "3a50d730fd4c9f68fd84fb0ff8ca70087d4cdf778b4436e702ffe9bfd8f93180",
            63: "27d4d7066e2a21df73b2c60335fffd836a31069bba845e0ded5acb5c730ecb78",
        },
    ),
    "photo-4": (
        "c40d7552b14b67ce8fc75ff89f1ca16c",
        {
            0: "1e359394467be07088f1741cbf540cf9441ff1dba8f19dd0c5c44c05b606b480",
            31: "2d903f666a3dd4f816aedfbf73a32991240d693b7e64dc70913d1ae46b26b595",
            63: "54421ef97e5593b9886dbd51e6b8e8d7fcd111f37feca34a6d86d6b5817c8b9f",
        },
    ),
    "photo-5": (
        "4a2e8072ce7e57d1d9e70a327f751d8e",
        {
            0: "fead60bd2b353ad096d9edfd3c093e0d3e1d3b37a6bdebfbdf7c80d9be9f264d",
            31: "58b8d54de8a3e02e7571e96411ae87a9b6d6be82ff4a0c19b1d7ea32186db4ac",
            63: "ef61ac5bdeda38f90e2353361a98414219b0ef4b5bd0442fdd1cf6157f41d91c",
        },
    ),
    "photo-psnr": (
        "1a479a187abc34400c75295f73af6c58",
        {
            0: "8cce30066d4748aa661c73af8a6c2b18c28917eb7f364dfe7b6eaad998dd2bbc",
            31: "da704ef55944a03c9cd593da4ff1110461f648e4a8c1ad18fb102cd4c95ce360",
            63: "632060ae39bac812e4ff9f9bc7fb01d86842cfdf033da4d1e29ad9d0aa173ba9",
        },
    ),
    "photo-6": (
        "72b7d48619d753962fe24c3ec116b391",
        {
            0: "81232ceae711dbea59c99e8e9f46c79c6158d4c69addd00b0a9ac6c80a67740f",
            31: "90c305fb6095f2ccb2cfbfab01d9f82abf26957e00d95b6ba312bdede59a091d",
            63: "021823134e3797ecbda8cb80102af763fc01b52941b2afc0adc708d784505c61",
        },
    ),
    "photo-mse": (
        "fdcb8fde8b8853817514ea529f2a9b97",
        {
            0: "6e1369b7efab693bc15dc2878be947876c982ebe8f070d70d5d7f72c57e3e45d",
            31: "4be518ac4284d82f7831338b21f5175a6f1ec383feca5bbd11e542a92be341db",
            63: "7da596153e32da6320b5a457c96c4eb8645558c698ad34d69ef2cda944b5d0bf",
        },
    ),
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


def test_every_shipped_model_is_pinned():
    """They are never removed."""
    assert {path.stem for path in models.FOLDER.glob("*.intactm")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_keeps_its_id(name):
    assert load_model(name).id.hex() == SHIPPED[name][0]


@pytest.mark.parametrize("backend", [n for n in choose.available() if n in ("native", "numpy")])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_still_writes_the_same_files(name, backend):
    runtime = Runtime(backend, 1)
    encoder = Encoder(original()[100:280, 60:250], load_model(name), runtime=runtime)
    files = SHIPPED[name][1]
    assert {level: sha256(encoder.encode(level).data) for level in files} == files


def test_the_demos_photograph_gives_the_demos_hashes():
    expected = json.loads((ROOT / "demo" / "expected.json").read_text())
    data = Encoder(original(), load_model()).encode(load_model().levels.of_quality(50)).data
    assert sha256(data) == expected["photo.intact sha256"]
    assert sha256(decode(data).pixels.tobytes()) == expected["pixels sha256"]
