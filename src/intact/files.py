"""Files: outputs that appear whole or not at all, what killed writers left behind, folders.

An output is written to a temporary file in the same folder, synced and renamed. Where that fails or
is interrupted, what was there before is still there.

A temporary file is locked as long as its writer lives, and the kernel takes the lock away however
the writer ends. So the next writer in that folder can tell what is left over, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and nothing that is left over is removed
    fcntl = None

IMAGES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".pnm",
    ".jp2", ".avif",
)  # fmt: skip
"""What is taken for an image in a folder; one that is named may have any suffix."""

HINT_BYTES = 80
"""Of the output's name in that of the temporary file. Names end at 255 bytes, some at 143."""
_PARTIAL = re.compile(r"\..*\.[0-9a-f]{16}\.intact-partial", re.DOTALL)
_ORIGIN = "user.intact.origin"
_OURS: set[Path] = set()
"""Temporary files that this process may have now."""
_CLEANED: set[str] = set()
"""Folders that this process has looked through."""

if hasattr(os, "register_at_fork"):  # a child must not remove what its parent is writing
    os.register_at_fork(after_in_child=_OURS.clear)


def replace(
    path: str | Path, data: bytes, *, modified_ns: int | None = None, origin: str = ""
) -> None:
    """Write a file whole or not at all.

    Args:
        path: a symbolic link is followed. What is there keeps its permissions (and its owner, where
            the system lets us).
        data: the content.
        modified_ns: its time of last change, in nanoseconds since 1970; now if not given.
        origin: what it was made from; see `origin_of`.

    Raises:
        OSError: it cannot be written; nothing was changed. It has the file's name.
    """
    try:
        with writing(path, modified_ns=modified_ns, origin=origin) as file:
            file.write(data)
    except OSError as error:  # which may name the temporary file, or none: a full disk
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


@contextlib.contextmanager
def writing(
    path: str | Path, *, modified_ns: int | None = None, origin: str = ""
) -> Iterator[BinaryIO]:
    """As `replace`, for a content that comes in parts: write and seek in what this gives.

    The file takes its place when the block ends; where it ends by an exception nothing was changed.
    """
    target = Path(os.path.realpath(path))
    clean(target.parent)
    before = target.stat() if target.exists() else None
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    partial = _new_name(target)
    try:
        # Inside, from the first moment: a signal may end this between any two instructions.
        descriptor = _create(partial, 0o666 if before is None else 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            if before is not None:
                _give(partial, before)
            mark(partial, modified_ns, origin)
            os.fsync(file.fileno())
            if fcntl is not None:
                partial.replace(target)  # while it is locked: nobody may take it for left over
        if fcntl is None:
            partial.replace(target)
    except BaseException as error:
        _remove(partial)
        if isinstance(error, OSError) and error.filename == os.fspath(partial):
            error.filename = os.fspath(path)  # nobody has asked for the temporary file
        raise
    _OURS.discard(partial)
    _sync(target.parent)


def _new_name(target: Path) -> Path:
    """A name for the temporary file of an output, which is registered before the file exists."""
    hint = os.fsencode(target.name)[:HINT_BYTES].decode("utf-8", "ignore")
    partial = target.with_name(f".{hint}.{secrets.token_hex(8)}.intact-partial")
    _OURS.add(partial)
    return partial


def _create(partial: Path, mode: int) -> int:
    """Make and lock a temporary file: its descriptor.

    Before it is locked somebody may take it for left over and remove it: then it is made again.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        descriptor = os.open(partial, flags, mode)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.lexists(partial):
            return descriptor
        os.close(descriptor)


def _give(partial: Path, before: os.stat_result) -> None:
    """Give a temporary file the owner and the permissions of the file that it replaces."""
    now = partial.stat()
    if hasattr(os, "chown") and (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(OSError):
            os.chown(partial, before.st_uid, before.st_gid)
    partial.chmod(stat.S_IMODE(before.st_mode))


def mark(path: str | Path, modified_ns: int | None, origin: str) -> None:
    """Give a file a time of last change and the name of its origin; None and "" change nothing."""
    if origin and hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(path, _ORIGIN, origin.encode())
    if modified_ns is not None:
        with contextlib.suppress(OSError):
            os.utime(path, ns=(modified_ns, modified_ns))


def origin_of(path: str | Path) -> str:
    """What a file was made from, as its writer said in an extended attribute, or "".

    Not every system and file system has them, and not every copy keeps them.
    """
    if hasattr(os, "getxattr"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return os.getxattr(path, _ORIGIN).decode()
    return ""


def _remove(partial: Path) -> None:
    with contextlib.suppress(OSError):
        partial.unlink()
    _OURS.discard(partial)  # after that: an interruption before leaves it to `remove_partials`


def _sync(folder: Path) -> None:
    """Make new names survive a power cut; not every file system can."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_partials() -> None:
    """Remove the temporary files of this process, where an interruption left any."""
    for partial in list(_OURS):
        _remove(partial)


def clean(folder: str | Path) -> None:
    """Remove the temporary files that killed writers left in a folder; looks once per process.

    Those of writers that live are locked, and those of other users are none of our business.
    """
    key = os.path.abspath(folder)
    if fcntl is None or key in _CLEANED:
        return
    _CLEANED.add(key)
    with contextlib.suppress(OSError):
        for name in filter(_PARTIAL.fullmatch, os.listdir(key)):
            with contextlib.suppress(OSError):
                _remove_if_left(os.path.join(key, name))


def _remove_if_left(path: str) -> None:
    assert fcntl is not None
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an OSError: its writer lives
            os.unlink(path)
    finally:
        os.close(descriptor)


def walk(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """What is below a folder and not hidden, sorted.

    Returns:
        Files (and links to nothing), and what is never entered or read: links to folders, pipes,
        devices.

    Raises:
        OSError: a folder that cannot be read, or is not there.
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
