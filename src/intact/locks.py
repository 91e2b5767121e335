"""A lock that a forked child may use, whoever held it in the parent."""

from __future__ import annotations

import os
import threading
from types import TracebackType


class Lock:
    """As `threading.RLock`; in a forked child it is free.

    A child has only the thread that forked. Were the lock taken by another one just then, nobody
    would ever give it back. What that thread was about to do is not done there, and begins anew.
    So it may guard what is stored whole or not at all. Make few: none is ever let go of.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
