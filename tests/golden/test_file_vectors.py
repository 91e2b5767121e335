"""vectors/files.json and vectors/invalid: what files decode to, and how bad ones are refused."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from intact import Model, decode, errors
from intact.container.image_file import unpack_image
from intact.container.model_file import unpack_model
from intact.intnet.backends import choose

VECTORS = Path(__file__).parents[2] / "vectors"
FILES = json.loads((VECTORS / "files.json").read_text())
INVALID = json.loads((VECTORS / "invalid" / "index.json").read_text())


def generator(folder):
    spec = importlib.util.spec_from_file_location(
        f"generate_{folder}", VECTORS / folder / "generate.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


GENERATOR = generator("file")


@pytest.mark.parametrize("backend", choose.available())
@pytest.mark.parametrize("path", FILES)
def test_a_file_decodes_to_its_pixels_and_metadata(path, backend):
    item = FILES[path]
    if backend == "reference" and item["width"] * item["height"] > 100_000:
        pytest.skip("minutes with the definition")
    model = GENERATOR.model_of(item["model"]) if item["model"] else None
    decoded = decode((VECTORS / path).read_bytes(), model=model, backend=backend)
    assert hashlib.sha256(decoded.pixels.tobytes()).hexdigest() == item["pixels_sha256"]
    assert decoded.pixels.shape[:2] == (item["height"], item["width"])
    assert (decoded.mode, decoded.level) == (item["mode"], item["level"])
    for key in ("exif", "icc_profile", "xmp", "cicp"):
        assert getattr(decoded, key).hex() == item.get(key, "")


@pytest.mark.parametrize("name", GENERATOR.CASES)
def test_the_encoder_still_writes_it(name):
    assert GENERATOR.encoded(name) == (VECTORS / "file" / f"{name}.intact").read_bytes()


def test_every_mode_kind_and_form_has_a_file_with_a_reason():
    assert len(FILES) >= 40
    assert all(item["reason"] for item in FILES.values())
    assert {item["mode"] for item in FILES.values()} == {"L", "LA", "RGB", "RGBA"}
    kinds = {
        GENERATOR.model_of(item["model"]).bottleneck.FORMAT
        for item in FILES.values()
        if item["model"]
    }
    assert kinds == {"image codec 1", "image codec 2", "hyperprior", "vector"}
    tiles = {len(unpack_image((VECTORS / path).read_bytes()).tiles) for path in FILES}
    assert {1, 2, 4} <= tiles
    metadata = {key for item in FILES.values() for key in item} & {
        "exif",
        "icc_profile",
        "xmp",
        "cicp",
    }
    assert len(metadata) == 4
    assert any(item["model"] is None for item in FILES.values())


def test_no_file_is_missing_or_unlisted():
    found = {path.relative_to(VECTORS).as_posix() for path in VECTORS.rglob("*.intact")}
    others = {path for path in found if path.startswith(("invalid/", "unsupported/"))}
    inexact = {f"image/hyperprior/{name}.intact" for name in ("factorized", "float", "prior")}
    assert found - others - inexact == set(FILES)
    assert {path.name for path in (VECTORS / "invalid").glob("*.intact*")} == set(INVALID)


def test_the_page_is_the_index():
    assert (VECTORS / "README.md").read_text() == GENERATOR.table(FILES, INVALID)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_and_the_error_says_why(name):
    item, data = INVALID[name], (VECTORS / "invalid" / name).read_bytes()
    error, model = getattr(errors, item["error"]), name.endswith(".intactm")
    if model:
        unpack_model(data)  # the container has nothing against it
    with pytest.raises(error) as found:
        Model.from_bytes(data) if model else decode(data, model=GENERATOR.model_of(item["model"]))
    assert type(found.value) is error
    assert item["says"] in str(found.value)
