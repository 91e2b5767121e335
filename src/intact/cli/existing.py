"""``--skip-existing``: an output is left out only if it is whole and was made from this input.

Outputs whose names follow from their inputs get their inputs' time of last change, so that equal
times say where one came from. Where times differ (a copy lost them, the input was changed, it is
another input) the output is made again and compared: both are exact, so equal bytes are proof.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from intact.cli import streams
from intact.cli.errors import UsageError, complain

COARSE_NS = (100, 1000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000)
"""Steps in which file systems count time: NTFS, others, exFAT, ext3 and HFS+, FAT."""


def whole(target: str, is_sound: Callable[[bytes], bool], *, force: bool) -> bytes | None:
    """The content of an output that is there and whole.

    Args:
        target: the output.
        is_sound: whether a content is whole; raises `UsageError` where it is not ours to replace.
        force: replace it all the same.

    Returns:
        None where the output must be made: it is not there, it is empty, or damaged.

    Raises:
        UsageError: something else is in the way.
    """
    if streams.is_stream(target) or not os.path.lexists(target):
        return None
    if not os.path.isfile(target):
        raise UsageError(f"{target} is in the way and no file")
    data = Path(target).read_bytes()
    try:
        if data and is_sound(data):
            return data
    except UsageError as error:
        if not force:
            raise UsageError(f"{target} {error}; --force replaces") from error
    complain(f"{target} is {'not whole' if data else 'empty'}: made again")
    return None


def same_time(source: str, target: str) -> bool:
    """Whether an output has its input's time of last change, as far as its file system can tell."""
    with contextlib.suppress(OSError):
        wanted, found = os.stat(source).st_mtime_ns, os.stat(target).st_mtime_ns
        return found == wanted or any(
            found % step == 0 and abs(found - wanted) < step for step in COARSE_NS
        )
    return False


def is_same(target: str, old: bytes, new: bytes, modified_ns: int | None, *, force: bool) -> bool:
    """Whether making an output again gives what is there.

    Args:
        target: the output.
        old: its content.
        new: what it would be now.
        modified_ns: its input's time of last change, which it then gets: next time the times tell.
        force: where it is something else, it is replaced.

    Raises:
        UsageError: it is something else, and is not to be replaced.
    """
    if old != new:
        if not force:
            raise UsageError(f"{target} is not made from this as it is now; --force replaces")
        return False
    if modified_ns is not None:
        with contextlib.suppress(OSError):
            os.utime(target, ns=(modified_ns, modified_ns))
    return True


def is_sound_file(data: bytes) -> bool:
    """Whether a file of Intact passes the checksums of its bytes.

    Raises:
        UsageError: it is something else, or of a later version.
    """
    from intact.container.image_file import MAGIC, unpack_image
    from intact.errors import CorruptDataError, UnsupportedError

    if not data.startswith(MAGIC):
        raise UsageError("is in the way and no file of Intact")
    try:
        unpack_image(data, max_pixels=1 << 64)
    except CorruptDataError:
        return False
    except UnsupportedError as error:
        raise UsageError(f"is there: {error}") from error
    return True


def is_sound_image(data: bytes) -> bool:
    """Whether a decoded image can be read to its end. What cannot is not ours to replace.

    Raises:
        UsageError: it cannot.
    """
    import warnings

    import numpy as np

    from intact.images import open_listed, use_our_limits

    try:
        if data.startswith(b"\x93NUMPY"):
            np.load(io.BytesIO(data), allow_pickle=False)
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use_our_limits()
            with open_listed(io.BytesIO(data)) as image:
                image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"is in the way and cannot be read ({reason})") from error
    return True
