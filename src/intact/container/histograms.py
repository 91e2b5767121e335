"""The frequency tables that travel with an array's weights (`intact.container.arrays`, method 3).

A table is stored as one code per symbol, a logarithm of its weight in quarter octaves; codes are
coded as differences with the fixed table `DELTA_BANK`. Each row of an array uses one of up to 16
tables: `group_rows` chooses. docs/spec/container.md, "Blobs".
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits.apportion import apportion
from intact.bits.tables import COST_BITS, TableBank
from intact.container.limits import MAX_TABLES

MAX_CODE: Final = 111
"""Largest table code: its weight is 23 * 2**27."""
MANTISSAS: Final = (16, 19, 23, 27)
"""16 * 2**(i/4), rounded: steps of a quarter octave cost 0.002 bits per symbol."""
MAX_HISTOGRAM: Final = 1 << 22
"""Entries of the encoder's histograms; beyond, all rows share a table."""
DELTA_WEIGHTS: Final = [1 << (16 - abs(delta) * 3 // 4) for delta in range(-16, 17)] + [16]
"""The fixed table of table codes' differences: -16 .. 16 and the escape, falling by 2**(3/4)."""
DELTA_BANK: Final = TableBank.build([-16], [apportion(DELTA_WEIGHTS)])


def code_weight(code: int) -> int:
    """The weight that a table code stands for, 0 .. 23 * 2**27: ``16 * 2**((code - 1) / 4)``."""
    if code == 0:
        return 0
    octave, quarter = divmod(code - 1, 4)
    return MANTISSAS[quarter] << octave


WEIGHTS: Final = np.array([code_weight(code) for code in range(MAX_CODE + 1)], np.int64)


def table_codes(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest code of each count, relative to 16: codes of counts 0, 1, 2 are 0, 1, 5."""
    middles = (WEIGHTS[1:-1] + WEIGHTS[2:]) // 2  # arithmetic, close to the geometric one
    return np.where(histogram > 0, 1 + np.searchsorted(middles, histogram * 16, "right"), 0)


def build_bank(minimums: list[int], codes: list[NDArray[np.int64]]) -> TableBank:
    """The tables that stored minimums and codes stand for; the escape's weight is 0."""
    freqs = [apportion([*WEIGHTS[table].tolist(), 0]) for table in codes]
    return TableBank.build(minimums, freqs)


def row_bank(num_tables: int) -> TableBank:
    """The fixed table of the rows' table numbers: equal shares, escape next to nothing."""
    return TableBank.build([0], [apportion([1] * num_tables + [0])])


def code_deltas(codes: list[NDArray[np.int64]]) -> NDArray[np.int32]:
    """Differences from the code before, the first from 0, in each table."""
    return np.concatenate([np.diff(table, prepend=0) for table in codes]).astype(np.int32)


class Grouping:
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
            self.codes.append(table_codes(total[first:behind]))
        self.bank = build_bank(self.minimums, self.codes)
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
        away = np.minimum(np.abs(code_deltas(self.codes)), 17)
        tables = int(DELTA_BANK.costs[16 + away].sum()) + (24 * used.size << COST_BITS)
        assignment = self.rows.size * (used.size - 1).bit_length() << COST_BITS
        self.cost = values + tables + assignment


def group_rows(histograms: NDArray[np.int64], low: int) -> Grouping:
    """Search for a good assignment: rows sorted by spread, cut evenly, then improved twice."""
    num_rows, span = histograms.shape
    best = Grouping(histograms, low, np.zeros(num_rows, np.int64))
    center = int((histograms.sum(axis=0) @ np.arange(span)) // max(int(histograms.sum()), 1))
    spread = histograms @ np.abs(np.arange(span) - center)
    rank = np.empty(num_rows, np.int64)
    rank[np.argsort(spread, kind="stable")] = np.arange(num_rows)
    num_tables = 2
    while num_tables <= min(MAX_TABLES, num_rows):
        grouping = Grouping(histograms, low, rank * num_tables // num_rows)
        for _ in range(2):
            nearest = np.argmin(histograms @ grouping.costs.T, axis=1)
            grouping = Grouping(histograms, low, nearest)
        if grouping.cost < best.cost:
            best = grouping
        num_tables *= 2
    return best
