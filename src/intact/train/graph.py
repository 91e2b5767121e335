"""Transforms as data: nodes that a float network, an integer network and a program share.

One `Graph` describes one transform (analysis, synthesis, a prior). `train.network` runs it in
float, `train.integer` in integers (Ballé 2019 §2-§3), `freeze` turns it into an
`intact.intnet.program.Program`. So the three can never disagree about the topology.

Values are named; every node makes one new value. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Activation = Literal["relu", "linear", "stream", "latent", "symbol", "index"]
"""What a convolution's result is, and so how it is quantized:

relu: unsigned 8 bits (QReLU); linear: signed 8 bits; stream: a 16-bit branch in the units of the
residual stream; latent: 16-bit fixed point in the units of latents; symbol: signed 8 bits of
unit 1, the hyper-latents; index: unsigned 8 bits, the scale index theta of Ballé 2019 Eq. 15.
"""


@dataclass(frozen=True)
class Input:
    """A value that comes from outside: ``unit`` is the real number one integer step stands for."""

    target: str
    channels: int
    low: int
    high: int
    unit: float


@dataclass(frozen=True)
class Conv:
    """A convolution with zero padding, optionally depthwise; its bias is affine in the level.

    ``fine`` layers have weights of more bits: those whose rounding would show in the picture.
    """

    source: str
    target: str
    c_in: int
    c_out: int
    kernel: int
    stride: int
    depthwise: bool
    activation: Activation
    fine: bool = False


@dataclass(frozen=True)
class Requantize:
    """A 16-bit value to signed 8 bits, per channel; in float a multiplication by a fixed gain."""

    source: str
    target: str


@dataclass(frozen=True)
class Scale:
    """Lift 8-bit pixels to the 16-bit stream; in float a change of unit."""

    source: str
    target: str


@dataclass(frozen=True)
class Add:
    """The saturating residual addition."""

    left: str
    right: str
    target: str


@dataclass(frozen=True)
class Shuffle:
    """Channels to space by ``factor`` (or, ``inverse``, space to channels)."""

    source: str
    target: str
    factor: int
    inverse: bool


Node = Conv | Requantize | Scale | Add | Shuffle


@dataclass
class Graph:
    """A transform under construction; the methods append a node and return its value's name.

    Attributes:
        name: of the transform.
        stream_unit: the real number one integer step of the residual stream stands for.
        latent_unit: the same for latents.
        outputs: the unit of each output.
    """

    name: str
    stream_unit: float
    latent_unit: float
    inputs: list[Input] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, float] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)

    def input(self, target: str, channels: int, low: int, high: int, unit: float) -> str:
        """Declare an input."""
        self.inputs.append(Input(target, channels, low, high, unit))
        self.channels[target] = channels
        return target

    def _append(self, node: Node, channels: int) -> str:
        if node.target in self.channels:
            raise ValueError(f"{self.name}: the value {node.target!r} exists already")
        self.nodes.append(node)
        self.channels[node.target] = channels
        return node.target

    def conv(  # noqa: PLR0913 - a convolution has these many properties
        self,
        source: str,
        target: str,
        c_out: int,
        activation: Activation,
        *,
        kernel: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        fine: bool = False,
    ) -> str:
        """Append a convolution."""
        c_in = self.channels[source]
        node = Conv(source, target, c_in, c_out, kernel, stride, depthwise, activation, fine)
        return self._append(node, c_out)

    def requantize(self, source: str, target: str) -> str:
        """Append a requantization to 8 bits."""
        return self._append(Requantize(source, target), self.channels[source])

    def scale(self, source: str, target: str) -> str:
        """Append a lift to the stream's unit."""
        return self._append(Scale(source, target), self.channels[source])

    def add(self, left: str, right: str, target: str) -> str:
        """Append a residual addition."""
        return self._append(Add(left, right, target), self.channels[left])

    def shuffle(self, source: str, target: str, factor: int) -> str:
        """Append channels-to-space (the order of PyTorch's PixelShuffle)."""
        channels = self.channels[source] // (factor * factor)
        return self._append(Shuffle(source, target, factor, inverse=False), channels)

    def unshuffle(self, source: str, target: str, factor: int) -> str:
        """Append space-to-channels, the inverse of `shuffle`."""
        channels = self.channels[source] * factor * factor
        return self._append(Shuffle(source, target, factor, inverse=True), channels)

    def block(
        self, stream: str, name: str, target: str | None = None, *, fine: bool = False
    ) -> str:
        """Append one residual block: a spatial branch, then a channel-mixing branch.

        ``x += 1x1(depthwise 3x3(QReLU(1x1(x))));  x += 1x1(QReLU(1x1 to 2C (x)))``. With ``fine``
        the two layers that write into the stream are.
        """
        c = self.channels[stream]
        a = self.requantize(stream, f"{name}.a")
        b = self.conv(a, f"{name}.b", c, "relu")
        d = self.conv(b, f"{name}.d", c, "linear", kernel=3, depthwise=True)
        e = self.conv(d, f"{name}.e", c, "stream", fine=fine)
        x = self.add(stream, e, f"{name}.x")
        a = self.requantize(x, f"{name}.f")
        b = self.conv(a, f"{name}.g", 2 * c, "relu")
        e = self.conv(b, f"{name}.h", c, "stream", fine=fine)
        return self.add(x, e, target or f"{name}.y")

    def output(self, name: str, unit: float) -> None:
        """Name an output and its unit."""
        self.outputs[name] = unit
