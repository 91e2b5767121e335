"""The normative operations as a backend: slow, never wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intact.intnet import ops
from intact.intnet.backends import Runner
from intact.intnet.bounds import check_bounds
from intact.intnet.program import Program


@dataclass(frozen=True, eq=False)
class _Reference:
    program: Program

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run by `ops.run`, on one thread."""
        return ops.run(self.program, inputs, level)


def prepare(program: Program) -> Runner:
    """Check a program's bounds and run it with `ops.run`.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    check_bounds(program)
    return _Reference(program)
