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
    UnsupportedError as UnsupportedError,
)

if TYPE_CHECKING:
    from intact.codec.image import Decoded as Decoded, decode as decode, encode as encode
    from intact.codec.model import Model as Model
    from intact.codec.store import load_model as load_model

__version__ = "0.1.0"

__all__ = [
    "encode",
    "decode",
    "Decoded",
    "Model",
    "load_model",
    "IntactError",
    "CorruptDataError",
    "UnsupportedError",
    "InexactError",
    "ModelError",
    "ModelNotFoundError",
    "NotExactError",
    "ArgumentError",
]

# Loaded when first asked for (PEP 562): `intact --version` then needs no NumPy.
_HOMES = {
    "encode": "intact.codec.image",
    "decode": "intact.codec.image",
    "Decoded": "intact.codec.image",
    "Model": "intact.codec.model",
    "load_model": "intact.codec.store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'intact' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
