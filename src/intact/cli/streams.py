"""The standard streams as they come: closed, the same file twice, or named like a file (/dev/fd/1).

What is data goes to its stream and to nothing else; lines that nobody can read are dropped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys

STDIO = "-"
_CLOSED: set[int] = set()
"""Descriptors of standard streams that were closed when the command began."""
_DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|thread-self|\d+)/fd/(\d+)")


def settle() -> None:
    """Put something harmless where a standard stream is closed.

    Else the next file to be opened would get its number, and what a library writes to "stderr"
    would land in an output. What stands there is open in the wrong direction: using it is an error.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            _CLOSED.add(number)
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    # Python has None for a closed stream, and its `print` then takes stdout for stderr.
    if sys.stdout is None:
        _CLOSED.add(1)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for good
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def descriptor(name: str) -> int | None:
    """The open descriptor that a name stands for: ``/dev/stdout``, ``/dev/fd/N``, ``>(...)``.

    Opening such a name would begin a file anew that the shell goes on writing, and replacing it by
    another is not possible at all.

    Returns:
        Its number, or None for an ordinary name. Links are followed.
    """
    path = name
    for _ in range(40):  # as many links as Linux follows
        parent, last = os.path.split(os.path.abspath(path))
        here = os.path.join(os.path.realpath(parent), last)
        here = re.sub(rf"^/proc/{os.getpid()}/(task/\d+/)?", "/proc/self/", here)
        if found := _DESCRIPTOR.fullmatch(here):
            theirs = re.match(r"/proc/\d", here)  # of another process
            return None if theirs else int(found[1] or found[2])
        if not os.path.islink(here):
            return None
        path = os.path.join(os.path.dirname(here), os.readlink(here))
    return None


def is_stdout(name: str) -> bool:
    """Whether an output is the file or pipe that standard output is, by whatever name."""
    if name == STDIO:
        return True
    number = descriptor(name)
    if number == 1:
        return True
    with contextlib.suppress(OSError):
        found = os.stat(name) if number is None else os.fstat(number)
        ordinary = number is None and stat.S_ISREG(found.st_mode)  # it will be replaced
        return not ordinary and _same(found, 1)
    return False


def _same(found: os.stat_result, number: int) -> bool:
    """Whether a file is the one behind a descriptor. A device keeps no order among its writers."""
    return not stat.S_ISCHR(found.st_mode) and os.path.samestat(found, os.fstat(number))


def is_stream(name: str) -> bool:
    """Whether an output is written to as it stands: a descriptor, a pipe, a device."""
    if name == STDIO or descriptor(name) is not None:
        return True
    with contextlib.suppress(OSError):
        mode = os.stat(name).st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    return False


def has_stderr(name: str) -> bool:
    """Whether messages on stderr would land in an output that is a stream."""
    with contextlib.suppress(OSError):
        number = 1 if name == STDIO else descriptor(name)
        found = os.stat(name) if number is None else os.fstat(number)
        return is_stream(name) and _same(found, 2)
    return False


def require_stdout() -> None:
    """Refuse to write data to a standard output that is closed.

    Raises:
        OSError: it is.
    """
    if 1 in _CLOSED:
        raise OSError(errno.EBADF, "it is closed", "standard output")


def read_stdin() -> bytes:
    """All of standard input.

    Raises:
        OSError: it is closed, or cannot be read.
    """
    if sys.stdin is None or 0 in _CLOSED:
        raise OSError(errno.EBADF, "it is closed", "standard input")
    return sys.stdin.buffer.read()


def write_stream(name: str, data: bytes) -> None:
    """Write to standard output or another open descriptor, from where it stands.

    Raises:
        BrokenPipeError: whoever read standard output has gone.
        OSError: with the stream's name.
    """
    number = 1 if name == STDIO else descriptor(name)
    assert number is not None
    if number == 1:
        require_stdout()
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error
        return
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(data)
