"""How a model file stores the data of one array: four methods, the smallest wins.

Methods 2 and 3 are for integers; of float32 the bits are stored (0) or deflated (1).

Method 3 is for weights: rANS with frequency tables that travel in the blob. Each row of the array
(index along its first axis) uses one of up to 16 tables, so that rows of different scale do not
share one. A table is stored as one code per symbol, a logarithm of its weight in quarter octaves;
codes are coded as differences with the fixed table `DELTA_BANK`. The encoder is free in how it
assigns rows and smooths tables; decoding is exact integers. docs/spec/container.md, "Blobs".
"""

from __future__ import annotations

import math
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits import fast, varint
from intact.container import unpack
from intact.container.cursor import Cursor
from intact.container.histograms import (
    DELTA_BANK,
    MAX_CODE,
    MAX_HISTOGRAM,
    build_bank,
    code_deltas,
    group_rows,
    row_bank,
)
from intact.container.limits import (
    MAX_PART_VALUES,
    MAX_RANS_EXPANSION,
    MAX_TABLE_SPAN,
    MAX_TABLES,
)
from intact.container.tree import DTYPES, IntArray, from_bytes, little_endian
from intact.errors import CorruptDataError, ModelError, UnsupportedError

CODEBOOK: Final = 4
"""A method that the page specifies and nobody writes yet."""
SYMBOL_LIMIT: Final = 1 << 29
"""Values of a method-3 array lie below this in magnitude."""


def _deflate(data: bytes) -> bytes:
    """Compress; inverse of `_inflate`."""
    return zlib.compress(data, 9)


def inflate(data: bytes, low: int, high: int, what: str) -> bytes:
    """Decompress a whole zlib stream of ``low .. high`` bytes, never making more than that.

    Raises:
        CorruptDataError: the stream is damaged, has a tail, or another size.
    """
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(data, high + 1)
    except zlib.error as error:
        raise CorruptDataError(f"{what}: {error}") from error
    if not stream.eof or stream.unused_data or not low <= len(result) <= high:
        raise CorruptDataError(f"{what} is not one zlib stream of {low} .. {high} bytes")
    return result


def _to_varints(array: IntArray) -> bytes:
    """Zigzag and LEB128, all values at once; inverse of `_from_varints`."""
    values = array.astype(np.int64).ravel()
    codes = (values.view(np.uint64) << np.uint64(1)) ^ (values >> 63).view(np.uint64)
    columns = [(codes >> np.uint64(7 * place)).astype(np.uint8) & 0x7F for place in range(10)]
    more = [codes >= np.uint64(1 << 7 * place) for place in range(1, 10)]
    used = np.stack([np.ones(codes.shape, np.bool_), *more], axis=-1)
    digits = np.stack(columns, axis=-1)
    digits[:, :-1] |= used[:, 1:].astype(np.uint8) << 7
    return digits[used].tobytes()


def _from_varints(data: bytes, count: int, what: str) -> NDArray[np.int64]:
    """Exactly ``count`` canonical varints; inverse of `_to_varints`."""
    digits = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(digits < 128)
    if last.size != count or (digits.size and digits[-1] >= 128):
        raise CorruptDataError(f"{what}: {last.size} varints, must be {count}")
    if count == 0:
        return np.zeros(0, np.int64)
    first = np.concatenate([np.zeros(1, np.intp), last[:-1] + 1])
    sizes = last - first + 1
    overflow = (sizes > 10) | ((sizes == 10) & (digits[last] > 1))
    if np.any(overflow | ((sizes > 1) & (digits[last] == 0))):
        raise CorruptDataError(f"{what}: a varint is padded or exceeds 64 bits")
    places = np.arange(digits.size) - np.repeat(first, sizes)
    shifted = (digits & 0x7F).astype(np.uint64) << (7 * places).astype(np.uint64)
    codes = np.add.reduceat(shifted, first)
    return (codes >> np.uint64(1)).view(np.int64) ^ -(codes & np.uint64(1)).view(np.int64)


def _maybe_pack_rans(array: IntArray) -> bytes | None:
    """Method 3, or None where it cannot apply; inverse of `_unpack_rans`."""
    if array.size == 0:
        return None
    low, high = int(array.min()), int(array.max())
    if high - low >= MAX_TABLE_SPAN or max(-low, high) >= SYMBOL_LIMIT:
        return None
    span = high - low + 1
    num_rows = array.shape[0] if array.ndim > 1 else 1
    if num_rows * span > MAX_HISTOGRAM:
        num_rows = 1
    flat = array.astype(np.int64).reshape(num_rows, -1)
    offsets = (flat - low + span * np.arange(num_rows)[:, None]).astype(np.intp)  # bincount's type
    histograms = np.bincount(offsets.ravel(), minlength=num_rows * span).reshape(num_rows, span)
    grouping = group_rows(histograms.astype(np.int64), low)
    num_tables = len(grouping.codes)
    head = varint.encode(num_tables)
    for minimum, table in zip(grouping.minimums, grouping.codes, strict=True):
        head += varint.encode(varint.zigzag(minimum)) + varint.encode(table.size)
    rows = grouping.rows.astype(np.int32)
    differences = code_deltas(grouping.codes)
    parts = [(differences, _zeros(differences.size), DELTA_BANK)]
    if num_tables > 1:
        parts.insert(0, (rows, _zeros(rows.size), row_bank(num_tables)))
    values = flat.ravel().astype(np.int32)
    for part in _parts(array.size):
        parts.append((values[part], _spread(rows, array.size, part), grouping.bank))
    blob = head + fast.encode(parts)
    return blob if array.size <= MAX_RANS_EXPANSION * len(blob) else None


