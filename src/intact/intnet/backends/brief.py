"""The short trial, for a backend whose kernels are ours; `probe` beside this is the long one.

A library chooses its kernels by the shape of a layer, so each program is tried layer by layer. Ours
are a handful, the same for every program. They are tried once in a process, on one layer of each
form that there is (`layers`); of a program it is then enough to see that it runs right as a whole.

What comes out right is `ops`'s to say, which takes ten times as long as all the rest. Of what is
shipped with the package it is remembered, as a hash of inputs and outputs: whoever could forge it
could change the package. A hash that does not match proves nothing; then `ops` is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from intact.intnet import ops
from intact.intnet.backends import Prepare, Runner
from intact.intnet.backends.forms import layers, mixed
from intact.intnet.backends.parts import boundaries, tall_size, unit_of
from intact.intnet.program import LEVEL_MAX, Program, Value

ROWS, COLUMNS = 5, 3
"""Smallest sizes of a program in a run whose result is remembered: every tap meets real inputs."""
SIDES = 17, 15
"""Positions of `layers`: more than a chunk of the native kernels, so that threads share them."""
REMEMBERED = "remembered result"
LAYERS_RESULT = "180c98d5b8ca94bb50a3101c08a922b7531fb8e625c568f3dacb10ebe5a93932"
"""`result_of` of `layers`."""


def wrong_kernels(prepare: Prepare) -> str:
    """What a backend gets wrong of the layers that stand for all, in words; empty if nothing."""
    rounding, one = boundaries(), {"x": np.ones((1, 1, 16), np.int16)}
    return _compared(prepare(rounding), rounding, one, 1) or wrong(prepare, layers())


def remember(program: Program, result: str) -> None:
    """Note what `result_of` is of a program, once and for all."""
    program.once(REMEMBERED, lambda: result)


def result_of(program: Program) -> str:
    """What is remembered of a program: a hash of one run's inputs and of the outputs of `ops`."""
    inputs = _inputs(program, remembered=True)
    return _hash(program, inputs, ops.run(program, inputs, -LEVEL_MAX))


def _hash(
    program: Program, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> str:
    digest = hashlib.sha256()
    for arrays, names in ((inputs, sorted(inputs)), (outputs, program.outputs)):
        for name in names:
            array = arrays[name]
            digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def wrong(prepare: Prepare, program: Program) -> str:
    """What a backend gets wrong of a program, in words; empty if nothing."""
    remembered = LAYERS_RESULT if program is layers() else program.known(REMEMBERED)
    inputs = _inputs(program, remembered=remembered is not None)
    runner = prepare(program)
    if remembered is not None:
        runs = (runner(inputs, level=-LEVEL_MAX, threads=threads) for threads in (1, 2))
        if all(_hash(program, inputs, outputs) == remembered for outputs in runs):
            return ""
    extremes = {value.name: _extreme(value, inputs[value.name]) for value in program.inputs}
    return _compared(runner, program, inputs, -LEVEL_MAX) or _compared(
        runner, program, extremes, LEVEL_MAX
    )


def _extreme(value: Value, array: np.ndarray) -> np.ndarray:
    """The least and the largest values where others are below and above the middle."""
    middle = (value.low + value.high) // 2
    return np.where(array > middle, value.high, value.low).astype(array.dtype)


def _compared(runner: Runner, program: Program, inputs: dict[str, np.ndarray], level: int) -> str:
    """What is wrong of a run with one thread and with two, by `ops`."""
    from intact.intnet.backends.trial import Case, difference

    expected = ops.run(program, inputs, level)
    whole = dict.fromkeys(expected, (0, 0))
    cases = tuple(Case(program, inputs, level, expected, whole, threads) for threads in (1, 2))
    return difference(lambda _: runner, cases, program)


def _inputs(program: Program, *, remembered: bool) -> dict[str, np.ndarray]:
    """Inputs that look random; the same on every machine and with every version of NumPy."""
    unit = unit_of(program)
    if program is layers():
        size = SIDES
    elif remembered:
        size = ROWS * unit, COLUMNS * unit
    else:
        size = tall_size(program, unit)
    return {
        value.name: mixed(value.low, value.high, (*size, value.channels), number).astype(np.int16)
        for number, value in enumerate(program.inputs)
    }
