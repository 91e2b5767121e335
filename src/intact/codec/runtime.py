"""How to compute: which backend, how many threads, who is told. Results depend on none of it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from intact.codec import arguments
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.container.limits import MAX_THREADS
from intact.errors import InexactError
from intact.intnet.backends import choose

PIXELS_PER_THREAD = 1 << 17
"""With less to do, starting a thread and waiting for it takes longer than it saves: 256 x 256
pixels took half as much CPU time again with two, and on a busy machine three times as long."""


@dataclass(frozen=True)
class Runtime:
    """How to compute; never what.

    Attributes:
        backend: "auto", "native", "numpy", "torch", "onnx" or "reference".
        threads: 0 takes all cores that this process may use. Small images are computed by fewer.
        progress: called with the name of each stage as it begins.
        allow_inexact: run models that compute in float, too: what comes of them may be another
            picture on another machine. Alone among these it says what is computed.
    """

    backend: str = "auto"
    threads: int = 0
    progress: Callable[[str], None] | None = None
    allow_inexact: bool = False

    def __post_init__(self) -> None:
        arguments.choice("backend", self.backend, ("auto", *choose.NAMES))
        object.__setattr__(self, "threads", arguments.threads(self.threads))  # NumPy's are narrow
        arguments.progress(self.progress)
        arguments.flag("allow_inexact", self.allow_inexact)

    def networks(
        self, model: Model, num_pixels: int, roles: tuple[str, ...] | None = None
    ) -> Networks:
        """A model's programs of these roles (all by default), ready to run.

        Raises:
            InexactError: the model computes in float, which is not allowed.
        """
        threads = self.threads or min(num_cores(), MAX_THREADS)
        threads = max(min(threads, num_pixels // PIXELS_PER_THREAD), 1)
        kind: type[Networks] = Networks
        if not model.is_exact:
            if not self.allow_inexact:
                raise inexact(f"model {model.name!r}", model.bottleneck.profile)
            # By name, and only now: the room stands above the line, and nothing here imports it.
            kind = importlib.import_module("intact.inexact").FloatNetworks
        return kind(model, num_pixels, self.backend, threads, roles, self.progress)


def inexact(what: str, profile: str) -> InexactError:
    """The error for what is not exact, for the caller to raise."""
    return InexactError(
        f"{what} is not exact (profile {profile}): it computes in float, and another machine may "
        "come to another picture; allow_inexact=True (--allow-inexact) allows it"
    )


def num_cores() -> int:
    """Cores that this process may use: containers and batch systems grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
