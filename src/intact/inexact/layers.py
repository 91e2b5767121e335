"""The layers of a float network in NumPy; docs/spec/hyperprior.md, section 5.

The format's are float32; float64 is there to be compared.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from intact.bottleneck.floats import FloatLayer, FloatNetwork

Precision = Literal["float32", "float64", "bfloat16"]
"""Of values and weights in a float network: a file's is float32, others are compared with it."""


def run(network: FloatNetwork, values: np.ndarray) -> np.ndarray:
    """[h', w', c']: what a network gives for float32 or float64 [h, w, c], in the same."""
    with np.errstate(all="ignore"):  # the caller looks at what comes out
        for layer in network.layers:
            values = apply(layer, values)
    return values


def apply(layer: FloatLayer, x: np.ndarray) -> np.ndarray:
    """[h', w', c']: what one layer gives for [h, w, c]."""
    arrays = {name: array.astype(x.dtype, copy=False) for name, array in layer.arrays.items()}
    match layer.op:
        case "conv":
            return _conv(x, arrays["weight"], arrays["bias"], layer.stride)
        case "transposed":
            return _transposed(x, arrays["weight"], arrays["bias"])
        case "gdn":
            return x / _norm(x, arrays["beta"], arrays["gamma"])
        case "igdn":
            return x * _norm(x, arrays["beta"], arrays["gamma"])
        case "relu":
            return np.maximum(x, np.float32(0))
        case "abs":
            return np.abs(x)
        case "log":
            return np.log(np.maximum(x, arrays["floor"]))
        case "scale":
            return x * arrays["factor"]
        case "offset":
            return x + arrays["value"]
        case _:
            raise AssertionError(f"{layer.op} passed the check of the layer")


def _norm(x: np.ndarray, beta: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """The denominator of generalized divisive normalization."""
    return np.sqrt(np.square(x) @ gamma.T + beta)


def _conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Correlation with zeros around: one product of matrices for each tap."""
    side = weight.shape[2]
    height, width = (-(-size // stride) for size in x.shape[:2])
    padded = np.pad(x, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    result = np.broadcast_to(bias, (height, width, bias.size)).copy()
    for dy in range(side):
        for dx in range(side):
            rows = slice(dy, dy + stride * (height - 1) + 1, stride)
            columns = slice(dx, dx + stride * (width - 1) + 1, stride)
            result += padded[rows, columns] @ weight[:, :, dy, dx].T
    return result


def _transposed(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The transpose of a correlation of stride 2: twice the height and width."""
    height, width, side = *x.shape[:2], weight.shape[2]
    whole = np.zeros((2 * height + side, 2 * width + side, bias.size), x.dtype)
    for dy in range(side):
        for dx in range(side):
            rows, columns = slice(dy, dy + 2 * height, 2), slice(dx, dx + 2 * width, 2)
            whole[rows, columns] += x @ weight[:, :, dy, dx]
    start = side // 2
    return whole[start : start + 2 * height, start : start + 2 * width] + bias
