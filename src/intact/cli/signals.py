"""Signals that end a command: they unwind the stack, no temporary file stays, and none is lost.

A handler raises an exception wherever the program is. Some places turn it into another (a class
that is being made) or drop it (a finalizer). So it is also remembered, and looked for between two
inputs and before an error is reported.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from intact import files

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""A job's end, a closed terminal or connection, Windows' Ctrl-Break."""

_came: int | None = None


def _leave(number: int, _frame: object) -> None:
    global _came
    _came = number
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def came() -> int | None:
    """The signal that has come to end the command, if any."""
    return _came


def stop_if_ended() -> None:
    """End the command where a signal has come and its exception was lost.

    Raises:
        SystemExit: with 128 and the signal's number.
    """
    if _came is not None:
        raise SystemExit(128 + _came)


@contextlib.contextmanager
def finishing(finish: Callable[[], None]) -> Iterator[None]:
    """Within `ending`: the first signal calls ``finish`` and is remembered, a second one ends."""
    previous: dict[int, Any] = {}

    def later(number: int, _frame: object) -> None:
        global _came
        if _came is not None:
            _leave(number, _frame)
        _came = number
        finish()

    with contextlib.suppress(ValueError):  # not in the main thread
        for number in (*SIGNALS, signal.SIGINT):
            if signal.getsignal(number) is _leave:
                previous[number] = signal.signal(number, later)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """While a command runs. Signals that are ignored, a hangup under nohup, stay so."""
    global _came
    _came = None
    previous: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in (*SIGNALS, signal.SIGINT):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                previous[number] = signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in previous:
            signal.signal(number, signal.SIG_IGN)
        # A second signal may have come while the first was dealt with.
        files.remove_partials()
        for number, handler in previous.items():
            signal.signal(number, handler)
