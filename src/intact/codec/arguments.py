"""What callers hand in, checked before anything is done with it.

An error names the argument, what it was, and what is legal: a `TypeError` for a value of another
kind, an `ArgumentError` (a `ValueError`) for one out of its range.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from intact.container.chunks import is_code_points
from intact.container.limits import MAX_METADATA_BYTES, MAX_THREADS
from intact.errors import ArgumentError, quoted

METADATA: Final = ("exif", "icc_profile", "xmp", "cicp")


def _wrong_kind(name: str, value: object, legal: str) -> TypeError:
    return TypeError(f"{name} is {quoted(value)}, must be {legal}")


def number(name: str, value: Any, low: float, high: float) -> float:
    """A real number in ``low..high``.

    Raises:
        TypeError: it is no number.
        ArgumentError: it is out of range, or not a number (NaN).
    """
    legal = f"a number in {low:g}..{high:g}" if high < math.inf else f"a number >= {low:g}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise _wrong_kind(name, value, legal)
    try:
        found = float(value)
    except OverflowError:  # of a long integer
        found = math.inf if int(value) > 0 else -math.inf  # pyright: ignore[reportArgumentType]
    if not low <= found <= high:
        raise ArgumentError(f"{name} is {quoted(value)}, must be {legal}")
    return found


def integer(name: str, value: Any, low: int, high: int) -> int:
    """An integer in ``low..high``, of Python or NumPy.

    Raises:
        TypeError: it is no integer.
        ArgumentError: it is out of range.
    """
    legal = f"an integer in {low}..{high}"
    if isinstance(value, bool | np.bool_):
        raise _wrong_kind(name, value, legal)
    try:
        found = operator.index(value)
    except TypeError:
        raise _wrong_kind(name, value, legal) from None
    if not low <= found <= high:
        raise ArgumentError(f"{name} is {quoted(value)}, must be {legal}")
    return found


def flag(name: str, value: Any) -> bool:
    """True or False: "no" is neither.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool | np.bool_):
        raise _wrong_kind(name, value, "True or False")
    return bool(value)


def threads(value: Any) -> int:
    """How many threads; 0 takes all cores."""
    return integer("threads", value, 0, MAX_THREADS)


def choice(name: str, value: Any, legal: tuple[str, ...]) -> str:
    """One of some words.

    Raises:
        TypeError: it is no text.
        ArgumentError: it is another word.
    """
    words = ", ".join(legal)
    if not isinstance(value, str):
        raise _wrong_kind(name, value, f"one of {words}")
    if value not in legal:
        raise ArgumentError(f"{name} is {quoted(value)}; legal: {words}")
    return value


def progress(value: Any) -> None:
    """Something to call, or None.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and not callable(value):
        raise _wrong_kind("progress", value, "a function of one text, or None")


def metadata(value: Any) -> dict[str, bytes]:
    """The pieces of metadata that are given: bytes by name; those that are None are left out.

    Raises:
        TypeError: no mapping, or a piece that is no bytes.
        ArgumentError: an unknown name, or a piece that no file can hold.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong_kind("metadata", value, f"a mapping with the keys {', '.join(METADATA)}")
    found = {}
    for key, piece in value.items():
        if key not in METADATA:
            raise ArgumentError(f"metadata has the key {quoted(key)}; legal: {', '.join(METADATA)}")
        if piece is None:
            continue
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise _wrong_kind(f"metadata[{key!r}]", piece, "bytes, or None")
        found[key] = bytes(piece)
        if len(found[key]) > MAX_METADATA_BYTES:
            raise ArgumentError(
                f"metadata[{key!r}] has {len(found[key])} bytes, at most {MAX_METADATA_BYTES}"
            )
        if key == "cicp" and found[key] and not is_code_points(found[key]):
            raise ArgumentError(
                f"metadata['cicp'] is {quoted(list(found[key]))}, must be four bytes: primaries, "
                "transfer, 0, and 0 or 1"
            )
    return found


def region(value: Any) -> tuple[int, int, int, int] | None:
    """(x, y, width, height) in pixels, or None; whether it lies in the image is another question.

    Raises:
        TypeError: it is not made of integers.
        ArgumentError: there are not four, or one is negative.
    """
    if value is None:
        return None
    legal = "four integers: x, y, width, height in pixels"
    try:
        parts = [operator.index(part) for part in value]
    except TypeError:
        raise _wrong_kind("region", value, legal) from None
    if len(parts) != 4 or min(parts) < 0:
        raise ArgumentError(f"region is {quoted(value)}, must be {legal}")
    x, y, width, height = parts
    return x, y, width, height


def content(value: Any) -> bytes:
    """A whole file as bytes.

    Raises:
        TypeError: it is the name of a file, or no bytes.
    """
    if isinstance(value, str | os.PathLike):
        raise TypeError(
            f"data is the name {quoted(os.fspath(value))}, must be the content of a file"
        )
    if isinstance(value, bytes):
        return value
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise _wrong_kind("data", value, "the content of a file, as bytes") from None


def image(value: Any) -> None:
    """Refuse what is no image, and what would lose something on the way to an array.

    Raises:
        TypeError: the name of an image, or something that is no array.
        ArgumentError: a masked array, or rows of different lengths.
    """
    if isinstance(value, str | os.PathLike):
        name = quoted(os.fspath(value))
        raise TypeError(f"image is the name {name}, must be an array or Pillow image")
    if hasattr(value, "getbands") and hasattr(value, "convert"):  # Pillow, which is not imported
        return
    if np.ma.is_masked(value):
        raise ArgumentError("image is a masked array, which would lose its mask: fill it first")
    legal = "uint8 [h, w] or [h, w, 1..4], or a Pillow image"
    try:
        kind = np.asarray(value).dtype.kind
    except ValueError:  # from NumPy: lists of different lengths
        raise ArgumentError(f"image is {quoted(value)}, must be {legal}") from None
    if kind not in "biufc":
        raise _wrong_kind("image", value, legal)
