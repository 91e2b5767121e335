"""What the next weights of an array will be like: the contexts of the method "rows".

Normative, with docs/spec/weights_coding.md. An array [rows, columns] is one of [rows, channels,
kernel]. It is coded in steps: some rows together, of these all channels at one position of the
kernel. The magnitude expected of a weight is a product of

- its row's level, which is sent;
- its channel's mean in the rows before, and its position's;
- how large the weights of the same kernel were that this row has had so far, against what was
  expected of them.

All in logarithms, so that products are sums; a level is the result in half octaves. Kernels of
trained networks are smooth, so that the weights to the left and above foretell a value, too: its
sign says whether a symbol is coded as it is or negated, its size is the other half of a context.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.packing.coding.logs import LOG, MAX_LOG_ARGUMENT, OCTAVE, power
from intact.packing.coding.shape import Shape, Symbols

NUM_LEVELS: Final = 13
"""Levels of rows and of contexts: -6 .. 6 half octaves from the mean."""
MAX_LEVEL: Final = 6
MEAN: Final = 64
"""Magnitudes are measured in 64ths of the array's mean."""
MAX_MAGNITUDE: Final = 4095
"""Larger ones, in symbols or in units of the mean, count as this."""
STEP: Final = OCTAVE // 2
"""Levels are half octaves."""
MAX_MEAN: Final = 160
"""The mean is 2**(mean / 8 - 8) symbols, mean in 0 .. 160."""
BETWEEN, LEFT, ABOVE = (13, 11), 15, 14
"""What 32nds of the weights to the left and above foretell: of both, or of the only one."""
CENTERS: Final = (0, 1, 3, 6, 11, 21)
"""For each size of what is foretold about its middle, in eighths of the mean magnitude."""
NUM_SIZES: Final = len(CENTERS)
UNIT: Final = 12
"""Means are in units of 2**-UNIT."""
CHANNEL_PRIOR: Final = 20
"""Symbols of the mean that a channel has had before its first."""
POSITION_PRIOR: Final = 40
KERNEL_PRIOR: Final = 3
FINE: Final = 16
"""Means of channels and positions are in 16ths of the unit of magnitudes."""


