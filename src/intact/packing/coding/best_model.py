"""What the method "best" expects of a weight, and the bits of the weight by that.

Normative, with docs/spec/weights_coding.md; native/weights.c is the same in C.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import isqrt
from typing import Final

from intact.errors import CorruptDataError
from intact.packing.coding.binary import BitCoder, Slot
from intact.packing.coding.contexts import ABOVE, BETWEEN, LEFT, MAX_MAGNITUDE, MEAN, side_of
from intact.packing.coding.logs import LOG, MANTISSAS, MAX_LOG_ARGUMENT
from intact.packing.coding.shape import WHAT, Shape

UNARY: Final = 20
"""Magnitudes below are in unary; of what is above the exponent is."""
INPUTS: Final = 6
SIGNS: Final = 4
SLOTS: Final = 1536
"""Contexts of one input and bit, at most."""
EXPONENTS: Final = 32
SETS: Final = 12
CHANNEL_PRIOR: Final = 40
POSITION_PRIOR: Final = 40
ROW_PRIOR: Final = 100
KERNEL_PRIOR: Final = 4
"""Symbols of the mean that each has had before its first."""
LOGS: Final[list[int]] = LOG.tolist()


def first_weights() -> list[list[int]]:
    """Weights of the votes before the first bit: SETS for magnitudes, then one for signs."""
    return [[11000] * INPUTS + [15000] for _ in range(SETS)] + [[15000] * SIGNS]


@dataclass
class View:
    """What is expected of one weight; logarithms in 16ths of an octave, from the array's mean.

    Attributes:
        magnitude: its logarithm, -64 .. 63.
        row: how the row so far compares with what was expected of it.
        channel: the logarithm of the channel's mean, not from the array's.
        kernel: the size of the kernel so far, 0 .. 15.
        position: in the kernel, at most 8.
        foretold: 32nds of a symbol.
        size: of what is foretold, 0 .. 5, as in `contexts`.
    """

    magnitude: int
    row: int
    channel: int
    kernel: int
    position: int
    foretold: int
    size: int


class Model:
    """All weights of a segment, encoded or decoded in place.

    Attributes:
        values: [rows * columns], less the center; what is not decoded yet is anything.
    """

    def __init__(self, shape: Shape, mean: int, values: list[int]) -> None:
        """Before the first weight."""
        self.values = values
        self._shape = shape
        self._kernel, self._side = shape.kernel, side_of(shape.kernel)
        self._channels = shape.columns // shape.kernel
        self._mean = mean
        self._middle = _power(2 * mean + 64)
        self._slots: defaultdict[tuple[int, int, int], Slot] = defaultdict(lambda: [0, 0])
        self._signs: defaultdict[tuple[int, int], Slot] = defaultdict(lambda: [0, 0])
        self._rests: defaultdict[int, Slot] = defaultdict(lambda: [0, 0])
        *self._weights, self._sign_weights = first_weights()

    def run(self, coder: BitCoder, low: int, high: int) -> None:
        """Code all weights; they must be in ``low .. high``.

        Raises:
            CorruptDataError: one is not, or the bits end.
        """
        kernel, channels = self._kernel, self._channels
        scale = _power(448 - 2 * self._mean)
        channel_sums, position_sums = [0] * channels, [0] * kernel
        sizes = [0] * self._shape.columns
        at = 0
        for row in range(self._shape.rows):
            row_had = row_wanted = ROW_PRIOR * MEAN
            for channel in range(channels):
                mean = _mean(channel_sums[channel], row * kernel, CHANNEL_PRIOR)
                row_log = _ratio_log(row_had, row_wanted)
                had = wanted = KERNEL_PRIOR * MEAN
                total = 0
                for position in range(kernel):
                    place = _mean(position_sums[position], row * channels, POSITION_PRIOR)
                    expected = LOGS[mean] + LOGS[place] - 320
                    log = expected + row_log + (_ratio_log(had, wanted) if kernel > 1 else 0)
                    foretold = self._foretell(at, position)
                    view = View(
                        magnitude=_clip(log, -64, 63),
                        row=row_log,
                        channel=LOGS[mean],
                        kernel=_clip(LOGS[min(total + 1, 65535)] // 6, 0, 15) if kernel > 1 else 0,
                        position=min(position, 8),
                        foretold=foretold,
                        size=self._size(foretold),
                    )
                    value = self._weight(coder, view, at, row, channel, position)
                    if not low <= value <= high:
                        raise CorruptDataError(f"{WHAT}, best: a symbol is out of its range")
                    self.values[at] = value
                    at += 1
                    size = min(min(abs(value), MAX_MAGNITUDE) * scale >> 14, MAX_MAGNITUDE)
                    sizes[channel * kernel + position] = size
                    row_had += size
                    row_wanted += _power(_clip(expected + 96, 0, 192))
                    had += size
                    wanted += _power(_clip(expected + row_log + 96, 0, 192))
                    total += abs(value)
            shrink = _power(160 - _clip(_ratio_log(row_had, row_wanted), -48, 48))
            for column, size in enumerate(sizes):
                shrunk = min(size * shrink >> 10, MAX_MAGNITUDE)
                channel_sums[column // kernel] += shrunk
                position_sums[column % kernel] += shrunk

    def _foretell(self, at: int, position: int) -> int:
        """What the weights to the left and above foretell, in 32nds of a symbol."""
        row, column = divmod(position, self._side)
        if row and column:
            left, above = self.values[at - 1], self.values[at - self._side]
            return BETWEEN[0] * left + BETWEEN[1] * above
        if column:
            return LEFT * self.values[at - 1]
        return ABOVE * self.values[at - self._side] if row else 0

    def _size(self, foretold: int) -> int:
        away = abs(foretold) << 7
        middle = self._middle
        return (
            (away > 0) + (4 * away >= middle) + (2 * away >= middle) + (away >= middle)
            + (away // 2 >= middle)
        )  # fmt: skip

    def _weight(
        self, coder: BitCoder, view: View, at: int, row: int, channel: int, position: int
    ) -> int:
        """Code one weight; returns its value."""
        value = 0 if coder.decoding else self.values[at]
        contexts = self._contexts(view, at, row, channel, position)
        u = view.magnitude + 64
        mean = _power(2 * self._mean + u)
        odds = (2 * mean << 16) // (4096 + isqrt(4096 * 4096 + 4 * mean * mean))
        first, later = _clip(odds, 64, 65472), _clip(odds * odds >> 16, 64, 65472)
        agrees, is_positive, size = 0, int(value > 0), abs(value)
        found = 0
        while found < UNARY:
            slots = [
                self._slots[i, found, context + agrees * step]
                for i, (context, step) in enumerate(contexts)
            ]
            weights = self._weights[min(found, 3) * 3 + agrees]
            if not coder.vote(slots, later if found else first, weights, int(size > found)):
                break
            if found == 0:
                is_positive = self._sign(coder, view, at, position, is_positive)
                if view.foretold:
                    agrees = 1 if is_positive == (view.foretold > 0) else 2
            found += 1
        if found == UNARY:
            found += self._rest(coder, size - UNARY)
        return found if is_positive else -found

    def _contexts(
        self, view: View, at: int, row: int, channel: int, position: int
    ) -> list[tuple[int, int]]:
        """Of each input the context, and what is added if the sign agrees, or twice if not."""
        values, kernel, columns = self.values, self._kernel, self._shape.columns
        u = view.magnitude + 64
        if kernel > 1:
            near = abs(values[at - 1]) if position % self._side else 0
            far = abs(values[at - self._side]) if position >= self._side else 0
        else:
            near = abs(values[at - 1]) if channel > 0 else 0
            far = abs(values[at - 2]) if channel > 1 else 0
        above = abs(values[at - columns]) if row > 0 else 0
        above2 = abs(values[at - 2 * columns]) if row > 1 else 0
        before = abs(values[at - kernel]) if channel > 0 else 0
        channel_size = _clip(view.channel - 112 >> 2, 0, 23)
        row_size = _clip(view.row + 32 >> 3, 0, 7)
        return [
            ((u >> 2) + 32 * view.size, 192),
            (min(near, 4) + 5 * min(far, 4) + 25 * (u >> 4), 200),
            (view.kernel + 16 * view.position, 144),
            (channel_size + 24 * row_size, 192),
            (min(above, 3) + 4 * min(above2, 3) + 16 * min(before, 3) + 64 * (u >> 5), 256),
            (min(abs(view.foretold) >> 3, 63) + 192 * (u >> 4), 64),
        ]

    def _sign(self, coder: BitCoder, view: View, at: int, position: int, bit: int) -> int:
        """Code whether a weight is positive."""
        side = self._side
        row, column = divmod(position, side)

        def sign(is_there: bool, back: int) -> int:  # noqa: FBT001 - of this function alone
            if not is_there:
                return 1
            value = self.values[at - back]
            return (value > 0) - (value < 0) + 1

        left, above = sign(column > 0, 1), sign(row > 0, side)
        corner = sign(row > 0 and column > 0, side + 1)
        corner2 = sign(row > 0 and column < side - 1, side - 1)
        left2, above2 = sign(column > 1, 2), sign(row > 1, 2 * side)
        u = view.magnitude + 64
        contexts = [
            left + 3 * above + 9 * corner + 27 * corner2,
            left + 3 * left2 + 9 * above + 27 * above2 + 81 * view.position,
            (0 if view.foretold < 0 else 32) + min(abs(view.foretold) >> 3, 31) + 64 * (u >> 4),
            2 * view.size + (view.foretold > 0) + 12 * (u >> 3),
        ]
        slots = [self._signs[i, context] for i, context in enumerate(contexts)]
        return coder.vote(slots, 32768, self._sign_weights, bit)

    def _rest(self, coder: BitCoder, rest: int) -> int:
        """Code a number >= 0: the exponent of rest + 1, its two next bits, and the others.

        Raises:
            CorruptDataError: the exponent is out of range.
        """
        exponent = 0
        while coder.slot(self._rests[exponent], int((rest + 1) >> (exponent + 1) != 0)):
            exponent += 1
            if exponent == EXPONENTS - 1:
                raise CorruptDataError(f"{WHAT}, best: a magnitude is out of range")
        found = 1
        for place in range(exponent - 1, -1, -1):
            bit = (rest + 1) >> place & 1
            coarse = exponent - 1 - place
            if coarse < 2:
                node = 1 + (found & 1) if coarse else 0
                bit = coder.slot(self._rests[EXPONENTS * (1 + node) + exponent], bit)
            else:
                bit = coder.bit(32768, bit)
            found = found << 1 | bit
        return found - 1


def _power(exponent: int) -> int:
    """`logs.power` of one number."""
    return (MANTISSAS[exponent % 16] << exponent // 16) >> 15


def _clip(x: int, low: int, high: int) -> int:
    return low if x < low else min(x, high)


def _mean(total: int, count: int, prior: int) -> int:
    """As `contexts` takes means, in 1024ths of the array's."""
    return _clip((total + prior * MEAN) * 16 // (count + prior), 1, MAX_LOG_ARGUMENT)


def _ratio_log(x: int, y: int) -> int:
    """The logarithm of x / y, of numbers that may be large: both are halved until they are not."""
    while x > MAX_LOG_ARGUMENT or y > MAX_LOG_ARGUMENT:
        x >>= 1
        y >>= 1
    return LOGS[max(x, 1)] - LOGS[max(y, 1)]
