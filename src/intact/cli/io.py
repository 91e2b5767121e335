"""Files in and out: ``-``, names of outputs, what may be in their way; see `intact.files`."""

from __future__ import annotations

import contextlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intact import files
from intact.cli import lines, streams
from intact.cli.errors import UsageError, complain
from intact.cli.lines import show_json as show_json
from intact.cli.streams import STDIO as STDIO
from intact.files import walk as walk

SUFFIX = ".intact"


def read(name: str) -> bytes:
    """The bytes of a file, or of stdin for ``-``.

    Raises:
        OSError: with the file's name.
    """
    if name == STDIO or streams.descriptor(name) == 0:
        return streams.read_stdin()
    return Path(name).read_bytes()


def write(name: str, data: bytes, *, modified_ns: int | None = None, origin: str = "") -> None:
    """Write a file whole or not at all, or to stdout for ``-``.

    Args:
        name: a symbolic link is followed; a stream (a pipe, a device, ``/dev/fd/1``) is written as
            it stands.
        data: the content.
        modified_ns: the output's time of last change; now if not given.
        origin: what it was made from (`intact.files.origin_of`).

    Raises:
        OSError: with the file's name; nothing was changed.
    """
    if name == STDIO:
        streams.write_stream(name, data)
        return
    try:
        if streams.descriptor(name) is not None:
            streams.write_stream(name, data)
        elif streams.is_stream(name):
            with open(name, "wb") as file:
                file.write(data)
        else:
            files.replace(name, data, modified_ns=modified_ns, origin=origin)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


def modified_ns(name: str) -> int | None:
    """A regular file's time of last change, to be taken before the file is read; else None."""
    with contextlib.suppress(OSError):
        found = os.stat(name)
        return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else None
    return None


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


@dataclass(frozen=True)
class Rules:
    """How outputs are named and what may be in their way.

    Attributes:
        suffix: of outputs whose names follow from the inputs, with the dot.
        inputs: suffixes of the files that count in a folder.
        force: replace what exists.
        skip: what exists is looked at when its turn comes (`intact.cli.existing`).
        quiet: do not say which names were taken.
    """

    suffix: str
    inputs: Sequence[str]
    force: bool = False
    skip: bool = False
    quiet: bool = False


def outputs(inputs: Sequence[str], output: str | None, rules: Rules) -> list[tuple[str, str]]:
    """Pair every input with its output, and refuse before anything is done.

    One input and ``-o FILE``: that file, replaced if it exists. Otherwise the names follow from
    the inputs' and existing files are refused unless the rules say so: nobody asked for those
    names. The files of a folder lie in the output's folder as they lay in theirs.

    Args:
        inputs: names, or ``-`` alone.
        output: ``-o``: a file, a folder, ``-``, or None for next to the inputs.
        rules: see there.

    Returns:
        Names of inputs and outputs; an output that is standard output is ``-``.

    Raises:
        UsageError: the names do not work out.
    """
    if output is not None and streams.is_stdout(output):
        output = STDIO
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
    elif inputs[0] == STDIO:
        if folder:
            raise UsageError("-o must name a file when the input is standard input")
        pairs = [(STDIO, STDIO)]
    else:
        pairs = _named(files_in(inputs, rules.inputs), output, rules)
        _refuse_existing(pairs, rules)
    if streams.has_stderr(pairs[0][1]):
        lines.mute()
    sources = {os.path.abspath(source) for source, _ in pairs}
    for source, target in pairs:
        if STDIO not in (source, target) and (
            _same(source, target) or os.path.abspath(target) in sources
        ):
            raise UsageError(f"{target} is input and output at once")
    if output is not None and folder:
        top = Path(output)
        there = next((p for p in (top, *top.parents) if os.path.lexists(p)), None)
        if there is not None and not there.is_dir():
            raise UsageError(f"{there} is in the way: these outputs need a folder there")
        for parent in sorted({Path(target).parent for _, target in pairs}):
            # Below the top a file may be in the way of some outputs: their errors will say so.
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                parent.mkdir(parents=True, exist_ok=True)
    for parent in {os.path.dirname(target) for _, target in pairs if target != STDIO}:
        files.clean(parent or os.curdir)
    return pairs


def _named(
    found: Sequence[tuple[str, str]], folder: str | None, rules: Rules
) -> list[tuple[str, str]]:
    """Pair each file with an output of its own.

    a.jpg becomes a.intact. Where two would have the same name both keep their suffixes:
    a.jpg.intact, a.png.intact. Where that is not enough later ones get a number: a.jpg.2.intact.
    """
    unique = {(os.path.abspath(name), place): (name, place) for name, place in found}
    found = list(unique.values())
    paths = [Path(name) if folder is None else Path(folder, place) for name, place in found]
    whole = [os.fspath(path) for path in paths]
    names = [os.fspath(p.parent / p.stem) if p.suffix else os.fspath(p) for p in paths]

    def key(name: str) -> str:
        # Under one folder names that differ by case or by the spelling of an accent alone may be
        # one file; beside inputs they are not.
        return name if folder is None else unicodedata.normalize("NFC", name).casefold()

    clashing, count = [0], Counter[str]()
    while clashing:
        count = Counter(map(key, names))
        clashing = [i for i, n in enumerate(names) if count[key(n)] > 1 and n != whole[i]]
        for i in clashing:
            names[i] = whole[i]
    taken: dict[str, str] = {}
    pairs = []
    for (source, _), name in zip(found, names, strict=True):
        free, number = name, 1
        while key(free) in taken or (number > 1 and count[key(free)]):
            number += 1
            free = f"{name}.{number}"
        if number > 1 and not rules.quiet:
            complain(f"becomes {free}{rules.suffix}: {taken[key(name)]} has its name", source)
        taken[key(free)] = source
        pairs.append((source, free + rules.suffix))
    return pairs


def _refuse_existing(pairs: Sequence[tuple[str, str]], rules: Rules) -> None:
    """Refuse to replace anything, unless the rules allow it.

    Raises:
        UsageError: an output exists.
    """
    if rules.force or rules.skip:
        return
    there = [target for _, target in pairs if os.path.lexists(target)]
    if there:
        others = f" (and {len(there) - 1} more)" if there[1:] else ""
        raise UsageError(f"{there[0]} exists{others}; give -o, --force or --skip-existing")


def _same(left: str, right: str) -> bool:
    try:
        return os.path.samefile(left, right)
    except OSError:
        return False