class Contexts:
    """The contexts of one array, step by step: `indexes`, then `update` with the symbols.

    Attributes:
        channels: columns of the array over positions of the kernel.
        rows_per_step: the last step may have fewer.
    """

    def __init__(self, shape: Shape, mean: int, levels: NDArray[np.int32], width: int) -> None:
        """Before the first step.

        Args:
            shape: of the array.
            mean: of the magnitudes, 0 .. MAX_MEAN.
            levels: of each row, -MAX_LEVEL .. MAX_LEVEL.
            width: how many symbols a step should have at least, if rows are shorter.
        """
        self.channels = shape.columns // shape.kernel
        self.rows_per_step = max(1, min(shape.rows, width // self.channels))
        self._shape = shape
        self._side = side_of(shape.kernel)
        self._mean = int(power(np.array(2 * mean + (UNIT - 8) * OCTAVE))[()])
        self._scale = int(power(np.array(448 - 2 * mean))[()])
        self._levels = levels.astype(np.int64)
        self._shrink = power(160 - STEP * self._levels)
        self._channel_sums = np.zeros(self.channels, np.int64)
        self._position_sums = np.zeros(shape.kernel, np.int64)
        self._rows_seen = 0
        self._expected = np.zeros((shape.kernel, self.channels), np.int64)
        self._had: list[Symbols] = []

    @property
    def step_size(self) -> int:
        """Symbols of a step (of the last rows perhaps fewer)."""
        return self.rows_per_step * self.channels

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """First row, row behind the last, and position of each step, in order of coding."""
        for first in range(0, self._shape.rows, self.rows_per_step):
            last = min(self._shape.rows, first + self.rows_per_step)
            self._begin(first, last)
            for position in range(self._shape.kernel):
                yield first, last, position
            self._end(last - first)

    def _begin(self, first: int, last: int) -> None:
        """The logarithms of what is expected in the next rows, for each position and channel."""
        self._rows = slice(first, last)
        channels = _means(self._channel_sums, self._rows_seen * self._shape.kernel, CHANNEL_PRIOR)
        positions = _means(self._position_sums, self._rows_seen * self.channels, POSITION_PRIOR)
        logs = LOG[positions][:, None] + LOG[channels][None] - 2 * int(LOG[MEAN * FINE])
        self._expected = logs.astype(np.int64)
        shape = (last - first, self.channels)
        self._kernel_sums = np.full(shape, KERNEL_PRIOR * MEAN, np.int64)
        self._kernel_expected = np.full(self.channels, KERNEL_PRIOR * MEAN, np.int64)
        self._had = []

    def indexes(self, position: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_] | None]:
        """The context of each symbol of a step, row by row, and which symbols are negated."""
        whole = self._expected[position] - LOG[np.minimum(self._kernel_expected, MAX_LOG_ARGUMENT)]
        logs = LOG[np.minimum(self._kernel_sums, MAX_LOG_ARGUMENT)] + whole
        logs += (STEP * self._levels[self._rows] + STEP // 2)[:, None]
        steps = logs >> 3
        levels = (np.clip(steps, -MAX_LEVEL, MAX_LEVEL) + MAX_LEVEL).reshape(-1)
        foretold = self._foretell(position)
        if foretold is None:
            return levels.astype(np.uint16), None
        away = np.abs(foretold) << (UNIT - 5)
        sizes = (away > 0).astype(np.int64)
        for compared in (4 * away, 2 * away, away, away // 2):
            sizes += compared >= self._mean
        return (levels + NUM_LEVELS * sizes).astype(np.uint16), foretold < 0

    def _foretell(self, position: int) -> NDArray[np.int64] | None:
        """What the weights to the left and above foretell, in 32nds of a symbol."""
        row, column = divmod(position, self._side)
        if row and column:
            left, above = self._had[position - 1], self._had[position - self._side]
            return BETWEEN[0] * left.astype(np.int64) + BETWEEN[1] * above.astype(np.int64)
        if column:
            return LEFT * self._had[position - 1].astype(np.int64)
        if row:
            return ABOVE * self._had[position - self._side].astype(np.int64)
        return None

    def update(self, position: int, symbols: Symbols) -> None:
        """Learn the symbols of a step, as they are (not negated)."""
        self._had.append(symbols)
        magnitudes = np.minimum(np.abs(symbols.astype(np.int64)), MAX_MAGNITUDE)
        sizes = np.minimum(magnitudes * self._scale >> 14, MAX_MAGNITUDE)
        sizes = sizes.reshape(-1, self.channels)
        sizes = np.minimum(sizes * self._shrink[self._rows, None] >> 10, MAX_MAGNITUDE)
        self._kernel_sums += sizes
        expected = np.clip(self._expected[position] + int(LOG[MEAN]), 0, 12 * OCTAVE)
        self._kernel_expected += power(expected)
        self._position_sums[position] += int(sizes.sum())

    def _end(self, rows: int) -> None:
        """Learn of the channels."""
        self._channel_sums += (self._kernel_sums - KERNEL_PRIOR * MEAN).sum(axis=0)
        self._rows_seen += rows


def side_of(kernel: int) -> int:
    """Positions in a row of a kernel: square kernels have several rows, all others one."""
    side = isqrt(kernel)
    return side if side * side == kernel else kernel


def mean_of(log: int) -> int:
    """The mean, as files have it, nearest to one of this logarithm. For encoders."""
    return min(max((log + 8 * OCTAVE + 1) // 2, 0), MAX_MEAN)


def num_contexts(shape: Shape) -> int:
    """How many contexts there are: without a kernel nothing is foretold."""
    return NUM_LEVELS * (NUM_SIZES if shape.kernel > 1 else 1)


def context_moments(mean: int, count: int) -> list[tuple[int, int]]:
    """Of each context the mean magnitude, in units of 2**-12 symbols, and the place of its middle.

    Places are in 16ths of a symbol.
    """
    exponents = 2 * mean + (UNIT - 8) * OCTAVE + STEP * np.arange(-MAX_LEVEL, MAX_LEVEL + 1)
    means = power(exponents).tolist()
    middles = [center * means[MAX_LEVEL] * 16 >> (UNIT + 3) for center in CENTERS]
    return [(means[x % NUM_LEVELS], middles[x // NUM_LEVELS]) for x in range(count)]


def _means(sums: NDArray[np.int64], count: int, prior: int) -> NDArray[np.int64]:
    """Means in units of MEAN * FINE, as if `prior` symbols of the mean had been seen before."""
    means = (sums + prior * MEAN) * FINE // (count + prior)
    return np.clip(means, 1, MAX_LOG_ARGUMENT)
