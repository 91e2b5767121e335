"""Ways to run a program fast, each equal to `intact.intnet.ops` bit for bit.

A backend is a module with one function, ``prepare(program) -> Runner``. `choose` proves a backend
with probe inputs before it is used, and takes the next one if it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from intact.intnet.program import Program


class Runner(Protocol):
    """A prepared program."""

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run once; arguments and result as `intact.intnet.ops.run`.

        Args:
            inputs: one integer array [h, w, channels] per input.
            level: -127..127.
            threads: how many threads the backend may use, at least 1.

        Raises:
            ValueError: the inputs or the level are not what the program declares.
        """
        ...


Prepare = Callable[[Program], Runner]
