"""Float layers do what the page says: compared with torch, which others' models come from."""

import numpy as np
import pytest

from intact.bottleneck.floats import FloatLayer
from intact.inexact.layers import apply

torch = pytest.importorskip("torch")


def random(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layer(op, stride=1, **arrays):
    return FloatLayer(op, {k: np.asarray(v, np.float32) for k, v in arrays.items()}, stride)


def to_torch(x):
    return torch.from_numpy(x).permute(2, 0, 1)[None]


def close(found, expected):
    np.testing.assert_allclose(found, expected[0].permute(1, 2, 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 10), (8, 5)])
@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution(size, side, stride):
    x, weight, bias = random(*size, 3), random(4, 3, side, side), random(4)
    expected = torch.nn.functional.conv2d(
        to_torch(x), torch.from_numpy(weight), torch.from_numpy(bias), stride, side // 2
    )
    close(apply(layer("conv", stride, weight=weight, bias=bias), x), expected)


@pytest.mark.parametrize("size", [(1, 1), (7, 10)])
@pytest.mark.parametrize("side", [3, 5, 7])
def test_a_transposed_convolution(size, side):
    x, weight, bias = random(*size, 3), random(3, 4, side, side), random(4)
    expected = torch.nn.functional.conv_transpose2d(
        to_torch(x), torch.from_numpy(weight), torch.from_numpy(bias), 2, side // 2, 1
    )
    found = apply(layer("transposed", 2, weight=weight, bias=bias), x)
    assert found.shape == (2 * size[0], 2 * size[1], 4)
    close(found, expected)


@pytest.mark.parametrize(("op", "sign"), [("gdn", -0.5), ("igdn", 0.5)])
def test_divisive_normalization(op, sign):
    x, beta, gamma = random(4, 5, 3), np.abs(random(3)) + 0.1, np.abs(random(3, 3))
    norm = np.einsum("ij,hwj->hwi", gamma, x.astype(float) ** 2) + beta
    found = apply(layer(op, beta=beta, gamma=gamma), x)
    np.testing.assert_allclose(found, x * norm**sign, rtol=2e-3)


def test_the_rest():
    x = random(4, 5, 3)
    np.testing.assert_array_equal(apply(layer("relu"), x), np.maximum(x, 0))
    np.testing.assert_array_equal(apply(layer("abs"), x), np.abs(x))
    np.testing.assert_array_equal(apply(layer("scale", factor=[2, 4, 8]), x), x * [2, 4, 8])
    np.testing.assert_array_equal(apply(layer("offset", value=[2]), x), x + np.float32(2))
    floor = layer("log", floor=[0.25])
    np.testing.assert_allclose(apply(floor, x), np.log(np.maximum(x, 0.25)), rtol=1e-5)
