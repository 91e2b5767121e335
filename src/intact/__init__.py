"""Learned compression that arrives intact: the same file gives the same pixels on every machine."""

from __future__ import annotations

from intact.codec.image import Decoded as Decoded, decode as decode, encode as encode
from intact.codec.model import Model as Model
from intact.codec.store import load_model as load_model
from intact.errors import (
    CorruptDataError as CorruptDataError,
    IntactError as IntactError,
    ModelError as ModelError,
    UnsupportedError as UnsupportedError,
)

__version__ = "0.1.0"
