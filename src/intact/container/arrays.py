"""How a model file stores the data of one integer array: four methods, the smallest wins.

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
from intact.bits.tables import COST_BITS, TableBank, apportion
from intact.container.cursor import Cursor
from intact.container.limits import MAX_EXPANSION, MAX_TABLE_SPAN, MAX_TABLES
from intact.container.tree import IntArray, from_bytes, little_endian
from intact.errors import CorruptDataError, ModelError

RAW, DEFLATE, VARINT_DEFLATE, RANS = range(4)
METHODS: Final = ("raw", "deflate", "varints, deflate", "rans")

MAX_CODE: Final = 111
"""Largest table code: weight 26 * 2**27, so 4096 of them stay below 2**44."""
MANTISSAS: Final = (16, 19, 22, 26)
"""16 * 2**(i/4), rounded down (up for 19): quarter octaves cost 0.002 bits per symbol."""
SYMBOL_LIMIT: Final = 1 << 29
"""Values of a method-3 array lie below this in magnitude."""

DELTA_BANK: Final = TableBank.build(
    [-16], [apportion([1 + (1 << 20 - abs(delta) * 3 // 4) // 16 for delta in range(-16, 17)] + [1])]
)
"""Differences of neighboring table codes: falls by about 2**(-3/4) a step; further ones escape."""


def code_weight(code: int) -> int:
    """The weight that a table code stands for, 0 .. 26 * 2**27: ``16 * 2**((code - 1) / 4)``."""
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
    first = np.concatenate([np.zeros(1, np.int64), last[:-1] + 1])
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
    num_rows = array.shape[0] if array.ndim > 1 else 1
    flat = array.astype(np.int64).reshape(num_rows, -1)
    span = high - low + 1
    if num_rows * span > 1 << 24:  # the histograms' memory
        num_rows, flat = 1, flat.reshape(1, -1)
    offsets = flat - low + span * np.arange(num_rows)[:, None]
    histograms = np.bincount(offsets.ravel(), minlength=num_rows * span).reshape(num_rows, span)
    grouping = _group_rows(histograms.astype(np.int64), low)
    num_tables = len(grouping.codes)
    head = varint.encode(num_rows) + varint.encode(num_tables)
    for minimum, table in zip(grouping.minimums, grouping.codes, strict=True):
        head += varint.encode(varint.zigzag(minimum)) + varint.encode(table.size)
    deltas = _deltas(grouping.codes)
    rows = grouping.rows.astype(np.int32)
    return head + fast.encode(
        [
            (rows[: num_rows * (num_tables > 1)], _zeros(rows.size)[: num_rows * (num_tables > 1)],
             _row_bank(num_tables)),
            (deltas, _zeros(deltas.size), DELTA_BANK),
            (flat.ravel().astype(np.int32), np.repeat(rows, flat.shape[1]).astype(np.uint8),
             grouping.bank),
        ]
    )
