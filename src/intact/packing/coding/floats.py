"""Floating-point values without loss: exponents coded, what is all but random stored as it is.

Normative, with docs/spec/weights_coding.md. The bits of a value are rotated left by one, so that
its sign comes last and its top byte is the exponent, or begins with it. The bytes of a place, of a
block of values, are a *plane*: raw, all equal, or coded with a histogram of their own. All of it is
integers; what they stand for is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.errors import ArgumentError, quoted
from intact.packing.coding import static
from intact.packing.coding.alphabet import check_range
from intact.packing.coding.limits import MAX_SYMBOLS
from intact.packing.coding.shape import Backend, Shape

FloatKind = Literal["float64", "float32", "bfloat16", "float16", "float8"]
Raw = NDArray[np.uint8 | np.uint16 | np.uint32 | np.uint64]

Task = tuple[int, int, list[tuple[int, bytes]]]
"""First value, number of values, and mode and body of each plane."""

FLOAT_KINDS: Final[tuple[FloatKind, ...]] = get_args(FloatKind)
BYTES: Final = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "float8": 1}
BLOCK: Final = 1 << 20
"""Values of a block. Format."""
RAW, EQUAL, CODED = 0, 1, 2
WORTHWHILE: Final = 64
"""A plane is tried to be coded if its histogram promises to save one byte in so many."""
SMALL: Final = 1 << 10
"""Values below which trying is cheaper than asking."""
WHAT: Final = "coded floats"


def encode_floats(raw: Raw, kind: FloatKind, *, backend: Backend | None = None) -> bytes:
    """Encode floats bit by bit; inverse of `decode_floats`.

    Args:
        raw: their bits, unsigned integers of their size, of any shape (row by row).
        kind: "float64", "float32", "bfloat16", "float16", "float8" (of any layout).
        backend: "native" or "python" (the same bytes); the fastest one available when None.

    Returns:
        The bytes; none for no values.

    Raises:
        ArgumentError: an unknown kind, or integers of another size.
    """
    width = _width(kind)
    values = np.asarray(raw)
    if values.dtype.kind != "u" or values.dtype.itemsize != width:
        raise ArgumentError(f"raw is {values.dtype}, wanted uint{8 * width} for {kind}")
    flat = values.reshape(-1)
    pieces: list[bytes] = []
    for start in range(0, flat.size, BLOCK):
        block = _rotated(flat[start : start + BLOCK], kind, 1)
        for place in range(width - 1, -1, -1):
            plane = (block >> np.array(8 * place, block.dtype)).astype(np.uint8)
            pieces.append(_encode_plane(plane, backend))
    return b"".join(pieces)


def decode_floats(
    data: bytes, kind: FloatKind, count: int, *, threads: int = 1, backend: Backend | None = None
) -> Raw:
    """Decode what `encode_floats` wrote.

    Args:
        data: of which every byte is checked to be needed.
        kind: as encoded.
        count: of values. A short message may be legal for any number: the caller limits.
        threads: blocks (a million values) to decode at once.
        backend: the fastest one available when None.

    Returns:
        The bits, unsigned integers [count].

    Raises:
        CorruptDataError: the bytes are not what an encoder wrote for so many. Checksums belong to
            the file.
        ArgumentError: an unknown kind, a negative count.
    """
    width = _width(kind)
    if not 0 <= count <= MAX_SYMBOLS:
        raise ArgumentError(f"count is {count}, wanted 0 .. 2**40")
    cursor = Cursor(bytes(data), WHAT)
    tasks: list[Task] = []
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        tasks.append((start, size, [_take_plane(cursor, size) for _ in range(width)]))
    cursor.finish()
    result = np.empty(count, f"u{width}")

    def block(task: Task) -> None:
        start, size, planes = task
        values = np.zeros(size, result.dtype)
        for mode, body in planes:
            if width > 1:
                values <<= np.array(8, values.dtype)
            values |= _decode_plane(mode, body, size, backend)
        result[start : start + size] = _rotated(values, kind, 8 * width - 1)

    _run(block, tasks, threads)
    return result


def _run(function: Callable[[Task], None], tasks: list[Task], threads: int) -> None:
    """Call the function for each task; the first error is raised."""
    if threads > 1 and len(tasks) > 1:
        with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
            for _ in pool.map(function, tasks):
                pass
    else:
        for task in tasks:
            function(task)


def _width(kind: FloatKind) -> int:
    if kind not in FLOAT_KINDS:
        raise ArgumentError(f"kind is {quoted(kind)}, wanted one of {list(FLOAT_KINDS)}")
    return BYTES[kind]


def _rotated(values: Raw, kind: FloatKind, left: int) -> Raw:
    """Their bits rotated to the left; float8 stays as it is: one byte has it all."""
    if kind == "float8":
        return values
    bits = 8 * values.dtype.itemsize
    up, down = np.array(left, values.dtype), np.array(bits - left, values.dtype)
    return values << up | values >> down


def _encode_plane(plane: NDArray[np.uint8], backend: Backend | None) -> bytes:
    """One byte for the mode, and the smallest body of the three (roughly)."""
    low, high = int(plane.min()), int(plane.max())
    if low == high:
        return bytes([EQUAL, low])
    counts = np.bincount(plane, minlength=256)
    if plane.size < SMALL or _saves(counts, plane.size):
        shape = Shape(1, plane.size, 1, 0, 255)
        body = static.encode(plane.astype(np.int32), shape, backend)
        coded = varint.encode(len(body)) + body
        if len(coded) < plane.size:
            return bytes([CODED]) + coded
    return bytes([RAW]) + plane.tobytes()


def _saves(counts: NDArray[np.int64], size: int) -> bool:
    """Whether coding is worth a try: by the sum of squares, which 256 equal counts make smallest.

    -log2 of it is never above the entropy in bits, and close to it where that is near 8.
    """
    squares = int((counts.astype(np.int64) ** 2).sum())  # size**2 // 256 for equal counts
    return squares * 256 * WORTHWHILE > size * size * (WORTHWHILE + 4)


def _take_plane(cursor: Cursor, size: int) -> tuple[int, bytes]:
    """Mode and body of the next plane.

    Raises:
        CorruptDataError: it is cut short, or the mode is unknown.
    """
    mode = cursor.u8("mode of a plane")
    if mode == RAW:
        return mode, cursor.take(size, "plane")
    if mode == EQUAL:
        return mode, cursor.take(1, "byte of a plane")
    if mode == CODED:
        return mode, cursor.take(cursor.varint(0, cursor.remaining, "length of a plane"), "plane")
    raise cursor.corrupt(f"mode {mode} of a plane is unknown")


def _decode_plane(mode: int, body: bytes, size: int, backend: Backend | None) -> Raw:
    if mode != CODED:
        return np.frombuffer(body, np.uint8)
    symbols = static.decode(body, Shape(1, size, 1, 0, 255), backend)
    check_range(symbols, 0, 255)
    return symbols.astype(np.uint8)
