"""Arrays of a model file by native code, each blob in one call; see `intact.container.arrays`.

It says yes or no. Where it says no, and where it was not built, Python unpacks or says what is
wrong. It proves itself on a blob that holds all there can be, and what it makes of a model is held
to the model's id, which hashes the content.
"""

from __future__ import annotations

import base64
import ctypes
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from intact import native
from intact.container.limits import MAX_TABLES

_BITS = {"int16": 16, "int32": 32}


def maybe_rans(
    blob: bytes, dtype: str, shape: tuple[int, ...]
) -> NDArray[np.int16] | NDArray[np.int32] | None:
    """The array of a method-3 blob, or None."""
    library, bits = _proven(), _BITS.get(dtype)
    if library is None or bits is None or math.prod(shape) == 0:
        return None
    return _rans(library, blob, dtype, shape)


def maybe_varints(
    digits: bytes, dtype: str, shape: tuple[int, ...]
) -> NDArray[np.int16] | NDArray[np.int32] | None:
    """The array of zigzag varints, or None."""
    library, bits = _proven(), _BITS.get(dtype)
    if library is None or bits is None:
        return None
    array = np.empty(shape, dtype)
    place = array.ctypes.data
    done = library.intact_unpack_varints(digits, len(digits), array.size, bits, place)
    return array if done else None


def _rans(
    library: ctypes.CDLL, blob: bytes, dtype: str, shape: tuple[int, ...]
) -> NDArray[np.int16] | NDArray[np.int32] | None:
    array = np.empty(shape, dtype)
    rows, tables = (shape[0], MAX_TABLES) if len(shape) > 1 else (1, 1)
    place = array.ctypes.data
    done = library.intact_unpack(blob, len(blob), rows, tables, array.size, _BITS[dtype], place)
    return array if done else None


def _proven() -> ctypes.CDLL | None:
    """The native library, if there is one and it unpacks the blob below."""
    library = native.library()
    return library if library is not None and _is_right(library) else None


@cache
def _is_right(library: ctypes.CDLL) -> bool:
    """Set the functions' types, and try them."""
    small, integer, pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
    library.intact_unpack.restype = library.intact_unpack_varints.restype = small
    library.intact_unpack.argtypes = [
        ctypes.c_char_p, integer, integer, small, integer, small, pointer,
    ]  # fmt: skip
    library.intact_unpack_varints.argtypes = [ctypes.c_char_p, integer, integer, small, pointer]
    found = _rans(library, PROBE, "int16", probe_array().shape)
    return found is not None and np.array_equal(found, probe_array())


def probe_array() -> NDArray[np.int16]:
    """What `PROBE` holds: rows of two scales, and a value that no table has."""
    at = np.arange(16 * 48).reshape(16, 48)
    noise = (at * 40503 % 65536 >> 8) - 128
    array = noise * np.where(np.arange(16) % 3 == 0, 1, 6)[:, None] // 32
    array[9, 7] = 3000
    return array.astype(np.int16)


PROBE = base64.b85decode(
    b"0tW~$FalA)8vvZ?J~D@@0RUA*0RV?gRIwJH3W8$f@}a5?g<5ydR<EkT8%FYn;TQ|uR%3p-Bs^Cvt?CsJZ%Ln%gAq"
    b"vWY<U%Yd_E(ys4x(;UrJUwgD~q?Q;j-VUb#heZYdQkcu=6<$gb}>({p?7BOQv%?Jm}qK9A%vkq)8(NZuGQOI|bvM"
    b"BsOcTeQLssT)a&vHcfQKgeZkitDnb8WBL&{(EF{3~n?c@ZOkHz`Un5z4D@ni$}8zSC>A$rV9??v6)z00B0yK&9Jl"
    b"G+a1Glq*=+awo4dCEju}F<M_0hy)WPsOVhC>PL;KeT}{Mfs8EnXH<sRH!yRkh(mXqac0AsgMNDmFYIo4#d3_=9gD"
    b"$I~lOViUH)CHI21~9Bs*I7x`D38}|5soUj_58ToyifDr);&a9Yx}KN9As4S3th{Aqh%bGW3{Lh3YM*J>xUlAYsUw"
    b"S49nwJ5(bwvhJsaZ#)*xe%7VViNG*O8Ck%S<Z{c$bD<kXdime>49qm!onc0~6&H^_taFpM_%LE4=1>eWwFljDzz3"
    b"-YPuMmt8%=}UYHbpq_UxR=!;UP)+CEUzpX3H^G-8|yYq_Dr&UW^GUc`lwLB}cMPbN91{m`T%3ubrp(`tR)X2i?"
)
"""`probe_array` as a blob of method 3, on four lanes; a test makes it again."""
