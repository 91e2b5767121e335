"""The layers of a float network by PyTorch; docs/spec/hyperprior.md, section 5.

The same functions as `intact.inexact.layers`, whose sums another library takes in another order:
what is *not exact* about them shows where one encodes and the other decodes.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.inexact.layers import Precision


def run(
    network: FloatNetwork, values: np.ndarray, threads: int = 1, precision: Precision = "float32"
) -> np.ndarray:
    """float32 [h', w', c']: what a network gives for float32 [h, w, c].

    Args:
        network: the layers.
        values: what goes in.
        threads: of PyTorch while it runs; results may depend on it.
        precision: of values and weights on the way; the format's is float32.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            x = torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None]
            x = x.to(getattr(torch, precision))
            for layer in network.layers:
                x = apply(layer, x)
            return np.ascontiguousarray(x[0].permute(1, 2, 0).float().numpy())
    finally:
        torch.set_num_threads(before)


def apply(layer: FloatLayer, x: Tensor) -> Tensor:
    """[1, c', h', w']: what one layer gives for [1, c, h, w], in the same precision."""
    arrays = {
        name: torch.from_numpy(np.array(array)).to(x.dtype) for name, array in layer.arrays.items()
    }
    match layer.op:
        case "conv":
            margin = arrays["weight"].shape[2] // 2
            return F.conv2d(x, arrays["weight"], arrays["bias"], layer.stride, margin)
        case "transposed":
            side = arrays["weight"].shape[2]
            options = {"stride": 2, "padding": side // 2, "output_padding": 1}
            return F.conv_transpose2d(x, arrays["weight"], arrays["bias"], **options)
        case "gdn":
            return x / _norm(x, arrays["beta"], arrays["gamma"])
        case "igdn":
            return x * _norm(x, arrays["beta"], arrays["gamma"])
        case "relu":
            return F.relu(x)
        case "abs":
            return x.abs()
        case "log":
            return torch.log(torch.maximum(x, arrays["floor"]))
        case "scale":
            return x * _row(arrays["factor"])
        case "offset":
            return x + _row(arrays["value"])
        case _:
            raise AssertionError(f"{layer.op} passed the check of the layer")


def _row(values: Tensor) -> Tensor:
    """[1] or [c] as [1, c, 1, 1]."""
    return values[None, :, None, None]


def _norm(x: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    """The denominator of generalized divisive normalization."""
    return torch.sqrt(F.conv2d(x.square(), gamma[:, :, None, None], beta))
