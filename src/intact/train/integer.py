"""A `Graph` run in integers while training: what a program computes, with gradients.

Every value is an integer held in a float32 tensor; sums that may pass 2**24 are taken in float64,
so the forward pass equals `intact.intnet.ops` (a test holds it there). Backward, rounding has the
identity's gradient, QReLU that of Ballé 2019, Eq. 11, and Qtanh that of the tanh.

How the integers of a convolution follow from what is trained is a *parametrization*:
`intact.train.fixed_unit` is the shipped codec's, `intact.train.balle2019` the paper's. Both give
the same `Parameters`, so that one way leads to a program (`intact.freeze.program`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from intact.train.gradients import divide_round, qrelu, qtanh, round_through, saturate
from intact.train.graph import Abs, Add, Conv, Gdn, Graph, Requantize, Scale, Shuffle, tanh_width
from intact.train.network import Network, Observer, convolve, shuffle, unshuffle

LEVEL_SCALE = 127
"""Level t in [-1, 1] becomes the integer parameter round(127 t)."""
MAX_DIVISOR = 16383
FLOAT32_EXACT = 2**24
"""Integers below it are exact in float32, and so are sums that stay below in all their parts."""


@dataclass(frozen=True)
class Parameters:
    """A convolution's integers, as float tensors.

    Attributes:
        weight: H [o, i, k, k].
        bias: b [o].
        slope: [o], multiplied by the level and added to the bias; None for none.
        divisor: c [o].
        center: Q(o c) of Ballé 2019, Eq. 20 [o], which is taken off the bias of a representation;
            None for none.
    """

    weight: Tensor
    bias: Tensor
    slope: Tensor | None
    divisor: Tensor
    center: Tensor | None = None

    @property
    def folded(self) -> Tensor:
        """[o]: the bias of the program."""
        return self.bias if self.center is None else self.bias - self.center

    def bound(self, largest: int) -> float:
        """What no sum of a filter's terms passes, given the largest magnitude of its inputs."""
        with torch.no_grad():
            total = largest * self.weight.flatten(1).abs().sum(1).double()
            for term, factor in (self.bias, 1), (self.center, 1), (self.slope, LEVEL_SCALE):
                if term is not None:
                    total = total + factor * term.abs()
            return float(total.max())


class Parametrization(Protocol):
    """What is trained of a convolution, and the integers that follow from it."""

    def register(
        self, network: IntegerNetwork, node: Conv, generator: torch.Generator | None
    ) -> None:
        """Add a convolution's parameters and buffers to a network."""
        ...

    def integers(self, network: IntegerNetwork, node: Conv) -> Parameters:
        """Derive the integers of a convolution, differentiably."""
        ...


