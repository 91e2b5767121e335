"""A program as an ONNX graph whose floating point is exact, whatever the order of its sums.

Values are float32 [1, c, h, w] that hold integers. By the bounds of `intact.intnet.bounds`

- a convolution with B < 2^24 is one float32 Conv;
- any other is cut into float32 Convs that each stay below 2^24: 16-bit inputs into two bytes,
  weights into two parts, channels into groups. Their sums are joined in float64 (B < 2^31);
- with rule 1 the rounding division is a float32 *Div* and Round, else a float64 one. Never a
  multiplication by a reciprocal: optimizers fold that into the weights, which then are no integers.

What this does not cover is a runtime that multiplies in another way (Winograd, TF32, bfloat16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np

from intact.intnet.backends.onnx_bytes import TYPES, Graph
from intact.intnet.bounds import FLOAT32_LIMIT, check_bounds, conv_bounds, fits_8_bits
from intact.intnet.infer import Info, infer
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    dtype_of,
)

LEVEL = "level"
_SPLIT = 7  # bits of the lower part of a weight


@dataclass(frozen=True)
class Part:
    """A piece of a convolution whose float32 sums are exact.

    Attributes:
        plane: "" for the input itself, "high" or "low" for a byte of it.
        first: first input channel; 0 of a depthwise layer.
        last: behind the last one.
        weight: int64 [o, last - first, k, k].
        factor: what its sums count, a power of two.
    """

    plane: str
    first: int
    last: int
    weight: np.ndarray
    factor: int


@dataclass(frozen=True)
class Network:
    """An ONNX model of a program.

    Attributes:
        content: the file.
        inputs: its tensor for each input of the program, [h, w, c] of `program.dtype_of`.
        outputs: likewise for each output.
        level: its input for the level, an int64 scalar; empty if the program does not use it.
    """

    content: bytes
    inputs: dict[str, str]
    outputs: dict[str, str]
    level: str


def network(program: Program, notes: dict[str, str] | None = None) -> Network:
    """Write a program as ONNX.

    Args:
        program: what to write.
        notes: metadata of the file.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    check_bounds(program)
    return _Writer(program).write(notes or {})


def parts(op: Conv, source: Info) -> Iterator[Part]:
    """Cut a convolution into pieces with every partial sum below 2^24.

    Args:
        op: of a program whose bounds were checked.
        source: its input.
    """
    weight = op.weight.astype(np.int64)
    if fits_8_bits(source.low, source.high):
        yield from _cut(Part("", 0, weight.shape[1], weight, 1), source.low, source.high)
        return
    whole = Part("high", 0, weight.shape[1], weight, 256)
    yield from _cut(whole, source.low >> 8, source.high >> 8)
    yield from _cut(Part("low", 0, weight.shape[1], weight, 1), 0, 255)


def _cut(part: Part, low: int, high: int) -> Iterator[Part]:
    """Pieces of a piece whose inputs are ``low..high``."""
    weight = part.weight
    above = np.maximum(weight, 0).sum(axis=(1, 2, 3))
    below = np.maximum(-weight, 0).sum(axis=(1, 2, 3))
    up, down = max(high, 0), max(-low, 0)
    if max((above * up + below * down).max(), (above * down + below * up).max()) < FLOAT32_LIMIT:
        yield part
    elif int(abs(weight).max()) >= 1 << _SPLIT:
        upper = weight + (1 << _SPLIT >> 1) >> _SPLIT
        lower, share = weight - (upper << _SPLIT), part.factor << _SPLIT
        yield from _cut(Part(part.plane, part.first, part.last, upper, share), low, high)
        yield from _cut(Part(part.plane, part.first, part.last, lower, part.factor), low, high)
    else:  # 9 products of 7 and 8 bits always fit, so there is more than one channel
        half = weight.shape[1] // 2
        middle = part.first + half
        some, others = weight[:, :half], weight[:, half:]
        yield from _cut(Part(part.plane, part.first, middle, some, part.factor), low, high)
        yield from _cut(Part(part.plane, middle, part.last, others, part.factor), low, high)


