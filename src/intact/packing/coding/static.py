"""Method "static": one histogram for all symbols of a segment. The fastest to decode.

Normative, with docs/spec/weights_coding.md. The table is stored as those in model files are
(`intact.container.histograms`): a logarithm of each count in quarter octaves.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits import Decoder, TableBank, encode as encode_bits, rans, varint
from intact.container.cursor import Cursor
from intact.container.histograms import DELTA_BANK, MAX_CODE, build_bank, code_deltas, table_codes
from intact.errors import CorruptDataError
from intact.packing.coding import kernels
from intact.packing.coding.alphabet import check_range, choose_table
from intact.packing.coding.limits import MAX_TABLE
from intact.packing.coding.shape import WHAT, Backend, Shape, Symbols

MIN_LANE_BYTES: Final = 4096
"""A second lane, which costs 4 bytes, from so many bytes on."""


def encode(symbols: Symbols, shape: Shape, backend: Backend | None) -> bytes:
    """The table's place, and one message: its codes, then the symbols."""
    minimum, counts = choose_table(symbols, shape.low, shape.high)
    codes = table_codes(counts)
    if not codes.any():
        codes[0] = 1
    bank = build_bank([minimum], [codes])
    none = np.zeros(symbols.size, np.uint16)
    message = [
        (code_deltas([codes]), none[:1].repeat(codes.size), DELTA_BANK),
        (symbols, none, bank),
    ]
    lanes = lanes_of(int(bank.costs[:-1] @ counts) >> 23)
    head = varint.encode(minimum - shape.low) + varint.encode(codes.size - 1)
    return head + encode_bits(message, lanes, backend=backend)


def decode(data: bytes, shape: Shape, backend: Backend | None) -> Symbols:
    """Inverse of `encode`.

    Raises:
        CorruptDataError: the table is illegal, or the message ends early or late.
    """
    return _decode(data, shape, None, backend).view(np.int32)


def decode_levels(
    data: bytes, shape: Shape, levels: NDArray[np.uint32], backend: Backend | None
) -> NDArray[np.uint32]:
    """What the symbols stand for: ``levels[symbol - shape.low]``, without symbols in between.

    Raises:
        CorruptDataError: as `decode`, and for a symbol out of the shape's range.
    """
    return _decode(data, shape, levels, backend)


def _decode(
    data: bytes, shape: Shape, levels: NDArray[np.uint32] | None, backend: Backend | None
) -> NDArray[np.uint32]:
    cursor = Cursor(data, f"{WHAT}, static")
    minimum, size = table_place(cursor, shape)
    decoder = _Decoder(cursor.take(cursor.remaining, "message"), backend=backend)
    deltas = decoder.decode(np.zeros(size, np.uint16), DELTA_BANK)
    bank = table_bank(minimum, deltas)
    native = kernels.functions(backend)
    if native is not None:
        found = decoder.decode_static(native, bank, shape, levels)
    else:
        symbols = decoder.decode(np.zeros(shape.size, np.uint16), bank)
        check_range(symbols, shape.low, shape.high)
        found = symbols.view(np.uint32) if levels is None else levels[symbols - shape.low]
    decoder.finish()
    return found


class _Decoder(Decoder):
    """A decoder that knows of parts with one table for all symbols."""

    def decode_static(
        self,
        native: ctypes.CDLL,
        bank: TableBank,
        shape: Shape,
        levels: NDArray[np.uint32] | None,
    ) -> NDArray[np.uint32]:
        """The next part in C: its symbols, all in the shape's range, or what they stand for.

        Raises:
            CorruptDataError: the payload ends early, or an escape or a symbol is impossible.
        """
        values = bank.values[:-1].astype(np.uint32)
        if levels is not None:
            values = levels[bank.values[:-1] - shape.low]
        slots = kernels.slots(bank, values)
        first, size = int(bank.minimums[0]), bank.freqs.size - 1
        table = np.array([first, first + size, shape.low, shape.high], np.int64)
        result = np.empty(shape.size, np.uint32)
        cursor = np.array([self._position, 0], np.int64)
        error = native.intact_weights_static(
            self._payload, len(self._payload), cursor.ctypes.data,
            self._states.ctypes.data, self._states.size, shape.size, slots.ctypes.data,
            table.ctypes.data, None if levels is None else levels.ctypes.data, result.ctypes.data,
        )  # fmt: skip
        kernels.check(error, cursor, f"{WHAT}, static")
        self._position = int(cursor[0])
        self._num_symbols += shape.size
        return result


def lanes_of(num_bytes: int) -> int:
    """How many lanes a message of about so many bytes gets. Advice, but a deterministic one."""
    return 1 if num_bytes < MIN_LANE_BYTES else rans.lanes_for(num_bytes)


def table_place(cursor: Cursor, shape: Shape) -> tuple[int, int]:
    """Smallest symbol and number of symbols of the tables.

    Raises:
        CorruptDataError: they are cut off or out of range.
    """
    width = shape.high - shape.low
    begin = cursor.varint(0, width, "smallest symbol of the tables")
    most = min(MAX_TABLE, width - begin + 1)
    return shape.low + begin, 1 + cursor.varint(0, most - 1, "symbols of the tables")


def table_bank(minimum: int, deltas: NDArray[np.int32]) -> TableBank:
    """The table that differences of codes stand for.

    Raises:
        CorruptDataError: a code is out of range, or all are 0.
    """
    codes = np.cumsum(deltas, dtype=np.int64)
    if int(codes.min()) < 0 or int(codes.max()) > MAX_CODE or not codes.any():
        raise CorruptDataError(f"{WHAT}: the codes of a table are not 0 .. {MAX_CODE} with one > 0")
    return build_bank([minimum], [codes])
