"""What is printed: lines for people, safe and not too wide, and JSON for machines."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, TextIO

from intact.cli import streams
from intact.errors import cut as cut

WIDTH = 80
"""Columns where the terminal does not say how many it has, and of messages at most."""
LONGEST_LINE = 6000
"""Characters: a path may have 4096."""
LONGEST_MESSAGE = 1000
Said = tuple[str, str | None, bool, str]
"""Arguments of `complain`, in order."""

_muted = False
_shown = False
_kept: list[Said] | None = None
_gathered: dict[str, tuple[str, str, int]] | None = None
"""By what is said of several files: the first one's name and message, and how many they are."""


def printable(text: str) -> str:
    """One line of text that is safe to print: what is no printable character is escaped.

    Names of files and models come from others. As they are they could move the cursor, forge a
    line, hold bytes that no encoding has, or go on for megabytes.
    """
    text = cut(text, LONGEST_LINE)
    if text.isprintable():
        return text
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped)


def shorten(text: str, room: int) -> str:
    """A text of at most ``room`` characters: of a longer one the ends are shown."""
    if len(text) <= room:
        return text
    kept = room - 1
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def columns() -> int:
    """Of the terminal."""
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, 40)


def wrapped(line: str, stream: TextIO) -> str:
    """A line as it is for a file or a program; for a terminal broken between words."""
    if not stream.isatty():
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, min(columns(), WIDTH), subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False, replace_whitespace=False, drop_whitespace=True,
    )  # fmt: skip


def pair(source: str, target: str, facts: str) -> str:
    """``source -> target  facts``; on a terminal as much of the names as there is room for."""
    source, target = printable(source), printable(target)
    names = f"{source} -> {target}"
    if sys.stdout.isatty():
        room = max(columns() - len(facts) - 2, 12)
        first, last = os.path.basename(source) or source, os.path.basename(target) or target
        shorter = [text for text in (names, f"{first} -> {last}") if len(text) <= room]
        names = shorter[0] if shorter else shorten(first, room)
    return f"{names}  {facts}"


def say(text: str) -> None:
    """Print a result for people: one line or more on stdout."""
    lines = (wrapped(printable(line), sys.stdout) for line in text.split("\n"))
    print("\n".join(lines), flush=True)


def mute() -> None:
    """Print no notes from now on: stderr is where the data goes. Errors are still printed."""
    global _muted
    _muted = True


def keep(messages: list[Said]) -> None:
    """Put the arguments of `complain` there from now on: they are written later, in order."""
    global _kept
    _kept = messages


@contextlib.contextmanager
def gathered() -> Iterator[None]:
    """Say at the end, and once, what is no error and the same of several files.

    A folder of a camera's photos has the same to say of each.
    """
    global _gathered
    _gathered = {}
    try:
        yield
    finally:
        found, _gathered = _gathered, None
        for alike, (name, message, count) in found.items():
            if count == 1:
                complain(message, name)
            else:
                complain(alike, f"{count:,} files (first: {name})")


def complain(
    message: str, name: str | None = None, *, error: bool = False, alike: str = ""
) -> None:
    """Write one line to stderr: ``intact: FILE: message``.

    Args:
        message: what there is to say.
        name: of the file.
        error: and no note, which may be left out, or wait for others (`gathered`).
        alike: the message without what is this file's alone; empty if that is all of it.
    """
    if _muted and not error:
        return
    if _kept is not None:
        _kept.append((message, name, error, alike))
        return
    if _gathered is not None and name is not None and not error:
        first, said, count = _gathered.get(alike or message, (name, message, 0))
        _gathered[alike or message] = first, said, count + 1
        return
    place = f"{name}: " if name else ""
    line = printable(f"{place}{' '.join(cut(message, LONGEST_MESSAGE).split())}")
    with contextlib.suppress(OSError):  # stderr may be closed; the exit code still tells
        print(wrapped(f"intact: {line}", sys.stderr), file=sys.stderr, flush=True)


def show_json(value: Any) -> None:
    """Print a result for machines: one JSON document on stdout, ASCII only (see `printable`).

    Raises:
        OSError: stdout is closed, or cannot be written.
    """
    global _shown
    _shown = True
    streams.require_stdout()
    print(json.dumps(value, indent=2, default=str), flush=True)


def json_is_due() -> bool:
    """Whether no JSON document has been printed since `begin`."""
    return not _shown


def begin() -> None:
    """A new command begins."""
    global _muted, _shown, _kept, _gathered
    _muted, _shown, _kept, _gathered = False, False, None, None
