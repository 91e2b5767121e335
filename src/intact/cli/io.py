"""Files in and out: ``-``, names of outputs, atomic replacement.

An output appears whole or not at all: it is written to a temporary file in the same folder, synced
and renamed. Where that fails, what was there before is still there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intact.cli.errors import UsageError

STDIO = "-"


def read(name: str) -> bytes:
    """The bytes of a file, or of stdin for ``-``.

    Raises:
        OSError: with the file's name.
    """
    if name == STDIO:
        return sys.stdin.buffer.read()
    return Path(name).read_bytes()


def write(name: str, data: bytes) -> None:
    """Write a file whole or not at all, or to stdout for ``-``.

    Args:
        name: a symbolic link is followed; what is no regular file (/dev/null) is written directly.
        data: the content.

    Raises:
        OSError: with the file's name; nothing was changed.
    """
    if name == STDIO:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error
        return
    try:
        target = Path(os.path.realpath(name))
        mode = target.stat().st_mode if target.exists() else None
        if mode is None or stat.S_ISREG(mode):
            _replace(target, data, mode)
        else:
            with target.open("wb") as file:
                file.write(data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    descriptor = os.open(partial, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            partial.chmod(stat.S_IMODE(mode))
        partial.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    if os.name != "nt":  # makes the new name survive a power cut; not every file system can
        with contextlib.suppress(OSError):
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def outputs(
    inputs: Sequence[str], output: str | None, suffix: str, *, force: bool
) -> list[tuple[str, str]]:
    """Pair every input with its output, and refuse before anything is done.

    One input and ``-o FILE``: that file, replaced if it exists. Otherwise the names follow from
    the inputs' and existing files are refused unless ``force``: nobody asked for those names.

    Args:
        inputs: names, or ``-`` alone.
        output: ``-o``: a file, a folder, ``-``, or None for next to the inputs.
        suffix: of outputs whose names follow from the inputs, with the dot.
        force: replace what exists.

    Raises:
        UsageError: the names do not work out.
    """
    if STDIO in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) must be the only input")
    folder = (
        output is not None
        and output != STDIO
        and (output.endswith(("/", os.sep)) or len(inputs) > 1 or os.path.isdir(output))
    )
    if output == STDIO and len(inputs) > 1:
        raise UsageError("-o - takes one input")
    if not folder and output is not None:
        pairs = [(inputs[0], output)]
    elif inputs[0] == STDIO:
        if folder:
            raise UsageError("-o must name a file when the input is standard input")
        return [(STDIO, STDIO)]
    else:
        pairs = [(name, _derived(name, output, suffix)) for name in inputs]
        _refuse_in_the_way(pairs, force=force)
        if output is not None:
            Path(output).mkdir(exist_ok=True)
    for source, target in pairs:
        if STDIO not in (source, target) and _same(source, target):
            raise UsageError(f"{target} is input and output at once")
    return pairs


def _derived(name: str, folder: str | None, suffix: str) -> str:
    path = Path(name)
    parent = path.parent if folder is None else Path(folder)
    stem = path.stem if path.suffix else path.name
    return os.fspath(parent / (stem + suffix))


def _refuse_in_the_way(pairs: Sequence[tuple[str, str]], *, force: bool) -> None:
    seen: dict[str, str] = {}
    for source, target in pairs:
        if target in seen:
            raise UsageError(f"{seen[target]} and {source} would both become {target}")
        seen[target] = source
        if os.path.lexists(target) and not force:
            raise UsageError(f"{target} exists; name it with -o, or replace it with --force")


def _same(left: str, right: str) -> bool:
    try:
        return os.path.samefile(left, right)
    except OSError:
        return False


def show_json(value: Any) -> None:
    """Print a result for machines: one JSON document on stdout, ASCII only (see `printable`)."""
    print(json.dumps(value, indent=2, default=str))