def _unpack_rans(blob: bytes, dtype: str, shape: tuple[int, ...], what: str) -> IntArray:
    """Read a method-3 blob; inverse of `_maybe_pack_rans`."""
    count = math.prod(shape)
    if count > MAX_RANS_EXPANSION * len(blob):
        raise CorruptDataError(f"{what}: {len(blob)} bytes may not hold {count} values")
    if (whole := unpack.maybe_rans(blob, dtype, shape)) is not None:
        return whole
    cursor = Cursor(blob, what)
    num_tables = cursor.varint(1, MAX_TABLES if len(shape) > 1 else 1, "number of tables")
    limit = 2 * SYMBOL_LIMIT
    minimums: list[int] = []
    sizes: list[int] = []
    for _ in range(num_tables):
        minimums.append(varint.unzigzag(cursor.varint(0, limit, "smallest symbol")))
        sizes.append(cursor.varint(1, MAX_TABLE_SPAN, "symbols of a table"))
    decoder = fast.Decoder(cursor.take(cursor.remaining, "payload"))
    rows = np.zeros(1, np.int32)
    if num_tables > 1:
        rows = decoder.decode(_zeros(*shape[:1]), row_bank(num_tables))
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < num_tables:
            raise cursor.corrupt(f"a row uses a table outside 0 .. {num_tables - 1}")
    deltas = decoder.decode(_zeros(sum(sizes)), DELTA_BANK).astype(np.int64)
    codes = [np.cumsum(table) for table in np.split(deltas, np.cumsum(sizes)[:-1])]
    for table in codes:
        if int(table.min()) < 0 or not 0 < int(table.max()) <= MAX_CODE:
            raise cursor.corrupt(f"a table's codes are not all 0 .. {MAX_CODE}, or all are 0")
    bank = build_bank(minimums, codes)
    values = np.empty(count, dtype)
    for part in _parts(count):
        values[part] = _narrow(decoder.decode(_spread(rows, count, part), bank), dtype, what)
    decoder.finish()
    return values.reshape(shape)


def _parts(count: int) -> list[slice]:
    """Which values are coded together."""
    return [
        slice(start, min(start + MAX_PART_VALUES, count))
        for start in range(0, count, MAX_PART_VALUES)
    ]


def _narrow(values: IntArray, dtype: str, what: str) -> IntArray:
    """The same values in the array's own type.

    Raises:
        CorruptDataError: one does not fit.
    """
    limits = np.iinfo(dtype)
    if values.size and not limits.min <= int(values.min()) <= int(values.max()) <= limits.max:
        raise CorruptDataError(f"{what}: a value is outside {limits.min} .. {limits.max}")
    return values.astype(dtype)


def _zeros(count: int) -> NDArray[np.uint8]:
    """Table indexes of a part that uses one table."""
    return np.zeros(count, np.uint8)


def _spread(rows: NDArray[np.int32], count: int, part: slice) -> NDArray[np.uint8]:
    """The table index of the values in ``part`` of ``count``, given that of each row."""
    columns = count // rows.size
    return rows[np.arange(part.start, part.stop) // columns].astype(np.uint8)


def pack_array(array: IntArray) -> tuple[int, bytes]:
    """The method and the blob of an array's data; inverse of `unpack_array`.

    The smallest blob wins, the lower method on a tie.

    Args:
        array: of one of the types in `intact.container.tree.DTYPES`.
    """
    raw = little_endian(array)
    whole = array.dtype.kind in "iu"
    blobs = [raw, _deflate(raw), None, _maybe_pack_rans(array) if whole else None]
    if whole and array.size <= MAX_PART_VALUES:
        blobs[2] = _deflate(_to_varints(array))
    return min(
        ((method, blob) for method, blob in enumerate(blobs) if blob is not None),
        key=lambda choice: (len(choice[1]), choice[0]),
    )


def unpack_array(method: int, blob: bytes, dtype: str, shape: tuple[int, ...]) -> IntArray:
    """Read an array's data; inverse of `pack_array`.

    Args:
        method: 0 .. 3.
        blob: exactly the bytes of the data.
        dtype: one of `intact.container.tree.DTYPES`.
        shape: sizes along the axes; the caller has checked the size in bytes.

    Raises:
        CorruptDataError: the blob does not hold exactly such an array.
        UnsupportedError: the method is specified, but not in this version.
    """
    count = math.prod(shape)
    size = count * np.dtype(dtype).itemsize
    what = f"blob of a {dtype} array of shape {shape}"
    if method == CODEBOOK:
        raise UnsupportedError(
            "this model file has a codebook (packing method 4), which this version of Intact "
            "cannot decode"
        )
    if method > 1 and dtype == DTYPES[-1]:
        raise CorruptDataError(f"{what}: method is {method}, must be 0 or 1")
    match method:
        case 0:
            if len(blob) != size:
                raise CorruptDataError(f"{what}: {len(blob)} bytes, must be {size}")
            array = from_bytes(blob, dtype, shape)
        case 1:
            array = from_bytes(inflate(blob, size, size, what), dtype, shape)
        case 2:
            if count > MAX_PART_VALUES:
                raise CorruptDataError(f"{what}: varints hold at most {MAX_PART_VALUES} values")
            digits = inflate(blob, count, 10 * count, what)
            array = unpack.maybe_varints(digits, dtype, shape)
            if array is None:
                array = _narrow(_from_varints(digits, count, what), dtype, what).reshape(shape)
        case 3:
            try:
                array = _unpack_rans(blob, dtype, shape, what)
            except ModelError as error:  # a table that its codes cannot make
                raise CorruptDataError(f"{what}: {error}") from error
        case _:
            raise CorruptDataError(f"{what}: method is {method}, must be 0 .. 3")
    array.flags.writeable = False
    return array
