"""What it takes to hold and to run a program: operations, memory, multiplications, time.

Time is an estimate that errs on the long side, for limits: picoseconds of one core of 2026 (a Xeon
with AVX-512), the native and the NumPy backend added up, as a decoder uses both where a checksum is
not met. `_picoseconds` has what was measured for each operation, over 1 to 2,048 channels and 8 to
16 bits (``tests/fuzz/worst.py``); multiplications alone say little: a depthwise one takes twenty
times as long as one of a matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import assert_never

import numpy as np

from intact.intnet.bounds import fits_8_bits
from intact.intnet.infer import Info, infer
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    sources,
)

_CONSTANTS = ("weight", "bias", "slope", "divisor", "factor", "table")


@dataclass(frozen=True)
class Cost:
    """The cost of a program. Fractions are per position of its inputs, rounding of sizes aside.

    Attributes:
        ops: operations.
        channels: that the operations read and make, added up.
        weights: of all convolutions.
        parameters: integers in all operations: weights, biases, slopes, divisors, factors, tables.
        macs: multiplications of the convolutions.
        bytes: of values alive at a time, 2 for each element, freed after their last reader.
        picoseconds: of the native and the NumPy backend together.
    """

    ops: int
    channels: int
    weights: int
    parameters: int
    macs: Fraction
    bytes: Fraction
    picoseconds: Fraction

    def per_pixel(self, px: int) -> Cost:
        """The same, fractions per pixel of an image: ``px`` x ``px`` of them are a position."""
        share = Fraction(1, px**2)
        return replace(
            self,
            macs=self.macs * share,
            bytes=self.bytes * share,
            picoseconds=self.picoseconds * share,
        )


def cost(program: Program) -> Cost:
    """The cost of a program.

    Raises:
        ModelError: the program is not valid.
    """
    infos = infer(program)
    area = {name: info.resolution**2 for name, info in infos.items()}
    touched = [(op.target, *sources(op)) for op in program.ops]
    convolutions = [op for op in program.ops if isinstance(op, Conv)]
    constants = [getattr(op, name, None) for op in program.ops for name in _CONSTANTS]
    size = {name: 2 * info.channels * area[name] for name, info in infos.items()}
    return Cost(
        ops=len(program.ops),
        channels=sum(infos[name].channels for names in touched for name in names),
        weights=sum(op.weight.size for op in convolutions),
        parameters=sum(array.size for array in constants if isinstance(array, np.ndarray)),
        macs=sum((op.weight.size * area[op.target] for op in convolutions), Fraction(0)),
        bytes=_most_alive(program, size),
        picoseconds=sum(
            # A depthwise stride and a shuffle are work on the finer of their two grids.
            (
                _picoseconds(op, infos) * max(area[name] for name in (op.target, *sources(op)))
                for op in program.ops
            ),
            Fraction(0),
        ),
    )


def _picoseconds(op: Op, infos: Mapping[str, Info]) -> int:
    """An operation at one position of its grid."""
    channels, source = infos[op.target].channels, infos[sources(op)[0]]
    wide = not fits_8_bits(source.low, source.high)
    match op:
        case Conv():
            table = 0 if op.table is None else 3_000 * channels
            return _convolution(op, wide=wide) + table
        case Requantize() | Scale() | Add():
            return 10_000 + 1_000 * channels
        case Shuffle():
            return 8_000 + 1_400 * channels
        case Unshuffle():
            return 8_000 + 3_000 * channels // op.factor**2
        case _:
            assert_never(op)


def _convolution(op: Conv, *, wide: bool) -> int:
    outputs, inputs, taps, _ = op.weight.shape
    position = 15_000 if taps == 1 else 70_000
    if op.groups == 1:
        copied = inputs * taps**2 + outputs
        return position + (45 if wide else 28) * op.weight.size + 1_500 * copied
    if taps == 1:
        return position + (5_000 if wide else 2_500) * outputs
    return position + (16_000 if wide else 6_500) * outputs


def _most_alive(program: Program, size: dict[str, Fraction]) -> Fraction:
    """The largest sum of the sizes of values that are alive at the same time."""
    touched = [(op.target, *sources(op)) for op in program.ops]
    last = {name: index for index, names in enumerate(touched) for name in names}
    last |= dict.fromkeys(program.outputs, len(touched))
    alive = sum((size[value.name] for value in program.inputs), Fraction(0))
    most = alive
    for index, names in enumerate(touched):
        alive += size[names[0]]
        most = max(most, alive)
        alive -= sum(size[name] for name in set(names) if last[name] == index)
    return most
