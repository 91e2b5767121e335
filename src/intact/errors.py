"""The exceptions Intact raises on purpose.

Everything that can go wrong with *data* (a file, a model) is an `IntactError`, so one `except`
covers hostile input. Wrong arguments from the caller are `ArgumentError`s, which are `ValueError`s,
or `TypeError`s: they are bugs, and swallowing them with the former would hide them.

Messages quote what others wrote. However long that is, a message has at most `LONGEST` characters.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 1000
"""Characters of a message; of a longer one the middle is left out."""


def cut(text: str, limit: int = LONGEST) -> str:
    """A text of at most ``limit`` characters; the middle of a longer one is left out.

    Example:
        >>> cut("abcdefghijklmnopqrstuvwxyz", 16)
        'abcde ... uvwxyz'
    """
    if len(text) <= limit:
        return text
    head = (limit - 5) // 2
    return f"{text[:head]} ... {text[len(text) - (limit - 5 - head) :]}"


def quoted(value: object, limit: int = 60) -> str:
    """``repr`` of what others gave, in one line and cut, for use in messages.

    Example:
        >>> quoted("high"), quoted([1, 2.5])
        ("'high'", '[1, 2.5]')
    """
    whole = len(value) if isinstance(value, str | bytes | bytearray) else 0
    if isinstance(value, str | bytes | bytearray) and whole > limit:
        return f"{value[:limit]!r}... ({whole} in all)"
    try:
        text = repr(value)
    except Exception:  # whatever its class does; of an integer of 5000 digits Python's own
        text = f"<{type(value).__name__}>"
    return cut(" ".join(text.split()), limit + 40)


class ArgumentError(ValueError):
    """An argument is out of its range; the message names it, its value and what is legal."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(cut(a) if isinstance(a, str) else a for a in arguments))


class IntactError(Exception):
    """Base class of every error about data that Intact was given."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(cut(a) if isinstance(a, str) else a for a in arguments))


class CorruptDataError(IntactError):
    """The bytes are not something an Intact encoder wrote; the message names the place."""


class UnsupportedError(IntactError):
    """The data may be fine, but this version or this installation cannot handle it."""


class InexactError(UnsupportedError):
    """The model computes in float, so its files are not exact, and nobody has allowed that."""


class ModelError(IntactError):
    """A model (its tables, networks or description) breaks a rule of the specification."""


class DivergedError(IntactError):
    """Training has lost its way: a loss or a gradient is not finite. What was saved is sound."""


class UnreachableError(IntactError):
    """No quality of a model meets the target that was asked for."""


class ModelNotFoundError(ModelError):
    """A model is not here.

    Attributes:
        model_id: the 16 bytes that a file names; None where a name or a path was asked for.
    """

    def __init__(self, message: str = "", model_id: bytes | None = None) -> None:
        super().__init__(message)
        self.model_id = model_id


class NotExactError(IntactError):
    """Two backends of this machine come to different integers: one of them is wrong."""
