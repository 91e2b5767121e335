"""The entropy coder to use: the same bytes as `intact.bits.rans`, by the fastest means here.

Three ways: native/rans.c where it was built; otherwise a scalar Python loop when a message has few
lanes, and NumPy over whole rows of lanes when it has many (the fixed price of a NumPy call needs
some width to pay). Python's escapes leave the fast track; they are rare.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import cycle
from typing import Literal

import numpy as np
from jaxtyping import Int, Int32, Int64, UInt16

from intact import native
from intact.bits import rans, varint
from intact.bits.rans import LOWER, WORD_BITS, Part
from intact.bits.tables import COST_BITS, TOTAL, TOTAL_BITS, TableBank
from intact.errors import CorruptDataError

Backend = Literal["native", "python"]

ROWS_FROM_LANES = 64
"""Lanes from which NumPy over rows beats the scalar loop (benchmarks/entropy_coder.py)."""
ROWS_MAX_TABLES = 256
"""The rows' tables take 128 KiB per frequency table; beyond 32 MiB the scalar loop does."""
MAX_SYMBOL_BYTES = 7

_NATIVE_ERRORS = {1: "payload ends", 2: "impossible escape"}


def encode(
    parts: Sequence[Part], lanes: int | None = None, *, backend: Backend | None = None
) -> bytes:
    """Encode the parts of one message; inverse of `Decoder`, equal to `rans.encode`.

    Args:
        parts: (symbols, indexes, bank) in the order in which they will be decoded.
        lanes: a power of two up to 1024; follows the ideal length when None.
        backend: the fastest one available when None.

    Returns:
        The payload; ``b""`` for a message without symbols.

    Raises:
        ValueError: an index is not in its bank, arrays differ in length or kind, ``lanes`` is
            illegal or ``backend`` is not available.
    """
    functions = _functions_for(backend)
    message = [rans.check_part(*part) for part in parts]
    if not any(symbols.size for symbols, _, _ in message):
        return b""
    if lanes is not None:
        rans.check_lanes(lanes)
    if functions is not None:
        return _encode_native(functions, message, lanes)
    entries = [bank.entries_of(symbols, indexes) for symbols, indexes, bank in message]
    lanes = lanes or rans.lanes_for(rans.ideal_bytes(message, entries))
    return _encode_python(message, entries, lanes)


