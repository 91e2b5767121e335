"""What each program of a codec is for: its inputs and outputs, their ranges and sizes.

A kind of codec declares its roles as data, the rows of the table in docs/spec/image.md, section 1.
`check` holds a model's programs to them: programs come from strangers, and must run on every size
of image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from intact.errors import ModelError
from intact.intnet.infer import HALF, Info, Resize, infer
from intact.intnet.program import Add, Program, dtype_of


@dataclass(frozen=True)
class Signal:
    """What programs hand to each other under one name: an array [h, w, channels] of integers.

    Attributes:
        name: of the input or output.
        channels: their number, or a letter: where it occurs again, the number is the same.
        low: smallest element.
        high: largest element.
        px: pixels on a side of the square that one position stands for.
        multiple: its height and width are multiples of this.
    """

    name: str
    channels: int | str
    low: int
    high: int
    px: int
    multiple: int = 1

    def __str__(self) -> str:
        return f"{self.channels} channels in {self.low}..{self.high}"


@dataclass(frozen=True)
class Role:
    """The part that one program plays.

    Attributes:
        name: of the program.
        inputs: by the order of the program's; all stand for as many pixels.
        outputs: likewise. A coarser one is halved as often as needed, rounding up each time.
        decoding: a decoder runs it; an encoder runs all.
    """

    name: str
    inputs: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    decoding: bool = True

    @property
    def px(self) -> int:
        """Pixels on a side of the square that one position of its inputs stands for."""
        return self.inputs[0].px

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Inputs, then outputs."""
        return (*self.inputs, *self.outputs)

    def steps(self, output: Signal) -> tuple[Resize, ...]:
        """How an output's height follows from the inputs', as `Info.steps` says it."""
        factor = Fraction(self.px, output.px)
        if factor > 1:
            return (Resize(factor),)
        assert factor.numerator == 1, f"{self.name}.{output.name} is no halving: {factor}"
        return (HALF,) * (factor.denominator.bit_length() - 1)


def typed(role: Role, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A program's outputs in the types that hold the ranges of its role.

    A program whose own range is narrower gives narrower types: means of 8 bits, to which nothing
    could be added.
    """
    return {
        signal.name: outputs[signal.name].astype(dtype_of(signal.low, signal.high), copy=False)
        for signal in role.outputs
    }


def decoding(roles: Sequence[Role]) -> tuple[str, ...]:
    """Names of the programs that a decoder runs."""
    return tuple(role.name for role in roles if role.decoding)


def check(programs: Mapping[str, Program], roles: Sequence[Role]) -> dict[str, int]:
    """Check that programs can play their roles, for every size of image.

    Returns:
        How many channels each letter stands for.

    Raises:
        ModelError: names the program and the value at fault.
    """
    names = [role.name for role in roles]
    if set(programs) != set(names):
        raise ModelError(f"model: programs {sorted(programs)}, wanted {sorted(names)}")
    for role in roles:
        _check_interface(role, programs[role.name])
    channels: dict[str, int] = {}
    for role in roles:
        _check_channels(role, programs[role.name], channels)
    for role in roles:
        _check_sizes(role, programs[role.name])
    for role in roles:
        _check_ranges(role, programs[role.name])
    return channels


def _check_interface(role: Role, program: Program) -> None:
    inputs = tuple(value.name for value in program.inputs)
    wanted = tuple(s.name for s in role.inputs), tuple(s.name for s in role.outputs)
    if (inputs, tuple(program.outputs)) != wanted:
        raise ModelError(f"model: {role.name} maps {inputs} to {program.outputs}, wanted {wanted}")


def _found(role: Role, program: Program) -> Iterator[tuple[Signal, Info]]:
    """What is known of each signal of a program."""
    infos = infer(program)
    return ((signal, infos[signal.name]) for signal in role.signals)


def _check_channels(role: Role, program: Program, known: dict[str, int]) -> None:
    """Numbers are as declared, and equal letters equal; notes those of new letters in ``known``."""
    for signal, info in _found(role, program):
        wanted = signal.channels
        if isinstance(wanted, str):
            wanted = known.setdefault(wanted, info.channels)
        if info.channels != wanted:
            what = f"model: {role.name}.{signal.name}"
            raise ModelError(f"{what} has {info.channels} channels, wanted {wanted}")


def _check_sizes(role: Role, program: Program) -> None:
    """The program runs on every size, and its outputs have the sizes of the page.

    Resolutions alone do not say so: halving rounds up, so half of double is not always itself.
    """
    infos = infer(program)
    for op in program.ops:
        if isinstance(op, Add) and infos[op.left].steps != infos[op.right].steps:
            raise ModelError(f"model: {role.name}: {op.target} adds values of different sizes")
    multiple = role.inputs[0].multiple
    for name, info in infos.items():
        dividing = [step for step in info.steps if step.divides]
        # The first step alone sees the input's own height, of which a divisor is known.
        fits = not dividing or (
            dividing == [info.steps[0]] and multiple % dividing[0].factor.denominator == 0
        )
        if not fits:
            raise ModelError(f"model: {role.name}: {name} does not fit every size of image")
    for signal in role.outputs:
        steps, wanted = infos[signal.name].steps, role.steps(signal)
        if multiple > 1:
            sides = range(multiple, multiple * multiple + 1, multiple)
            right = all(_size(steps, side) == _size(wanted, side) for side in sides)
        else:
            right = steps == wanted
        if not right:
            found = " then ".join(map(str, steps)) or "like its input"
            raise ModelError(
                f"model: {role.name}.{signal.name} is sized {found}, "
                f"wanted {' then '.join(map(str, wanted)) or 'like its input'}"
            )


def _size(steps: Sequence[Resize], side: int) -> int:
    for step in steps:
        side = step.of(side)
    return side


def _check_ranges(role: Role, program: Program) -> None:
    """A program is proven for what it is given, and gives no more than others are proven for."""
    infos = infer(program)
    for signal in role.inputs:
        info = infos[signal.name]
        if (info.low, info.high) != (signal.low, signal.high):
            raise ModelError(
                f"model: {role.name}: input {signal.name} is in {info.low}..{info.high}, "
                f"wanted {signal.low}..{signal.high}"
            )
    for signal in role.outputs:
        info = infos[signal.name]
        if info.low < signal.low or info.high > signal.high:
            raise ModelError(
                f"model: {role.name}.{signal.name} reaches {info.low}..{info.high}, "
                f"beyond {signal.low}..{signal.high}"
            )
