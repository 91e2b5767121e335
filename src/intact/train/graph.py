"""Transforms as data: nodes that a float network, an integer network and a program share.

One `Graph` describes one transform (analysis, synthesis, a prior). `train.network` runs it in
float, `train.integer` in integers (Ballé 2019 §2-§3), `freeze` turns it into an
`intact.intnet.program.Program`. So the three can never disagree about the topology.

Values are named; every node makes one new value. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Range = tuple[int, int]
"""The smallest and the largest integer of a value."""

INT8, INT16, UINT8 = (-128, 127), (-32768, 32767), (0, 255)

Activation = Literal["relu", "linear", "stream", "latent", "symbol", "index", "tanh"]
"""What a convolution's result is, and so which integers it becomes:

relu: unsigned, QReLU; tanh: signed, Qtanh; linear: signed, itself; stream: a branch in the units of
the residual stream; latent: fixed point in the units of latents; symbol: signed, of unit 1, as
hyper-latents and pixels; index: unsigned, the scale index theta of Ballé 2019 Eq. 15. The real
number that one step stands for is the graph's to say (`Graph.units`); where it says nothing, as of
relu and linear, the range that is observed decides.
"""
BITS: dict[Activation, int] = {
    "relu": 8, "index": 8, "linear": 8, "symbol": 8, "tanh": 4, "stream": 16, "latent": 16,
}  # fmt: skip
"""L of Ballé 2019 where a layer says no other."""


def range_of(activation: Activation, bits: int) -> Range:
    """The integers of an activation of L bits."""
    high = 2 ** (bits - 1) - 1
    match activation:
        case "relu" | "index":
            return 0, 2**bits - 1
        case "tanh":
            return -high, high
        case _:
            return -high - 1, high


def tanh_width(bits: int) -> float:
    """By what Qtanh of L bits divides: 15 for 4 bits, Ballé 2019 §2, so two or three v to a w."""
    return 15 / 7 * (2 ** (bits - 1) - 1)


@dataclass(frozen=True)
class Input:
    """A value that comes from outside.

    Attributes:
        unit: the real number one integer step stands for.
        typical: the size of its integers, for initial weights; half of the largest if not given.
    """

    target: str
    channels: int
    low: int
    high: int
    unit: float
    typical: float


@dataclass(frozen=True)
class Conv:
    """A convolution, optionally depthwise; its bias is affine in the level.

    Around its input are zeros or, with ``edge``, the values at the edge once more, so that a plain
    picture gives plain values up to its border.

    Attributes:
        kernel: 1 or 3; 5 with stride 2.
        fine: its weights have more bits: their rounding would show in the picture.
        transposed: of a convolution of stride 2 the transpose: twice the rows.
        coded: its result is a representation, which has noise in the place of rounding while it is
            trained (Ballé 2019, Eq. 18).
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
    bits: int = 8
    transposed: bool = False
    coded: bool = False
    edge: bool = False


@dataclass(frozen=True)
class Requantize:
    """A 16-bit value to fewer signed bits, per channel; in float a product with a fixed gain.

    ``unit`` is the real number that one step stands for; where None, the observed range decides.
    """

    source: str
    target: str
    unit: float | None = None


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


@dataclass(frozen=True)
class Abs:
    """The magnitude, of at most 255."""

    source: str
    target: str


@dataclass(frozen=True)
class Gdn:
    """Divisive normalization across channels, or its inverse; Ballé et al. 2016. Float only."""

    source: str
    target: str
    inverse: bool


Node = Conv | Requantize | Scale | Add | Shuffle | Abs | Gdn


