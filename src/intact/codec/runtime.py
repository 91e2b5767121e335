"""How to compute: which backend, how many threads, who is told. Results depend on none of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from intact.codec import arguments
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.container.limits import MAX_THREADS
from intact.intnet.backends import choose


@dataclass(frozen=True)
class Runtime:
    """How to compute; never what.

    Attributes:
        backend: "auto", "native", "numpy", "torch" or "reference".
        threads: 0 takes all cores that this process may use.
        progress: called with the name of each stage as it begins.
    """

    backend: str = "auto"
    threads: int = 0
    progress: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        arguments.choice("backend", self.backend, ("auto", *choose.NAMES))
        object.__setattr__(self, "threads", arguments.threads(self.threads))  # NumPy's are narrow
        arguments.progress(self.progress)

    def networks(
        self, model: Model, num_pixels: int, roles: tuple[str, ...] | None = None
    ) -> Networks:
        """A model's programs of these roles (all by default), ready to run."""
        threads = self.threads or min(_num_cores(), MAX_THREADS)
        return Networks(model, num_pixels, self.backend, threads, roles, self.progress)


def _num_cores() -> int:
    """Cores that this process may use: containers and batch systems grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
