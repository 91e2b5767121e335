"""What went wrong, as one line on stderr and an exit code. docs/cli.md has the same table."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from intact.cli import lines, signals
from intact.cli.lines import complain as complain, printable as printable
from intact.errors import (
    ArgumentError,
    CorruptDataError,
    DivergedError,
    IntactError,
    ModelError,
    NotExactError,
    UnreachableError,
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
    Code.USAGE: "wrong arguments, or an output is in the way (which is not replaced)",
    Code.UNSUPPORTED: "an input or a package is of a kind this installation cannot handle",
    Code.MODEL: "a model is missing or breaks a rule",
    Code.SYSTEM: "cannot read or write, or no memory",
    Code.UNREACHABLE: "no level meets the target; training diverged",
    Code.NOT_EXACT: "a backend of this machine is not exact (verify --strict, encode --check)",
    Code.BUG: "a bug in Intact, with a traceback",
    Code.INTERRUPTED: "interrupted",
}


class UsageError(ArgumentError):
    """The arguments do not go together, or an output is in the way."""


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
        case DivergedError() | UnreachableError():
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
        case ArgumentError():  # not every ValueError: one of NumPy's is a bug of ours
            return Code.USAGE, None, str(error)
        case KeyboardInterrupt():
            return Code.INTERRUPTED, None, "interrupted"
        case _:
            raise error


def report(error: BaseException, name: str | None = None) -> tuple[Code, str]:
    """Describe an exception on stderr; its exit code and the line without ``intact:``.

    Raises:
        SystemExit: a signal has come to end the command, and became this exception.
    """
    if not isinstance(error, KeyboardInterrupt):
        signals.stop_if_ended()
    try:
        code, place, message = describe(error)
    except BaseException:
        traceback.print_exception(error)
        code, place, message = Code.BUG, None, f"{type(error).__name__}: {error}"
    place = place or name
    if place:  # many messages begin with it, for those who have no command line around them
        message = message.removeprefix(f"{place}: ")
    complain(message, place, error=True)
    return code, lines.cut(" ".join(message.split()), lines.LONGEST_MESSAGE)


def guarded(work: Callable[[], Any], *, as_json: bool = False) -> int:
    """Run a command; its exit code, whatever happens.

    Args:
        work: the command.
        as_json: where it ends in an error before it has printed its document, print one with the
            error: whoever reads stdout can always parse it.
    """
    code, message = _guarded(work)
    if as_json and message and lines.json_is_due():
        try:
            lines.show_json({"error": message, "code": int(code)})
        except OSError as error:
            code = max(code, report(error)[0])
    return int(code)


def _guarded(work: Callable[[], Any]) -> tuple[int, str]:
    """The exit code and what was wrong, or ""."""
    try:
        with signals.ending():
            code = int(work() or 0)
            sys.stdout.flush()
            if code < 128:
                signals.stop_if_ended()
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Code.SYSTEM, ""
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else Code.USAGE
        return code, f"terminated by signal {code - 128}" if code > 128 else ""
    except BaseException as error:
        if (number := signals.came()) and not isinstance(error, KeyboardInterrupt):
            return 128 + number, f"terminated by signal {number}"  # which became another error
        return report(error)
    return code, ""


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