def _column(vector: np.ndarray, dtype: Any) -> np.ndarray:
    """One number for each channel, to be broadcast over [1, c, h, w]."""
    return vector.astype(dtype).reshape(1, -1, 1, 1)


class _Writer:
    """Writes one program, operation by operation."""

    def __init__(self, program: Program) -> None:
        self.program, self.infos = program, infer(program)
        self.graph = Graph(program.name)
        self.values: dict[str, str] = {}  # tensor of each value, float32 [1, c, h, w]
        self.planes: dict[tuple[str, str], str] = {}
        taken = {value.name for value in program.inputs} | set(program.outputs)
        slopes = any(isinstance(op, Conv) and op.slope.any() for op in program.ops)
        self.level = _fresh(LEVEL, taken) if slopes else ""

    def write(self, notes: dict[str, str]) -> Network:
        """The whole file."""
        inputs = {value.name: self._enter(value.name) for value in self.program.inputs}
        if self.level:
            self.graph.input(self.level, np.dtype(np.int64), ())
        for op in self.program.ops:
            self.values[op.target] = self._op(op)
        outputs = {name: self._leave(name) for name in self.program.outputs}
        return Network(self.graph.to_bytes(notes), inputs, outputs, self.level)

    def _enter(self, name: str) -> str:
        info, node = self.infos[name], self.graph.node
        dtype = dtype_of(info.low, info.high)
        self.graph.input(name, dtype, ("height", "width", info.channels))
        first = self.graph.constant(np.zeros(1, np.int64))
        planar = node("Transpose", [node("Cast", [name], to=1)], perm=(2, 0, 1))
        self.values[name] = node("Unsqueeze", [planar, first])
        return name

    def _leave(self, name: str) -> str:
        info, node = self.infos[name], self.graph.node
        is_input = any(value.name == name for value in self.program.inputs)
        dtype = dtype_of(info.low, info.high)
        target = _fresh(f"{name}_out", set(self.infos)) if is_input else name
        first = self.graph.constant(np.zeros(1, np.int64))
        planar = node("Squeeze", [self.values[name], first])
        prefix = "" if is_input else f"{name}."
        node("Cast", [node("Transpose", [planar], perm=(1, 2, 0))], target, to=TYPES[dtype])
        self.graph.output(target, dtype, (f"{prefix}height", f"{prefix}width", info.channels))
        return target

    def _op(self, op: Op) -> str:
        node = self.graph.node
        match op:
            case Conv():
                return self._conv(op)
            case Requantize():
                quotient = self._divided(self.values[op.source], op.divisor, np.float32)
                return self._clipped(quotient, op.low, op.high)
            case Scale():
                factor = self.graph.constant(_column(op.factor, np.float32))
                product = node("Mul", [self.values[op.source], factor])
                return self._clipped(product, INT16_LOW, INT16_HIGH)
            case Add():
                both = [self.values[op.left], self.values[op.right]]
                return self._clipped(node("Add", both), INT16_LOW, INT16_HIGH)
            case Shuffle():
                source = self.values[op.source]
                return node("DepthToSpace", [source], blocksize=op.factor, mode="CRD")
            case Unshuffle():
                return self._unshuffled(op)
            case _:
                assert_never(op)

    def _unshuffled(self, op: Unshuffle) -> str:
        """ONNX counts the places of a block first, we the channels."""
        channels, area = self.infos[op.source].channels, op.factor**2
        blocks = self.graph.node("SpaceToDepth", [self.values[op.source]], blocksize=op.factor)
        order = np.arange(channels * area).reshape(area, channels).T.ravel()
        index = self.graph.constant(order.astype(np.int64))
        return self.graph.node("Gather", [blocks, index], axis=1)

    def _conv(self, op: Conv) -> str:
        node, bounds = self.graph.node, conv_bounds(op, self.infos[op.source])
        if bounds.float32:
            weight = self.graph.constant(op.weight.astype(np.float32))
            acc = self._product(op, self.values[op.source], weight)
            acc = node("Add", [acc, self._bias(op, np.float32)])
        else:
            acc = node("Add", [self._joined(op), self._bias(op, np.float64)])
        dtype = np.float32 if bounds.float32 and bounds.reciprocal else np.float64
        if bounds.float32 and dtype == np.float64:
            acc = node("Cast", [acc], to=11)
        quotient = self._divided(acc, op.divisor, dtype)
        low, high = op.low, op.high
        if op.table is not None:
            low, high = op.table_low, op.table_low + op.table.size - 1
        result = self._clipped(quotient, low, high, dtype)
        if op.table is not None:
            begin = self.graph.constant(np.array(low, np.int64))
            index = node("Sub", [node("Cast", [result], to=7), begin])
            table = self.graph.constant(op.table.astype(np.float32))
            return node("Gather", [table, index], axis=0)
        return result if dtype == np.float32 else node("Cast", [result], to=1)

    def _bias(self, op: Conv, dtype: Any) -> str:
        """Bias and level term [1, o, 1, 1]; both, and their sum, are below the layer's bound."""
        bias = self.graph.constant(_column(op.bias, dtype))
        if not op.slope.any():
            return bias
        level = self.graph.node("Cast", [self.level], to=1 if dtype == np.float32 else 11)
        slope = self.graph.constant(_column(op.slope, dtype))
        return self.graph.node("Add", [bias, self.graph.node("Mul", [slope, level])])

    def _product(self, op: Conv, source: str, weight: str) -> str:
        taps = op.weight.shape[2]
        margin = taps // 2
        if op.edge and margin:
            pads = self.graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
            source, margin = self.graph.node("Pad", [source, pads], mode="edge"), 0
        return self.graph.node(
            "Conv",
            [source, weight],
            kernel_shape=(taps, taps),
            strides=(op.stride, op.stride),
            pads=(margin,) * 4,
            group=op.groups,
        )

    def _joined(self, op: Conv) -> str:
        """The sums of a layer that float32 cannot hold, in float64."""
        node, total = self.graph.node, ""
        for part in parts(op, self.infos[op.source]):
            source = self._plane(op.source, part.plane)
            if op.groups == 1 and part.last - part.first < op.weight.shape[1]:
                ends = (np.array([n], np.int64) for n in (part.first, part.last, 1))
                first, last, axis = map(self.graph.constant, ends)
                source = node("Slice", [source, first, last, axis])
            weight = self.graph.constant(part.weight.astype(np.float32))
            share = node("Cast", [self._product(op, source, weight)], to=11)
            if part.factor > 1:
                factor = self.graph.constant(np.array(part.factor, np.float64))
                share = node("Mul", [share, factor])
            total = node("Add", [total, share]) if total else share
        return total

    def _plane(self, name: str, plane: str) -> str:
        """A byte of 16-bit values: the high one signed, the low one 0..255."""
        if not plane:
            return self.values[name]
        if (name, plane) not in self.planes:
            node, base = self.graph.node, self.graph.constant(np.array(256, np.float32))
            high = node("Floor", [node("Div", [self.values[name], base])])
            rest = node("Sub", [self.values[name], node("Mul", [high, base])])
            self.planes |= {(name, "high"): high, (name, "low"): rest}
        return self.planes[name, plane]

    def _divided(self, acc: str, divisor: np.ndarray, dtype: Any) -> str:
        if (divisor == 1).all():
            return acc
        by = self.graph.constant(_column(divisor, dtype))
        return self.graph.node("Round", [self.graph.node("Div", [acc, by])])

    def _clipped(self, source: str, low: int, high: int, dtype: Any = np.float32) -> str:
        ends = [self.graph.constant(np.array(end, dtype)) for end in (low, high)]
        return self.graph.node("Clip", [source, *ends])


def _fresh(name: str, taken: set[str]) -> str:
    """``name``, or with underscores behind it a name that is free."""
    while name in taken:
        name += "_"
    return name
