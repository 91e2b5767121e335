"""A float network as the layers that a model keeps: docs/spec/hyperprior.md, section 5."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.errors import ModelError
from intact.train.graph import Abs, Conv, Gdn
from intact.train.network import Network


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().float().contiguous().numpy()


def _conv(node: Conv, network: Network) -> list[FloatLayer]:
    weight, bias = network.get(node.target, "weight"), network.get(node.target, "bias")
    if network.get(node.target, "slope").any() or node.depthwise or node.activation == "tanh":
        raise ModelError(f"{network.graph.name}: {node.target} has no form in a model")
    op = "transposed" if node.transposed else "conv"
    weight = weight.transpose(0, 1) if node.transposed else weight
    arrays = {"weight": _array(weight), "bias": _array(bias)}
    relu = [FloatLayer("relu")] if node.activation == "relu" else []
    return [FloatLayer(op, arrays, node.stride), *relu]


def scaled(factor: float) -> list[FloatLayer]:
    """A change of unit; nothing where it is none."""
    return [FloatLayer("scale", {"factor": np.array([factor], np.float32)})] if factor != 1 else []


def moved(value: np.ndarray) -> list[FloatLayer]:
    """A constant added to each channel; nothing where all are 0."""
    return [FloatLayer("offset", {"value": value.astype(np.float32)})] if value.any() else []


def to_layers(
    network: Network,
    *,
    before: np.ndarray | None = None,
    after: np.ndarray | None = None,
    read: float = 1.0,
    give: float = 1.0,
) -> FloatNetwork:
    """The layers of a float network that is one row of nodes.

    Args:
        network: with one input and one output.
        before: [c], added to the input's integers; nothing when None.
        after: [c], added to the output; likewise.
        read: of its own input's integers that one integer of the model's is.
        give: integers of the model's that one of its own output's is.

    Raises:
        ModelError: a node has no form there.
    """
    graph = network.graph
    (source,), (unit,) = graph.inputs, graph.outputs.values()
    layers = moved(np.zeros(1) if before is None else before) + scaled(source.unit * read)
    value = source.target
    with torch.no_grad():
        for node in graph.nodes:
            match node:
                case Conv() if node.source == value:
                    layers += _conv(node, network)
                case Abs() if node.source == value:
                    layers.append(FloatLayer("abs"))
                case Gdn() if node.source == value:
                    beta, gamma = network.normalization(node.target)
                    arrays = {"beta": _array(beta), "gamma": _array(gamma)}
                    layers.append(FloatLayer("igdn" if node.inverse else "gdn", arrays))
                case _:
                    raise ModelError(f"{graph.name}: {node.target} has no form in a model")
            value = node.target
    layers += scaled(give / unit) + moved(np.zeros(1) if after is None else after)
    return FloatNetwork(tuple(layers))
