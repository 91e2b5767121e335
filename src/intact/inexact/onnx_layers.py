"""The layers of a float network as an ONNX graph, and by ONNX Runtime.

docs/spec/hyperprior.md, section 5; the same functions as `intact.inexact.layers`. ONNX Runtime is
needed only to run one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.intnet.backends.onnx_bytes import Graph

_FLOAT = np.dtype(np.float32)
INPUT, OUTPUT = "x", "y"
"""float32 [h, w, c] both, as everywhere here; inside, [1, c, h, w]."""


def graph(network: FloatNetwork, channels: int) -> bytes:
    """A model file: the whole network, for any size.

    Args:
        network: the layers.
        channels: that go in.
    """
    g = Graph("float network")
    x = g.input(INPUT, _FLOAT, ("height", "width", channels))
    axes = g.constant(np.array([0], np.int64))
    x = g.node("Unsqueeze", [g.node("Transpose", [x], perm=(2, 0, 1)), axes])
    for layer in network.layers:
        channels = layer.channels(channels)
        x = _layer(g, layer, x)
    x = g.node("Squeeze", [x, axes])
    g.node("Transpose", [x], OUTPUT, perm=(1, 2, 0))
    g.output(OUTPUT, _FLOAT, ("rows", "columns", channels))
    return g.to_bytes({})


def _layer(g: Graph, layer: FloatLayer, x: str) -> str:
    def constant(name: str) -> str:
        return g.constant(np.array(layer.arrays[name]))

    def row(name: str) -> str:
        """[1] or [c], to be spread over positions."""
        return g.constant(np.array(layer.arrays[name])[:, None, None])

    match layer.op:
        case "conv" | "transposed":
            margin = layer.arrays["weight"].shape[2] // 2
            options: dict[str, Any] = {"pads": (margin,) * 4, "strides": (layer.stride,) * 2}
            if layer.op == "transposed":
                options["output_padding"] = (1, 1)
            kind = "Conv" if layer.op == "conv" else "ConvTranspose"
            return g.node(kind, [x, constant("weight"), constant("bias")], **options)
        case "gdn" | "igdn":
            gamma = g.constant(np.array(layer.arrays["gamma"])[:, :, None, None])
            square = g.node("Mul", [x, x])
            norm = g.node("Sqrt", [g.node("Conv", [square, gamma, constant("beta")])])
            return g.node("Div" if layer.op == "gdn" else "Mul", [x, norm])
        case "relu" | "abs":
            return g.node(layer.op.capitalize(), [x])
        case "log":
            return g.node("Log", [g.node("Max", [x, constant("floor")])])
        case "scale":
            return g.node("Mul", [x, row("factor")])
        case "offset":
            return g.node("Add", [x, row("value")])
        case _:
            raise AssertionError(f"{layer.op} passed the check of the layer")


@lru_cache(maxsize=8)
def _session(content: bytes, threads: int) -> Any:
    from intact.intnet.backends.onnx import session  # needs ONNX Runtime

    return session(content, threads)


def run(network: FloatNetwork, values: np.ndarray, threads: int = 1) -> np.ndarray:
    """float32 [h', w', c']: what a network gives for float32 [h, w, c]; threads may change it."""
    content = graph(network, values.shape[2])
    (found,) = _session(content, threads).run([OUTPUT], {INPUT: np.ascontiguousarray(values)})
    return found


def _elementwise(x: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """One function after the other of float32 [...]; "-" is what is left to 1."""
    g = Graph("function")
    name = g.input(INPUT, _FLOAT, ("count",))
    for kind in kinds[:-1]:
        name = g.node(kind, [name])
    if kinds[-1] == "-":
        g.node("Sub", [g.constant(np.ones(1, np.float32)), name], OUTPUT)
    else:
        g.node(kinds[-1], [name], OUTPUT)
    g.output(OUTPUT, _FLOAT, ("count",))
    flat = np.ascontiguousarray(x, np.float32).ravel()
    (found,) = _session(g.to_bytes({}), 1).run([OUTPUT], {INPUT: flat})
    return found.reshape(x.shape)


def exp(x: np.ndarray) -> np.ndarray:
    """The exponential function of float32 [...]."""
    return _elementwise(x, ("Exp",))


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x) of float32 [...]: ONNX has erf alone, so that tails end at 2^-24."""
    return _elementwise(x, ("Erf", "-"))