class IntegerNetwork(nn.Module):
    """The integer form of a graph.

    Args:
        graph: the transform.
        parametrization: of its convolutions.
        generator: for the initial weights, where the parametrization draws any.

    Attributes:
        typical: the size of each value's integers with the initial weights, as far as it is known.
        beta: of QReLU's gradient, Ballé 2019, Eq. 11; may be changed while training (annealed).
        moved: o of Ballé 2019, Eq. 19 [i]: how far the input's integers are off, which are then
            read as the program reads them: x - o, zeros around, and o in the first bias. None for
            an input that has no density. A bias is the same everywhere, so that at an edge it is
            more than o would be; what is trained must know. It is no part of the weights: who owns
            the density sets it before each pass.
    """

    key = staticmethod(Network.key)

    def __init__(
        self,
        graph: Graph,
        parametrization: Parametrization,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.graph, self.parametrization = graph, parametrization
        self.typical = {i.target: i.typical for i in graph.inputs}
        for node in graph.nodes:
            if isinstance(node, Conv):
                parametrization.register(self, node, generator)
                continue
            source = node.left if isinstance(node, Add) else node.source
            self.typical[node.target] = self.typical[source]
            if isinstance(node, Requantize):
                ones = torch.ones(graph.channels[node.source])
                self.register_buffer(self.key(node.target, "divisor"), ones)
        self.beta = 4.0
        self.moved: Tensor | None = None
        self._first = next((node for node in graph.nodes if isinstance(node, Conv)), None)
        # Always exact: the attribute exists so that a codec can treat both kinds alike.
        self.compute_dtype = torch.float32

    def get(self, target: str, what: str) -> Tensor:
        """A node's parameter or buffer, by the parametrization's name for it."""
        return getattr(self, self.key(target, what))

    def parameters_of(self, node: Conv) -> Parameters:
        """Derive the integers of a convolution, differentiably."""
        return self.parametrization.integers(self, node)

    def forward(
        self,
        inputs: dict[str, Tensor],
        level: Tensor,
        observer: Observer | None = None,
        *,
        real: bool = False,
    ) -> dict[str, Tensor]:
        """Run the graph; the arguments of `Network.forward`, in the same real units.

        Inputs are rounded to their integers, outputs come back as multiples of their units. But
        with ``real`` neither inputs, what is requantized, nor the results of coded layers are
        rounded, so that representations can have noise in the place of it (Ballé 2019, Eq. 18).
        """
        units = {i.target: i for i in self.graph.inputs}
        integers = {}
        for name, value in inputs.items():
            unit = units[name]
            steps = value / unit.unit
            if self.moved is not None:
                steps = steps - self.moved
            steps = steps if real else round_through(steps)
            integers[name] = saturate(steps, unit.low, unit.high)
        out = self.run(integers, torch.round(level * LEVEL_SCALE), observer, real=real)
        return {k: v * self.graph.outputs[k] for k, v in out.items()}

    def run(
        self,
        values: dict[str, Tensor],
        level: Tensor,
        observer: Observer | None = None,
        *,
        real: bool = False,
    ) -> dict[str, Tensor]:
        """Run on integers [b, h, w, c] with integer levels [b]; integers out."""
        values, ranges = dict(values), self.graph.ranges
        level = level[:, None, None, None]
        for node in self.graph.nodes:
            match node:
                case Conv():
                    x = values[node.source]
                    values[node.target] = self._conv(node, x, level, real=real and node.coded)
                    if observer:
                        observer(node, x, values[node.target])
                case Requantize():
                    x, divisor = values[node.source], self.get(node.target, "divisor")
                    quotient = x / divisor if real else divide_round(x, divisor)
                    values[node.target] = saturate(quotient, *ranges[node.target])
                case Scale():
                    lifted = values[node.source] * self.graph.lift
                    values[node.target] = saturate(lifted, *ranges[node.target])
                case Add():
                    total = values[node.left] + values[node.right]
                    values[node.target] = saturate(total, *ranges[node.target])
                case Shuffle():
                    f = unshuffle if node.inverse else shuffle
                    values[node.target] = f(values[node.source], node.factor)
                case Abs():
                    values[node.target] = saturate(values[node.source].abs(), *ranges[node.target])
                case Gdn():
                    raise TypeError(f"{self.graph.name}: {node.target} has no integer form")
        return {name: values[name] for name in self.graph.outputs}

    def _conv(self, node: Conv, x: Tensor, level: Tensor, *, real: bool) -> Tensor:
        p = self.parameters_of(node)
        moves = self.moved is not None and node is self._first
        # o is at most 1/2, so that an input with it is within one more.
        exact = p.bound(self.graph.largest(node.source) + moves) < FLOAT32_EXACT
        dtype = torch.float32 if exact else torch.float64
        acc = convolve(x.to(dtype), p.weight.to(dtype), node)
        bias = p.bias if real else p.folded
        acc = acc + (bias if p.slope is None else bias + p.slope * level).to(dtype)
        if self.moved is not None and moves:
            still = round_through(steady(self.moved, p.weight, node)).to(dtype)
            phases = still.shape[1]
            acc = acc + still.repeat(1, acc.shape[1] // phases, acc.shape[2] // phases, 1)
        if real:
            return (acc / p.divisor).float()
        v = divide_round(acc, p.divisor)
        match node.activation:
            case "relu" | "index":
                return qrelu(v, node.bits, self.beta)
            case "tanh":
                return qtanh(v, node.bits, tanh_width(node.bits))
            case _:
                return saturate(v, *self.graph.ranges[node.target])


def steady(values: Tensor, weight: Tensor, node: Conv) -> Tensor:
    """What a convolution makes of the same values [i] everywhere, away from edges.

    Returns:
        [1, 1, 1, o], or [1, 2, 2, o] where a transposed one has four phases.
    """
    side = 2 * node.kernel
    out = convolve(values.to(weight).expand(1, side, side, -1), weight, node)
    at = node.kernel // 2 if not node.transposed else node.kernel + node.kernel % 2
    phases = 2 if node.transposed else 1
    return out[:, at : at + phases, at : at + phases]
