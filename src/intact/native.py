"""Finds the native library, if one was built. Everything works without it, only slower."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from functools import cache

ABI = 2
"""INTACT_ABI of native/intact.h: a library with another number was built for another version."""

_LOG = logging.getLogger(__name__)


def library() -> ctypes.CDLL | None:
    """The compiled extension as a ctypes library (its calls release the GIL), or None.

    None when no compiler was there at installation, when it was built for another version of this
    package, or when the file cannot be loaded here (now: it is tried again).
    """
    path = _path()
    if path is None:
        return None
    try:
        return _loaded(path)
    except OSError:
        return None


@cache
def _path() -> str | None:
    spec = importlib.util.find_spec("intact._native")
    return None if spec is None else spec.origin


@cache
def _loaded(path: str) -> ctypes.CDLL | None:
    """The library, if it is of this version.

    Raises:
        OSError: it cannot be loaded; nothing is kept of that, since a shortage passes.
    """
    found = ctypes.CDLL(path)
    number = found.intact_abi() if hasattr(found, "intact_abi") else 0
    if number == ABI:
        return found
    _LOG.warning("%s was built for another version (%d, not %d): not used", path, number, ABI)
    return None
