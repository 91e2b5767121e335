"""Quantization in Python's own integers, beside the arrays'."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact import ModelError
from intact.bottleneck.scalar import (
    MAX_LEVELS,
    NUM_SCALES,
    Levels,
    dequantize,
    quantize,
    table_indexes,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
INT16 = st.integers(-32768, 32767)
STEP = st.integers(1, 32767)


@given(st.lists(st.integers(-65535, 65535), min_size=1, max_size=9), STEP, st.data())
def test_symbols_are_the_quotients_of_the_page(residuals, step, data):
    offset = data.draw(st.integers(0, step // 2))
    got = quantize(np.array(residuals, np.int32), step, offset)
    assert got.dtype == np.int32
    expected = [(abs(r) + offset) // step * (1 if r >= 0 else -1) for r in residuals]
    assert got.tolist() == expected


@given(st.lists(st.tuples(INT16, INT32), min_size=1, max_size=9), STEP)
def test_any_symbol_dequantizes_as_in_unlimited_integers(pairs, step):
    means, symbols = (np.array(column) for column in zip(*pairs, strict=True))
    got = dequantize(means.astype(np.int16), symbols.astype(np.int32), step)
    assert got.dtype == np.int16
    assert got.tolist() == [min(max(m + s * step, -32768), 32767) for m, s in pairs]


@given(INT16, INT16, STEP)
def test_half_a_step_rounds_to_the_nearest(mean, latent, step):
    residual = np.array([latent - mean], np.int32)
    symbols = quantize(residual, step, step // 2)
    found = int(dequantize(np.array([mean], np.int16), symbols, step)[0])
    # Saturation can only help: the latent itself is an int16.
    assert abs(found - latent) <= step // 2 + (step % 2)


def test_quantizing_does_not_change_its_argument():
    residual = np.array([-70, 5, 33], np.int32)
    quantize(residual, 7, 3)
    assert residual.tolist() == [-70, 5, 33]


@pytest.mark.parametrize("shift", [-255, -1, 0, 1, 2, 255])
def test_every_theta_has_the_table_of_the_page(shift):
    theta = np.arange(256, dtype=np.uint8)
    expected = [min(max((t - shift + 2) >> 2, 0), NUM_SCALES - 1) for t in range(256)]
    got = table_indexes(theta, shift)
    assert got.dtype == np.uint8
    assert got.tolist() == expected


def rows(**changes):
    values = {"steps": [90, 7], "shifts": [9, -9], "parameters": [127, -127], "offsets": [45, 3]}
    return {name: np.array(row) for name, row in (values | changes).items()}


def test_levels_are_integers_that_stay():
    levels = Levels(**rows())
    assert len(levels) == 2
    assert levels.steps.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        levels.steps[0] = 1


def test_a_tree_gives_the_same_levels_back():
    tree = Levels(**rows()).to_tree()
    again = Levels.from_tree(tree).to_tree()
    assert {k: v.tolist() for k, v in again.items()} == {k: v.tolist() for k, v in tree.items()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [0, 7]}, r"steps has not 1\.\.64 values in 1\.\.32767"),
        ({"steps": [32768, 7]}, r"1\.\.32767"),
        ({"shifts": [256, 0]}, r"shifts .* -255\.\.255"),
        ({"parameters": [-128, 0]}, r"parameters .* -127\.\.127"),
        ({"offsets": [-1, 0]}, "offsets"),
        ({"offsets": [46, 3]}, "above half its step"),
        ({"offsets": [45]}, "different lengths"),
        ({"steps": [90.5, 7.0]}, "not a row of integers"),
        ({"steps": [[90, 7]]}, "not a row of integers"),
        ({k: [1] * (MAX_LEVELS + 1) for k in rows()}, "64 values"),
        ({k: np.zeros(0, int) for k in rows()}, "64 values"),
    ],
)
def test_levels_out_of_range_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        Levels(**rows(**changes))


@pytest.mark.parametrize("tree", [None, [], {}, {**rows(), "more": 1}, {**rows(), "steps": "a"}])
def test_hostile_levels_are_refused(tree):
    with pytest.raises(ModelError, match="levels"):
        Levels.from_tree(tree)
