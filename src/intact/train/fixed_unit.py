"""The parametrization "fixed unit": the unit of a layer's output is given (docs/decisions/0003).

A filter h' maps integers to integers, and the divisor is the largest odd c for which ``h' * c``
fits the weights' bits:

    c = odd_floor(1 / s(h')),   H = Q(h' * c),   b = Q(b' * c),   w = g((H u + b) / c rounded)

with s of Ballé 2019, Eq. 9. Residual branches need it: their output is added to a stream of a fixed
unit. Where even c = 1 leaves the weights' bits (hyper-latents, whose one step moves the features
far), the weights are wider; such a layer is small, and backends run it in wider arithmetic. A
conversion that has rounded filters for a certain c (`intact.train.rounding`) keeps it as the
filter's cap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from intact.train.gradients import round_through
from intact.train.graph import UINT8, Conv, Graph
from intact.train.integer import LEVEL_SCALE, MAX_DIVISOR, IntegerNetwork, Parameters

WEIGHT_BITS = 7
FINE_BITS, WIDE_BITS = 10, 12
"""Of the weights of fine layers that read bytes, and of those that read more. With inputs of more
than 8 bits they cost nothing, since such a layer runs in 16-bit products or in float64 anyway;
docs/decisions/0007 and 0031 have what they win."""
FLOAT32_ROOM, INT32_ROOM = 0.9 * 2**24, 0.9 * 2**31
"""What the products of a filter may add up to: with inputs of 8 bits so that float32 is exact, with
inputs of 16 so that int32 is. A tenth is left for the bias."""
INT32_WHOLE = 0.99 * 2**31
"""What they, the bias and the level's share may add up to; the rest is for their rounding."""


def odd_floor(x: Tensor) -> Tensor:
    """The largest odd integer <= x, at least 1."""
    return (2 * torch.floor((x - 1) / 2) + 1).clamp(min=1)


@dataclass(frozen=True)
class FixedUnit:
    """See above; `intact.train.integer.Parametrization`.

    Attributes:
        bits: of the weights, sign included.
    """

    bits: int = WEIGHT_BITS

    def register(
        self, network: IntegerNetwork, node: Conv, generator: torch.Generator | None
    ) -> None:
        """Filters, biases and slopes, all zero, to be filled; and caps of divisors."""
        network.typical[node.target] = network.graph.largest(node.target) / 2
        i = 1 if node.depthwise else node.c_in
        shape = (node.c_out, i, node.kernel, node.kernel)
        for name, size in (("weight", shape), ("bias", node.c_out), ("slope", node.c_out)):
            network.register_parameter(network.key(node.target, name), _zeros(size))
        cap = torch.full((node.c_out,), float(MAX_DIVISOR))
        network.register_buffer(network.key(node.target, "cap"), cap)

    def integers(self, network: IntegerNetwork, node: Conv) -> Parameters:
        """Derive the integers of a convolution, differentiably."""
        weight, bias, slope = (network.get(node.target, k) for k in ("weight", "bias", "slope"))
        with torch.no_grad():
            cap, added = network.get(node.target, "cap"), bias.abs() + slope.abs()
            divisor = torch.minimum(self.divisors(network.graph, node, weight, added), cap)
        return Parameters(
            round_through(weight * divisor[:, None, None, None]),
            round_through(bias * divisor),
            round_through(slope * divisor / LEVEL_SCALE),
            divisor,
        )

    def largest_weight(self, graph: Graph, node: Conv) -> int:
        """What a convolution's weights may reach: 64 by rule 2, more in fine layers."""
        fine = WIDE_BITS if graph.largest(node.source) > UINT8[1] else FINE_BITS
        return 2 ** ((fine if node.fine else self.bits) - 1)

    def divisors(self, graph: Graph, node: Conv, weight: Tensor, added: Tensor) -> Tensor:
        """[o]: the largest odd c for which filters fit their bits and accumulators.

        Args:
            graph: of the node.
            node: a convolution.
            weight: [o, ...], of its filters.
            added: [o], the largest magnitude of what is added to their sums: bias and level.
        """
        high = self.largest_weight(graph, node)  # -high..high: the symmetric form of Eq. 9
        flat = weight.flatten(1).abs()
        largest = flat.amax(1).clamp(min=high / MAX_DIVISOR)
        total, reach = flat.sum(1).clamp(min=1e-9), graph.largest(node.source)
        c = torch.minimum(high / largest, self._room(graph, node) / total)
        c = torch.minimum(c, INT32_WHOLE / (total * reach + added))
        # A filter that was rounded for c must give c again: float32 makes of it a little less.
        return odd_floor(c * (1 + 1e-6)).clamp(max=MAX_DIVISOR)

    def too_large(self, graph: Graph, node: Conv, weight: Tensor, added: Tensor) -> Tensor:
        """[o]: by what to divide filters, and what is added, so that c = 1 fits; see `divisors`."""
        flat, reach = weight.flatten(1).abs(), graph.largest(node.source)
        total = flat.sum(1)
        found = torch.maximum(
            flat.amax(1) / self.largest_weight(graph, node), total / self._room(graph, node)
        )
        return torch.maximum(found, (total * reach + added) / INT32_WHOLE)

    def _room(self, graph: Graph, node: Conv) -> float:
        """What the magnitudes of a filter's integers may add up to."""
        reach = graph.largest(node.source)
        return (INT32_ROOM if reach > UINT8[1] else FLOAT32_ROOM) / reach


def _zeros(size: int | tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size))
