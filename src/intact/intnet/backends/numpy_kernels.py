"""The operations of the NumPy backend over one band of rows.

Every value in a band is a float32 matrix [positions, channels] of integers below 2**24. An
accumulator is a float32 GEMM when every partial sum stays below 2**24 (`ConvBounds.float32`), else
a float64 one; the rounding division is ``rint(acc * float32(1 / c))`` when rule 1 holds, else a
float64 division. docs/spec/intnet.md proves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from intact.intnet import ops
from intact.intnet.backends.numpy_band import TILE, Band, padded_rows, tiled, wide_rows
from intact.intnet.backends.plan import gathers
from intact.intnet.bounds import ConvBounds, conv_bounds
from intact.intnet.infer import Info
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    Add,
    Conv,
    Op,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    sources,
)

Kernel = Callable[[Band, int], None]
"""Runs an operation on a band, at a level."""


class _Finish:
    """Bias, rounding division and saturation or table, from accumulators to float32 values."""

    def __init__(self, op: Conv, bounds: ConvBounds) -> None:
        self.exact32 = bounds.float32 and bounds.reciprocal
        self.dtype = np.float32 if self.exact32 else np.float64
        self.op = op
        if self.exact32:
            self.divide = tiled(np.float32(1) / op.divisor.astype(np.float32))
        else:
            self.divide = tiled(op.divisor, np.float64)
        ends = ops.divide_round(np.stack([bounds.low, bounds.high]), op.divisor)
        self.low, self.high = op.low, op.high
        self.table = None
        if op.table is not None:
            self.low, self.high = op.table_low, op.table_low + op.table.size - 1
            self.table = op.table.astype(np.float32)
        # A bound that proves the clip idle saves a pass over the data.
        self.clips = int(ends.min()) < self.low or int(ends.max()) > self.high
        self.biases: dict[int, np.ndarray] = {}

    def bias(self, level: int) -> np.ndarray:
        """The level folded into the bias, repeated TILE times."""
        if level not in self.biases:
            self.biases[level] = tiled(self.op.bias + self.op.slope * level, self.dtype)
        return self.biases[level]

    def __call__(self, band: Band, acc: np.ndarray, out: np.ndarray) -> None:
        """``acc`` (bias included; float32 or float64) to ``out``, which may be ``acc`` itself."""
        work, target = wide_rows(acc), wide_rows(out)
        if self.exact32:
            np.multiply(work, self.divide, out=target)
            work = target
        else:
            np.divide(work, self.divide, out=work)
        np.rint(work, out=work)
        if self.clips:
            np.clip(work, self.low, self.high, out=work)
        if self.table is not None:
            index = band.scratch("index", work.size, np.intp).reshape(work.shape)
            np.copyto(index, work, casting="unsafe")
            np.subtract(index, self.low, out=index)
            # Tails beyond the band's positions hold anything: clip, never raise.
            np.take(self.table, index, out=target, mode="clip")
        elif not self.exact32:
            np.copyto(target, work, casting="unsafe")


def _conv(op: Conv, source: Info) -> Kernel:
    bounds = conv_bounds(op, source)
    finish = _Finish(op, bounds)
    outputs, inputs, taps, _ = op.weight.shape
    gemm = np.float32 if bounds.float32 else np.float64
    if op.groups > 1:
        return _depthwise(op, finish)
    # [k * k * i, o]: the taps are the outer axis, as in the columns below.
    weight = np.ascontiguousarray(op.weight.transpose(2, 3, 1, 0), dtype=gemm)
    weight = weight.reshape(-1, outputs)

    def product(band: Band, columns: np.ndarray, level: int) -> None:
        out = band.new(op.target, outputs)
        acc = out if finish.exact32 else band.matrix("acc", outputs, np.float64)
        if finish.dtype is gemm:
            np.matmul(columns, weight, out=acc[: band.count])
        else:
            # float32 is exact for the sum, but rule 1 fails: divide in float64.
            np.matmul(columns, weight, out=out[: band.count])
            np.copyto(acc, out)
        np.add(wide_rows(acc), finish.bias(level), out=wide_rows(acc))
        finish(band, acc, out)

    def pointwise(band: Band, level: int) -> None:
        matrix = band.read(op.source)
        if gemm is np.float64:
            wide = band.matrix("columns", inputs, np.float64)
            np.copyto(wide, matrix)
            matrix = wide
        product(band, matrix[: band.count], level)

    def spatial(band: Band, level: int) -> None:
        padded = padded_rows(band, op, gemm)
        rows, columns, stride = band.last - band.first, band.width, op.stride
        patches = band.matrix("columns", taps * taps * inputs, gemm)[: band.count]
        view = patches.reshape(rows, columns, taps * taps, inputs)
        for tap in range(taps * taps):
            dy, dx = divmod(tap, taps)
            view[:, :, tap] = padded[
                dy : dy + (rows - 1) * stride + 1 : stride,
                dx : dx + (columns - 1) * stride + 1 : stride,
            ]
        product(band, patches, level)

    return spatial if gathers(op) else pointwise


def _depthwise(op: Conv, finish: _Finish) -> Kernel:
    channels, _, taps, _ = op.weight.shape
    weights = [
        tiled(op.weight[:, 0, dy, dx], finish.dtype) for dy in range(taps) for dx in range(taps)
    ]

    def kernel(band: Band, level: int) -> None:
        padded = padded_rows(band, op, finish.dtype)
        rows, width, stride = band.last - band.first, band.width, op.stride
        # With stride 1 a tap is a shift of the flat array: the columns of padding are computed too
        # and dropped, which is cheaper than nine strided windows. With stride 2 it wastes 3/4,
        # but no network of ours has that layer.
        columns = padded.shape[1]
        lines = (rows - 1) * stride + 1
        count = -(-((lines - 1) * columns + (width - 1) * stride + 1) // TILE) * TILE
        size = count * channels
        flat = band.scratch("padded", padded.size + 2 * TILE * channels, finish.dtype)
        acc = band.scratch("taps", lines * columns * channels + TILE * channels, finish.dtype)
        term = band.scratch("term", size, finish.dtype).reshape(-1, TILE * channels)
        total = acc[:size].reshape(-1, TILE * channels)
        for tap, weight in enumerate(weights):
            dy, dx = divmod(tap, taps)
            begin = (dy * columns + dx) * channels
            shifted = flat[begin : begin + size].reshape(-1, TILE * channels)
            np.multiply(shifted, weight, out=total if tap == 0 else term)
            if tap:
                np.add(total, term, out=total)
        grid = acc[: lines * columns * channels].reshape(lines, columns, channels)
        kept = grid[::stride, : (width - 1) * stride + 1 : stride]
        out = band.new(op.target, channels)
        result = out if finish.exact32 else band.matrix("acc", channels, np.float64)
        np.add(
            kept,
            finish.bias(level)[:channels],
            out=result[: band.count].reshape(rows, width, channels),
        )
        finish(band, result, out)

    return kernel


def _requantize(op: Requantize) -> Kernel:
    # Rule 1 holds for every legal Requantize (bounds.requantize_reciprocal).
    reciprocal = tiled(np.float32(1) / op.divisor.astype(np.float32))

    def kernel(band: Band, level: int) -> None:
        source = band.read(op.source)
        out = wide_rows(band.new(op.target, source.shape[1]))
        np.multiply(wide_rows(source), reciprocal, out=out)
        np.rint(out, out=out)
        np.clip(out, op.low, op.high, out=out)

    return kernel


def _scale(op: Scale, source: Info) -> Kernel:
    factor = tiled(op.factor)
    largest = max(abs(source.low), abs(source.high)) * int(np.abs(op.factor).max())

    def kernel(band: Band, level: int) -> None:
        operand = band.read(op.source)
        out = wide_rows(band.new(op.target, operand.shape[1]))
        np.multiply(wide_rows(operand), factor, out=out)
        if largest > INT16_HIGH:
            np.clip(out, INT16_LOW, INT16_HIGH, out=out)

    return kernel


def _add(op: Add, result: Info) -> Kernel:
    saturates = result.low == INT16_LOW or result.high == INT16_HIGH

    def kernel(band: Band, level: int) -> None:
        left, right = band.read(op.left), band.read(op.right)
        out = wide_rows(band.new(op.target, left.shape[1]))
        np.add(wide_rows(left), wide_rows(right), out=out)
        if saturates:
            np.clip(out, INT16_LOW, INT16_HIGH, out=out)

    return kernel


def _shuffle(op: Shuffle) -> Kernel:
    factor = op.factor

    def kernel(band: Band, level: int) -> None:
        target = band.stored[op.target][band.first * factor : band.last * factor]
        rows, channels = band.last - band.first, target.shape[2]
        blocks = target.reshape(rows, factor, band.width, factor, channels)
        source = band.read(op.source)[: band.count]
        source = source.reshape(rows, band.width, channels, factor, factor)
        np.copyto(blocks.transpose(0, 2, 4, 1, 3), source, casting="unsafe")

    return kernel


def _unshuffle(op: Unshuffle) -> Kernel:
    factor = op.factor

    def kernel(band: Band, level: int) -> None:
        source = band.stored[op.source][band.first * factor : band.last * factor]
        rows, channels = band.last - band.first, source.shape[2]
        blocks = source.reshape(rows, factor, band.width, factor, channels)
        out = band.new(op.target, channels * factor**2)[: band.count]
        out = out.reshape(rows, band.width, channels, factor, factor)
        np.copyto(out, blocks.transpose(0, 2, 4, 1, 3), casting="unsafe")

    return kernel


def kernel_of(op: Op, infos: Mapping[str, Info]) -> Kernel:
    """The kernel of an operation, with its constants.

    Args:
        op: of a program whose bounds were checked.
        infos: what is known of the program's values.
    """
    first = infos[sources(op)[0]]
    match op:
        case Conv():
            return _conv(op, first)
        case Requantize():
            return _requantize(op)
        case Scale():
            return _scale(op, first)
        case Add():
            return _add(op, infos[op.target])
        case Shuffle():
            return _shuffle(op)
        case Unshuffle():
            return _unshuffle(op)
