"""Every byte of a weight file is somebody's, once."""

import numpy as np
import pytest

from intact.packing.dtypes import BY_NAME
from intact.packing.facts import facts_of
from intact.packing.index import Blob, Index, Kind, Method, Tensor
from intact.packing.sizes import shares
from intact.weights import Symbols, save
from tiny_tensors import bell

F32 = BY_NAME["F32"]


def blob(count, length, start):
    return Blob(Method.RAW, F32, 1, count, length, 0, start)


def tensor(name, blob, first, count):
    return Tensor(name, F32, (count,), Kind.VALUES, blob, first)


def sizes(blobs, tensors):
    return [(s.size, s.same_as) for s in shares(Index(blobs=blobs, tensors=tensors))]


def test_tensors_of_one_blob_share_its_bytes():
    one = [blob(10, 33, 0)]
    parts = [tensor("b", 0, 7, 3), tensor("a", 0, 0, 7)]
    assert sizes(one, parts) == [(10, None), (23, None)]


def test_tied_tensors_have_their_bytes_once_and_say_so():
    tied = [tensor(name, 0, 0, 10) for name in ("a", "b", "c")]
    assert sizes([blob(10, 33, 0)], tied) == [(33, None), (0, "a"), (0, "a")]


def test_what_overlaps_is_the_first_ones():
    two = [blob(10, 40, 0), blob(10, 60, 40)]
    parts = [tensor("a", 0, 0, 20), tensor("b", 0, 5, 5), tensor("c", 1, 0, 10)]
    assert sizes(two, parts) == [(100, None), (0, None), (0, None)]
    assert sizes(two, parts[1:]) == [(20, None), (60, None)]


def test_a_tensor_without_elements_has_no_bytes():
    assert sizes([], [tensor("a", -1, 0, 0), tensor("b", -1, 0, 0)]) == [(0, None), (0, None)]


@pytest.mark.parametrize("joint", [False, True])
def test_shares_add_up_to_the_file(tmp_path, joint):
    centers = bell((9, 2))
    symbols = np.random.default_rng(3).integers(0, 9, 3000)
    tensors = {
        "vectors": Symbols(symbols, centers=centers, shape=(60, 100)),
        "tied": Symbols(symbols, centers=centers, shape=(60, 100)),
        **{f"small{i}": Symbols(symbols[i : i + 7], step=0.01) for i in range(5)},
        **{f"bias{i}": bell((5 + i,), i) for i in range(9)},
        "bias.tied": bell((5,), 0),
        "large": bell((90, 70), 4),
        "none": np.zeros((0, 3), np.float32),
    }
    save(tensors, tmp_path / "x.intactw", joint=joint)
    facts = facts_of(tmp_path / "x.intactw")
    rows = {row["name"]: row for row in facts["tensors"]}
    total = sum(row["coded_bytes"] for row in rows.values())
    assert facts["unused_bytes"] == 0
    assert total + facts["index_bytes"] == (tmp_path / "x.intactw").stat().st_size
    assert {n: r["same_as"] for n, r in rows.items() if r["same_as"]} == {
        "tied": "vectors", "bias.tied": "bias0",
    }  # fmt: skip
