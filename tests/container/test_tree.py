"""Canonical content: one spelling for one model, golden, whatever made it."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.container import limits
from intact.container.tree import (
    DTYPES,
    canonical,
    from_bytes,
    little_endian,
    model_id,
    read_skeleton,
    skeleton,
)
from intact.errors import CorruptDataError, IntactError

INTEGERS = DTYPES[:-1]
TREE = {"b": [1, -1, 300], "a": "é", "w": np.array([[1, -2], [256, -32768]], np.int16), "": b"\0"}
GOLDEN = bytes.fromhex(
    "05 04"  # dict of 4, keys ascend
    "00 03 01 00"  # "": bytes, one zero
    "01 61 02 02 c3a9"  # "a": text of two bytes
    "01 62 04 03 01 02 01 01 01 d804"  # "b": list of 3: zigzag 2, 1, 600
    "01 77 06 02 02 02 02"  # "w": array, int16, two axes, 2 x 2
    "0100 feff 0001 0080"  # its data
)

leaves = (
    st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.tuples(st.sampled_from(INTEGERS), st.binary(max_size=32), st.booleans())
)
plain_trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


def build(plain):
    """The tree of plain data: a tuple stands for an array."""
    match plain:
        case tuple((dtype, data, transposed)):
            data = data[: len(data) // 16 * 16]
            array = from_bytes(data, dtype, (2, len(data) // np.dtype(dtype).itemsize // 2))
            return array.T if transposed else array
        case list():
            return [build(item) for item in plain]
        case dict():
            return {key: build(value) for key, value in plain.items()}
        case _:
            return plain


def same(left, right):
    """Whether two trees are equal in type, order-free keys, shapes and values."""
    if type(left) is not type(right):
        return False
    match left:
        case np.ndarray():
            return (left.dtype, left.shape) == (right.dtype, right.shape) and (left == right).all()
        case list():
            return len(left) == len(right) and all(map(same, left, right))
        case dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case _:
            return left == right


def read_back(tree):
    bones, arrays = skeleton(tree)
    pending = iter(arrays)
    return read_skeleton(bones, lambda dtype, shape: next(pending))


def test_golden_content():
    assert canonical(TREE).hex() == GOLDEN.hex()


def test_golden_id():
    assert model_id(TREE) == hashlib.sha256(b"intact model content 1\0" + GOLDEN).digest()[:16]
    assert model_id(TREE).hex() == "c578538d68f940042e7cd942f31758e4"


def test_skeleton_is_the_content_without_array_data():
    bones, arrays = skeleton(TREE)
    assert bones == GOLDEN[:-8]
    assert len(arrays) == 1
    assert arrays[0] is TREE["w"]


@given(plain_trees)
def test_read_skeleton_inverts_skeleton(plain):
    tree = build(plain)
    assert same(read_back(tree), tree)
    bones, arrays = skeleton(tree)
    assert len(canonical(tree)) == len(bones) + sum(array.nbytes for array in arrays)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_skeleton_or_an_intact_error(data):
    def supply(dtype, shape):
        return np.broadcast_to(np.array(0, dtype), shape)  # any shape, no memory

    for candidate in (data, b"\x05\x01" + data, b"\x04\x02" + data):
        try:
            tree = read_skeleton(candidate, supply)
        except IntactError:
            continue
        assert skeleton(tree)[0] == candidate


def test_order_layout_and_byte_order_do_not_change_the_id():
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    twins = [
        {"x": array, "y": 1},
        {"y": 1, "x": array.copy(order="F")},
        {"y": 1, "x": array.astype(">i4")},
        {"y": 1, "x": np.arange(12, dtype=np.int32).reshape(2, 6)[:, ::2] // 2},
    ]
    assert {model_id(twin) for twin in twins} == {model_id(twins[0])}


@pytest.mark.parametrize(
    "other",
    [
        {"x": [1, 2], "y": "a"},
        {"x": [1, 3], "y": ""},
        {"x": [[1], 2], "y": ""},
        {"x": [1, 2], "y": b""},
        {"x": np.array([1, 2], np.int8), "y": ""},
        {"x": np.array([1, 2], np.int16), "y": ""},
        {"x": np.array([[1, 2]], np.int16), "y": ""},
    ],
)
def test_another_content_has_another_id(other):
    assert model_id(other) != model_id({"x": [1, 2], "y": ""})


@pytest.mark.parametrize("dtype", INTEGERS)
def test_extreme_values_survive(dtype):
    info = np.iinfo(dtype)
    array = np.array([info.min, 0, info.max], dtype)
    back = from_bytes(little_endian(array), dtype, (3,))
    assert same(back, array)


def test_empty_and_zero_axis_arrays_survive():
    for shape in ((), (0,), (0, 3), (1,) * 8):
        assert same(read_back([np.zeros(shape, np.int64)]), [np.zeros(shape, np.int64)])


@pytest.mark.parametrize(
    "value",
    [
        True,
        1.5,
        None,
        (1, 2),
        {1: 2},
        np.int64(3),
        2**63,
        -(2**63),
        "\ud800",
        np.zeros(2),
        np.zeros(2, bool),
        np.zeros(2, np.uint32),
        np.zeros((1,) * 9, np.int8),
    ],
)
def test_what_a_model_may_not_hold_is_a_value_error(value):
    with pytest.raises(ValueError):  # noqa: PT011  (a lone surrogate is Python's own message)
        canonical([value])


def refuse(dtype, shape):
    raise AssertionError("asked for an array")


def nested(depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


def test_depth_is_limited():
    fine = nested(limits.MAX_TREE_DEPTH)
    assert read_back(fine) == fine
    with pytest.raises(ValueError, match="levels"):
        canonical(nested(limits.MAX_TREE_DEPTH + 1))
    with pytest.raises(CorruptDataError, match="levels"):
        read_skeleton(b"\x04\x01" * 100_000 + b"\x04\x00", refuse)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("07", "tag is 7"),
        ("00", "tag is 0"),
        ("04 ffff03 0100", "remain"),  # 65535 values claimed, one there
        ("04 ffffffffff0f", "must be 0"),
        ("05 02 01 62 01 00 01 61 01 00", "keys must ascend"),
        ("05 02 01 61 01 00 01 61 01 00", "keys must ascend"),
        ("02 01 ff", "not UTF-8"),
        ("02 03 eda080", "not UTF-8"),  # a surrogate
        ("02 02 61", "remain"),
        ("01 8000", "shortest form"),
        ("01 ffffffffffffffffff01", "integer is"),  # -2**63
        ("01 00 00", "follow the end"),
        ("06 07 00", "type 7"),
        ("06 00 09", "9 axes"),
        ("06 05 01 81808010", "exceeds"),  # 2**25 + 1 times 8 bytes
        ("06 00 03 00 ffff7f ffff7f", "exceeds"),  # 0 x 2**21 x 2**21: numpy could overflow
        ("", "remain"),
    ],
)
def test_illegal_skeletons_are_refused(data, message):
    with pytest.raises(CorruptDataError, match=message):
        read_skeleton(bytes.fromhex(data), refuse)
