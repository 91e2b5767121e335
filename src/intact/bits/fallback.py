"""The entropy coder without C: the same bytes as `intact.bits.rans`, ten times as fast.

Two ways: a scalar loop when a message has few lanes, and NumPy over whole rows of lanes when it has
many (the fixed price of a NumPy call needs some width to pay). Escapes leave the fast track.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from intact.bits import rans, varint
from intact.bits.rans import LOWER, WORD_BITS
from intact.bits.tables import TOTAL, TOTAL_BITS, TableBank
from intact.errors import CorruptDataError

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt16, UInt32

    from intact.bits.rans import Part

    Symbols = Int32[np.ndarray, " n"]
    Indexes = UInt16[np.ndarray, " n"]
    States = UInt32[np.ndarray, " lanes"]

ROWS_FROM_LANES = 64
"""Lanes from which NumPy over rows beats the scalar loop (benchmarks/entropy_coder.py)."""
ROWS_MAX_TABLES = 256
"""The rows' tables take 128 KiB per frequency table; beyond 32 MiB the scalar loop does."""


def encode(
    message: Sequence[Part], entries: Sequence[Int64[np.ndarray, " n"]], lanes: int
) -> bytes:
    """Encode as `rans.encode`: states first, then words and escapes in the decoder's order.

    Args:
        message: checked parts, with symbols.
        entries: the entry of each symbol, part by part.
        lanes: a legal number of lanes.
    """
    push = _push_rows if lanes >= ROWS_FROM_LANES else _push_scalar
    states, positions, words = push([bank for _, _, bank in message], entries, lanes)
    pieces = [rans.frame_header(states)]
    used = base = 0
    for (symbols, _, bank), rows in zip(message, entries, strict=True):
        for position in np.flatnonzero(bank.is_escape[rows]).tolist():
            entry = int(rows[position])
            code = rans.escape_code(int(symbols[position]), int(bank.values[entry]), bank, entry)
            following = int(np.searchsorted(positions, base + position, side="right"))
            pieces += [words[used:following].tobytes(), varint.encode(code)]
            used = following
        base += rows.size
    return b"".join([*pieces, words[used:].tobytes()])


def _push_scalar(
    banks: Sequence[TableBank], entries: Sequence[Int64[np.ndarray, " n"]], lanes: int
) -> tuple[list[int], Int64[np.ndarray, " w"], np.ndarray]:
    """Push the entries of all parts, one lane after the other.

    Returns:
        The final states, and in the decoder's order the symbol each word belongs to and the words.
    """
    states: list[int] = []
    positions: list[int] = []
    words: list[int] = []
    word_shift, mask = WORD_BITS, LOWER - 1
    for lane in range(lanes):
        x = LOWER
        base = sum(rows.size for rows in entries)
        for bank, rows in zip(reversed(banks), reversed(entries), strict=True):
            base -= rows.size
            lane_entries = rows[lane::lanes][::-1].tolist()
            where = range(base + lane + lanes * (len(lane_entries) - 1), base - 1, -lanes)
            pushes = map(bank.scalar_pushes.__getitem__, lane_entries)
            for position, (freq, rest, cum, limit) in zip(where, pushes, strict=True):
                if x >= limit:
                    positions.append(position)
                    words.append(x & mask)
                    x >>= word_shift
                x += x // freq * rest + cum
        states.append(x)
    order = np.argsort(np.array(positions, np.int64))
    return states, np.array(positions, np.int64)[order], np.array(words, "<u2")[order]


