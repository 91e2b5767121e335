"""Golden weight files keep what they unpack to, on every machine."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from intact.packing.file import WeightsFile
from intact.packing.state import load

FOLDER = Path(__file__).parents[2] / "vectors" / "weights" / "files"
FILES = json.loads((FOLDER / "tensors.json").read_text("utf-8"))


def test_every_file_is_in_the_table():
    assert {path.name for path in FOLDER.glob("*.intactw")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_unpacks_to_the_same_bits(name):
    file = WeightsFile(FOLDER / name)
    assert [t.name for t in file.index.tensors] == list(FILES[name])
    for tensor in file.index.tensors:
        wanted = FILES[name][tensor.name]
        assert tensor.dtype.name == wanted["dtype"]
        assert list(tensor.shape) == wanted["shape"]
        found = hashlib.sha256(file.raw(tensor).tobytes()).hexdigest()
        assert found == wanted["sha256"], tensor.name


def test_methods_of_coding_change_nothing_but_the_size():
    one, other = (load(FOLDER / f"{name}.intactw", raw=True) for name in ("static", "rows"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
