"""Finds the native library, if one was built. Everything works without it, only slower."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache


@cache
def library() -> ctypes.CDLL | None:
    """The compiled extension as a ctypes library (its calls release the GIL), or None.

    None when no compiler was there at installation, or when the file cannot be loaded here.
    """
    spec = importlib.util.find_spec("intact._native")
    if spec is None or spec.origin is None:
        return None
    try:
        return ctypes.CDLL(spec.origin)
    except OSError:
        return None
