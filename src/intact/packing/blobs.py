"""Values to the bytes of a blob and back: raw, deflated, or by `intact.packing.coding`.

docs/spec/weights.md, "Blobs", is normative. All in integers: what values stand for is
`intact.packing.values`.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.container.arrays import inflate
from intact.errors import CorruptDataError
from intact.packing import coding
from intact.packing.coding.limits import MAX_KERNEL, MAX_SYMBOL
from intact.packing.dtypes import Array, Dtype
from intact.packing.index import SYMBOL_TYPES, SYMBOLS, Blob, Method
from intact.packing.limits import MAX_EXPANSION, MIN_VALUES

DEFLATE_LEVEL: Final = 6
SMALL_RAW: Final = 1 << 13
"""Values for which methods that are slow for many are tried, too."""
FEW: Final = 1 << 16
"""Symbols up to which contexts may cost more than they save."""
MAX_SPAN: Final = 1 << 12
"""Of integers that are coded as symbols."""
Coded = tuple[Method, Dtype, bytes]


def code_symbols(symbols: NDArray[np.int32], method: coding.Method, kernel: int) -> Coded:
    """The smallest blob of symbols that stand for values.

    Args:
        symbols: [rows, columns]; at least one.
        method: of `intact.packing.coding`.
        kernel: positions of a kernel in a row.
    """
    low, high = int(symbols.min()), int(symbols.max())
    fits = (low >= -(1 << bits - 1) and high < 1 << bits - 1 for bits in (8, 16, 32))
    dtype = next(dtype for dtype, fit in zip(SYMBOL_TYPES, fits, strict=True) if fit)
    if kernel > MAX_KERNEL or symbols.shape[1] % kernel:
        kernel = 1
    coded = coding.encode(symbols, method, kernel=kernel)
    if method in ("rows", "best") and symbols.size <= FEW:  # one table may be all that pays
        coded = min(coded, coding.encode(symbols, "static"), key=len)
    return _smallest(np.ascontiguousarray(symbols, signed(dtype)), dtype, (Method.SYMBOLS, coded))


def code_values(raw: Array, dtype: Dtype, rows: int, method: coding.Method) -> Coded:
    """The smallest blob of values as they are.

    Args:
        raw: their raw form [n], at least one.
        dtype: their type.
        rows: of which n is a multiple.
        method: of `intact.packing.coding`, for integers.
    """
    if dtype.floats is not None:
        native = np.ascontiguousarray(raw, raw.dtype.newbyteorder("="))
        coded = coding.encode_floats(native, dtype.floats)
        return _smallest(raw, dtype, (Method.FLOATS, coded))
    if dtype.name in SYMBOLS:
        whole = raw.view(signed(dtype))
        low, high = int(whole.min()), int(whole.max())
        if high - low < MAX_SPAN and max(-low, high) <= MAX_SYMBOL:
            symbols = whole.astype(np.int32).reshape(rows, -1)
            return _smallest(raw, dtype, (Method.SYMBOLS, coding.encode(symbols, method)))
    return _smallest(raw, dtype, (Method.PLANES, zlib.compress(_planes(raw), DEFLATE_LEVEL)))


def _planes(raw: Array) -> bytes:
    """The first bytes of all elements, then the second ones, and so on: exponents come together."""
    columns = np.ascontiguousarray(raw).view(np.uint8).reshape(len(raw), -1)
    return columns.T.tobytes()


def _from_planes(data: bytes, raw: str) -> Array:
    """Elements [n] of type ``raw``; inverse of `_planes`."""
    planes = np.frombuffer(data, np.uint8).reshape(np.dtype(raw).itemsize, -1)
    return np.ascontiguousarray(planes.T).view(raw).reshape(-1)


def signed(dtype: Dtype) -> str:
    """What NumPy calls an integer type."""
    assert dtype.numpy is not None
    return dtype.numpy


def _smallest(values: Array, dtype: Dtype, coded: tuple[Method, bytes] | None) -> Coded:
    """Of what was coded, the values themselves, and their deflate, where that is worth a try."""
    raw = values.tobytes()
    choices = [(Method.RAW, raw)]
    if coded is not None:
        choices.append(coded)
    is_legal = coded is not None and values.size <= MIN_VALUES + MAX_EXPANSION * len(coded[1])
    if not is_legal or values.size <= SMALL_RAW:
        if not is_legal and coded is not None:
            choices.remove(coded)
        choices.append((Method.DEFLATE, zlib.compress(raw, DEFLATE_LEVEL)))
    method, data = min(choices, key=lambda choice: (len(choice[1]), choice[0]))
    return method, dtype, data


def decode_blob(blob: Blob, data: bytes, what: str) -> Array:
    """The values [rows x columns] of a blob, in the raw form of its type.

    Raises:
        CorruptDataError: it holds something else, or is damaged.
    """
    _check(blob, data, what)
    size = blob.count * np.dtype(blob.dtype.raw).itemsize
    match blob.method:
        case Method.SYMBOLS:
            return _as_type(symbols_of(blob, data, what), blob.dtype, what)
        case Method.FLOATS:
            assert blob.dtype.floats is not None
            found = coding.decode_floats(data, blob.dtype.floats, blob.count)
            return found.astype(blob.dtype.raw, copy=False)
        case Method.PLANES:
            return _from_planes(inflate(data, size, size, what), blob.dtype.raw)
        case Method.DEFLATE:
            data = inflate(data, size, size, what)
        case Method.RAW:
            if len(data) != size:
                raise CorruptDataError(f"{what}: {len(data)} bytes, must be {size}")
    return np.frombuffer(data, blob.dtype.raw)


def decode_levels(
    blob: Blob, data: bytes, levels: Array, low: int, part: slice, what: str
) -> Array:
    """What some symbols of a blob stand for; those around them may be another tensor's.

    Args:
        blob: whose values are symbols.
        data: its bytes.
        levels: bit patterns, uint16 or uint32 in native order, of symbols ``low`` and up.
        low: see there.
        part: which symbols.
        what: for messages.

    Raises:
        CorruptDataError: it holds something else, is damaged, or has a symbol without a level.
    """
    if blob.method is Method.SYMBOLS:
        _check(blob, data, what)
        first, last = coding.span(data)
        if low <= first <= last < low + len(levels):
            levels = levels[first - low : last - low + 1]
            return coding.decode(data, blob.rows, blob.columns, levels=levels).reshape(-1)[part]
    symbols = symbols_of(blob, data, what)[part]
    if int(symbols.min()) < low or int(symbols.max()) >= low + len(levels):
        raise CorruptDataError(f"{what}: a symbol is outside {low} .. {low + len(levels) - 1}")
    return levels[symbols - low]


def symbols_of(blob: Blob, data: bytes, what: str) -> NDArray[np.int32]:
    """The symbols of a blob, [rows x columns].

    Raises:
        CorruptDataError: it holds something else, or is damaged.
    """
    if blob.method is Method.SYMBOLS:
        _check(blob, data, what)
        symbols = coding.decode(data, blob.rows, blob.columns).reshape(-1)
        return symbols.astype(np.int32, copy=False)
    return decode_blob(blob, data, what).view(signed(blob.dtype)).astype(np.int32)


def span_of(blob: Blob, data: bytes, what: str) -> tuple[int, int]:
    """The smallest and the largest symbol that a blob may have.

    Raises:
        CorruptDataError: it is damaged.
    """
    if blob.method is Method.SYMBOLS:
        _check(blob, data, what)
        return coding.span(data)
    symbols = symbols_of(blob, data, what)
    return int(symbols.min()), int(symbols.max())


def _check(blob: Blob, data: bytes, what: str) -> None:
    """Compare the checksum of a blob."""
    if (found := zlib.crc32(data)) != blob.crc:
        raise CorruptDataError(
            f"{what}: damaged: its CRC-32 is {found:08x}, the file says {blob.crc:08x}"
        )


def _as_type(symbols: NDArray[np.int32], dtype: Dtype, what: str) -> Array:
    """Symbols as raw elements of an integer type.

    Raises:
        CorruptDataError: one does not fit.
    """
    limits = np.iinfo(signed(dtype))
    if int(symbols.min()) < limits.min or int(symbols.max()) > limits.max:
        raise CorruptDataError(f"{what}: a value is no {dtype.name}")
    return symbols.astype(signed(dtype)).view(dtype.raw)
