"""Round to nearest while a backend computes in floating point.

NumPy and torch follow the processor's rounding mode. It belongs to a thread, and some libraries
change it and do not put it back: probes that passed before say nothing then. The native kernels set
it themselves.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from intact.errors import NotExactError

_TINY = 2.0**-60
_TONEAREST = 0
"""FE_TONEAREST of fenv.h, on every processor that Python runs on."""


def is_nearest() -> bool:
    """Whether this thread rounds to nearest.

    Upward 1 + 2^-60 is more than 1; downward and toward zero 1 - 2^-60 is less.
    """
    return 1.0 + _TINY == 1.0 and 1.0 - _TINY == 1.0


@cache
def _library() -> ctypes.CDLL | None:
    """The C library with fegetround and fesetround, if there is one."""
    try:
        library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    except OSError:
        return None
    return library if hasattr(library, "fesetround") else None


@contextmanager
def nearest() -> Iterator[None]:
    """Compute with round to nearest, then put back what the thread had.

    Raises:
        NotExactError: another mode is set and cannot be changed.
    """
    if is_nearest():
        yield
        return
    library = _library()
    before = library.fegetround() if library is not None else _TONEAREST
    if library is not None:
        library.fesetround(_TONEAREST)
    try:
        if not is_nearest():
            raise NotExactError("this thread does not round to nearest and cannot be made to")
        yield
    finally:
        if library is not None:
            library.fesetround(before)
