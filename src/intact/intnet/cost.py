"""What it takes to hold and to run a program: operations, memory, multiplications."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from intact.intnet.infer import infer
from intact.intnet.program import Conv, Program, sources

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
    """

    ops: int
    channels: int
    weights: int
    parameters: int
    macs: Fraction
    bytes: Fraction

    def per_pixel(self, px: int) -> Cost:
        """The same, fractions per pixel of an image: ``px`` x ``px`` of them are a position."""
        share = Fraction(1, px**2)
        return replace(self, macs=self.macs * share, bytes=self.bytes * share)


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
    )


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
