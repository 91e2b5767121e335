"""Method "rows": tables that learn while rows go by, one vector of symbols at a time. The default.

Normative, with docs/spec/weights_coding.md. A segment is one message of docs/spec/bits.md: its
first part has the level of every row, and then each step of `contexts` is a part. NumPy can follow,
since all symbols of a step are independent of each other.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits import Decoder, TableBank, apportion, encode as encode_bits, varint
from intact.bits.tables import COST_BITS
from intact.container.cursor import Cursor
from intact.errors import CorruptDataError
from intact.packing.coding import kernels
from intact.packing.coding.adaptive import Tables
from intact.packing.coding.alphabet import check_range, choose_table
from intact.packing.coding.contexts import (
    MAX_LEVEL,
    MAX_MAGNITUDE,
    MAX_MEAN,
    STEP,
    Contexts,
    context_moments,
    mean_of,
    num_contexts,
    side_of,
)
from intact.packing.coding.limits import MAX_TABLE
from intact.packing.coding.logs import LOG, MANTISSA_ARRAY, log_of_mean
from intact.packing.coding.shape import WHAT, Backend, Shape, Symbols
from intact.packing.coding.static import lanes_of

MAX_WIDTH_LOG2: Final = 20
MAX_CENTER: Final = 1 << 29
"""So that a symbol less the center fits 32 bits."""
MAX_REACH: Final = (MAX_TABLE - 1) // 2
SPREADS: Final = 4


def _level_banks() -> list[TableBank]:
    """The fixed tables of rows' levels, ever wider; no level needs the escape."""
    weights = (
        [16 * 4**MAX_LEVEL >> 2 * away for away in range(MAX_LEVEL + 1)],
        [16 * 2**MAX_LEVEL >> away for away in range(MAX_LEVEL + 1)],
        [16 * 2**MAX_LEVEL >> away // 2 for away in range(MAX_LEVEL + 1)],
        [1] * (MAX_LEVEL + 1),
    )
    away = [abs(level) for level in range(-MAX_LEVEL, MAX_LEVEL + 1)]
    return [
        TableBank.build([-MAX_LEVEL], [apportion([*(table[a] for a in away), 0])])
        for table in weights
    ]


LEVEL_BANKS: Final = _level_banks()


def encode(symbols: Symbols, shape: Shape, backend: Backend | None) -> bytes:
    """Head, then one message: the rows' levels, and the symbols step by step."""
    center, reach = table_center(symbols, shape)
    by_row = (symbols - np.int32(center)).reshape(shape.rows, shape.columns)
    mean, levels = _levels(by_row)
    costs = [int(bank.costs[levels + MAX_LEVEL].sum()) for bank in LEVEL_BANKS]
    spread = costs.index(min(costs))
    width_log2 = _width_log2(shape.size)
    contexts = Contexts(shape, mean, levels, 1 << width_log2)
    tables = Tables(context_moments(mean, num_contexts(shape)), reach)
    cube = by_row.reshape(shape.rows, -1, shape.kernel)
    message = [(levels, np.zeros(levels.size, np.uint16), LEVEL_BANKS[spread])]
    cost = costs[spread]
    for first, last, position in contexts.steps():
        part = np.ascontiguousarray(cube[first:last, :, position]).reshape(-1)
        indexes, negated = contexts.indexes(position)
        coded = part if negated is None else np.where(negated, -part, part)
        message.append((coded, indexes, tables.bank))
        cost += int(tables.bank.costs[tables.bank.entries_of(coded, indexes)].sum())
        contexts.update(position, part)
        tables.update(indexes, coded)
    head = [varint.zigzag(center), reach, mean, spread + SPREADS * width_log2]
    lanes = _lanes(cost >> (COST_BITS + 3), contexts.step_size)
    payload = encode_bits(message, lanes, backend=backend)
    return b"".join(varint.encode(field) for field in head) + payload


def decode(data: bytes, shape: Shape, backend: Backend | None) -> Symbols:
    """Inverse of `encode`.

    Raises:
        CorruptDataError: a field is out of its range, or the message ends early or late.
    """
    cursor = Cursor(data, f"{WHAT}, rows")
    center = varint.unzigzag(cursor.varint(0, 2 * MAX_CENTER, "center of the tables"))
    reach = cursor.varint(0, MAX_REACH, "reach of the tables")
    mean = cursor.varint(0, MAX_MEAN, "mean of the magnitudes")
    most = SPREADS * (MAX_WIDTH_LOG2 + 1) - 1
    width_log2, spread = divmod(cursor.varint(0, most, "width of a step"), SPREADS)
    decoder = _Decoder(cursor.take(cursor.remaining, "message"), backend=backend)
    levels = decoder.decode(np.zeros(shape.rows, np.uint16), LEVEL_BANKS[spread])
    if int(levels.min()) < -MAX_LEVEL or int(levels.max()) > MAX_LEVEL:
        raise CorruptDataError(f"{WHAT}, rows: the level of a row is not -{MAX_LEVEL}..{MAX_LEVEL}")
    contexts = Contexts(shape, mean, levels, 1 << width_log2)
    tables = Tables(context_moments(mean, num_contexts(shape)), reach)
    low, high = shape.low - center, shape.high - center
    native = kernels.functions(backend)
    if native is None:
        values = _decode_steps(decoder, shape, contexts, tables, (low, high))
    else:
        sizes = [shape.rows, contexts.channels, shape.kernel, side_of(shape.kernel), mean]
        sizes += [contexts.rows_per_step, reach, low, high, num_contexts(shape)]
        values = decoder.decode_steps(native, sizes, levels, tables)
    decoder.finish()
    return values + np.int32(center)


def _decode_steps(
    decoder: Decoder, shape: Shape, contexts: Contexts, tables: Tables, limits: tuple[int, int]
) -> Symbols:
    """All values, in Python."""
    cube = np.empty((shape.rows, contexts.channels, shape.kernel), np.int32)
    for first, last, position in contexts.steps():
        indexes, negated = contexts.indexes(position)
        coded = decoder.decode(indexes, tables.bank)
        part = coded if negated is None else np.where(negated, -coded, coded)
        check_range(part, *limits)
        cube[first:last, :, position] = part.reshape(last - first, -1)
        contexts.update(position, part)
        tables.update(indexes, coded)
    return cube.reshape(-1)


class _Decoder(Decoder):
    """A decoder that decodes all steps in C."""

    def decode_steps(
        self, native: ctypes.CDLL, sizes: list[int], levels: NDArray[np.int32], tables: Tables
    ) -> Symbols:
        """All values.

        Args:
            native: the library.
            sizes: as native/weights_rows.c has them.
            levels: of the rows.
            tables: before the first step.

        Raises:
            CorruptDataError: the payload ends early, or a value is out of range.
        """
        rows, channels, kernel, rows_per_step, contexts = (sizes[i] for i in (0, 1, 2, 5, 9))
        step_size = rows_per_step * channels
        numbers = np.zeros(3 * channels + 2 * kernel + step_size, np.int64)
        looked_up = np.empty(contexts * (tables.size + 1 + 256), np.uint32)
        step = np.empty(7 * step_size, np.uint8)
        counts, bank = tables.counts.copy(), tables.bank
        described, row_levels = np.array(sizes, np.int64), levels.astype(np.int64)
        values = np.zeros(rows * channels * kernel, np.int32)
        cursor = np.array([self._position, 0], np.int64)
        error = native.intact_weights_rows(
            self._payload, len(self._payload), cursor.ctypes.data,
            self._states.ctypes.data, self._states.size, described.ctypes.data,
            row_levels.ctypes.data, counts.ctypes.data, numbers.ctypes.data,
            looked_up.ctypes.data, bank.values.ctypes.data, bank.descriptors.ctypes.data,
            step.ctypes.data, MANTISSA_ARRAY.ctypes.data, LOG.ctypes.data, values.ctypes.data,
        )  # fmt: skip
        kernels.check(error, cursor, f"{WHAT}, rows")
        self._position = int(cursor[0])
        self._num_symbols += values.size
        return values


def table_center(symbols: Symbols, shape: Shape) -> tuple[int, int]:
    """The center of the tables, 0 wherever that is about the most frequent symbol; their reach."""
    minimum, counts = choose_table(symbols, shape.low, shape.high)
    last = minimum + counts.size - 1
    center = minimum + int(np.argmax(counts))
    if minimum <= 0 <= last and 8 * int(counts[-minimum]) >= 7 * int(counts.max()):
        center = 0
    center = min(max(center, last - MAX_REACH), minimum + MAX_REACH)
    center = min(max(center, -MAX_CENTER), MAX_CENTER)
    return center, min(max(abs(minimum - center), abs(last - center)), MAX_REACH)


def _levels(by_row: Symbols) -> tuple[int, NDArray[np.int32]]:
    """The mean magnitude, as `contexts.MAX_MEAN` says, and each row's level against it."""
    rows, columns = by_row.shape
    sums = [int(np.minimum(np.abs(row), MAX_MAGNITUDE).sum(dtype=np.int64)) for row in by_row]
    whole = log_of_mean(sum(sums), rows * columns)
    levels = [(log_of_mean(row, columns) - whole + STEP // 2) // STEP for row in sums]
    return mean_of(whole), np.clip(levels, -MAX_LEVEL, MAX_LEVEL).astype(np.int32)


def _width_log2(size: int) -> int:
    """Symbols of a step: many cost a little, and let NumPy and many lanes work. Advice."""
    return min(max(size.bit_length() // 2, 7), 12)


def _lanes(num_bytes: int, step_size: int) -> int:
    """As many lanes as pay and as divide a step: a rest goes one by one in NumPy. Advice."""
    lanes = lanes_of(num_bytes)
    return min(lanes, step_size & -step_size) if lanes >= 64 <= (step_size & -step_size) else lanes
