"""Several inputs at once, each in a process of one thread: that is what pays for small images.

Two threads on one small image take longer than one, and two images in threads wait for each other's
Python. Processes are forked when the first input is done: the model is loaded and proven by then,
and all have it. Large images are left to the caller, who works on one at a time with all threads:
so that memory does not grow with the number of processes, and because threads pay there.

Only on Linux: elsewhere a fork is not safe with the system's own libraries.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from intact import files
from intact.cli import signals
from intact.cli.lines import complain, keep

LARGE_PIXELS = 1 << 22
"""Images from here on are not worked on in a process of their own."""
AHEAD = 2
"""Inputs that a process has been told of at a time."""
Outcome = dict[str, Any]
"""What became of an input, plain enough for JSON."""


class LargeError(Exception):
    """An image is too large for a process of many; its turn comes later."""


def can_fork() -> bool:
    """Whether processes can be forked safely, here and now."""
    # Threads do not survive it, PyTorch's neither, and who waits for them waits for ever.
    alone = threading.active_count() == 1 and "torch" not in sys.modules
    return sys.platform == "linux" and alone


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker:
    """A process, seen from its parent.

    Attributes:
        pid: of the process.
        tasks: where it reads the numbers of inputs, one a line.
        results: where it writes a JSON document for each, one a line.
        told: the inputs that it has not finished, the one at hand first.
    """

    def __init__(self, do: Callable[[int], Outcome], others: list[_Worker]) -> None:
        tasks, self.tasks = os.pipe()
        self.results, results = os.pipe()
        self.told: list[int] = []
        self._buffer = b""
        sys.stdout.flush()
        sys.stderr.flush()
        # What is registered for a fork loses the exception by which a signal ends a command.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*signals.SIGNALS, signal.SIGINT})
        try:
            self.pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise
        if self.pid == 0:
            for other in (*others, self):  # or they would never see the end of their tasks
                os.close(other.tasks)
                os.close(other.results)
            _work(tasks, results, do, mask)
        os.close(tasks)
        os.close(results)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def read(self) -> Iterator[tuple[int, tuple[Outcome | None, list[Any]]]]:
        """What has come, with messages. None is for an input that is left to the parent.

        Raises:
            EOFError: the process has ended.
        """
        data = os.read(self.results, 1 << 16)
        if not data:
            raise EOFError
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            outcome, said = json.loads(line)
            yield self.told.pop(0), (outcome, said)


def _work(tasks: int, results: int, do: Callable[[int], Outcome], mask: set[Any]) -> None:
    """The life of a process; it never returns to the code of its parent."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _end_with_parent()
        with open(tasks, "rb", buffering=0) as lines:
            for line in lines:
                said: list[Any] = []
                keep(said)  # for the parent to write when it is this input's turn
                try:
                    outcome: Outcome | None = do(int(line))
                except LargeError:
                    outcome = None
                signals.stop_if_ended()
                data = json.dumps([outcome, said]).encode() + b"\n"
                while data:
                    data = data[os.write(results, data) :]
        code = 0
    except BaseException:  # the parent sees that it has ended
        pass
    finally:
        with contextlib.suppress(BaseException):
            files.remove_partials()
        os._exit(code)


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


class Pool:
    """Processes that do the same. Nothing else may run in the caller's when it is made.

    Args:
        count: of processes; there may be fewer.
        do: works on an input of that number, in one of them; a `LargeError` leaves it to us.
    """

    def __init__(self, count: int, do: Callable[[int], Outcome]) -> None:
        self._workers: list[_Worker] = []
        for _ in range(count):
            with contextlib.suppress(OSError):  # no more processes are allowed: fewer, then
                self._workers.append(_Worker(do, self._workers))

    def outcomes(self, count: int, do_large: Callable[[int], Outcome]) -> Iterator[Outcome]:
        """What becomes of inputs 0 .. count, in order.

        Args:
            count: of inputs.
            do_large: works on one here: on a large one, or where a process has ended too early
                (killed for its memory, say).
        """
        waiting = iter(range(count))
        done: dict[int, tuple[Outcome | None, list[Any]]] = {}
        for number in range(count):
            while number not in done and self._workers:
                self._feed(waiting)
                done.update(self._collect())
            outcome, said = done.pop(number, (None, []))
            if outcome is None:
                yield do_large(number)
                continue
            for message, name, error, alike in said:
                complain(message, name, error=error, alike=alike)
            yield outcome

    def _feed(self, waiting: Iterator[int]) -> None:
        """Tell processes of inputs until each has enough."""
        for worker in self._workers:
            while len(worker.told) < AHEAD:
                number = next(waiting, None)
                if number is None:
                    return
                worker.told.append(number)
                with contextlib.suppress(BrokenPipeError):  # `_collect` sees that it has ended
                    os.write(worker.tasks, b"%d\n" % number)

    def _collect(self) -> dict[int, tuple[Outcome | None, list[Any]]]:
        """Wait for results; None for what is left to the caller."""
        found: dict[int, tuple[Outcome | None, list[Any]]] = {}
        poll = select.poll()  # `select.select` takes no descriptor above 1023
        for worker in self._workers:
            poll.register(worker.results, select.POLLIN)
        ready = {number for number, _ in poll.poll()}
        for worker in [worker for worker in self._workers if worker.results in ready]:
            try:
                found.update(worker.read())
            except EOFError:
                found.update((number, (None, [])) for number in worker.told)
                self._forget(worker)
        return found

    def _forget(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        os.close(worker.tasks)
        os.close(worker.results)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(worker.pid, 0)

    def close(self) -> None:
        """End the processes, and wait until their temporary files are gone."""
        for worker in self._workers:
            if worker.told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGTERM)
        for worker in list(self._workers):
            self._forget(worker)
