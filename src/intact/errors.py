"""The exceptions Intact raises on purpose.

Everything that can go wrong with *data* (a file, a model) is an `IntactError`, so one `except`
covers hostile input. Wrong arguments from the caller are plain `ValueError`s: they are bugs, and
swallowing them with the former would hide them.
"""

from __future__ import annotations


class IntactError(Exception):
    """Base class of every error about data that Intact was given."""


class CorruptDataError(IntactError):
    """The bytes are not something an Intact encoder wrote; the message names the place."""


class UnsupportedError(IntactError):
    """The data may be fine, but this version or this installation cannot handle it."""


class ModelError(IntactError):
    """A model (its tables, networks or description) breaks a rule of the specification."""


class DivergedError(IntactError):
    """Training has lost its way: a loss or a gradient is not finite. What was saved is sound."""


class NotExactError(IntactError):
    """Two backends of this machine come to different integers: one of them is wrong."""