def _push_rows(
    banks: Sequence[TableBank], entries: Sequence[Int64[np.ndarray, " n"]], lanes: int
) -> tuple[list[int], Int64[np.ndarray, " w"], np.ndarray]:
    """As `_push_scalar`, with all lanes of a row at once."""
    word_shift = np.uint32(WORD_BITS)
    states = np.full(lanes, LOWER, np.uint32)
    positions: list[Int64[np.ndarray, " w"]] = []
    words: list[np.ndarray] = []
    base = sum(rows.size for rows in entries)
    for bank, part in zip(reversed(banks), reversed(entries), strict=True):
        base -= part.size
        freqs, cums = bank.freqs[part].astype(np.uint32), bank.cums[part].astype(np.uint32)
        rests, limits = np.uint32(TOTAL) - freqs, freqs << np.uint32(32 - TOTAL_BITS)
        for first in range((part.size - 1) // lanes * lanes, -1, -lanes):
            row = slice(first, min(first + lanes, part.size))
            x = states[: row.stop - first]
            full = (x >= limits[row]).nonzero()[0]
            if full.size:
                shed = x[full]
                positions.append(full + (base + first))
                words.append(shed)
                x[full] = shed >> word_shift
            x += x // freqs[row] * rests[row] + cums[row]
    if not words:
        return states.tolist(), np.zeros(0, np.int64), np.zeros(0, "<u2")
    shed_states = np.concatenate(words[::-1])
    return states.tolist(), np.concatenate(positions[::-1]), shed_states.astype("<u2")


def decode(
    payload: bytes, position: int, states: States, indexes: Indexes, bank: TableBank
) -> tuple[Symbols, int]:
    """Decode one part; inverse of `encode`, part by part.

    Args:
        payload: the whole payload.
        position: where its next unread byte is.
        states: one per lane; updated in place.
        indexes: the table of each symbol, legal.
        bank: the tables.

    Returns:
        The symbols and the new position.

    Raises:
        CorruptDataError: the payload ends early, or holds an impossible escape.
    """
    if states.size >= ROWS_FROM_LANES and bank.num_tables <= ROWS_MAX_TABLES:
        return _decode_rows(payload, position, states, indexes, bank)
    return _decode_scalar(payload, position, states, indexes, bank)


def _decode_scalar(
    payload: bytes, position: int, states: States, indexes: Indexes, bank: TableBank
) -> tuple[Symbols, int]:
    """`decode` symbol by symbol."""
    unpacked: list[int] = states.tolist()
    entries: list[int] = []
    escapes: list[tuple[int, int]] = []
    try:
        position = _pop_all(payload, position, unpacked, indexes, bank, entries, escapes)
    except IndexError:
        raise _truncated(payload, len(entries)) from None
    states[:] = unpacked
    symbols = bank.values[np.array(entries, np.int64) + bank.starts[indexes]]
    for done, symbol in escapes:
        symbols[done] = symbol
    return symbols, position


def _pop_all(  # noqa: PLR0913 - the loop of _decode_scalar, apart for its exception
    payload: bytes,
    position: int,
    states: list[int],
    indexes: Indexes,
    bank: TableBank,
    entries: list[int],
    escapes: list[tuple[int, int]],
) -> int:
    """Append each symbol's entry within its table, and (number, symbol) of each escape.

    Raises:
        IndexError: the payload ends early.
    """
    append = entries.append
    mask, shift, lower, word_shift = TOTAL - 1, TOTAL_BITS, LOWER, WORD_BITS
    rows = map(bank.scalar_rows.__getitem__, indexes.tolist())
    for lane, (ends, pairs) in zip(cycle(range(len(states))), rows):
        x = states[lane]
        slot = x & mask
        within = bisect_right(ends, slot)
        freq, cum = pairs[within]
        following = freq * (x >> shift) + slot - cum
        append(within)
        if following < lower:
            is_escape = following < 0
            if is_escape:
                following = (TOTAL - ends[-1]) * (x >> shift) + slot - ends[-1]
            if following < lower:
                word = payload[position] | payload[position + 1] << 8
                following = following << word_shift | word
                position += 2
            if is_escape:
                code, position = varint.decode(payload, position, rans.ESCAPE_BITS)
                done = len(entries) - 1
                entry = int(bank.starts[indexes[done]]) + within
                symbol = rans.escaped_symbol(code, int(bank.values[entry]), bank, entry)
                escapes.append((done, symbol))
        states[lane] = following
    return position


def _decode_rows(
    payload: bytes, position: int, states: States, indexes: Indexes, bank: TableBank
) -> tuple[Symbols, int]:
    """`decode` row by row: all lanes take one symbol in a few NumPy calls."""
    lanes = states.size
    num_rows = indexes.size // lanes
    slots = (indexes[: num_rows * lanes].astype(np.intp) << TOTAL_BITS).reshape(-1, lanes)
    steps = bank.row_steps
    low = np.uint32(TOTAL - 1)
    shift, word_shift, lower = np.uint32(TOTAL_BITS), np.uint32(WORD_BITS), np.uint32(LOWER)
    escaped: list[tuple[int, Symbols]] = []
    x, used = states.copy(), 0
    words = _words(payload, position)
    for row in range(num_rows):
        at = slots[row]
        at += x & low
        step = steps.take(at)
        following = (x >> shift) * (step >> shift) + (step & low)
        if np.count_nonzero(following) < lanes:  # row_steps is 0 at escapes
            at &= -TOTAL  # these symbols come from the scalar loop
            part = slice(row * lanes, (row + 1) * lanes)
            position += 2 * used
            symbols, position = _decode_scalar(payload, position, x, indexes[part], bank)
            escaped.append((row * lanes, symbols))
            words, used = _words(payload, position), 0
            continue
        x = following
        refill = (x < lower).nonzero()[0]
        count = refill.size
        if count:
            if used + count > words.size:
                raise _truncated(payload, row * lanes)
            x[refill] = x[refill] << word_shift | words[used : used + count]
            used += count
    states[:] = x
    symbols = np.empty(indexes.size, np.int32)
    symbols[: num_rows * lanes] = bank.values[bank.slot_entries[slots.reshape(-1)]]
    for first, row_symbols in escaped:
        symbols[first : first + lanes] = row_symbols
    symbols[num_rows * lanes :], position = _decode_scalar(
        payload, position + 2 * used, states, indexes[num_rows * lanes :], bank
    )
    return symbols, position


def _words(payload: bytes, position: int) -> np.ndarray:
    """The whole words from ``position`` on, uint16[w]."""
    return np.frombuffer(payload, "<u2", (len(payload) - position) // 2, position)


def _truncated(payload: bytes, done: int) -> CorruptDataError:
    """The error that the payload ends in or soon after symbol ``done`` of a part."""
    return CorruptDataError(f"payload ends at byte {len(payload)}, near symbol {done} of its part")
