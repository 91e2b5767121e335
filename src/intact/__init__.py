"""Learned compression that arrives intact: the same file gives the same pixels on every machine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intact.errors import (
    ArgumentError as ArgumentError,
    CorruptDataError as CorruptDataError,
    InexactError as InexactError,
    IntactError as IntactError,
    ModelError as ModelError,
    ModelNotFoundError as ModelNotFoundError,
    NotExactError as NotExactError,
    UnreachableError as UnreachableError,
    UnsupportedError as UnsupportedError,
)

if TYPE_CHECKING:
    from intact import measure as measure
    from intact.api import decode as decode, encode as encode, peek as peek
    from intact.codec.image import Decoded as Decoded
    from intact.codec.model import Model as Model
    from intact.codec.store import load_model as load_model
    from intact.container.header import ImageHeader as ImageHeader

__version__ = "0.1.0"

__all__ = [
    "encode",
    "decode",
    "peek",
    "measure",
    "Decoded",
    "ImageHeader",
    "Model",
    "load_model",
    "IntactError",
    "CorruptDataError",
    "UnsupportedError",
    "InexactError",
    "ModelError",
    "ModelNotFoundError",
    "NotExactError",
    "UnreachableError",
    "ArgumentError",
]

# Loaded when first asked for (PEP 562): `intact --version` then needs no NumPy.
_HOMES = {
    "encode": "intact.api",
    "decode": "intact.api",
    "peek": "intact.api",
    "Decoded": "intact.codec.image",
    "Model": "intact.codec.model",
    "load_model": "intact.codec.store",
    "ImageHeader": "intact.container.header",
}


def __getattr__(name: str) -> Any:
    if name == "measure":
        return importlib.import_module("intact.measure")
    if name not in _HOMES:
        raise AttributeError(f"module 'intact' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
