"""Which kinds of codec there are, by the format that a model file names."""

from __future__ import annotations

from typing import Any

from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.fourstep import FourStep
from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.kind import Bottleneck
from intact.errors import ModelError, UnsupportedError

RESERVED = ("vector",)
"""Formats that the pages name and this version may not have."""
KINDS: dict[str, type[Bottleneck[Any]]] = {
    kind.FORMAT: kind for kind in (Checkerboard, FourStep, Hyperprior)
}


def kind_of(name: object) -> type[Bottleneck[Any]]:
    """The kind of a format of unknown origin.

    Raises:
        ModelError: there is no such kind.
        UnsupportedError: there is, but not in this version.
    """
    # Any value may stand there, an array too: only a text is looked up.
    if isinstance(name, str) and name in RESERVED and name not in KINDS:
        raise UnsupportedError(
            f"this model is of kind {name!r}, which this version of Intact cannot decode"
        )
    if not isinstance(name, str) or name not in KINDS:
        raise ModelError(f"model: format {name!r:.80}, this package reads {sorted(KINDS)}")
    return KINDS[name]
