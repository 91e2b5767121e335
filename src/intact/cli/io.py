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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intact.cli.errors import UsageError

STDIO = "-"
SUFFIX = ".intact"


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


def files_in(inputs: Sequence[str], suffixes: Sequence[str]) -> list[tuple[str, str]]:
    """Replace every folder among the inputs by its files, sorted, subfolders too.

    Hidden files and folders do not count, and links to folders are not followed. A link to nothing
    counts: whoever reads it says so.

    Args:
        inputs: names of files and folders, or ``-``.
        suffixes: of the files that count in folders, in lower case.

    Returns:
        For each file its name, and its path within the folder it was found in.

    Raises:
        UsageError: a folder without any such file.
        OSError: a folder that cannot be read.
    """
    found = []
    for name in inputs:
        if name == STDIO or not os.path.isdir(name):
            found.append((name, Path(name).name))
            continue
        paths = [path for path in walk(name)[0] if path.suffix.lower() in suffixes]
        if not paths:
            raise UsageError(f"{name}: no file in this folder ends in {', '.join(suffixes)}")
        found += [(os.fspath(path), os.fspath(path.relative_to(name))) for path in paths]
    return found


def walk(folder: str) -> tuple[list[Path], list[Path]]:
    """What is below a folder and not hidden, sorted.

    Returns:
        Files (and links to nothing), and what is never entered or read: links to folders, pipes,
        devices.

    Raises:
        OSError: a folder that cannot be read.
    """

    def stop(error: OSError) -> None:
        raise error  # os.walk would leave the folder out

    files: list[Path] = []
    others: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [path for name in folders if (path := Path(parent, name)).is_symlink()]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            (files if path.is_file() or not path.exists() else others).append(path)
    return sorted(files), sorted(others)


@dataclass(frozen=True)
class Rules:
    """How outputs are named and what may be in their way.

    Attributes:
        suffix: of outputs whose names follow from the inputs, with the dot.
        inputs: suffixes of the files that count in a folder.
        force: replace what exists.
        skip: leave out inputs whose outputs exist.
    """

    suffix: str
    inputs: Sequence[str]
    force: bool = False
    skip: bool = False


def outputs(inputs: Sequence[str], output: str | None, rules: Rules) -> list[tuple[str, str]]:
    """Pair every input with its output, and refuse before anything is done.

    One input and ``-o FILE``: that file, replaced if it exists. Otherwise the names follow from
    the inputs' and existing files are refused unless the rules say so: nobody asked for those
    names. Where a.jpg and a.png would have the same, both keep their suffixes before the new one.
    The files of a folder lie in the output's folder as they lay in theirs.

    Args:
        inputs: names, or ``-`` alone.
        output: ``-o``: a file, a folder, ``-``, or None for next to the inputs.
        rules: see there.

    Raises:
        UsageError: the names do not work out.
    """
    if rules.force and rules.skip:
        raise UsageError("--force and --skip-existing exclude each other")
    if STDIO in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) must be the only input")
    several = len(inputs) > 1 or os.path.isdir(inputs[0])
    folder = (
        output is not None
        and output != STDIO
        and (output.endswith(("/", os.sep)) or several or os.path.isdir(output))
    )
    if output == STDIO and several:
        raise UsageError("-o - takes one input")
    if not folder and output is not None:
        pairs = [(inputs[0], output)]
        if rules.skip and output != STDIO and os.path.isfile(output):
            pairs = []
    elif inputs[0] == STDIO:
        if folder:
            raise UsageError("-o must name a file when the input is standard input")
        return [(STDIO, STDIO)]
    else:
        pairs = _free(_named(files_in(inputs, rules.inputs), output, rules.suffix), rules)
    for source, target in pairs:
        if STDIO not in (source, target) and _same(source, target):
            raise UsageError(f"{target} is input and output at once")
    if folder:
        parents = sorted({Path(target).parent for _, target in pairs})
        for parent in parents:
            there = next((p for p in (parent, *parent.parents) if os.path.lexists(p)), None)
            if there is not None and not there.is_dir():
                raise UsageError(f"{there} is in the way: these outputs need a folder there")
        for parent in parents:
            parent.mkdir(parents=True, exist_ok=True)
    return pairs


def _named(
    found: Sequence[tuple[str, str]], folder: str | None, suffix: str
) -> list[tuple[str, str]]:
    """Pair each file with its output.

    Raises:
        UsageError: two have the same.
    """
    found = list(dict.fromkeys(found))
    paths = [Path(name) if folder is None else Path(folder, place) for name, place in found]
    short = [os.fspath(p.parent / ((p.stem if p.suffix else p.name) + suffix)) for p in paths]
    # Under one folder names that differ by case alone may be one file; beside inputs they are not.
    fold = str if folder is None else str.casefold
    count = Counter(map(fold, short))
    seen: dict[str, str] = {}
    pairs = []
    for (name, _), path, target in zip(found, paths, short, strict=True):
        whole = target if count[fold(target)] == 1 else os.fspath(path) + suffix
        if (key := fold(whole)) in seen:
            raise UsageError(f"{seen[key]} and {name} would both become {whole}")
        seen[key] = name
        pairs.append((name, whole))
    return pairs


def _free(pairs: Sequence[tuple[str, str]], rules: Rules) -> list[tuple[str, str]]:
    """The pairs to work on: all, or those without an output yet.

    Raises:
        UsageError: an output exists.
    """
    if rules.force:
        return list(pairs)
    there = [target for _, target in pairs if os.path.lexists(target)]
    if rules.skip:
        done = {target for target in there if os.path.isfile(target)}
        pairs = [pair for pair in pairs if pair[1] not in done]
        there = [target for target in there if target not in done]
        if there:
            raise UsageError(f"{there[0]} is in the way and no file that could be kept")
    if there:
        others = f" (and {len(there) - 1} other outputs)" if there[1:] else ""
        raise UsageError(
            f"{there[0]} exists{others}; name it with -o, replace with --force, "
            "or keep with --skip-existing"
        )
    return list(pairs)


def _same(left: str, right: str) -> bool:
    try:
        return os.path.samefile(left, right)
    except OSError:
        return False


def show_json(value: Any) -> None:
    """Print a result for machines: one JSON document on stdout, ASCII only (see `printable`)."""
    print(json.dumps(value, indent=2, default=str))
