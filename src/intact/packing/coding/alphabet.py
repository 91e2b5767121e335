"""Which symbols the tables cover, and the low bits that no table does.

Symbols of a wide range are split: the tables code ``symbol >> shift``, the ``shift`` low bits are
stored as they are, since they are all but uniform. What lies outside a table escapes. Both choices
are the encoder's; docs/spec/weights_coding.md says how they are stored.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.errors import CorruptDataError
from intact.packing.coding.limits import MAX_SHIFT, MAX_TABLE
from intact.packing.coding.shape import WHAT, Symbols

CHUNK: Final = 1 << 18
"""Symbols that pass through temporary arrays at a time."""
HISTOGRAM_BITS: Final = 20
"""A histogram of a wider span counts symbols without their lowest bits."""
RARE: Final = 2048
"""What fewer than one symbol in so many is, on either side, does not widen the tables."""
ESCAPE_COST: Final = 20
"""What an escape costs, in bits, to weigh it against a slot of every table."""
SLOT_COST: Final = 11357
"""Symbols for which one more slot of 16,384 costs a bit: 16384 ln 2."""


def histogram(symbols: Symbols, low: int, high: int) -> tuple[NDArray[np.int64], int]:
    """How often each ``symbol >> dropped`` occurs, from that of ``low`` on, and ``dropped``."""
    dropped = max(0, (high - low).bit_length() - HISTOGRAM_BITS)
    first = low >> dropped
    counts = np.zeros((high >> dropped) - first + 1, np.int64)
    for start in range(0, symbols.size, CHUNK):
        part = (symbols[start : start + CHUNK] >> dropped) - first
        counts += np.bincount(part, minlength=counts.size)
    return counts, dropped


def choose_shift(symbols: Symbols, low: int, high: int) -> int:
    """The fewest low bits to store as they are, so that a table covers nearly all of the rest."""
    counts, dropped = histogram(symbols, low, high)
    bulk = _bulk(counts, symbols.size // RARE)
    first, last = (low >> dropped) + bulk[0], (low >> dropped) + bulk[1]
    shift = 0
    while (
        shift < MAX_SHIFT and (last << dropped >> shift) - (first << dropped >> shift) >= MAX_TABLE
    ):
        shift += 1
    return shift


def choose_table(symbols: Symbols, low: int, high: int) -> tuple[int, NDArray[np.int64]]:
    """The smallest symbol of a table that is worth its slots, and the counts of those it covers.

    Args:
        symbols: without their low bits, all in ``low .. high``.
        low: their minimum.
        high: their maximum.
    """
    counts, dropped = histogram(symbols, low, high)
    first, last = _bulk(counts, symbols.size // RARE)
    if dropped or last - first >= MAX_TABLE:  # nothing that a table is good for: all escape
        middle = max(low, ((low >> dropped) + (first + last) // 2) << dropped)
        size = min(MAX_TABLE, high - middle + 1)
        near = symbols[(symbols >= middle) & (symbols < middle + size)]
        return middle, np.bincount(near - middle, minlength=size).astype(np.int64)
    slot = symbols.size // SLOT_COST
    begin, end = _paying(counts[:first][::-1], slot), _paying(counts[last + 1 :], slot)
    begin, end = first - begin, last + end
    while end - begin >= MAX_TABLE:
        end, begin = end - 1, begin + (end - begin > MAX_TABLE)
    return low + begin, counts[begin : end + 1]


def check_range(symbols: Symbols, low: int, high: int) -> None:
    """Check that at least one symbol is there, and none out of ``low .. high``.

    Raises:
        CorruptDataError: one is.
    """
    least, most = int(symbols.min()), int(symbols.max())
    if least < low or most > high:
        raise CorruptDataError(f"{WHAT}: symbols {least} .. {most}, must be in {low} .. {high}")


def _bulk(counts: NDArray[np.int64], rare: int) -> tuple[int, int]:
    """First and last place of a histogram without its rare ends."""
    sums = np.cumsum(counts)
    first = int(np.searchsorted(sums, rare, side="right"))
    last = int(np.searchsorted(sums, int(sums[-1]) - rare, side="left"))
    return min(first, last), max(first, last)


def _paying(counts: NDArray[np.int64], slot: int) -> int:
    """How far outwards a table should reach: a place costs ``slot`` bits, an escape ESCAPE_COST."""
    gains = np.cumsum(ESCAPE_COST * counts[:MAX_TABLE] - slot)
    if not gains.size or int(gains.max()) <= 0:
        return 0
    return int(np.argmax(gains)) + 1


def pack_low(symbols: Symbols, shift: int) -> bytes:
    """The ``shift`` low bits of each symbol, the lowest first, in bytes from their low end."""
    pieces: list[bytes] = []
    for start in range(0, symbols.size, CHUNK):  # CHUNK is a multiple of 8: no bits between
        part = symbols[start : start + CHUNK]
        bits = (part[:, None] >> np.arange(shift, dtype=np.int32)) & 1
        pieces.append(np.packbits(bits.astype(np.uint8), bitorder="little").tobytes())
    return b"".join(pieces)


def unpack_low(data: bytes, symbols: Symbols, shift: int) -> Symbols:
    """Symbols with their low bits; inverse of `pack_low`.

    Raises:
        CorruptDataError: there are more or fewer bits, or the last byte's rest is not zero.
    """
    need = -(-symbols.size * shift // 8)
    if len(data) != need:
        raise CorruptDataError(f"low bits: {len(data)} bytes, must be {need}")
    if symbols.size * shift % 8 and data[-1] >> symbols.size * shift % 8:
        raise CorruptDataError("low bits: the last byte has bits of no symbol")
    places = np.int32(1) << np.arange(shift, dtype=np.int32)
    raw = np.frombuffer(data, np.uint8)
    result = symbols << np.int32(shift)
    for start in range(0, symbols.size, CHUNK):
        count = min(CHUNK, symbols.size - start)
        piece = raw[start * shift // 8 : -(-(start + count) * shift // 8)]
        bits = np.unpackbits(piece, count=count * shift, bitorder="little").reshape(-1, shift)
        result[start : start + count] |= bits @ places
    return result
