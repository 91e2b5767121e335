"""The types that tensors of safetensors files have, and what NumPy makes of them.

Nothing is computed in the narrow types: bfloat16 and float8 are raw integers under their dtype's
name. Codes are part of the format (docs/spec/weights.md): new ones are added at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from intact.errors import UnsupportedError, quoted
from intact.packing.coding import FloatKind

Array = NDArray[Any]

MAX_AXES: Final = 64
"""As NumPy has it. Format."""
MAX_BYTES: Final = 1 << 62
"""Of a tensor whose empty axes are counted as 1: beyond, no machine could address it. Format."""


@dataclass(frozen=True)
class Dtype:
    """A type of tensors.

    Attributes:
        name: in safetensors files.
        bits: of an element; of 4 and 6 several share a byte.
        raw: what its elements are to us: unsigned integers, or bytes where they share them.
        numpy: what NumPy calls the same type, or None.
        floats: what `intact.packing.coding` calls it, or None where it is no float.
    """

    name: str
    bits: int
    raw: str
    numpy: str | None
    floats: FloatKind | None = None

    @property
    def quantizable(self) -> bool:
        """Whether symbols may stand for it: a float of 16 bits or more."""
        return self.floats is not None and self.bits >= 16

    def num_bytes(self, shape: Sequence[int]) -> int:
        """Of a tensor; rounded up where elements share bytes."""
        return -(-math.prod(shape) * self.bits // 8)

    def num_items(self, shape: Sequence[int]) -> int:
        """Elements of the raw array of a tensor."""
        return self.num_bytes(shape) // np.dtype(self.raw).itemsize


DTYPES: Final = (
    Dtype("F32", 32, "<u4", "<f4", "float32"),
    Dtype("F16", 16, "<u2", "<f2", "float16"),
    Dtype("BF16", 16, "<u2", None, "bfloat16"),
    Dtype("F64", 64, "<u8", "<f8", "float64"),
    Dtype("F8_E4M3", 8, "|u1", None, "float8"),
    Dtype("F8_E5M2", 8, "|u1", None, "float8"),
    Dtype("F8_E8M0", 8, "|u1", None, "float8"),
    Dtype("F8_E4M3FNUZ", 8, "|u1", None, "float8"),
    Dtype("F8_E5M2FNUZ", 8, "|u1", None, "float8"),
    Dtype("BOOL", 8, "|u1", "|b1"),
    Dtype("U8", 8, "|u1", "|u1"),
    Dtype("I8", 8, "|u1", "|i1"),
    Dtype("U16", 16, "<u2", "<u2"),
    Dtype("I16", 16, "<u2", "<i2"),
    Dtype("U32", 32, "<u4", "<u4"),
    Dtype("I32", 32, "<u4", "<i4"),
    Dtype("U64", 64, "<u8", "<u8"),
    Dtype("I64", 64, "<u8", "<i8"),
    Dtype("C64", 64, "<u8", "<c8"),
    Dtype("F4", 4, "|u1", None),
    Dtype("F6_E2M3", 6, "|u1", None),
    Dtype("F6_E3M2", 6, "|u1", None),
)
"""The index is the code in a `.intactw` file."""

BY_NAME: Final = {dtype.name: dtype for dtype in DTYPES}
F32: Final = BY_NAME["F32"]


def by_name(name: str, where: str) -> Dtype:
    """The type that a file names.

    Raises:
        UnsupportedError: there is no such type here.
    """
    if name not in BY_NAME:
        raise UnsupportedError(
            f"{where}: dtype {quoted(name)} is not known here; known: {', '.join(BY_NAME)}"
        )
    return BY_NAME[name]


def of_array(array: Array) -> Dtype | None:
    """The type of a NumPy array, or None where no file has it (text, objects, long doubles)."""
    wanted = array.dtype.newbyteorder("<").str
    return next((dtype for dtype in DTYPES if dtype.numpy == wanted), None)


def to_raw(array: Array) -> Array:
    """The raw form [items] of an array of a type that NumPy has, in C order, little-endian."""
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    dtype = of_array(array)
    assert dtype is not None
    return flat.view(dtype.raw)


def from_raw(raw: Array, dtype: Dtype, shape: Sequence[int]) -> Array:
    """A tensor of its raw form [items]; of a type that NumPy has not, the raw integers.

    Where elements share bytes the result is those bytes, flat. Booleans are true where they are
    not 0.
    """
    if dtype.bits % 8:
        return raw
    shaped = raw.reshape(shape)
    if dtype.name == "BOOL":
        return shaped != 0
    return shaped if dtype.numpy is None else shaped.view(dtype.numpy)


def widen(raw: Array, dtype: Dtype) -> Array | None:
    """float32 of raw bfloat16 or float8, exactly; None for other types."""
    if dtype.name == "BF16":
        return (raw.astype("<u4") << 16).astype("<u4").view("<f4")  # shifts give native order
    table = _FLOAT8.get(dtype.name)
    return None if table is None else table[raw]


def widens(dtype: Dtype) -> bool:
    """Whether `widen` makes float32 of a type."""
    return dtype.name == "BF16" or dtype.name in _FLOAT8


def _float8(exponent_bits: int, bias: int, *, has_infinity: bool, has_zero_sign: bool) -> Array:
    """The 256 values of a type of 8 bits, as float32."""
    code = np.arange(256)
    mantissa_bits = 7 - exponent_bits
    exponent = code >> mantissa_bits & (1 << exponent_bits) - 1
    mantissa = code & (1 << mantissa_bits) - 1
    fraction = np.where(exponent > 0, mantissa + (1 << mantissa_bits), mantissa)
    value = np.ldexp(fraction.astype(np.float64), np.maximum(exponent, 1) - bias - mantissa_bits)
    value[code >= 128] *= -1
    largest = exponent == (1 << exponent_bits) - 1
    if not has_zero_sign:  # FNUZ: the only NaN is where -0 would be
        value[128] = np.nan
    elif has_infinity:
        value[largest] = np.where(mantissa == 0, np.copysign(np.inf, value), np.nan)[largest]
    else:
        value[largest & (mantissa == (1 << mantissa_bits) - 1)] = np.nan
    return value.astype("<f4")


_FLOAT8: Final = {
    "F8_E4M3": _float8(4, 7, has_infinity=False, has_zero_sign=True),
    "F8_E5M2": _float8(5, 15, has_infinity=True, has_zero_sign=True),
    "F8_E4M3FNUZ": _float8(4, 8, has_infinity=False, has_zero_sign=False),
    "F8_E5M2FNUZ": _float8(5, 16, has_infinity=False, has_zero_sign=False),
}
"""Micikevicius et al. 2022, arXiv:2209.05433; FNUZ: Noune et al. 2022, arXiv:2206.02915."""


def narrow(values: Array, dtype: Dtype) -> Array:
    """Raw elements of ``dtype`` of float32 values: to the nearest, ties to even (F64: exact).

    Args:
        values: float32, finite.
        dtype: one that is quantizable.
    """
    values = np.ascontiguousarray(values, "<f4")
    match dtype.name:
        case "F32":
            return values.view("<u4")
        case "F64":
            return values.astype("<f8").view("<u8")
        case "F16":
            with np.errstate(over="ignore"):
                return values.astype("<f2").view("<u2")
        case "BF16":
            bits = values.view("<u4").astype("<u8")
            return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
        case _:
            raise AssertionError(f"{dtype.name} is not quantizable")


def as_float32(raw: Array, dtype: Dtype) -> Array:
    """float32 of the raw elements of a quantizable type; F64 is rounded, to infinity if need be."""
    wide = widen(raw, dtype)
    if wide is not None:
        return wide
    assert dtype.numpy is not None
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.view(dtype.numpy).astype("<f4", copy=False)
