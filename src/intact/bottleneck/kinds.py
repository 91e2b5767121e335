"""Kinds of codec by the format that a model file names; each is loaded when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intact.errors import ModelError

if TYPE_CHECKING:
    from intact.bottleneck.kind import Bottleneck

KINDS = {
    "image codec 1": ("checkerboard", "Checkerboard"),
    "image codec 2": ("channelwise", "Channelwise"),
    "hyperprior": ("hyperprior", "Hyperprior"),
    "vector": ("vector", "Vector"),
}
"""By format, the module beside this one and the class."""


def kind_of(name: object) -> type[Bottleneck[Any]]:
    """The kind of a format of unknown origin.

    Raises:
        ModelError: there is no such kind.
    """
    # Any value may stand there, an array too: only a text is looked up.
    if not isinstance(name, str) or name not in KINDS:
        raise ModelError(f"model: format {name!r:.80}, this package reads {sorted(KINDS)}")
    module, kind = KINDS[name]
    return getattr(importlib.import_module(f"intact.bottleneck.{module}"), kind)
