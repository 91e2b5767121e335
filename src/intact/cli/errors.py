"""What went wrong, as one line on stderr and an exit code. docs/cli.md has the same table."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from intact.errors import (
    CorruptDataError,
    DivergedError,
    IntactError,
    ModelError,
    NotExactError,
    UnsupportedError,
)


class Code(enum.IntEnum):
    """Exit codes. With several inputs the largest one counts."""

    OK = 0
    DAMAGED = 1
    USAGE = 2
    UNSUPPORTED = 3
    MODEL = 4
    SYSTEM = 5
    UNREACHABLE = 6
    NOT_EXACT = 7
    BUG = 70
    INTERRUPTED = 130


MEANINGS = {
    Code.OK: "done",
    Code.DAMAGED: "an input is damaged",
    Code.USAGE: "wrong arguments, or an output is in the way (nothing was done)",
    Code.UNSUPPORTED: "an input or a package is of a kind this installation cannot handle",
    Code.MODEL: "a model is missing or breaks a rule",
    Code.SYSTEM: "cannot read or write, or no memory",
    Code.UNREACHABLE: "no level meets the target; training diverged",
    Code.NOT_EXACT: "a backend of this machine is not exact (verify, encode --check)",
    Code.BUG: "a bug in Intact, with a traceback",
    Code.INTERRUPTED: "interrupted",
}


class UsageError(ValueError):
    """The arguments do not go together."""


class UnreachableError(Exception):
    """What was asked for cannot be had with this model."""


def describe(error: BaseException) -> tuple[Code, str | None, str]:
    """Exit code, file name if the error knows one, and message of an exception.

    Raises:
        BaseException: ``error`` itself, if it is none that users can do something about.
    """
    match error:
        case CorruptDataError():
            return Code.DAMAGED, None, str(error)
        case UnsupportedError():
            return Code.UNSUPPORTED, None, str(error)
        case NotExactError():
            return Code.NOT_EXACT, None, str(error)
        case DivergedError():
            return Code.UNREACHABLE, None, str(error)
        case ModelError() | IntactError():
            return Code.MODEL, None, str(error)
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] != "intact":
            extra = "training needs more packages: pip install '.[train]' where Intact's source is"
            return Code.UNSUPPORTED, None, f"{error.name} is not installed; {extra}"
        case OSError():
            name = error.filename if isinstance(error.filename, str | os.PathLike) else None
            text = error.strerror or str(error) or type(error).__name__
            return Code.SYSTEM, os.fspath(name) if name else None, text
        case MemoryError():
            return Code.SYSTEM, None, "not enough memory"
        case UnreachableError():
            return Code.UNREACHABLE, None, str(error)
        case ValueError():
            return Code.USAGE, None, str(error)
        case KeyboardInterrupt():
            return Code.INTERRUPTED, None, "interrupted"
        case _:
            raise error


def printable(text: str) -> str:
    """One line of text that is safe to print: what is no printable character is escaped.

    Names of files and models come from others. As they are they could move the cursor, forge a
    line, or hold bytes that no encoding has.
    """
    if text.isprintable():
        return text
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped)


def complain(message: str, name: str | None = None) -> None:
    """Write one line to stderr: ``intact: FILE: message``."""
    place = f"{name}: " if name else ""
    line = printable(f"{place}{' '.join(message.split())}")
    with contextlib.suppress(OSError):  # stderr may be closed; the exit code still tells
        print(f"intact: {line}", file=sys.stderr, flush=True)


def report(error: BaseException, name: str | None = None) -> tuple[Code, str]:
    """Describe an exception on stderr; its exit code and the line without ``intact:``."""
    try:
        code, place, message = describe(error)
    except BaseException:
        traceback.print_exception(error)
        code, place, message = Code.BUG, None, f"{type(error).__name__}: {error}"
    place = place or name
    complain(message, place)
    return code, " ".join(message.split())


def guarded(work: Callable[[], Any]) -> int:
    """Run a command; its exit code, whatever happens."""
    try:
        with _terminated():
            result = work()
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Code.SYSTEM
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else Code.USAGE
    except BaseException as error:
        if hasattr(error, "format_message"):  # from typer: the arguments cannot be parsed
            message = error.format_message()  # type: ignore[attr-defined]
            if message:  # else the help was shown, because there were no arguments
                complain(f"{message} (see --help)")
            return Code.USAGE
        if type(error).__name__ == "Abort":
            return Code.INTERRUPTED
        return report(error)[0]
    return int(result or 0)


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that no temporary file stays behind."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        previous = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Once(logging.Filter):
    """Lets each message through once per command."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self.seen
        self.seen.add(message)
        return new


class _ToStderr(logging.Handler):
    """Log records in the shape of our other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


@contextlib.contextmanager
def logged() -> Iterator[None]:
    """Show the library's warnings as lines of ours."""
    log, handler = logging.getLogger("intact"), _ToStderr(logging.WARNING)
    handler.addFilter(_Once())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
