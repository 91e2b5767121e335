"""How many threads BLAS has while a program runs: one (docs/decisions/0009).

The limit belongs to the whole process. Whatever happens inside, what was found must be put back
when the last run leaves, and a forked child must not inherit runs that it does not have.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property
from types import TracebackType

from threadpoolctl import ThreadpoolController


class _OneBlasThread:
    """BLAS computes on the thread that calls it, as long as any run is inside.

    OpenBLAS's threads spin while they wait for one another: beside as many of ours, and where other
    programs had the cores, a run took ten times as long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    @cached_property
    def _controller(self) -> ThreadpoolController:
        return ThreadpoolController()  # looks at all libraries of the process: milliseconds

    def __enter__(self) -> None:
        # The limit is the process's: the first sets it and the last puts back what it found.
        with self._lock:
            if self._inside == 0:
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limiter.restore_original_limits()


ONE_BLAS_THREAD = _OneBlasThread()
if hasattr(os, "register_at_fork"):  # a child has none of the threads that were inside
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.__init__)
