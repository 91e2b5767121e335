"""Running a model's programs: which backend, how many threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import numpy as np

from intact.bottleneck.roles import typed
from intact.codec.model import Model
from intact.intnet.backends import choose
from intact.intnet.reach import reach


class Networks:
    """A model's programs on a proven backend; see `intact.bottleneck.kind.Networks`.

    Args:
        model: the model.
        pixels: of the image at hand; "auto" chooses by it.
        backend: "auto" or a name; see `intact.intnet.backends.choose`.
        threads: results do not depend on it.
        roles: the programs that will run, all of them by default; only these are proven, which
            takes time.
        progress: called with the name of each program before it runs.

    Raises:
        ValueError: the backend is unknown, or not available here.
    """

    def __init__(
        self,
        model: Model,
        pixels: int,
        backend: str,
        threads: int,
        roles: tuple[str, ...] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.model, self.threads, self._progress = model, threads, progress
        self._roles = {role.name: role for role in model.roles}
        self.roles = tuple(model.programs) if roles is None else roles
        name = cast(choose.Name | Literal["auto"], backend)  # `choose` refuses anything else
        self.backend = choose.choose([model.programs[role] for role in self.roles], pixels, name)

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        """Run a program at a level (an index into the model's levels).

        Raises:
            ValueError: it is not one of the proven ones.
        """
        if role not in self.roles:
            raise ValueError(f"program {role!r} was not proven, only {', '.join(self.roles)}")
        runner = self.backend(self.model.programs[role])
        self.enter(role.replace("_", " "))
        parameter = int(self.model.levels.parameters[level])
        found = runner(inputs, level=parameter, threads=self.threads)
        return typed(self._roles[role], found)

    def reach(self, role: str) -> dict[str, int]:
        """How many positions of each input beyond a window a program's outputs depend on."""
        return reach(self.model.programs[role])

    def enter(self, stage: str) -> None:
        """Tell whoever watches what comes next."""
        if self._progress is not None:
            self._progress(stage)