@dataclass
class Graph:
    """A transform under construction; the methods append a node and return its value's name.

    Attributes:
        name: of the transform.
        units: by activation, the real number that one integer step of it stands for.
        outputs: the unit of each output.
        channels: of each value.
        ranges: of each value.
        edge: whether convolutions repeat the edge of their input.
    """

    name: str
    units: Mapping[str, float]
    inputs: list[Input] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, float] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    edge: bool = False

    def input(
        self, target: str, channels: int, low: int, high: int, unit: float, *,
        typical: float | None = None,
    ) -> str:  # fmt: skip
        """Declare an input."""
        size = high / 2 if typical is None else typical
        self.inputs.append(Input(target, channels, low, high, unit, size))
        self.channels[target], self.ranges[target] = channels, (low, high)
        return target

    def _append(self, node: Node, channels: int, range: Range) -> str:
        if node.target in self.channels:
            raise ValueError(f"{self.name}: the value {node.target!r} exists already")
        self.nodes.append(node)
        self.channels[node.target], self.ranges[node.target] = channels, range
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
        bits: int | None = None,
        transposed: bool = False,
        coded: bool = False,
    ) -> str:
        """Append a convolution; see `Conv`. ``bits`` are `BITS` of the activation."""
        c_in, bits = self.channels[source], bits or BITS[activation]
        node = Conv(
            source, target, c_in, c_out, kernel, stride, depthwise, activation,
            fine=fine, bits=bits, transposed=transposed, coded=coded, edge=self.edge,
        )  # fmt: skip
        return self._append(node, c_out, range_of(activation, bits))

    def requantize(
        self, source: str, target: str, unit: float | None = None, *, bits: int = 8
    ) -> str:
        """Append a requantization to 8 bits, or others."""
        node = Requantize(source, target, unit)
        return self._append(node, self.channels[source], range_of("linear", bits))

    def scale(self, source: str, target: str) -> str:
        """Append a lift to the stream's unit."""
        return self._append(Scale(source, target), self.channels[source], INT16)

    def add(self, left: str, right: str, target: str) -> str:
        """Append a residual addition."""
        return self._append(Add(left, right, target), self.channels[left], INT16)

    def abs(self, source: str, target: str) -> str:
        """Append a magnitude."""
        return self._append(Abs(source, target), self.channels[source], UINT8)

    def gdn(self, source: str, target: str, *, inverse: bool = False) -> str:
        """Append a divisive normalization."""
        return self._append(Gdn(source, target, inverse), self.channels[source], INT16)

    def shuffle(self, source: str, target: str, factor: int) -> str:
        """Append channels-to-space (the order of PyTorch's PixelShuffle)."""
        channels = self.channels[source] // (factor * factor)
        node = Shuffle(source, target, factor, inverse=False)
        return self._append(node, channels, self.ranges[source])

    def unshuffle(self, source: str, target: str, factor: int) -> str:
        """Append space-to-channels, the inverse of `shuffle`."""
        channels = self.channels[source] * factor * factor
        node = Shuffle(source, target, factor, inverse=True)
        return self._append(node, channels, self.ranges[source])

    def block(
        self,
        stream: str,
        name: str,
        target: str | None = None,
        *,
        fine: bool = False,
        width: int = 1,
        bits: int = 8,
    ) -> str:
        """Append one residual block: a spatial branch, then a channel-mixing branch.

        ``x += 1x1(depthwise 3x3(QReLU(1x1(x))));  x += 1x1(QReLU(1x1 to 2C (x)))``. With ``fine``
        the two layers that write into the stream are; ``width`` times C is the spatial branch's.
        ``bits`` are of the values in between; with more than 8 all its layers are fine.
        """
        c, wide = self.channels[stream], bits > BITS["linear"]
        fine, inner = fine or wide, {"fine": wide, "bits": bits}
        a = self.requantize(stream, f"{name}.a", bits=bits)
        b = self.conv(a, f"{name}.b", width * c, "relu", **inner)
        d = self.conv(b, f"{name}.d", width * c, "linear", kernel=3, depthwise=True, **inner)
        e = self.conv(d, f"{name}.e", c, "stream", fine=fine)
        x = self.add(stream, e, f"{name}.x")
        a = self.requantize(x, f"{name}.f", bits=bits)
        b = self.conv(a, f"{name}.g", 2 * c, "relu", **inner)
        e = self.conv(b, f"{name}.h", c, "stream", fine=fine)
        return self.add(x, e, target or f"{name}.y")

    @property
    def lift(self) -> int:
        """Steps of the residual stream per step of the inputs: the factor of a `Scale`."""
        return round(self.inputs[0].unit / self.units["stream"])

    def largest(self, value: str) -> int:
        """The largest magnitude of a value."""
        return max(map(abs, self.ranges[value]))

    def output(self, name: str, unit: float) -> None:
        """Name an output and its unit."""
        self.outputs[name] = unit