class Decoder:
    """Decodes one payload part by part; inverse of `encode`, equal to `rans.Decoder`.

    Call `finish` at the end: only then is it certain that nothing was left over.
    """

    def __init__(self, payload: bytes, *, backend: Backend | None = None) -> None:
        """Read the header.

        Raises:
            CorruptDataError: the header is cut short, or its lane count or a state is illegal.
            ValueError: ``backend`` is not available.
        """
        self._functions = _functions_for(backend)
        self._payload = bytes(payload)
        states, self._position = rans.parse_header(self._payload)
        self._states = np.array(states, np.uint32)
        self._num_symbols = 0

    def decode(self, indexes: Int[np.ndarray, " n"], bank: TableBank) -> Int32[np.ndarray, " n"]:
        """Decode the next part: one symbol per table index.

        Raises:
            CorruptDataError: the payload ends early, or holds an impossible escape. A flipped bit
                may still decode to wrong symbols: checksums belong to the container.
            ValueError: an index is not in the bank.
        """
        tables = rans.check_indexes(indexes, bank)
        if not tables.size:
            return np.zeros(0, np.int32)
        if not self._states.size:
            raise CorruptDataError("payload is empty, but symbols were expected")
        if self._functions is not None:
            symbols = self._decode_native(self._functions, tables, bank)
        elif self._states.size >= ROWS_FROM_LANES and bank.num_tables <= ROWS_MAX_TABLES:
            symbols = self._decode_rows(tables, bank)
        else:
            symbols = self._decode_scalar(tables, bank)
        self._num_symbols += tables.size
        return symbols

    def finish(self) -> None:
        """Check that the message ends exactly here.

        Raises:
            CorruptDataError: bytes are left over, or a lane is not back in its first state.
        """
        rans.check_end(self._payload, self._states.tolist(), self._position, self._num_symbols)

    def _decode_native(
        self, functions: ctypes.CDLL, indexes: UInt16[np.ndarray, " n"], bank: TableBank
    ) -> Int32[np.ndarray, " n"]:
        """Decode one part in C."""
        symbols = np.empty(indexes.size, np.int32)
        cursor = np.array([self._position, 0], np.int64)
        error = functions.intact_rans_decode(
            self._payload, len(self._payload), cursor.ctypes.data,
            self._states.ctypes.data, self._states.size,
            indexes.ctypes.data, indexes.size,
            bank.buckets.ctypes.data, bank.decode_entries.ctypes.data, bank.values.ctypes.data,
            bank.descriptors.ctypes.data, bank.num_tables, symbols.ctypes.data,
        )  # fmt: skip
        self._position, done = cursor.tolist()
        if error in _NATIVE_ERRORS:
            raise CorruptDataError(
                f"{_NATIVE_ERRORS[error]} at byte {self._position}, "
                f"in symbol {self._num_symbols + done}"
            )
        assert error == 0, f"intact_rans_decode returned {error}"
        return symbols

    def _decode_scalar(
        self, indexes: UInt16[np.ndarray, " n"], bank: TableBank
    ) -> Int32[np.ndarray, " n"]:
        """Decode one part symbol by symbol."""
        states = self._states.tolist()
        entries: list[int] = []
        escapes: list[tuple[int, int]] = []
        try:
            self._scalar_loop(indexes, bank, states, entries, escapes)
        except IndexError:
            raise self._truncated(len(entries)) from None
        self._states[:] = states
        symbols = bank.values[np.array(entries, np.int64) + bank.starts[indexes]]
        for position, symbol in escapes:
            symbols[position] = symbol
        return symbols

    def _scalar_loop(
        self,
        indexes: UInt16[np.ndarray, " n"],
        bank: TableBank,
        states: list[int],
        entries: list[int],
        escapes: list[tuple[int, int]],
    ) -> None:
        """Append each symbol's entry within its table, and (position, symbol) of each escape.

        Raises:
            IndexError: the payload ends early.
        """
        payload, position, append = self._payload, self._position, entries.append
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
        self._position = position

    def _decode_rows(
        self, indexes: UInt16[np.ndarray, " n"], bank: TableBank
    ) -> Int32[np.ndarray, " n"]:
        """Decode one part row by row: all lanes take one symbol in a few NumPy calls."""
        lanes = self._states.size
        num_rows = indexes.size // lanes
        slots = (indexes[: num_rows * lanes].astype(np.int64) << TOTAL_BITS).reshape(-1, lanes)
        steps = bank.row_steps
        low = np.uint32(TOTAL - 1)
        shift, word_shift, lower = np.uint32(TOTAL_BITS), np.uint32(WORD_BITS), np.uint32(LOWER)
        escaped: list[tuple[int, Int32[np.ndarray, " lanes"]]] = []
        x = self._states
        words = np.frombuffer(self._payload, "<u2", self._words_left(), self._position)
        used = 0
        for row in range(num_rows):
            at = slots[row]
            at += x & low
            step = steps.take(at)
            following = (x >> shift) * (step >> shift) + (step & low)
            if np.count_nonzero(following) < lanes:  # row_steps is 0 at escapes
                self._states, self._position = x, self._position + 2 * used
                first = row * lanes
                at &= -TOTAL  # these symbols come from the scalar loop
                escaped.append((first, self._decode_scalar(indexes[first : first + lanes], bank)))
                x, used = self._states, 0
                words = np.frombuffer(self._payload, "<u2", self._words_left(), self._position)
                continue
            x = following
            refill = (x < lower).nonzero()[0]
            count = refill.size
            if count:
                if used + count > words.size:
                    raise self._truncated(row * lanes)
                x[refill] = x[refill] << word_shift | words[used : used + count]
                used += count
        self._states, self._position = x, self._position + 2 * used
        symbols = np.empty(indexes.size, np.int32)
        symbols[: num_rows * lanes] = bank.values[bank.slot_entries[slots.reshape(-1)]]
        for first, row_symbols in escaped:
            symbols[first : first + lanes] = row_symbols
        symbols[num_rows * lanes :] = self._decode_scalar(indexes[num_rows * lanes :], bank)
        return symbols

    def _words_left(self) -> int:
        """Whole words from the position on."""
        return (len(self._payload) - self._position) // 2

    def _truncated(self, done: int) -> CorruptDataError:
        """The error that the payload ends in or soon after symbol ``done`` of this part."""
        return CorruptDataError(
            f"payload ends at byte {len(self._payload)}, near symbol {self._num_symbols + done}"
        )


