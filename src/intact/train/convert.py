"""The warm start float -> integer: choose a unit for every value, rewrite every filter.

A value's *unit* is the real number that one integer step stands for, per channel. Streams, latents
and indexes have given units; values of few bits get the one that fits their observed range; filters
then map integers to integers, and are rounded together (`intact.train.rounding`). Nothing is
trained here.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.codecs.codec import Codec
from intact.train.data import ImageFolder
from intact.train.fixed_unit import FixedUnit, odd_floor
from intact.train.graph import UINT8, Abs, Add, Conv, Gdn, Graph, Requantize, Scale, Shuffle
from intact.train.integer import MAX_DIVISOR, IntegerNetwork
from intact.train.network import Network, Observer
from intact.train.rounding import Moments, round_together

QUANTILE = 0.9999
"""Ranges of 8 bits cover this share of the observed values; the rest saturates."""
HEADROOM = 4.0
"""Of values of 10 bits and more: their ranges reach so much further than what was observed. That
takes two of their bits, which are not missed, and cuts off nothing of other kinds of pictures. With
9 bits it is half as much: what was observed keeps 8."""
MAX_SAMPLES = 1 << 16
LEAST_UNIT = 1e-6
"""Of a channel that was silent where ranges were observed."""


@dataclass
class Ranges:
    """What a network's values are like on some batches.

    Attributes:
        largest: of each value the ``QUANTILE`` of |x| per channel.
        moments: of the inputs of each convolution that is neither depthwise nor transposed, by its
            target: filters of those are rounded alone.
    """

    largest: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)

    def observe(self, name: str, x: Tensor) -> None:
        """Take in a batch [b, h, w, c]."""
        flat = x.detach().float().reshape(-1, x.shape[-1]).abs()
        flat = flat[:: max(1, len(flat) // MAX_SAMPLES)]
        rank = min(len(flat) - 1, int(QUANTILE * len(flat)))
        high = flat.sort(0).values[rank]
        seen = self.largest.get(name)
        self.largest[name] = high if seen is None else torch.maximum(seen, high)


def _reach(graph: Graph, value: str, ranges: Ranges) -> Tensor:
    """[c], float64: what the largest integer of a value should stand for in real numbers."""
    return ranges.largest[value].double() * _headroom(graph, value)


def _headroom(graph: Graph, value: str) -> float:
    """By how much the range of a value of few bits is wider than what was observed."""
    low, high = graph.ranges[value]
    return min(HEADROOM, (high - low + 1) / (UINT8[1] + 1))


def observer(ranges: Ranges) -> Observer:
    """Reports a float network's values of few bits and what its convolutions read to ``ranges``."""

    def observe(node: Conv, x: Tensor, out: Tensor) -> None:
        # Requantized values are seen here, as inputs; ReLU and linear ones as outputs.
        ranges.observe(node.source, x)
        if not (node.depthwise or node.transposed):
            ranges.moments.setdefault(node.target, Moments()).observe(node, x)
        if node.activation in ("relu", "linear"):
            ranges.observe(node.target, out)

    return observe


