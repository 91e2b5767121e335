"""Golden bytes of coded weights: every backend writes them, and reads them back."""

import importlib.util
import json
from pathlib import Path

import pytest

from intact.bits import fast
from intact.packing import coding
from intact.packing.coding import floats

FOLDER = Path(__file__).parents[2] / "vectors" / "weights"
BACKENDS = ("native", "python") if fast.is_native() else ("python",)
VECTORS = json.loads((FOLDER / "coding.json").read_text())
SYMBOLS = {v["name"]: v["symbols"] for v in VECTORS if v.get("method") == "static"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_bytes_are_still_what_is_written(backend):
    spec = importlib.util.spec_from_file_location("generate_weights", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.text(generator.vectors(backend)) == (FOLDER / "coding.json").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_symbols_are_read(backend):
    for vector in (v for v in VECTORS if "method" in v):
        found = coding.decode(bytes.fromhex(vector["data"]), *vector["shape"], backend=backend)
        assert found.reshape(-1).tolist() == SYMBOLS[vector["name"]], vector["name"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_floats_are_read(backend):
    for vector in (v for v in VECTORS if "kind" in v):
        data = bytes.fromhex(vector["data"])
        found = coding.decode_floats(data, vector["kind"], vector["count"], backend=backend)
        assert found.tolist() == [int(bits) for bits in vector["bits"]]
        assert found.dtype.itemsize == floats.BYTES[vector["kind"]]