def _encode_native(functions: ctypes.CDLL, message: Sequence[Part], lanes: int | None) -> bytes:
    """Encode in C."""
    cost = 0
    found = [np.empty(symbols.size, np.uint32) for symbols, _, _ in message]
    for (symbols, indexes, bank), entries in zip(message, found, strict=True):
        cost += functions.intact_rans_look_up(
            symbols.ctypes.data, indexes.ctypes.data, symbols.size, bank.encode_costs.ctypes.data,
            bank.descriptors.ctypes.data, bank.num_tables, entries.ctypes.data,
        )  # fmt: skip
    lanes = lanes or rans.lanes_for(cost >> (COST_BITS + 3))
    capacity = MAX_SYMBOL_BYTES * sum(entries.size for entries in found)
    buffer = np.empty(capacity, np.uint8)  # untouched pages cost nothing
    states = np.full(lanes, LOWER, np.uint32)
    position = np.array([capacity], np.int64)
    for (symbols, indexes, bank), entries in zip(reversed(message), reversed(found), strict=True):
        error = functions.intact_rans_encode(
            symbols.ctypes.data, indexes.ctypes.data, entries.ctypes.data, symbols.size,
            bank.encode_entries.ctypes.data, bank.descriptors.ctypes.data,
            states.ctypes.data, lanes, buffer.ctypes.data, position.ctypes.data,
        )  # fmt: skip
        assert error == 0, f"intact_rans_encode returned {error}"
    return rans.frame_header(states.tolist()) + buffer[int(position[0]) :].tobytes()


def _encode_python(
    message: Sequence[Part], entries: Sequence[Int64[np.ndarray, " n"]], lanes: int
) -> bytes:
    """Encode without C: states first, then the words and escapes in the decoder's order."""
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


def _functions_for(backend: Backend | None) -> ctypes.CDLL | None:
    """The native functions, or None for Python.

    Raises:
        ValueError: an unknown backend, or one that is not available.
    """
    if backend not in (None, "native", "python"):
        raise ValueError(f"backend is {backend!r}, wanted 'native', 'python' or None")
    functions = None if backend == "python" else _functions()
    if backend == "native" and functions is None:
        raise ValueError("the native backend was not built here")
    return functions


@cache
def _functions() -> ctypes.CDLL | None:
    """The native library with the argument types of its functions set."""
    library = native.library()
    if library is None or not hasattr(library, "intact_rans_decode"):
        return None
    pointer, integer, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    library.intact_rans_decode.restype = small
    library.intact_rans_decode.argtypes = [
        ctypes.c_char_p, integer, pointer, pointer, small, pointer, integer,
        pointer, pointer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    library.intact_rans_encode.restype = small
    library.intact_rans_encode.argtypes = [
        pointer, pointer, pointer, integer, pointer, pointer, pointer, small, pointer, pointer,
    ]  # fmt: skip
    library.intact_rans_look_up.restype = integer
    library.intact_rans_look_up.argtypes = [
        pointer, pointer, integer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    return library
