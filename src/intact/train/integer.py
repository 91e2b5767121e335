"""A `Graph` run in integers while training: what a program computes, with gradients.

Every value is an integer held in a float32 tensor; below 2**24 that is exact, so the forward pass
equals `intact.intnet.ops` (a test holds it there). Backward, rounding has the identity's gradient
and QReLU that of Ballé 2019, Eq. 11.

Parametrization ("fixed unit", docs/decisions/0003; the paper's own, Eq. 5-8, is in
`intact.train.layers`): the units of a layer's output are given, its filter h' maps integers to
integers, and the divisor is the largest odd c for which ``h' * c`` fits the weights' bits:

    c = odd_floor(1 / s(h')),   H = Q(h' * c),   b = Q(b' * c),   w = g((H u + b) / c rounded)

with s of Eq. 9. Residual branches need it: their output is added to a stream of a fixed unit. Where
even c = 1 leaves the weights' bits (hyper-latents, whose one step moves the features far), the
weights are wider; such a layer is small, and backends run it in wider arithmetic. A conversion that
has rounded filters for a certain c (`intact.train.rounding`) keeps it as the filter's cap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from intact.train.gradients import qrelu, round_through, saturate
from intact.train.graph import UINT8, Add, Conv, Graph, Requantize, Scale, Shuffle
from intact.train.network import Network, Observer, convolve, shuffle, unshuffle

WEIGHT_BITS = 7
FINE_BITS = 10
"""Of the weights of fine layers. With 16-bit inputs they cost nothing, since such a layer runs in
16-bit products or in float64 anyway; docs/decisions/0007 has what they win."""
FLOAT32_ROOM, INT32_ROOM = 0.9 * 2**24, 0.9 * 2**31
"""What the products of a filter may add up to: with inputs of 8 bits so that float32 is exact, with
inputs of 16 so that int32 is. A tenth is left for the bias."""
LEVEL_SCALE = 127
"""Level t in [-1, 1] becomes the integer parameter round(127 t)."""
MAX_DIVISOR = 16383


def odd_floor(x: Tensor) -> Tensor:
    """The largest odd integer <= x, at least 1."""
    return (2 * torch.floor((x - 1) / 2) + 1).clamp(min=1)


@dataclass(frozen=True)
class Parameters:
    """A convolution's integers, as float tensors: H [o, i, k, k]; b, slope, c [o]."""

    weight: Tensor
    bias: Tensor
    slope: Tensor
    divisor: Tensor


class IntegerNetwork(nn.Module):
    """The integer form of a graph.

    Args:
        graph: the transform.
        bits: of the weights, sign included.
    """

    def __init__(self, graph: Graph, bits: int = WEIGHT_BITS) -> None:
        super().__init__()
        self.graph, self.bits = graph, bits
        for node in graph.nodes:
            if isinstance(node, Conv):
                i = 1 if node.depthwise else node.c_in
                shape = (node.c_out, i, node.kernel, node.kernel)
                self.register_parameter(
                    Network.key(node.target, "weight"), nn.Parameter(torch.zeros(shape))
                )
                for name in ("bias", "slope"):
                    self.register_parameter(
                        Network.key(node.target, name), nn.Parameter(torch.zeros(node.c_out))
                    )
                cap = torch.full((node.c_out,), float(MAX_DIVISOR))
                self.register_buffer(Network.key(node.target, "cap"), cap)
            elif isinstance(node, Requantize):
                c = graph.channels[node.source]
                self.register_buffer(Network.key(node.target, "divisor"), torch.ones(c))
        # Always exact: the attribute exists so that a codec can treat both kinds alike.
        self.compute_dtype = torch.float32

    def get(self, target: str, what: str) -> Tensor:
        """A node's ``weight``, ``bias``, ``slope``, ``cap`` or ``divisor``."""
        return getattr(self, Network.key(target, what))

    def largest_weight(self, node: Conv) -> int:
        """What a convolution's weights may reach: 64 by rule 2, more in fine layers."""
        return 2 ** ((FINE_BITS if node.fine else self.bits) - 1)

    def divisors(self, node: Conv, weight: Tensor) -> Tensor:
        """[o]: the largest odd c for which filters [o, i, k, k] fit their bits and accumulators."""
        high = self.largest_weight(node)  # -high..high: the symmetric form of Eq. 9
        flat = weight.flatten(1).abs()
        largest = flat.amax(1).clamp(min=high / MAX_DIVISOR)
        room = (INT32_ROOM if self._is_wide(node) else FLOAT32_ROOM) / self.graph.largest(
            node.source
        )
        c = torch.minimum(high / largest, room / flat.sum(1).clamp(min=1e-9))
        # A filter that was rounded for c must give c again: float32 makes of it a little less.
        return odd_floor(c * (1 + 1e-6)).clamp(max=MAX_DIVISOR)

    def parameters_of(self, node: Conv) -> Parameters:
        """Derive the integers of a convolution, differentiably."""
        weight = self.get(node.target, "weight")
        with torch.no_grad():
            divisor = torch.minimum(self.divisors(node, weight), self.get(node.target, "cap"))
        scale = divisor[:, None, None, None]
        return Parameters(
            round_through(weight * scale),
            round_through(self.get(node.target, "bias") * divisor),
            round_through(self.get(node.target, "slope") * divisor / LEVEL_SCALE),
            divisor,
        )

    def forward(
        self, inputs: dict[str, Tensor], level: Tensor, observer: Observer | None = None
    ) -> dict[str, Tensor]:
        """Run the graph; the arguments of `Network.forward`, in the same real units.

        Inputs are rounded to their integers, outputs come back as multiples of their units.
        """
        units = {i.target: i for i in self.graph.inputs}
        integers = {}
        for name, value in inputs.items():
            unit = units[name]
            integers[name] = saturate(round_through(value / unit.unit), unit.low, unit.high)
        out = self.run(integers, torch.round(level * LEVEL_SCALE), observer)
        return {k: v * self.graph.outputs[k] for k, v in out.items()}

    def run(
        self, values: dict[str, Tensor], level: Tensor, observer: Observer | None = None
    ) -> dict[str, Tensor]:
        """Run on integers [b, h, w, c] with integer levels [b]; integers out."""
        values, ranges = dict(values), self.graph.ranges
        level = level[:, None, None, None]
        for node in self.graph.nodes:
            match node:
                case Conv():
                    x = values[node.source]
                    values[node.target] = self._conv(node, x, level)
                    if observer:
                        observer(node, x, values[node.target])
                case Requantize():
                    divisor = self.get(node.target, "divisor")
                    quotient = round_through(values[node.source] / divisor)
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
        return {name: values[name] for name in self.graph.outputs}

    def _conv(self, node: Conv, x: Tensor, level: Tensor) -> Tensor:
        p = self.parameters_of(node)
        # Float32 is exact below 2**24; 16-bit inputs and weights beyond their bits may leave it,
        # float64 never.
        largest = self.largest_weight(node)
        wide = self._is_wide(node) or float(p.weight.detach().abs().max()) > largest
        dtype = torch.float64 if wide else torch.float32
        acc = convolve(x.to(dtype), p.weight.to(dtype), node)
        acc = acc + (p.bias + p.slope * level).to(dtype)
        v = round_through(acc / p.divisor.to(dtype)).float()
        low, high = self.graph.ranges[node.target]
        # Unsigned values are QReLU's, with its gradient.
        return qrelu(v, high.bit_length()) if low == 0 else saturate(v, low, high)

    def _is_wide(self, node: Conv) -> bool:
        return self.graph.largest(node.source) > UINT8[1]