def convert(network: Network, ranges: Ranges) -> IntegerNetwork:
    """The integer network that computes what a float network does, as nearly as its bits allow.

    Args:
        network: trained; its values observed on images (`observe`).
        ranges: of this network's values; those that it was narrowed to are kept.
    """
    graph = network.graph
    for value in network.narrowed:
        given = network.get(value, "unit") * graph.ranges[value][1]
        ranges.largest[value] = given / _headroom(graph, value)
    integer = IntegerNetwork(graph, FixedUnit())
    units: dict[str, Tensor] = {
        i.target: torch.full((i.channels,), i.unit, dtype=torch.float64) for i in graph.inputs
    }
    with torch.no_grad():
        for node in graph.nodes:
            match node:
                case Conv():
                    units[node.target] = _convert_conv(node, network, integer, units, ranges)
                case Requantize():
                    units[node.target] = _convert_requantize(
                        node, network, integer, units[node.source], ranges
                    )
                case Scale():
                    unit = graph.units["stream"]
                    units[node.target] = torch.full_like(units[node.source], unit)
                case Add():
                    units[node.target] = units[node.left]
                case Shuffle():
                    source = units[node.source]
                    if not torch.equal(source, source[:1].expand_as(source)):
                        raise ValueError(
                            f"{graph.name}: {node.source} is shuffled without one unit"
                        )
                    units[node.target] = source[:1].expand(graph.channels[node.target]).clone()
                case Abs() | Gdn():
                    raise ArgumentError(f"{graph.name}: {node.target} cannot be converted")
    for name, unit in graph.outputs.items():
        if not torch.allclose(units[name], torch.full_like(units[name], unit)):
            raise ValueError(f"{graph.name}: output {name!r} has not the unit {unit}")
    return integer


def _convert_requantize(
    node: Requantize, network: Network, integer: IntegerNetwork, source: Tensor, ranges: Ranges
) -> Tensor:
    gain = network.get(node.target, "gain").double()
    divisor = integer.get(node.target, "divisor")
    if node.unit is None:
        reach = _reach(network.graph, node.target, ranges)
        wanted = reach / gain / source / network.graph.ranges[node.target][1]
        divisor.copy_(odd_floor(wanted + 1.999).clamp(max=MAX_DIVISOR))
    else:
        divisor.copy_(odd_floor(torch.round(node.unit / source)))
    return source * divisor.double() * gain


def _convert_conv(
    node: Conv,
    network: Network,
    integer: IntegerNetwork,
    units: dict[str, Tensor],
    ranges: Ranges,
) -> Tensor:
    graph, fixed = network.graph, FixedUnit()
    given = graph.units.get(node.activation)
    source = units[node.source]
    per_input = source[:, None, None, None] if node.depthwise else source[None, :, None, None]
    mapped = network.get(node.target, "weight").double() * per_input
    bias, slope = (network.get(node.target, k).double() for k in ("bias", "slope"))
    if given is not None:
        out = torch.full((node.c_out,), given, dtype=torch.float64)
    else:
        out = _reach(graph, node.target, ranges) / graph.ranges[node.target][1]
        # A channel that hardly ever speaks must not ask for weights beyond their bits, nor for sums
        # beyond their room.
        least = fixed.too_large(graph, node, mapped, bias.abs() + slope.abs())
        out = torch.maximum(out, least).clamp(min=1e-12)
    mapped = mapped / out[:, None, None, None]
    bias, slope = bias / out, slope / out
    if node.target in ranges.moments:
        moments = ranges.moments[node.target]
        unit = source.repeat_interleave(node.kernel**2)
        covariance = moments.covariance / torch.outer(unit, unit)
        wanted, added = mapped.flatten(1), bias.abs() + slope.abs()
        rounded, divisor = _rounded(fixed, graph, node, wanted, added, covariance)
        # Rounding must not move the mean of the outputs.
        bias = bias + (wanted - rounded) @ (moments.mean / unit)
        mapped = rounded.reshape(mapped.shape)
        integer.get(node.target, "cap").copy_(divisor)
    integer.get(node.target, "weight").copy_(mapped)
    integer.get(node.target, "bias").copy_(bias)
    integer.get(node.target, "slope").copy_(slope)
    return out


