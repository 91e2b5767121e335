"""Range-ANS over integer tables, readable. This file is normative: docs/spec/bits.md explains it.

A stack coder: `encode` walks the message backwards, so that `Decoder` reads the payload strictly
forwards. That is also why every truncation is noticed. States live in [2**16, 2**32) and shed 16
bits at a time, so every product stays below 2**32: exact in uint32 and on JavaScript numbers.
Duda 2013, arXiv:1311.2540; interleaved lanes after Giesen 2014, arXiv:1402.3392.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from intact.bits import varint
from intact.bits.tables import COST_BITS, TOTAL, TOTAL_BITS, TableBank
from intact.errors import CorruptDataError

if TYPE_CHECKING:
    from jaxtyping import Int, Int32, Int64, UInt16

    Part = tuple[Int32[np.ndarray, " n"], Int[np.ndarray, " n"], TableBank]
    """Symbols, the table index of each, and the bank these index."""

LOWER = 1 << 16
"""Least state of a lane, and its first state in the encoder."""
WORD_BITS = 16
MAX_LANES_LOG2 = 10
ESCAPE_BITS = 34
"""An escape's number is below 2**34: more bits cannot name a 32-bit symbol."""


def encode(parts: Sequence[Part], lanes: int | None = None) -> bytes:
    """Encode the parts of one message; inverse of `Decoder`.

    Args:
        parts: in the order in which they will be decoded. Symbols are any 32-bit integers.
        lanes: number of interleaved states, a power of two up to 1024; chosen by `choose_lanes`
            when None.

    Returns:
        The payload; ``b""`` for a message without symbols.

    Raises:
        ValueError: an index is not in its bank, arrays differ in length or kind, or ``lanes`` is
            illegal.

    Example:
        >>> bank = TableBank.build([0], [[8192, 8191, 1]])
        >>> encode([(np.array([0, 1, 1]), np.zeros(3, int), bank)]).hex()
        '0019c00800'
    """
    message = [check_part(*part) for part in parts]
    if not any(symbols.size for symbols, _, _ in message):
        return b""
    lanes = check_lanes(lanes) if lanes is not None else choose_lanes(message)
    states = [LOWER] * lanes
    backwards = bytearray()
    for symbols, indexes, bank in reversed(message):
        entries = bank.entries_of(symbols, indexes).tolist()
        for position in reversed(range(symbols.size)):
            entry, lane = entries[position], position % lanes
            freq, cum, x = int(bank.freqs[entry]), int(bank.cums[entry]), states[lane]
            if bank.is_escape[entry]:
                code = escape_code(int(symbols[position]), int(bank.values[entry]), bank, entry)
                backwards += varint.encode(code)[::-1]
            if x >= freq << (32 - TOTAL_BITS):
                backwards += (x % LOWER).to_bytes(2, "big")
                x >>= WORD_BITS
            states[lane] = (x // freq << TOTAL_BITS) + x % freq + cum
    return frame_header(states) + bytes(reversed(backwards))


class Decoder:
    """Decodes one payload part by part; inverse of `encode`.

    The table indexes of a part may depend on the symbols of earlier ones. `finish` must be called
    at the end: only then is it certain that nothing was left over.
    """

    def __init__(self, payload: bytes) -> None:
        """Read the header.

        Raises:
            CorruptDataError: the header is cut short, or its lane count or a state is illegal.
        """
        self._payload = payload
        self._states, self._position = parse_header(payload)
        self._num_symbols = 0

    def decode(self, indexes: Int[np.ndarray, " n"], bank: TableBank) -> Int32[np.ndarray, " n"]:
        """Decode the next part.

        Args:
            indexes: the table of each symbol.
            bank: the tables.

        Returns:
            One symbol per index.

        Raises:
            CorruptDataError: the payload ends early, or holds an impossible escape. A flipped bit
                may still decode to wrong symbols: checksums belong to the container.
            ValueError: an index is not in the bank.
        """
        tables = check_indexes(indexes, bank)
        symbols = np.zeros(tables.size, np.int32)
        states, lanes = self._states, len(self._states)
        if tables.size and not lanes:
            raise CorruptDataError("payload is empty, but symbols were expected")
        for position, table in enumerate(tables.tolist()):
            lane = position % lanes
            slot = states[lane] % TOTAL
            entry = int(bank.slot_entries[table * TOTAL + slot])
            freq, cum = int(bank.freqs[entry]), int(bank.cums[entry])
            x = freq * (states[lane] >> TOTAL_BITS) + slot - cum
            if x < LOWER:
                x = x << WORD_BITS | self._word(self._num_symbols + position)
            states[lane] = x
            if bank.is_escape[entry]:
                code, self._position = varint.decode(self._payload, self._position, ESCAPE_BITS)
                symbols[position] = escaped_symbol(code, int(bank.values[entry]), bank, entry)
            else:
                symbols[position] = bank.values[entry]
        self._num_symbols += tables.size
        return symbols

    def finish(self) -> None:
        """Check that the message ends exactly here.

        Raises:
            CorruptDataError: bytes are left over, or a lane is not back in its first state.
        """
        check_end(self._payload, self._states, self._position, self._num_symbols)

    def _word(self, symbol: int) -> int:
        """Read the next word; ``symbol`` is only for the error message."""
        if self._position + 2 > len(self._payload):
            raise CorruptDataError(f"payload ends at byte {self._position}, in symbol {symbol}")
        self._position += 2
        return int.from_bytes(self._payload[self._position - 2 : self._position], "little")


def escape_code(symbol: int, above: int, bank: TableBank, entry: int) -> int:
    """Number a symbol outside the table; inverse of `escaped_symbol`.

    Args:
        symbol: outside the table.
        above: the first symbol above the table.
        bank: the tables.
        entry: the escape's entry.

    Returns:
        ``2 d`` for the symbol ``above + d``, ``2 d + 1`` for ``minimum - 1 - d``.
    """
    if symbol >= above:
        return 2 * (symbol - above)
    return 2 * (_minimum(bank, entry) - 1 - symbol) + 1


def escaped_symbol(code: int, above: int, bank: TableBank, entry: int) -> int:
    """The symbol that `escape_code` numbered ``code``.

    Raises:
        CorruptDataError: the symbol does not fit 32 bits.
    """
    distance = code >> 1
    symbol = above + distance if code % 2 == 0 else _minimum(bank, entry) - 1 - distance
    if not -(1 << 31) <= symbol < 1 << 31:
        raise CorruptDataError(f"escaped symbol {symbol} does not fit 32 bits")
    return symbol


def _minimum(bank: TableBank, entry: int) -> int:
    """The smallest symbol of the table that ``entry`` belongs to."""
    table = int(np.searchsorted(bank.starts, entry, side="right")) - 1
    return int(bank.minimums[table])


def frame_header(states: Sequence[int]) -> bytes:
    """Lane count and states; inverse of `parse_header`."""
    log2 = len(states).bit_length() - 1
    return bytes([log2]) + np.array(states, "<u4").tobytes()


def parse_header(payload: bytes) -> tuple[list[int], int]:
    """The states and the position behind them; inverse of `frame_header`.

    Raises:
        CorruptDataError: too short, more than 1024 lanes, or a state below 2**16.
    """
    if not payload:
        return [], 0
    if payload[0] > MAX_LANES_LOG2:
        raise CorruptDataError(f"payload claims 2**{payload[0]} lanes, at most 2**10 are legal")
    end = 1 + 4 * (1 << payload[0])
    if len(payload) < end:
        raise CorruptDataError(f"payload has {len(payload)} bytes, its header alone needs {end}")
    states = np.frombuffer(payload, "<u4", 1 << payload[0], 1).tolist()
    if min(states) < LOWER:
        raise CorruptDataError(f"first state {min(states)} is below {LOWER}")
    return states, end


def check_end(payload: bytes, states: Sequence[int], position: int, num_symbols: int) -> None:
    """Raise `CorruptDataError` unless a message of ``num_symbols`` symbols may end here."""
    if position != len(payload):
        raise CorruptDataError(f"{len(payload) - position} bytes left over at byte {position}")
    for lane, state in enumerate(states):
        if state != LOWER:
            raise CorruptDataError(f"lane {lane} ends in state {state}, not in {LOWER}")
    if payload and num_symbols == 0:
        raise CorruptDataError("payload without symbols is not empty")


def check_indexes(indexes: Int[np.ndarray, " n"], bank: TableBank) -> UInt16[np.ndarray, " n"]:
    """The indexes as uint16, contiguous.

    Raises:
        ValueError: not a vector of integers below ``bank.num_tables``.
    """
    indexes = np.asarray(indexes)
    if indexes.ndim != 1 or indexes.dtype.kind not in "iu":
        raise ValueError(f"indexes: {indexes.dtype}{list(indexes.shape)}, wanted integers [n]")
    below = indexes.size and indexes.dtype.kind == "i" and int(indexes.min()) < 0
    if below or (indexes.size and int(indexes.max()) >= bank.num_tables):
        raise ValueError(f"indexes reach outside a bank of {bank.num_tables} tables")
    return np.ascontiguousarray(indexes, np.uint16)


def check_part(
    symbols: Int[np.ndarray, " n"], indexes: Int[np.ndarray, " n"], bank: TableBank
) -> tuple[Int32[np.ndarray, " n"], UInt16[np.ndarray, " n"], TableBank]:
    """A part with its arrays contiguous, symbols int32 and indexes uint16.

    Raises:
        ValueError: wrong dimensions, kinds, lengths or ranges.
    """
    symbols, tables = np.asarray(symbols), check_indexes(indexes, bank)
    if symbols.dtype.kind not in "iu" or symbols.shape != tables.shape:
        raise ValueError(
            f"symbols: {symbols.dtype}{list(symbols.shape)}, wanted integers {list(tables.shape)}"
        )
    fits = symbols.dtype == np.int32 or symbols.size == 0
    if not fits and (int(symbols.min()) < -(1 << 31) or int(symbols.max()) >= 1 << 31):
        raise ValueError("symbols do not fit 32 bits")
    return np.ascontiguousarray(symbols, np.int32), tables, bank


def check_lanes(lanes: int) -> int:
    """The lane count itself.

    Raises:
        ValueError: not a power of two, 1 .. 1024.
    """
    if lanes not in {1 << log2 for log2 in range(MAX_LANES_LOG2 + 1)}:
        raise ValueError(f"lanes is {lanes}, wanted a power of two, 1 .. 1024")
    return lanes


def ideal_bytes(message: Sequence[Part], entries: Sequence[Int64[np.ndarray, " n"]]) -> int:
    """Length of the message without any overhead but its escapes' (one byte each), in bytes."""
    costs = (
        int(bank.encode_costs[rows].sum(dtype=np.int64))
        for (_, _, bank), rows in zip(message, entries, strict=True)
    )
    return sum(costs) >> (COST_BITS + 3)


def choose_lanes(message: Sequence[Part]) -> int:
    """The number of lanes that keeps the overhead within 0.1 % + 24 bytes.

    A lane costs at most 4 bytes, 3 on average. More lanes let more of a processor work at once.
    This is a choice of the encoder, not of the format, but a deterministic one.
    """
    return lanes_for(ideal_bytes(message, [bank.entries_of(s, i) for s, i, bank in message]))


def lanes_for(num_bytes: int) -> int:
    """The largest power of two within a sixteen-hundredth of the length and a little more."""
    budget = num_bytes // 1600 + min(16, num_bytes // 32)
    lanes = 1
    while lanes < 1 << MAX_LANES_LOG2 and 8 * lanes <= budget:
        lanes *= 2
    return lanes
