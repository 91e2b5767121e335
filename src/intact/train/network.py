"""A `Graph` run in float: the float twin of an integer network.

Tensors are [b, h, w, c]: a 1x1 convolution is then `F.linear`, 1.5 times faster than `conv2d` here.
All of it may run in bfloat16 where that is faster: half a gray level is all that the residual
stream loses of a pixel, and a sixth of a step's time was spent on its conversions. Where half a
level counts (plain areas, the finest levels), the streams stay in float32: `fine_streams`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intact.errors import ArgumentError
from intact.intnet.program import MAX_CHANNELS
from intact.train.gradients import bounded_square, quantize_through
from intact.train.graph import (
    Abs,
    Add,
    Conv,
    Gdn,
    Graph,
    Requantize,
    Scale,
    Shuffle,
    tanh_width,
)

GDN_OFFSET, GDN_LEAST = 2.0**-18, 1e-6
"""epsilon of the roots, and the least beta; Ballé 2018."""

Observer = Callable[[Conv, Tensor, Tensor], None]
"""Called with each convolution, what it reads and what it gives."""


def shuffle(x: Tensor, factor: int) -> Tensor:
    """[b, h, w, c*f*f] -> [b, h*f, w*f, c] in PixelShuffle's order; inverse of `unshuffle`."""
    b, h, w, c = x.shape
    c //= factor * factor
    x = x.reshape(b, h, w, c, factor, factor).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(b, h * factor, w * factor, c)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """[b, h, w, c] -> [b, h/f, w/f, c*f*f]; inverse of `shuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(b, h // factor, w // factor, c * factor * factor)


def convolve(x: Tensor, weight: Tensor, node: Conv) -> Tensor:
    """Convolve [b, h, w, i] with [o, i/groups, k, k], padded as the node says, without a bias."""
    if node.kernel == 1 and node.stride == 1 and not node.depthwise:
        return F.linear(x, weight[:, :, 0, 0])
    planes, margin = x.permute(0, 3, 1, 2), node.kernel // 2
    if node.transposed:
        out = F.conv_transpose2d(
            planes, weight.transpose(0, 1), stride=2, padding=margin, output_padding=1
        )
        return out.permute(0, 2, 3, 1)
    if node.edge and margin:
        planes, margin = F.pad(planes, (margin,) * 4, mode="replicate"), 0
    groups = node.c_in if node.depthwise else 1
    out = F.conv2d(planes, weight, stride=node.stride, padding=margin, groups=groups)
    return out.permute(0, 2, 3, 1)


class Network(nn.Module):
    """The float twin of a graph.

    Each convolution has ``weight`` [o, i/groups, k, k], ``bias`` [o] and ``slope`` [o]: its
    effective bias is ``bias + slope * level``, with the level in [-1, 1]. Each requantization has
    a fixed ``gain`` [c], which the integer network absorbs in its divisors. Each divisive
    normalization has roots of ``beta`` [c] and ``gamma`` [c, c]; see `normalization`.

    Args:
        graph: the transform.
        generator: for the initial weights.

    Attributes:
        compute_dtype: of the branches, and of the streams that they are added to.
        fine_streams: streams, and the layers that read or begin one, are of float32 all the same.
        narrowed: names of values of few bits that are rounded to multiples of their ``unit`` [c]
            and cut off at the ends of their range, as the integer network does it.

    Raises:
        ArgumentError: a value has more channels than a frozen program may have. Said before the
            weights are made, not after days of training.
    """

    def __init__(self, graph: Graph, generator: torch.Generator) -> None:
        super().__init__()
        for value, channels in graph.channels.items():
            if channels > MAX_CHANNELS:
                raise ArgumentError(
                    f"{graph.name}: {value} has {channels} channels, at most {MAX_CHANNELS} "
                    "can be frozen; make the sizes in [transform] smaller"
                )
        self.graph = graph
        self.compute_dtype = torch.float32
        self.fine_streams = False
        self.narrowed: set[str] = set()
        self._ones: dict[str, tuple[tuple[int, int], bool]] = {}
        self._branches = frozenset(self.few_bits)
        for node in graph.nodes:
            match node:
                case Conv():
                    self._add_conv(node, generator)
                case Requantize():
                    gain = torch.ones(graph.channels[node.source])
                    self.register_buffer(self.key(node.target, "gain"), gain)
                case Gdn():
                    self._add_gdn(node.target, graph.channels[node.source])
                case _:
                    pass

    @staticmethod
    def key(target: str, what: str) -> str:
        """The parameter's name for a node."""
        return target.replace(".", "_") + "__" + what

    def _add_conv(self, node: Conv, generator: torch.Generator) -> None:
        i = 1 if node.depthwise else node.c_in
        weight = torch.randn((node.c_out, i, node.kernel, node.kernel), generator=generator)
        fan_in = i * node.kernel * node.kernel / (4 if node.transposed else 1)
        # Branches start near zero, so that the network starts as its skip connections.
        branches = {n.right for n in self.graph.nodes if isinstance(n, Add)}
        gain = {"relu": math.sqrt(2), "linear": 1.0, "index": 0.1}.get(node.activation, 1.0)
        if node.target in branches:
            gain = 0.02
        weight = weight * (gain / math.sqrt(fan_in))
        if node.depthwise:
            weight = weight * 0.5
            weight[:, 0, node.kernel // 2, node.kernel // 2] += 1.0
        self.register_parameter(self.key(node.target, "weight"), nn.Parameter(weight))
        for name in ("bias", "slope"):
            zeros = nn.Parameter(torch.zeros(node.c_out))
            self.register_parameter(self.key(node.target, name), zeros)

    def _add_gdn(self, target: str, channels: int) -> None:
        start = {"beta": torch.ones(channels), "gamma": 0.1 * torch.eye(channels)}
        for name, value in start.items():
            root = nn.Parameter((value + GDN_OFFSET**2).sqrt())
            self.register_parameter(self.key(target, name), root)

    def normalization(self, target: str) -> tuple[Tensor, Tensor]:
        """Beta [c] and gamma [c, c] of a divisive normalization: squares, so positive."""
        beta = bounded_square(self.get(target, "beta"), GDN_OFFSET, GDN_LEAST)
        return beta, bounded_square(self.get(target, "gamma"), GDN_OFFSET, 0.0)

    def get(self, target: str, what: str) -> Tensor:
        """A node's tensor: weight, bias, slope, gain, unit, or the roots beta and gamma."""
        return getattr(self, self.key(target, what))

    def forward(
        self, inputs: dict[str, Tensor], level: Tensor, observer: Observer | None = None
    ) -> dict[str, Tensor]:
        """Run the graph.

        Args:
            inputs: each [b, h, w, c], in real units.
            level: [b], in [-1, 1].
            observer: of the convolutions.

        Returns:
            The outputs, float32.
        """
        stream_dtype = torch.float32 if self.fine_streams else self.compute_dtype
        values = {name: x.to(stream_dtype) for name, x in inputs.items()}
        level = level[:, None, None, None]
        for node in self.graph.nodes:
            match node:
                case Conv():
                    x = values[node.source]
                    values[node.target] = self._narrow(node.target, self._conv(node, x, level))
                    if observer:
                        observer(node, x, values[node.target])
                case Requantize():
                    gain = self.get(node.target, "gain")
                    # Most are 1, and elementwise passes are a third of a training step.
                    x = values[node.source]
                    x = x if self._is_one(node.target, gain) else x * gain
                    values[node.target] = self._narrow(node.target, x)
                case Scale():
                    values[node.target] = values[node.source]
                case Add():
                    values[node.target] = values[node.left] + values[node.right]
                case Shuffle():
                    f = unshuffle if node.inverse else shuffle
                    values[node.target] = f(values[node.source], node.factor)
                case Abs():
                    values[node.target] = values[node.source].abs()
                case Gdn():
                    x = values[node.source].float()
                    beta, gamma = self.normalization(node.target)
                    norm = F.linear(x.square(), gamma, beta).sqrt()
                    values[node.target] = x * norm if node.inverse else x / norm
        return {name: values[name].float() for name in self.graph.outputs}

    def narrow(self, units: Mapping[str, Tensor]) -> None:
        """Round and cut off values in units [c] by name; none any more where it is empty."""
        for name in self.narrowed:
            delattr(self, self.key(name, "unit"))
        self.narrowed = set(units)
        for name, unit in units.items():
            self.register_buffer(self.key(name, "unit"), unit)

    @property
    def few_bits(self) -> list[str]:
        """Names of the values whose unit in the integer network is free: `narrow` takes them.

        They have 8 bits, or as many as the graph says.
        """
        return [
            node.target
            for node in self.graph.nodes
            if (isinstance(node, Requantize) and node.unit is None)
            or (isinstance(node, Conv) and node.activation in ("relu", "linear"))
        ]

    def _narrow(self, name: str, x: Tensor) -> Tensor:
        if name not in self.narrowed:
            return x
        unit = self.get(name, "unit").to(x.dtype)
        return quantize_through(x, unit, *self.graph.ranges[name])

    def _is_one(self, target: str, gain: Tensor) -> bool:
        """Whether a gain is 1 everywhere; found out again only after it was written to."""
        state = id(gain), gain._version
        known = self._ones.get(target)
        if known is None or known[0] != state:
            known = self._ones[target] = state, bool((gain == 1).all())
        return known[1]

    def _conv(self, node: Conv, x: Tensor, level: Tensor) -> Tensor:
        weight, bias, slope = (self.get(node.target, k) for k in ("weight", "bias", "slope"))
        branch = node.source in self._branches
        dtype = torch.float32 if self.fine_streams and not branch else self.compute_dtype
        out = convolve(x.to(dtype), weight.to(dtype), node)
        offset = bias + slope * level
        match node.activation:
            case "relu":
                return F.relu(out + offset.to(dtype))
            case "linear" | "stream":
                return out + offset.to(dtype)
            case "tanh":
                high = self.graph.ranges[node.target][1]
                return high * torch.tanh((out + offset.to(dtype)) / tanh_width(node.bits))
            case _:
                return out.float() + offset
