"""Native code for coded weights (native/weights.c), where it is built.

What it decodes wrong, the checksums of a file would notice.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from intact import native
from intact.bits import fast
from intact.bits.tables import TOTAL, TOTAL_BITS, TableBank
from intact.errors import ArgumentError, CorruptDataError
from intact.packing.coding.shape import Backend

ERRORS = {1: "the message ends", 2: "a symbol is impossible"}


PROBED = "intact_weights_rows"


def functions(backend: Backend | None) -> ctypes.CDLL | None:
    """The native functions, or None for Python.

    Raises:
        ArgumentError: an unknown backend, or one that is not available.
    """
    if backend not in (None, "native", "python"):
        raise ArgumentError(f"backend is {backend!r}, wanted 'native', 'python' or None")
    library = native.library()
    usable = library is not None and fast.is_native() and hasattr(library, PROBED)
    if backend == "native" and not fast.is_native():
        raise ArgumentError("the native backend is not available here")
    return _typed(library) if library is not None and usable and backend != "python" else None


def check(error: int, cursor: np.ndarray, what: str) -> None:
    """Raise what a function's result stands for.

    Raises:
        CorruptDataError: it stands for an error in the data.
    """
    if error in ERRORS:
        position, done = cursor.tolist()
        raise CorruptDataError(f"{what}: {ERRORS[error]} at byte {position}, in symbol {done}")
    assert error == 0, f"native code returned {error}"


def slots(bank: TableBank, values: np.ndarray) -> np.ndarray:
    """For each slot of a bank's only table what `intact_weights_static` looks up, uint64[16384].

    Args:
        bank: one table.
        values: uint32, what each of its symbols stands for.
    """
    entries = bank.slot_entries.astype(np.intp)
    offsets = np.arange(TOTAL, dtype=np.int64) - bank.cums[entries]
    packed = bank.freqs[entries].astype(np.int64) | offsets << TOTAL_BITS
    value = np.append(values, values[:1])[entries].astype(np.int64)
    escapes = bank.is_escape[entries].astype(np.int64)
    return (packed | value << 2 * TOTAL_BITS | escapes << 60).astype(np.uint64)


@cache
def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the argument types of these functions set."""
    pointer, integer, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    library.intact_weights_static.restype = small
    library.intact_weights_static.argtypes = [
        ctypes.c_char_p, integer, pointer, pointer, small, integer, pointer, pointer, pointer,
        pointer,
    ]  # fmt: skip
    library.intact_weights_huffman.restype = small
    library.intact_weights_huffman.argtypes = [
        ctypes.c_char_p, integer, pointer, pointer, pointer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    library.intact_weights_best.restype = small
    library.intact_weights_best.argtypes = [pointer, pointer, small, *[pointer] * 9]
    library.intact_weights_rows.restype = small
    library.intact_weights_rows.argtypes = [
        ctypes.c_char_p, integer, pointer, pointer, small, *[pointer] * 11,
    ]  # fmt: skip
    return library
