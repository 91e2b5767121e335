"""Parts of a tensor on several cores: threads, because coders give Python's lock away."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from intact.codec import arguments

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD: Final = 1
"""Jobs that wait or are done beyond those at work: results are taken in order."""


def num_threads(threads: int) -> int:
    """Threads to use; 0 takes a core each.

    Raises:
        TypeError: it is no integer.
        ArgumentError: it is out of range.
    """
    if threads := arguments.threads(threads):
        return threads
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], threads: int
) -> Iterator[tuple[Job, Result]]:
    """Each job with its result, in order; a few jobs are at work or done at a time.

    Args:
        work: is called in several threads.
        jobs: taken from when there is room, in the caller's thread.
        threads: 1 or more.
    """
    if threads == 1:
        for job in jobs:
            yield job, work(job)
        return
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append((job, pool.submit(work, job)))
                if len(waiting) >= threads + AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
