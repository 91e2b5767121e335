"""Which kinds of codec there are, by the format that a model file names."""

from __future__ import annotations

from typing import Any

from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.kind import Bottleneck
from intact.errors import ModelError

KINDS: dict[str, type[Bottleneck[Any]]] = {kind.FORMAT: kind for kind in (Checkerboard,)}


def kind_of(name: object) -> type[Bottleneck[Any]]:
    """The kind of a format of unknown origin.

    Raises:
        ModelError: this package does not know it.
    """
    # Any value may stand there, an array too: only a text is looked up.
    if not isinstance(name, str) or name not in KINDS:
        raise ModelError(f"model: format {name!r:.80}, this package reads {sorted(KINDS)}")
    return KINDS[name]