def _rounded(
    fixed: FixedUnit, graph: Graph, node: Conv, wanted: Tensor, added: Tensor, covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Filters [o, i] near those wanted, and divisors [o] with which they are whole numbers.

    Rounding may add to a filter's sum. Where that was all its room holds, the divisor that it was
    rounded for is too large for what came out; such filters are rounded again for a lesser one.
    """
    divisor = fixed.divisors(graph, node, wanted, added)
    rounded, todo = torch.zeros_like(wanted), torch.ones_like(divisor, dtype=torch.bool)
    while todo.any():
        steps = wanted[todo] * divisor[todo, None]
        limit = steps.abs().amax(1).ceil().clamp(min=fixed.largest_weight(graph, node))
        rounded[todo] = round_together(steps, covariance, limit) / divisor[todo, None]
        todo = fixed.divisors(graph, node, rounded, added) < divisor
        divisor = torch.where(todo, divisor - 2, divisor)
    return rounded, divisor


C = TypeVar("C", bound=Codec)


def observe(net: Codec, batches: list[tuple[Tensor, Tensor]]) -> dict[str, Ranges]:
    """What the values of a float codec's networks are like, by network.

    Args:
        net: the float codec.
        batches: (uint8 images [b, h, w, 3], levels [b] in [-1, 1]).
    """
    seen = {name: Ranges() for name in net.networks}
    observers = {name: observer(ranges) for name, ranges in seen.items()}
    with torch.no_grad():
        for image, t in batches:
            net(image, t, None, hard=True, observers=observers)
    return seen


def narrow(net: Codec, batches: list[tuple[Tensor, Tensor]]) -> None:
    """Let a float codec round and cut off its values of few bits as its integer networks will.

    Trained so, it learns to live with it: what is beyond the ranges of photographs (text) finds
    other ways. Its conversion keeps these ranges.

    Args:
        net: the float codec (`Network.narrow`).
        batches: see `observe`.
    """
    for name, ranges in observe(net, batches).items():
        network = net.network(name)
        graph = network.graph
        units = {
            value: (_reach(graph, value, ranges) / graph.ranges[value][1]).float()
            for value in network.few_bits
        }
        network.narrow({value: unit.clamp(min=LEAST_UNIT) for value, unit in units.items()})


def narrow_blank(net: Codec) -> None:
    """The same with units of 1, for a state to be loaded."""
    for name in net.networks:
        network = net.network(name)
        channels = network.graph.channels
        network.narrow({value: torch.ones(channels[value]) for value in network.few_bits})


def widen(net: Codec) -> None:
    """Undo `narrow`."""
    for name in net.networks:
        if isinstance(network := net.networks[name], Network):
            network.narrow({})


def convert_codec(net: C, batches: list[tuple[Tensor, Tensor]]) -> C:
    """A copy of a float codec whose networks are integer; the warm start.

    Args:
        net: the float codec; left as it was.
        batches: (uint8 images [b, h, w, 3], levels [b] in [-1, 1]) to observe ranges on.
    """
    result = copy.deepcopy(net)
    seen = observe(result, batches)
    for name in net.networks:
        result.networks[name] = convert(result.network(name), seen[name])
    return result


OBSERVED_BATCHES, SYNTHETIC_BATCHES = 12, 8


def observation(
    data: ImageFolder, side: int, seed: int = 1, *, synthetic: bool = False
) -> list[tuple[Tensor, Tensor]]:
    """Batches of (crops, levels over the whole range) to observe activations on.

    Args:
        data: the images.
        side: of the crops, in pixels.
        seed: of their places.
        synthetic: crops of text, screens and plain colors are among them, as in the training.
            Their activations reach further than photographs': cut off there, text lost 1.6 dB, and
            8 bits that reach so far cost photographs 0.4 % of their rate (docs/decisions/0028).
    """
    levels = torch.linspace(-1, 1, 8)
    batches = [
        (torch.from_numpy(data.crops(range(8), side, seed, i)), levels)
        for i in range(OBSERVED_BATCHES)
    ]
    for i in range(SYNTHETIC_BATCHES if synthetic else 0):
        rngs = [np.random.default_rng((seed, i, k)) for k in range(8)]
        places = [data.source.synthetic(side, rng) for rng in rngs]
        crops = np.stack([data.source.cut(place, side) for place in places])
        batches.append((torch.from_numpy(crops), levels))
    return batches
