"""Reads a canonical Huffman code: the decoder of the method "huffman".

Normative, with docs/spec/weights_coding.md; native/weights.c has the loop over symbols, too.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits import varint
from intact.errors import CorruptDataError
from intact.packing.coding import kernels
from intact.packing.coding.shape import WHAT, Shape, Symbols

MAX_LENGTH: Final = 24
"""Bits of a code word."""
ESCAPE_BITS: Final = 32
"""Behind the escape's code word: the symbol less the smallest."""


@dataclass(frozen=True)
class Code:
    """A canonical code to decode with; 24-bit windows stand for the bits that come next.

    Attributes:
        limits: for each length the first window that is of a longer code word, int64[25].
        firsts: for each length the rank of its first code word, int64[25].
        values: the symbol of each rank, int32.
        escape: the rank of the escape, -1 if there is none.
    """

    limits: NDArray[np.int64]
    firsts: NDArray[np.int64]
    values: NDArray[np.int32]
    escape: int

    @classmethod
    def of(cls, minimum: int, lengths: NDArray[np.int64]) -> Code:
        """The code of symbols ``minimum ..`` and the escape, which is the last.

        Raises:
            CorruptDataError: the lengths are not those of a complete code, or of a lone symbol.
        """
        counts = np.bincount(lengths, minlength=MAX_LENGTH + 1)
        unused, counts[0] = int(counts[0]), 0
        limits = np.cumsum(counts << (MAX_LENGTH - np.arange(MAX_LENGTH + 1)))
        is_alone = int(counts.sum()) == 1 == int(counts[1])
        if int(limits[-1]) != 1 << MAX_LENGTH and not is_alone:
            raise CorruptDataError(f"{WHAT}, huffman: lengths of no complete code")
        order = np.lexsort((np.arange(lengths.size), lengths))[unused:]
        escape = np.flatnonzero(order == lengths.size - 1)
        values = (minimum + order).astype(np.int32)
        return cls(
            limits, np.cumsum(counts) - counts, values, int(escape[0]) if escape.size else -1
        )


class BitReader:
    """Bits of a payload, the highest of each byte first."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.position = 0
        self._padded = payload + bytes(8)

    def take(self, count: int) -> int:
        """The next bits, at most 32, as a number.

        Raises:
            CorruptDataError: fewer remain.
        """
        first = self.position >> 3
        window = int.from_bytes(self._padded[first : first + 5], "big")
        self.position += count
        if self.position > 8 * len(self.payload):
            raise CorruptDataError(f"{WHAT}, huffman: the bits end early")
        return window >> (40 - count - (self.position - count) % 8) & ((1 << count) - 1)

    def lengths(self, count: int) -> NDArray[np.int64]:
        """Lengths of code words: differences in order, zigzag + 1, as Elias gamma codes.

        Raises:
            CorruptDataError: a length is out of range, or the bits end.
        """
        lengths = np.zeros(count, np.int64)
        length = 0
        for at in range(count):
            zeros = 0
            while not self.take(1):
                zeros += 1
                if zeros > 6:
                    raise CorruptDataError(f"{WHAT}, huffman: a length changes by too much")
            length += varint.unzigzag((1 << zeros | self.take(zeros)) - 1)
            if not 0 <= length <= MAX_LENGTH:
                raise CorruptDataError(f"{WHAT}, huffman: a code word of {length} bits")
            lengths[at] = length
        return lengths

    def symbols(self, code: Code, shape: Shape) -> Symbols:
        """As many symbols as the shape has.

        Raises:
            CorruptDataError: the bits end, or an escape is out of range.
        """
        limits, firsts = code.limits.tolist(), code.firsts.tolist()
        values = code.values.tolist()
        found: list[int] = []
        for _ in range(shape.size):
            at = self.position
            window = int.from_bytes(self._padded[at >> 3 : (at >> 3) + 4], "big")
            window = window >> (8 - at % 8) & 0xFFFFFF
            length = bisect_right(limits, window)
            if length > MAX_LENGTH:
                raise CorruptDataError(f"{WHAT}, huffman: no code word begins like this")
            rank = firsts[length] + ((window - limits[length - 1]) >> (MAX_LENGTH - length))
            self.take(length)
            symbol = shape.low + self.take(ESCAPE_BITS) if rank == code.escape else values[rank]
            if symbol > shape.high:
                raise CorruptDataError(f"{WHAT}, huffman: symbol {symbol} is above {shape.high}")
            found.append(symbol)
        return np.array(found, np.int32)

    def symbols_native(self, native: ctypes.CDLL, code: Code, shape: Shape) -> Symbols:
        """`symbols` in C."""
        symbols = np.empty(shape.size, np.int32)
        cursor = np.array([self.position, 0], np.int64)
        place = np.array([code.escape, shape.low, shape.high], np.int64)
        error = native.intact_weights_huffman(
            self.payload, len(self.payload), cursor.ctypes.data, code.limits.ctypes.data,
            code.firsts.ctypes.data, code.values.ctypes.data, place.ctypes.data, shape.size,
            symbols.ctypes.data,
        )  # fmt: skip
        kernels.check(error, cursor, f"{WHAT}, huffman")
        self.position = int(cursor[0])
        return symbols

    def finish(self) -> None:
        """Check that only zeros follow, within the byte.

        Raises:
            CorruptDataError: something else does.
        """
        rest = 8 * len(self.payload) - self.position
        if rest >= 8 or (rest and self.take(rest)):
            raise CorruptDataError(f"{WHAT}, huffman: bits follow the last symbol")
