"""Symbols of one array to bytes and back, by any method: the envelope that all methods share.

Normative, with docs/spec/weights_coding.md: the order of its fields, what is checked, and that a
segment is decoded on its own, so that threads share them and memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.errors import ArgumentError, quoted
from intact.packing.coding import alphabet, best, huffman, rows as row_coder, static
from intact.packing.coding.limits import (
    MAX_KERNEL,
    MAX_SEGMENT_SYMBOLS,
    MAX_SHIFT,
    MAX_SYMBOL,
    MAX_SYMBOLS,
    SEGMENT_SYMBOLS,
)
from intact.packing.coding.shape import WHAT, Backend, Coder, Levels, Shape

Method = Literal["static", "rows", "best", "huffman"]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
"""In the order of their numbers in a file."""
BY_ROWS: Final = ("rows", "best")
"""Methods whose contexts are rows and columns; for the others an array is one row of symbols."""
CODERS: Final[dict[Method, Coder]] = {
    "static": static,
    "rows": row_coder,
    "best": best,
    "huffman": huffman,
}
HAS_LOW, IS_SEGMENTED = 4, 8


@dataclass(frozen=True)
class Head:
    """The first bytes of coded weights."""

    method: Method
    low: int
    high: int
    shift: int
    kernel: int
    segment_units: int
    """Rows (or symbols) of a segment; 0: there is one segment, and its length is not stored."""


def encode(
    symbols: NDArray[np.integer],
    method: Method = "rows",
    *,
    kernel: int = 1,
    backend: Backend | None = None,
) -> bytes:
    """Encode the quantized weights of one tensor; inverse of `decode`.

    Args:
        symbols: integers [rows, columns], -2**30 .. 2**30. A row is one output of a layer.
        method: "static": one histogram; "rows": tables that follow the rows, the default; "best":
            smaller and some ten times slower; "huffman".
        kernel: positions of a kernel if they are the columns' fastest index (9 for a weight
            [out, in, 3, 3]), else 1; it divides the columns. For contexts only.
        backend: "native" or "python" (the same bytes); the fastest one available when None.

    Returns:
        The bytes; none for no symbols.

    Raises:
        ArgumentError: one of these is not so.
    """
    array = np.asarray(symbols)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise ArgumentError(f"symbols are {array.dtype}{list(array.shape)}, wanted integers [r, c]")
    if method not in METHODS:
        raise ArgumentError(f"method is {quoted(method)}, wanted one of {list(METHODS)}")
    rows, columns = array.shape
    if not 1 <= kernel <= MAX_KERNEL or columns % kernel:
        raise ArgumentError(f"kernel is {kernel}, wanted 1 .. {MAX_KERNEL}, dividing {columns}")
    if not array.size:
        return b""
    low, high = int(array.min()), int(array.max())
    if low < -MAX_SYMBOL or high > MAX_SYMBOL:
        raise ArgumentError(f"symbols are {low} .. {high}, wanted -2**30 .. 2**30")
    flat = np.ascontiguousarray(array, np.int32).reshape(-1)
    shift = alphabet.choose_shift(flat, low, high)
    unit = columns if method in BY_ROWS else 1
    units, per_segment = flat.size // unit, max(1, SEGMENT_SYMBOLS // unit)
    head = Head(method, low, high, shift, kernel, per_segment if units > per_segment else 0)
    pieces = [_pack_head(head)]
    if low == high:
        return pieces[0]
    coder = CODERS[method]
    for start, shape in _segments(head, rows, columns):
        part = flat[start : start + shape.size]
        body = coder.encode(part >> np.int32(shift) if shift else part, shape, backend)
        if shift:
            body = varint.encode(len(body)) + body + alphabet.pack_low(part, shift)
        pieces += [varint.encode(len(body)), body] if head.segment_units else [body]
    return b"".join(pieces)


def decode(
    data: bytes,
    rows: int,
    columns: int,
    *,
    levels: Levels | None = None,
    threads: int = 1,
    backend: Backend | None = None,
) -> NDArray[np.int32] | Levels:
    """Decode what `encode` wrote.

    Args:
        data: of which every byte is checked to be needed.
        rows: as encoded. A legal message may be tiny for any number of symbols: the caller limits.
        columns: as encoded.
        levels: what each symbol of `span` stands for, from the smallest on, as bit patterns; None
            for the symbols themselves.
        threads: segments (4 million symbols) to decode at once.
        backend: the fastest one available when None.

    Returns:
        int32[rows, columns], or of the levels' type.

    Raises:
        CorruptDataError: the bytes are not what an encoder wrote for this shape. A flipped bit may
            still decode to other symbols of the same range: checksums belong to the file.
        ArgumentError: levels of another type or number; a negative shape.
    """
    if rows < 0 or columns < 0 or rows * columns > MAX_SYMBOLS:
        raise ArgumentError(f"shape is [{rows}, {columns}], wanted 0 .. 2**40 symbols")
    cursor = Cursor(bytes(data), WHAT)
    size = rows * columns
    if not size:
        cursor.finish()
        return np.zeros((rows, columns), np.int32 if levels is None else levels.dtype)
    head = _parse_head(cursor)
    _check_levels(levels, head)
    if columns % head.kernel:
        raise cursor.corrupt(f"a kernel of {head.kernel} does not divide {columns} columns")
    result = np.empty(size, np.int32 if levels is None else levels.dtype)
    if head.low == head.high:
        cursor.finish()
        result[:] = head.low if levels is None else levels[0]
        return result.reshape(rows, columns)
    bodies = [
        (start, shape, _take_body(cursor, head))
        for start, shape in _segments(head, rows, columns, cursor)
    ]
    cursor.finish()

    def segment(place: tuple[int, Shape, bytes]) -> None:
        start, shape, body = place
        result[start : start + shape.size] = _decode_segment(head, shape, body, levels, backend)

    if threads > 1 and len(bodies) > 1:
        with ThreadPoolExecutor(min(threads, len(bodies))) as pool:
            list(pool.map(segment, bodies))
    else:
        for place in bodies:
            segment(place)
    return result.reshape(rows, columns)


def span(data: bytes) -> tuple[int, int]:
    """The smallest and the largest symbol that was encoded; (0, 0) for none.

    Raises:
        CorruptDataError: the first bytes are no encoder's.
    """
    if not data:
        return 0, 0
    head = _parse_head(Cursor(bytes(data[:40]), WHAT))
    return head.low, head.high


def _decode_segment(
    head: Head, shape: Shape, body: bytes, levels: Levels | None, backend: Backend | None
) -> NDArray[np.int32] | Levels:
    """Symbols (or what they stand for) of one segment, their range checked."""
    if head.method == "static" and levels is not None and not head.shift:
        wide = np.ascontiguousarray(levels, np.uint32)
        found = static.decode_levels(body, shape, wide, backend)
        return cast(Levels, found.astype(levels.dtype, copy=False))
    low_bits = b""
    if head.shift:
        cursor = Cursor(body, f"{WHAT}, segment")
        body = cursor.take(cursor.varint(0, len(body), "length without the low bits"), "symbols")
        low_bits = cursor.take(cursor.remaining, "low bits")
    symbols = CODERS[head.method].decode(body, shape, backend)
    alphabet.check_range(symbols, shape.low, shape.high)
    if head.shift:
        symbols = alphabet.unpack_low(low_bits, symbols, head.shift)
        alphabet.check_range(symbols, head.low, head.high)
    if levels is None:
        return symbols
    symbols -= np.int32(head.low)
    return cast(Levels, np.take(levels, symbols))


def _check_levels(levels: Levels | None, head: Head) -> None:
    if levels is None:
        return
    if levels.dtype not in (np.uint16, np.uint32) or levels.shape != (head.high - head.low + 1,):
        raise ArgumentError(
            f"levels are {levels.dtype}{list(levels.shape)}, wanted uint16 or uint32 "
            f"[{head.high - head.low + 1}], one for each of {head.low} .. {head.high}"
        )


def _segments(
    head: Head, rows: int, columns: int, cursor: Cursor | None = None
) -> Iterator[tuple[int, Shape]]:
    """First symbol and shape of each segment."""
    by_rows = head.method in BY_ROWS
    units, unit = (rows, columns) if by_rows else (rows * columns, 1)
    low, high = head.low >> head.shift, head.high >> head.shift
    per_segment = head.segment_units or units
    if cursor and head.segment_units >= units:
        raise cursor.corrupt(f"segments of {per_segment} for {units}: there is but one")
    if cursor and head.segment_units > 1 and head.segment_units * unit > MAX_SEGMENT_SYMBOLS:
        raise cursor.corrupt(f"segments of {per_segment * unit} symbols, at most 2**26")
    for first in range(0, units, per_segment):
        count = min(per_segment, units - first)
        shape = (count, columns) if by_rows else (1, count)
        yield first * unit, Shape(*shape, head.kernel if by_rows else 1, low, high)


def _take_body(cursor: Cursor, head: Head) -> bytes:
    if not head.segment_units:
        return cursor.take(cursor.remaining, "segment")
    return cursor.take(cursor.varint(0, cursor.remaining, "length of a segment"), "segment")


def _pack_head(head: Head) -> bytes:
    flags = METHODS.index(head.method)
    fields = [varint.zigzag(head.low), head.high - head.low]
    if head.shift:
        flags |= HAS_LOW
        fields.append(head.shift)
    if head.method in BY_ROWS:
        fields.append(head.kernel)
    if head.segment_units:
        flags |= IS_SEGMENTED
        fields.append(head.segment_units)
    return bytes([flags]) + b"".join(varint.encode(field) for field in fields)


def _parse_head(cursor: Cursor) -> Head:
    """Inverse of `_pack_head`.

    Raises:
        CorruptDataError: a field is cut off or out of its range.
    """
    flags = cursor.u8("method")
    if flags >= 16:
        raise cursor.corrupt(f"method {flags} is unknown")
    method = METHODS[flags & 3]
    low = varint.unzigzag(cursor.varint(0, 2 * MAX_SYMBOL, "smallest symbol"))
    high = low + cursor.varint(0, MAX_SYMBOL - low, "range of symbols")
    shift = cursor.varint(1, MAX_SHIFT, "low bits") if flags & HAS_LOW else 0
    kernel = cursor.varint(1, MAX_KERNEL, "kernel") if method in BY_ROWS else 1
    units = cursor.varint(1, MAX_SYMBOLS, "units of a segment") if flags & IS_SEGMENTED else 0
    return Head(method, low, high, shift, kernel, units)
