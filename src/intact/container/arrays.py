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
from intact.bits.apportion import apportion
from intact.bits.tables import COST_BITS, TableBank
from intact.container import unpack
from intact.container.cursor import Cursor
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
MAX_CODE: Final = 111
"""Largest table code: its weight is 23 * 2**27."""
MANTISSAS: Final = (16, 19, 23, 27)
"""16 * 2**(i/4), rounded: steps of a quarter octave cost 0.002 bits per symbol."""
SYMBOL_LIMIT: Final = 1 << 29
"""Values of a method-3 array lie below this in magnitude."""
MAX_HISTOGRAM: Final = 1 << 22
"""Entries of the encoder's histograms; beyond, all rows share a table."""
DELTA_WEIGHTS: Final = [1 << (16 - abs(delta) * 3 // 4) for delta in range(-16, 17)] + [16]
"""The fixed table of table codes' differences: -16 .. 16 and the escape, falling by 2**(3/4)."""
DELTA_BANK: Final = TableBank.build([-16], [apportion(DELTA_WEIGHTS)])


def code_weight(code: int) -> int:
    """The weight that a table code stands for, 0 .. 23 * 2**27: ``16 * 2**((code - 1) / 4)``."""
    if code == 0:
        return 0
    octave, quarter = divmod(code - 1, 4)
    return MANTISSAS[quarter] << octave


WEIGHTS: Final = np.array([code_weight(code) for code in range(MAX_CODE + 1)], np.int64)


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


def _table_codes(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest code of each count, relative to 16: codes of counts 0, 1, 2 are 0, 1, 5."""
    middles = (WEIGHTS[1:-1] + WEIGHTS[2:]) // 2  # arithmetic, close to the geometric one
    return np.where(histogram > 0, 1 + np.searchsorted(middles, histogram * 16, "right"), 0)


def _build_bank(minimums: list[int], codes: list[NDArray[np.int64]]) -> TableBank:
    """The tables that stored minimums and codes stand for; the escape's weight is 0."""
    freqs = [apportion([*WEIGHTS[table].tolist(), 0]) for table in codes]
    return TableBank.build(minimums, freqs)


def _row_bank(num_tables: int) -> TableBank:
    """The fixed table of the rows' table numbers: equal shares, escape next to nothing."""
    return TableBank.build([0], [apportion([1] * num_tables + [0])])


def _deltas(codes: list[NDArray[np.int64]]) -> NDArray[np.int32]:
    """Differences from the code before, the first from 0, in each table."""
    return np.concatenate([np.diff(table, prepend=0) for table in codes]).astype(np.int32)


class _Grouping:
    """One way to give tables to rows, with the tables and the estimated cost."""

    def __init__(self, histograms: NDArray[np.int64], low: int, rows: NDArray[np.int64]) -> None:
        used, self.rows = np.unique(rows, return_inverse=True)
        self.minimums: list[int] = []
        self.codes: list[NDArray[np.int64]] = []
        sums = [histograms[self.rows == group].sum(axis=0) for group in range(used.size)]
        for total in sums:
            present = np.flatnonzero(total)
            first, behind = int(present[0]), int(present[-1]) + 1
            self.minimums.append(low + first)
            self.codes.append(_table_codes(total[first:behind]))
        self.bank = _build_bank(self.minimums, self.codes)
        # Costs of every symbol of the span under every table, in 2**-20 bit; 30 bits for a symbol
        # outside a table keeps the reassignment of rows away from escapes.
        self.costs = np.full((used.size, histograms.shape[1]), 30 << COST_BITS, np.int64)
        for group, table in enumerate(self.codes):
            start = int(self.bank.starts[group])
            first = self.minimums[group] - low
            self.costs[group, first : first + table.size] = self.bank.costs[
                start : start + table.size
            ]
        values = sum(int(total @ cost) for total, cost in zip(sums, self.costs, strict=True))
        away = np.minimum(np.abs(_deltas(self.codes)), 17)
        tables = int(DELTA_BANK.costs[16 + away].sum()) + (24 * used.size << COST_BITS)
        assignment = self.rows.size * (used.size - 1).bit_length() << COST_BITS
        self.cost = values + tables + assignment


def _group_rows(histograms: NDArray[np.int64], low: int) -> _Grouping:
    """Search for a good assignment: rows sorted by spread, cut evenly, then improved twice."""
    num_rows, span = histograms.shape
    best = _Grouping(histograms, low, np.zeros(num_rows, np.int64))
    center = int((histograms.sum(axis=0) @ np.arange(span)) // max(int(histograms.sum()), 1))
    spread = histograms @ np.abs(np.arange(span) - center)
    rank = np.empty(num_rows, np.int64)
    rank[np.argsort(spread, kind="stable")] = np.arange(num_rows)
    num_tables = 2
    while num_tables <= min(MAX_TABLES, num_rows):
        grouping = _Grouping(histograms, low, rank * num_tables // num_rows)
        for _ in range(2):
            nearest = np.argmin(histograms @ grouping.costs.T, axis=1)
            grouping = _Grouping(histograms, low, nearest)
        if grouping.cost < best.cost:
            best = grouping
        num_tables *= 2
    return best


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
    grouping = _group_rows(histograms.astype(np.int64), low)
    num_tables = len(grouping.codes)
    head = varint.encode(num_tables)
    for minimum, table in zip(grouping.minimums, grouping.codes, strict=True):
        head += varint.encode(varint.zigzag(minimum)) + varint.encode(table.size)
    rows = grouping.rows.astype(np.int32)
    deltas = _deltas(grouping.codes)
    parts = [(deltas, _zeros(deltas.size), DELTA_BANK)]
    if num_tables > 1:
        parts.insert(0, (rows, _zeros(rows.size), _row_bank(num_tables)))
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
        rows = decoder.decode(_zeros(*shape[:1]), _row_bank(num_tables))
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < num_tables:
            raise cursor.corrupt(f"a row uses a table outside 0 .. {num_tables - 1}")
    deltas = decoder.decode(_zeros(sum(sizes)), DELTA_BANK).astype(np.int64)
    codes = [np.cumsum(table) for table in np.split(deltas, np.cumsum(sizes)[:-1])]
    for table in codes:
        if int(table.min()) < 0 or not 0 < int(table.max()) <= MAX_CODE:
            raise cursor.corrupt(f"a table's codes are not all 0 .. {MAX_CODE}, or all are 0")
    bank = _build_bank(minimums, codes)
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
