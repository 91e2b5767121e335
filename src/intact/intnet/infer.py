"""What is known of a program's values before any run: channels, ranges, sizes. Checks it, too.

Structure is checked here: names, channels, shapes and the ranges of all constants. Overflow is the
business of `intact.intnet.certificate.prove`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from types import MappingProxyType
from typing import assert_never

import numpy as np

from intact.errors import ModelError
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    MAX_BIAS,
    MAX_CHANNELS,
    MAX_DIVISOR,
    MAX_FACTOR,
    MAX_OPS,
    MAX_SCALE,
    MAX_TABLE,
    MAX_WEIGHT,
    MIN_SCALE,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    check_name,
    sources,
)


@dataclass(frozen=True)
class Resize:
    """One step from the height of an input to the height of a value.

    Attributes:
        factor: of the height.
        exact: the result must be whole; else it is rounded up (a stride).
    """

    factor: Fraction
    exact: bool = True

    @property
    def divides(self) -> bool:
        """Whether not every height will do."""
        return self.exact and self.factor.denominator > 1

    def __str__(self) -> str:
        return f"{self.factor}" if self.exact else f"{self.factor} rounded up"

    def of(self, side: int) -> int:
        """The new height, or width.

        Raises:
            ValueError: it would not be whole.
        """
        result, rest = divmod(side * self.factor.numerator, self.factor.denominator)
        if rest and self.exact:
            raise ValueError(f"{side} is no multiple of {self.factor.denominator}")
        return result + (rest > 0)


HALF = Resize(Fraction(1, 2), exact=False)
"""A stride of 2."""


@dataclass(frozen=True)
class Info:
    """What is known of a value before any run.

    Attributes:
        channels: number of channels.
        low: smallest possible element.
        high: largest possible element.
        steps: how its height follows from the input's, in order, neighboring exact ones joined:
            equal steps mean equal sizes for every input.
    """

    channels: int
    low: int
    high: int
    steps: tuple[Resize, ...] = ()

    @property
    def resolution(self) -> Fraction:
        """Height relative to the program's input, rounding aside: 1/8 after Unshuffle(8)."""
        return prod((step.factor for step in self.steps), start=Fraction(1))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of this value for an input of ``height`` x ``width``.

        Raises:
            ValueError: an Unshuffle on the way does not divide the size.
        """
        sides = height, width
        for step in self.steps:
            try:
                sides = step.of(sides[0]), step.of(sides[1])
            except ValueError as error:
                raise ValueError(f"input of {height}x{width}: {error}") from None
        return sides


def _resized(steps: tuple[Resize, ...], step: Resize) -> tuple[Resize, ...]:
    """Append a step; see `Info.steps`."""
    if steps and steps[-1].exact and step.exact:
        steps, step = steps[:-1], Resize(steps[-1].factor * step.factor)
    return steps if step == Resize(Fraction(1)) else (*steps, step)


def infer(program: Program) -> Mapping[str, Info]:
    """What is known of every value, by name, in order of creation; found out once per program.

    Raises:
        ModelError: the program is not valid; names the operation and the value at fault.
    """
    return program.once("infos", lambda: MappingProxyType(_infer(program)))


def sizes_of(program: Program, height: int, width: int) -> dict[str, tuple[int, int]]:
    """Height and width of every value for inputs of ``height`` x ``width``.

    Raises:
        ValueError: an Unshuffle does not divide, or an Add has operands of two sizes.
        ModelError: as `infer`.
    """
    sizes = {name: info.size(height, width) for name, info in infer(program).items()}
    for op in program.ops:
        if isinstance(op, Add) and sizes[op.left] != sizes[op.right]:
            raise ValueError(
                f"{program.name}: cannot add {op.left!r} {sizes[op.left]} and "
                f"{op.right!r} {sizes[op.right]} for inputs of {height}x{width}"
            )
    return sizes


def _infer(program: Program) -> dict[str, Info]:
    check_name(program.name, "program: name")
    if not program.inputs or len(program.inputs) > MAX_OPS or len(program.ops) > MAX_OPS:
        raise ModelError(
            f"{program.name}: {len(program.inputs)} inputs, {len(program.ops)} "
            f"operations; legal: 1..{MAX_OPS} and 0..{MAX_OPS}"
        )
    known: dict[str, Info] = {}

    def define(name: str, info: Info, what: str) -> None:
        check_name(name, what)
        if name in known:
            raise ModelError(f"{what}: value {name!r} is defined twice")
        if not 1 <= info.channels <= MAX_CHANNELS:
            raise ModelError(f"{what}: {info.channels} channels, legal: 1..{MAX_CHANNELS}")
        if not INT16_LOW <= info.low <= info.high <= INT16_HIGH:
            raise ModelError(f"{what}: range {info.low}..{info.high} is empty or leaves int16")
        if not MIN_SCALE <= info.resolution <= MAX_SCALE:
            raise ModelError(
                f"{what}: resolution {info.resolution}, legal: {MIN_SCALE}..{MAX_SCALE}"
            )
        known[name] = info

    for value in program.inputs:
        what = f"{program.name}: input {value.name!r:.80}"
        define(value.name, Info(value.channels, value.low, value.high), what)
    for index, op in enumerate(program.ops):
        what = f"{program.name}: op {index} ({type(op).__name__.lower()} {op.target!r:.80})"
        for name in sources(op):
            if name not in known:
                raise ModelError(f"{what}: value {name!r:.80} is not defined before")
        define(op.target, _result(op, [known[name] for name in sources(op)], what), what)
    if not program.outputs or len(set(program.outputs)) != len(program.outputs):
        raise ModelError(f"{program.name}: outputs {program.outputs!r:.200} are none or repeat")
    for name in program.outputs:
        if name not in known:
            raise ModelError(f"{program.name}: output {name!r:.80} is not defined")
    return known


def _result(op: Op, infos: list[Info], what: str) -> Info:
    """Info of an operation's target; ModelError for any illegal constant."""
    info = infos[0]
    match op:
        case Conv():
            _check_conv(op, info, what)
            steps = _resized(info.steps, HALF) if op.stride == 2 else info.steps
            return Info(op.weight.shape[0], op.low, op.high, steps)
        case Requantize():
            _check_vector(op.divisor, info.channels, 1, MAX_DIVISOR, f"{what}: divisor")
            _check_odd(op.divisor, what)
            return Info(info.channels, op.low, op.high, info.steps)
        case Scale():
            _check_vector(op.factor, info.channels, INT16_LOW, INT16_HIGH, f"{what}: factor")
            ends = np.stack([op.factor * info.low, op.factor * info.high])
            return Info(info.channels, _saturated(ends.min()), _saturated(ends.max()), info.steps)
        case Add():
            other = infos[1]
            if (info.channels, info.resolution) != (other.channels, other.resolution):
                raise ModelError(
                    f"{what}: {op.left!r} and {op.right!r} differ in channels "
                    f"({info.channels}, {other.channels}) or resolution"
                )
            low, high = info.low + other.low, info.high + other.high
            return Info(info.channels, _saturated(low), _saturated(high), info.steps)
        case Shuffle() | Unshuffle():
            if not 1 <= op.factor <= MAX_FACTOR:
                raise ModelError(f"{what}: factor {op.factor}, legal: 1..{MAX_FACTOR}")
            area = op.factor**2
            if isinstance(op, Unshuffle):
                steps = _resized(info.steps, Resize(Fraction(1, op.factor)))
                return Info(info.channels * area, info.low, info.high, steps)
            if info.channels % area:
                raise ModelError(f"{what}: {info.channels} channels, no multiple of {area}")
            steps = _resized(info.steps, Resize(Fraction(op.factor)))
            return Info(info.channels // area, info.low, info.high, steps)
        case _:
            assert_never(op)


def _check_conv(op: Conv, info: Info, what: str) -> None:
    if op.weight.ndim != 4:
        raise ModelError(f"{what}: weight has {op.weight.ndim} axes, not 4")
    outputs, inputs, rows, columns = op.weight.shape
    if rows != columns or rows not in (1, 3):
        raise ModelError(f"{what}: kernel {rows}x{columns}, legal: 1x1 and 3x3")
    if op.stride not in (1, 2):
        raise ModelError(f"{what}: stride {op.stride}, legal: 1 and 2")
    if op.groups != 1 and not op.groups == info.channels == outputs:
        raise ModelError(
            f"{what}: groups {op.groups}, legal: 1 and, with as many outputs, {info.channels}"
        )
    if inputs * op.groups != info.channels:
        raise ModelError(
            f"{what}: weight is for {inputs * op.groups} channels, {op.source!r} "
            f"has {info.channels}"
        )
    if not 1 <= outputs <= MAX_CHANNELS:
        raise ModelError(f"{what}: {outputs} channels, legal: 1..{MAX_CHANNELS}")
    if op.max_weight > MAX_WEIGHT:
        raise ModelError(f"{what}: a weight beyond {MAX_WEIGHT}")
    _check_vector(op.bias, outputs, -MAX_BIAS, MAX_BIAS, f"{what}: bias")
    _check_vector(op.slope, outputs, -MAX_BIAS, MAX_BIAS, f"{what}: slope")
    _check_vector(op.divisor, outputs, 1, MAX_DIVISOR, f"{what}: divisor")
    _check_odd(op.divisor, what)
    if op.table is None:
        if op.table_low != 0:
            raise ModelError(f"{what}: table_low {op.table_low} without a table, must be 0")
        return
    if op.table.ndim != 1 or not 1 <= op.table.size <= MAX_TABLE:
        raise ModelError(f"{what}: table of shape {op.table.shape}, legal: 1..{MAX_TABLE} entries")
    if not -MAX_TABLE <= op.table_low <= MAX_TABLE:
        raise ModelError(f"{what}: table_low {op.table_low}, legal: +-{MAX_TABLE}")
    if int(op.table.min()) < op.low or int(op.table.max()) > op.high:
        raise ModelError(f"{what}: table leaves {op.low}..{op.high}")


def _check_vector(values: np.ndarray, length: int, low: int, high: int, what: str) -> None:
    if values.shape != (length,):
        raise ModelError(f"{what}: shape {values.shape}, expected ({length},)")
    if int(values.min()) < low or int(values.max()) > high:
        raise ModelError(f"{what}: {int(values.min())}..{int(values.max())}, legal: {low}..{high}")


def _check_odd(divisor: np.ndarray, what: str) -> None:
    even = np.flatnonzero(divisor % 2 == 0)
    if even.size:
        raise ModelError(
            f"{what}: divisor {int(divisor[even[0]])} of channel {int(even[0])} is even"
        )


def _saturated(value: int | np.integer) -> int:
    return int(min(max(int(value), INT16_LOW), INT16_HIGH))
