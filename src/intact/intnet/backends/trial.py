"""Trying a backend out: runs with known results, and what a backend gets wrong of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intact.intnet.backends import Prepare
from intact.intnet.program import Program


@dataclass(frozen=True, eq=False)
class Case:
    """One run and what it must give.

    Attributes:
        program: what to run.
        inputs: its inputs.
        level: its level.
        expected: a patch of each output, from `ops`.
        where: top row and left column of each patch in its output.
        threads: how many the backend may use.
    """

    program: Program
    inputs: Mapping[str, np.ndarray]
    level: int
    expected: Mapping[str, np.ndarray]
    where: Mapping[str, tuple[int, int]]
    threads: int = 1


def difference(prepare: Prepare, todo: tuple[Case, ...], whole: Program) -> str:
    """What a backend gets wrong, in words; empty if nothing.

    Args:
        prepare: the backend.
        todo: the runs.
        whole: the program they were made for, which is prepared in any case.
    """
    prepared = {id(whole): prepare(whole)}
    previous: tuple[int, ...] = ()
    results: dict[str, np.ndarray] = {}
    for case in todo:
        if id(case.program) not in prepared:
            prepared[id(case.program)] = prepare(case.program)
        run = (id(case.program), id(case.inputs), case.level, case.threads)
        if run != previous:  # corners of one image share a run
            runner = prepared[id(case.program)]
            results = runner(case.inputs, level=case.level, threads=case.threads)
            previous = run
        for name, expected in case.expected.items():
            row, column = case.where[name]
            rows, columns, _ = expected.shape
            found = results[name]
            if found.dtype != expected.dtype:
                return f"{case.program.name}: {name!r} is {found.dtype}, not {expected.dtype}"
            wrong = found[row : row + rows, column : column + columns] != expected
            if wrong.any():
                size = next(iter(case.inputs.values())).shape[:2]
                return (
                    f"{case.program.name}: {int(wrong.sum())} of {wrong.size} elements of "
                    f"{name!r} are wrong (input {size[0]}x{size[1]}, level {case.level}, "
                    f"threads {case.threads})"
                )
    return ""
