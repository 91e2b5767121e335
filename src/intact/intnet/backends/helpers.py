"""Threads that help their caller: as many as can be had, which may be none."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType


class _Job:
    """Work that several threads do at the same time; who comes when it is over does none of it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._inside, self._over = 0, False
        self._left = threading.Event()
        self.error: BaseException | None = None

    def help(self) -> None:
        """Do some of the work, in a helper."""
        with self._lock:
            if self._over:
                return
            self._inside += 1
        try:
            self._work()
        except BaseException as error:  # the caller raises it
            self.error = error
        with self._lock:
            self._inside -= 1
            if self._over and not self._inside:
                self._left.set()

    def end(self) -> None:
        """Let nobody begin any more, and wait for those who have."""
        with self._lock:
            self._over = True
            waiting = self._inside
        if waiting:
            self._left.wait()


class Helpers:
    """Up to ``count`` threads, started when they are needed and gone at the end of the ``with``.

    Where no thread can be started (a limit of the system, no memory), the caller does all by
    itself. A helper that wakes up late, because others have the cores, is not waited for.
    """

    def __init__(self, count: int) -> None:
        self._most = count
        self._threads: list[int] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def share(self, work: Callable[[], None], count: int) -> None:
        """Call ``work`` here, and meanwhile in up to ``count`` helpers; all have returned then.

        Args:
            work: takes pieces from somewhere until there are none. Called by one thread alone it
                must do everything.
            count: how many helpers there are pieces for.

        Raises:
            BaseException: what ``work`` raised, here or in a helper.
        """
        wanted = min(count, self._most)
        while len(self._threads) < wanted:
            try:  # not threading.Thread, which waits until the thread has begun
                self._threads.append(_thread.start_new_thread(self._serve, ()))
            except (RuntimeError, MemoryError):  # "can't start new thread"
                self._most = wanted = len(self._threads)
        job = _Job(work)
        for _ in range(wanted):
            self._jobs.put(job)
        try:
            work()
        finally:
            job.end()
        if job.error is not None:
            raise job.error

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.help()
