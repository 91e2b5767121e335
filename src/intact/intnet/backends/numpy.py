"""NumPy backend: float32 matrix products where the bound proves them exact, float64 elsewhere.

Every value in a band is a float32 matrix [positions, channels] of integers below 2**24. An
accumulator is a float32 GEMM when every partial sum stays below 2**24 (`ConvBounds.float32`), else
a float64 one; the rounding division is ``rint(acc * float32(1 / c))`` when rule 1 holds, else a
float64 division. docs/spec/intnet.md proves both.

``threads`` splits the bands; meanwhile BLAS has one thread, or its own would wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from intact.intnet import ops
from intact.intnet.backends import Runner
from intact.intnet.backends.blas import ONE_BLAS_THREAD
from intact.intnet.backends.helpers import Helpers
from intact.intnet.backends.plan import Segment, gathers, plan
from intact.intnet.backends.rounding import nearest
from intact.intnet.bounds import ConvBounds, check_bounds, conv_bounds
from intact.intnet.infer import Info, infer, sizes_of
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
    sources,
)

BAND_ELEMENTS = 1 << 18  # per band and operation: about a megabyte of float32, half a typical L2
TILE = 8  # channel vectors are repeated so that ufunc inner loops are long enough


@dataclass(eq=False)
class _Band:
    """One band of rows on its way through a segment, with buffers that the next band reuses."""

    stored: dict[str, np.ndarray]
    slots: dict[str, int] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    width: int = 0
    values: dict[str, np.ndarray] = field(default_factory=dict)
    _buffers: dict[tuple[object, np.dtype], np.ndarray] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Positions in the band."""
        return (self.last - self.first) * self.width

    def scratch(self, key: object, count: int, dtype: type = np.float32) -> np.ndarray:
        """A flat buffer; zeros at first, so that unused tails never hold a NaN."""
        name = (key, np.dtype(dtype))
        if name not in self._buffers or self._buffers[name].size < count:
            self._buffers[name] = np.zeros(count, dtype)
        return self._buffers[name][:count]

    def matrix(self, key: object, channels: int, dtype: type = np.float32) -> np.ndarray:
        """A buffer [count rounded up to TILE, channels]."""
        rows = -(-self.count // TILE) * TILE
        return self.scratch(key, rows * channels, dtype).reshape(rows, channels)

    def new(self, name: str, channels: int) -> np.ndarray:
        """The register of a value made in this band."""
        self.values[name] = self.matrix(self.slots[name], channels)
        return self.values[name]

    def read(self, name: str) -> np.ndarray:
        """A value at the band's positions, loaded if it is not there yet."""
        if name not in self.values:
            rows = self.stored[name][self.first : self.last]
            target = self.new(name, rows.shape[2])
            np.copyto(target[: self.count], rows.reshape(self.count, -1), casting="unsafe")
        return self.values[name]


_Kernel = Callable[[_Band, int], None]


def _tiled(vector: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    return np.tile(vector.astype(dtype), TILE)


def _wide(matrix: np.ndarray) -> np.ndarray:
    return matrix.reshape(-1, TILE * matrix.shape[1])


class _Finish:
    """Bias, rounding division and saturation or table, from accumulators to float32 values."""

    def __init__(self, op: Conv, bounds: ConvBounds) -> None:
        self.exact32 = bounds.float32 and bounds.reciprocal
        self.dtype = np.float32 if self.exact32 else np.float64
        self.op = op
        if self.exact32:
            self.divide = _tiled(np.float32(1) / op.divisor.astype(np.float32))
        else:
            self.divide = _tiled(op.divisor, np.float64)
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
            self.biases[level] = _tiled(self.op.bias + self.op.slope * level, self.dtype)
        return self.biases[level]

    def __call__(self, band: _Band, acc: np.ndarray, out: np.ndarray) -> None:
        """``acc`` (bias included; float32 or float64) to ``out``, which may be ``acc`` itself."""
        work, target = _wide(acc), _wide(out)
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


def _padded(band: _Band, op: Conv, dtype: type) -> np.ndarray:
    """Rows of the source that the band's taps see, padded as the layer says: [rows, columns, c]."""
    source = band.stored[op.source]
    taps, stride = op.weight.shape[2], op.stride
    margin = taps // 2
    height, width, channels = source.shape
    rows = (band.last - band.first - 1) * stride + taps
    columns = (band.width - 1) * stride + taps
    # The tail lets a depthwise tap run past the last row (see _depthwise).
    flat = band.scratch("padded", (rows * columns + 2 * TILE) * channels, dtype)
    padded = flat[: rows * columns * channels].reshape(rows, columns, channels)
    top = band.first * stride - margin
    begin, end = max(top, 0), min(top + rows, height)
    right = min(columns - margin, width)
    inner = padded[begin - top : end - top, margin : margin + right]
    np.copyto(inner, source[begin:end, :right], casting="unsafe")
    if op.edge:
        # Columns first: the rows above and below repeat them, too.
        whole = padded[begin - top : end - top]
        whole[:, :margin] = whole[:, margin : margin + 1]
        whole[:, margin + right :] = whole[:, margin + right - 1 : margin + right]
        padded[: begin - top] = padded[begin - top]
        padded[end - top :] = padded[end - top - 1]
    else:
        padded[: begin - top] = padded[end - top :] = 0
        padded[:, :margin] = padded[:, margin + right :] = 0
    return padded


def _conv(op: Conv, source: Info) -> _Kernel:
    bounds = conv_bounds(op, source)
    finish = _Finish(op, bounds)
    outputs, inputs, taps, _ = op.weight.shape
    gemm = np.float32 if bounds.float32 else np.float64
    if op.groups > 1:
        return _depthwise(op, finish)
    # [k * k * i, o]: the taps are the outer axis, as in the columns below.
    weight = np.ascontiguousarray(op.weight.transpose(2, 3, 1, 0), dtype=gemm)
    weight = weight.reshape(-1, outputs)

    def product(band: _Band, columns: np.ndarray, level: int) -> None:
        out = band.new(op.target, outputs)
        acc = out if finish.exact32 else band.matrix("acc", outputs, np.float64)
        if finish.dtype is gemm:
            np.matmul(columns, weight, out=acc[: band.count])
        else:
            # float32 is exact for the sum, but rule 1 fails: divide in float64.
            np.matmul(columns, weight, out=out[: band.count])
            np.copyto(acc, out)
        np.add(_wide(acc), finish.bias(level), out=_wide(acc))
        finish(band, acc, out)

    def pointwise(band: _Band, level: int) -> None:
        matrix = band.read(op.source)
        if gemm is np.float64:
            wide = band.matrix("columns", inputs, np.float64)
            np.copyto(wide, matrix)
            matrix = wide
        product(band, matrix[: band.count], level)

    def spatial(band: _Band, level: int) -> None:
        padded = _padded(band, op, gemm)
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


def _depthwise(op: Conv, finish: _Finish) -> _Kernel:
    channels, _, taps, _ = op.weight.shape
    weights = [
        _tiled(op.weight[:, 0, dy, dx], finish.dtype) for dy in range(taps) for dx in range(taps)
    ]

    def kernel(band: _Band, level: int) -> None:
        padded = _padded(band, op, finish.dtype)
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


def _requantize(op: Requantize) -> _Kernel:
    # Rule 1 holds for every legal Requantize (bounds.requantize_reciprocal).
    reciprocal = _tiled(np.float32(1) / op.divisor.astype(np.float32))

    def kernel(band: _Band, level: int) -> None:
        source = band.read(op.source)
        out = _wide(band.new(op.target, source.shape[1]))
        np.multiply(_wide(source), reciprocal, out=out)
        np.rint(out, out=out)
        np.clip(out, op.low, op.high, out=out)

    return kernel


def _scale(op: Scale, source: Info) -> _Kernel:
    factor = _tiled(op.factor)
    largest = max(abs(source.low), abs(source.high)) * int(np.abs(op.factor).max())

    def kernel(band: _Band, level: int) -> None:
        operand = band.read(op.source)
        out = _wide(band.new(op.target, operand.shape[1]))
        np.multiply(_wide(operand), factor, out=out)
        if largest > INT16_HIGH:
            np.clip(out, INT16_LOW, INT16_HIGH, out=out)

    return kernel


def _add(op: Add, result: Info) -> _Kernel:
    saturates = result.low == INT16_LOW or result.high == INT16_HIGH

    def kernel(band: _Band, level: int) -> None:
        left, right = band.read(op.left), band.read(op.right)
        out = _wide(band.new(op.target, left.shape[1]))
        np.add(_wide(left), _wide(right), out=out)
        if saturates:
            np.clip(out, INT16_LOW, INT16_HIGH, out=out)

    return kernel


def _shuffle(op: Shuffle) -> _Kernel:
    factor = op.factor

    def kernel(band: _Band, level: int) -> None:
        target = band.stored[op.target][band.first * factor : band.last * factor]
        rows, channels = band.last - band.first, target.shape[2]
        blocks = target.reshape(rows, factor, band.width, factor, channels)
        source = band.read(op.source)[: band.count]
        source = source.reshape(rows, band.width, channels, factor, factor)
        np.copyto(blocks.transpose(0, 2, 4, 1, 3), source, casting="unsafe")

    return kernel


def _unshuffle(op: Unshuffle) -> _Kernel:
    factor = op.factor

    def kernel(band: _Band, level: int) -> None:
        source = band.stored[op.source][band.first * factor : band.last * factor]
        rows, channels = band.last - band.first, source.shape[2]
        blocks = source.reshape(rows, factor, band.width, factor, channels)
        out = band.new(op.target, channels * factor**2)[: band.count]
        out = out.reshape(rows, band.width, channels, factor, factor)
        np.copyto(out, blocks.transpose(0, 2, 4, 1, 3), casting="unsafe")

    return kernel


def _kernel(op: Op, infos: Mapping[str, Info]) -> _Kernel:
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


@dataclass(frozen=True, eq=False)
class _NumpyRunner:
    program: Program
    segments: tuple[tuple[Segment, tuple[_Kernel, ...]], ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run all segments; see `intact.intnet.backends.Runner`."""
        ops.check_inputs(self.program, inputs, level)
        with ONE_BLAS_THREAD:
            return self._run(inputs, int(level), threads)

    def _run(
        self, inputs: Mapping[str, np.ndarray], level: int, threads: int
    ) -> dict[str, np.ndarray]:
        infos = infer(self.program)
        height, width, _ = next(iter(inputs.values())).shape
        sizes = sizes_of(self.program, height, width)
        stored = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        # Buffers are local to a run: a runner may be shared by threads.
        workers = [_Band(stored) for _ in range(max(1, threads))]
        with Helpers(len(workers) - 1) as helpers:
            self._segments(workers, sizes, level, helpers)
        return {
            name: stored[name].astype(
                dtype_of(infos[name].low, infos[name].high), copy=name in inputs
            )
            for name in self.program.outputs
        }

    def _segments(
        self,
        workers: list[_Band],
        sizes: Mapping[str, tuple[int, int]],
        level: int,
        helpers: Helpers,
    ) -> None:
        """Run all segments; each worker's bands are one piece of work."""
        infos, stored = infer(self.program), workers[0].stored
        for segment, kernels in self.segments:
            for name in segment.stores:
                info = infos[name]
                shape = (*sizes[name], info.channels)
                stored[name] = np.empty(shape, dtype_of(info.low, info.high))
            height, width = sizes[segment.grid]
            lines = segment.band_rows(width, BAND_ELEMENTS)
            bands = [(first, min(first + lines, height)) for first in range(0, height, lines)]
            pieces = deque(
                (worker, bands[index :: len(workers)])
                for index, worker in enumerate(workers)
                if index < len(bands)
            )

            def work(
                *,
                pieces: deque[tuple[_Band, list[tuple[int, int]]]] = pieces,
                part: Segment = segment,
                steps: tuple[_Kernel, ...] = kernels,
                columns: int = width,
            ) -> None:
                with nearest():  # here, because the mode is the thread's
                    while True:
                        try:
                            worker, mine = pieces.popleft()  # gives each to one thread
                        except IndexError:
                            return
                        _run_bands(worker, mine, part, steps, columns, level)

            helpers.share(work, len(pieces) - 1)
            for name in segment.frees:
                del stored[name]


def _run_bands(
    band: _Band,
    bands: list[tuple[int, int]],
    segment: Segment,
    kernels: tuple[_Kernel, ...],
    width: int,
    level: int,
) -> None:
    band.slots, band.width = segment.slots, width
    for band.first, band.last in bands:
        band.values = {}
        for op, kernel in zip(segment.ops, kernels, strict=True):
            kernel(band, level)
            if op.target in segment.stores and not isinstance(op, Shuffle):
                target = band.stored[op.target][band.first : band.last]
                values = band.values[op.target][: band.count]
                np.copyto(target, values.reshape(target.shape), casting="unsafe")


def prepare(program: Program) -> Runner:
    """Check a program's bounds and choose the arithmetic of each layer.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    check_bounds(program)
    infos = infer(program)
    with nearest():
        segments = tuple(
            (segment, tuple(_kernel(op, infos) for op in segment.ops)) for segment in plan(program)
        )
    return _NumpyRunner(program, segments)
