"""Integer frequency tables: what the entropy coder knows about its symbols.

A table covers the symbols ``minimum .. minimum + size - 2`` with one slot range each; its last
range is the escape, through which any other symbol travels. Frequencies are integers that sum to
``TOTAL``, so sender and receiver can never disagree about a rounding. docs/spec/bits.md, "Tables".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from intact.errors import ModelError

if TYPE_CHECKING:
    from jaxtyping import Int, Int32, Int64, UInt16, UInt32

TOTAL_BITS = 14
TOTAL = 1 << TOTAL_BITS
MAX_TABLES = 1 << 16
SYMBOL_LIMIT = 1 << 30
"""Table symbols lie in -SYMBOL_LIMIT .. SYMBOL_LIMIT, so distances to them fit 33 bits."""
COST_BITS = 20
"""Costs are in units of 2**-20 bit."""
BUCKET_BITS = 8
"""The native coder finds a symbol from the top 8 bits of a slot, then walks."""

PUSH_ENTRY = np.dtype(
    [("multiplier", "u8"), ("addend", "u8"), ("limit", "u4"), ("rest", "u2"), ("cum", "u2")]
)


@dataclass(frozen=True, eq=False)
class TableBank:
    """Some frequency tables, validated, and the derived forms that coders look things up in.

    An *entry* is one slot range of one table; entries of all tables stand in one row, table after
    table, in ascending symbol order with the escape last.

    Attributes:
        minimums: the smallest symbol of each table.
        sizes: entries of each table, the escape included; 2 .. TOTAL.
        starts: the first entry of each table.
        freqs: slots of each entry, 1 .. TOTAL - 1; they sum to TOTAL over each table.

    Raises:
        ModelError: the arrays do not describe such tables.
    """

    minimums: Int32[np.ndarray, " k"]
    sizes: Int32[np.ndarray, " k"]
    starts: Int64[np.ndarray, " k"]
    freqs: Int32[np.ndarray, " e"]

    def __post_init__(self) -> None:
        kinds = {"minimums": np.int32, "sizes": np.int32, "starts": np.int64, "freqs": np.int32}
        for name, kind in kinds.items():
            array: np.ndarray = np.array(getattr(self, name), dtype=kind)  # a private copy
            if array.ndim != 1:
                raise ModelError(f"table bank: {name} has {array.ndim} dimensions, not 1")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        _check(self)

    @classmethod
    def build(
        cls,
        minimums: Sequence[int] | Int[np.ndarray, " k"],
        freqs: Sequence[Sequence[int] | Int[np.ndarray, " s"]],
    ) -> TableBank:
        """Build a bank from one frequency list per table, the escape's frequency last.

        Args:
            minimums: the smallest symbol of each table, |minimum| <= 2**30.
            freqs: for each table at least 2 integers >= 1 that sum to TOTAL.

        Raises:
            ModelError: a table breaks these rules.

        Example:
            >>> TableBank.build([-1], [[4096, 8191, 4096, 1]]).num_tables
            1
        """
        if len(minimums) != len(freqs):
            raise ModelError(f"table bank: {len(minimums)} minimums for {len(freqs)} tables")
        rows = [np.asarray(row) for row in freqs]
        for table, row in enumerate(rows):
            if row.ndim != 1 or row.dtype.kind not in "iu" or not 2 <= row.size <= TOTAL:
                raise ModelError(f"table {table}: wanted 2 .. {TOTAL} integer frequencies")
            if int(row.min()) < 1 or int(row.max()) >= TOTAL:
                raise ModelError(f"table {table}: a frequency is outside 1 .. {TOTAL - 1}")
        for table, minimum in enumerate(minimums):
            if not -SYMBOL_LIMIT <= int(minimum) <= SYMBOL_LIMIT:
                raise ModelError(f"table {table}: minimum {minimum} is outside -2**30 .. 2**30")
        sizes = np.array([row.size for row in rows], np.int32)
        return cls(
            minimums=np.array([int(minimum) for minimum in minimums], np.int32),
            sizes=sizes,
            starts=np.cumsum(sizes, dtype=np.int64) - sizes,
            freqs=np.concatenate([row.astype(np.int32) for row in rows] or [np.zeros(0, np.int32)]),
        )

    @property
    def num_tables(self) -> int:
        """Number of tables, 1 .. 65536."""
        return self.sizes.size

    @cached_property
    def _counts(self) -> np.ndarray:
        """`sizes` as intp[t], which is what NumPy repeats by: on 32-bit machines not int64."""
        return self.sizes.astype(np.intp)

    @cached_property
    def cums(self) -> Int32[np.ndarray, " e"]:
        """First slot of each entry, counted from its table's slot 0."""
        sums = np.cumsum(self.freqs, dtype=np.int64) - self.freqs
        return (sums - TOTAL * np.repeat(np.arange(self.num_tables), self._counts)).astype(np.int32)

    @cached_property
    def values(self) -> Int32[np.ndarray, " e"]:
        """Symbol of each entry; at an escape the first symbol above the table."""
        within = np.arange(self.freqs.size) - np.repeat(self.starts, self._counts)
        return (within + np.repeat(self.minimums, self._counts)).astype(np.int32)

    @cached_property
    def costs(self) -> Int64[np.ndarray, " e"]:
        """Ideal length of each entry, ``log2(TOTAL / freq)``, to about 2**-20 bit, never above.

        By repeated squaring in integers (Knuth, TAOCP 1, 1.2.2, exercise 25): the number of lanes
        follows from it, and an encoder writes the same file on every machine.
        """
        mantissa = self.freqs.astype(np.uint64)
        log2 = np.full(mantissa.size, TOTAL_BITS, np.int64)
        for shift in (8, 4, 2, 1):  # normalize to TOTAL <= mantissa < 2 * TOTAL
            small = mantissa < np.uint64(1 << (TOTAL_BITS + 1 - shift))
            mantissa[small] <<= np.uint64(shift)
            log2[small] -= shift
        mantissa <<= np.uint64(31 - TOTAL_BITS)
        for _ in range(COST_BITS):
            mantissa = (mantissa * mantissa) >> np.uint64(31)
            carry = mantissa >> np.uint64(32)
            mantissa >>= carry
            log2 = 2 * log2 + carry.astype(np.int64)
        # + 1 against the squarings' truncation: a cost is never above the true one
        return np.maximum((TOTAL_BITS << COST_BITS) - log2 - 1, 0)

    @cached_property
    def encode_costs(self) -> UInt32[np.ndarray, " e"]:
        """As `costs`, with the (usual) byte of an escape added."""
        return (self.costs + self.is_escape * (8 << COST_BITS)).astype(np.uint32)

    @cached_property
    def slot_entries(self) -> UInt32[np.ndarray, " slots"]:
        """Entry of every slot, TOTAL slots a table: the inverse of `cums` by brute force."""
        return np.repeat(np.arange(self.freqs.size, dtype=np.uint32), self.freqs.astype(np.intp))

    @cached_property
    def row_steps(self) -> UInt32[np.ndarray, " slots"]:
        """``freq << 14 | slot - cum`` of every slot, 0 at escapes: a step of `fallback`'s rows.

        No other step leads to state 0, so one count of zeros finds a row's escapes.
        """
        entries = self.slot_entries
        slots = np.tile(np.arange(TOTAL, dtype=np.int32), self.num_tables)
        steps = self.freqs[entries] << TOTAL_BITS | (slots - self.cums[entries])
        steps[self.is_escape[entries]] = 0
        return steps.astype(np.uint32)

    @cached_property
    def is_escape(self) -> np.ndarray:
        """bool[e]: whether an entry is its table's escape."""
        mask = np.zeros(self.freqs.size, bool)
        mask[self.starts + self.sizes - 1] = True
        return mask

    @cached_property
    def buckets(self) -> UInt32[np.ndarray, " b"]:
        """For each table and each top 8 bits of a slot: the entry its lowest slot lies in."""
        step = 1 << (TOTAL_BITS - BUCKET_BITS)
        firsts = np.arange(self.num_tables << BUCKET_BITS, dtype=np.int64) * step
        ends = np.cumsum(self.freqs, dtype=np.int64)
        return np.searchsorted(ends, firsts, side="right").astype(np.uint32)

    @cached_property
    def decode_entries(self) -> UInt32[np.ndarray, " e"]:
        """``escape << 31 | cum << 16 | freq`` of each entry, for native/rans.c."""
        packed = self.freqs | self.cums << 16
        return packed.astype(np.uint32) | self.is_escape.astype(np.uint32) << np.uint32(31)

    @cached_property
    def push_entries(self) -> np.ndarray:
        """What native/rans.c pushes each entry with; `PUSH_ENTRY` is the layout.

        ``(x * multiplier + addend) >> 45 == x // freq`` for every state x < freq << 18. With
        m = ceil(2**45 / freq) and e = m * freq - 2**45, the product exceeds the true quotient by
        x * e / (freq * 2**45), which is harmless if x * e < 2**45. Otherwise e > 2**27 / freq; then
        m - 1 falls short by freq - e < 2**27 / freq, since freq**2 < 2**28, and (x + 1) * (m - 1)
        is right. Sums stay below 2**64. (Granlund and Montgomery 1994; Robison 2005.)
        """
        freqs = self.freqs.astype(np.int64)
        multipliers = -(-(1 << 45) // freqs)
        excess = multipliers * freqs - (1 << 45)
        too_much = excess * (freqs << 18) > 1 << 45
        multipliers -= too_much
        table = np.zeros(freqs.size, PUSH_ENTRY)
        table["multiplier"] = multipliers
        table["addend"] = multipliers * too_much
        table["limit"] = freqs << (32 - TOTAL_BITS)
        table["rest"] = TOTAL - freqs
        table["cum"] = self.cums
        return table

    @cached_property
    def descriptors(self) -> Int32[np.ndarray, "k 4"]:
        """First entry, minimum, number of symbols without the escape, and 0, for native/rans.c."""
        zeros = np.zeros_like(self.sizes)
        columns = [self.starts.astype(np.int32), self.minimums, self.sizes - 1, zeros]
        return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.int32)

    @cached_property
    def scalar_rows(self) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Per table: where its entries end, to bisect in, and (freq, cum) of each entry.

        Python lists, because a scalar loop reads them several times as fast as arrays. An escape
        is (0, TOTAL): the step of `fallback`'s scalar loop then leads below 0, which it notices
        in a branch that it has anyway.
        """
        rows: list[tuple[list[int], list[tuple[int, int]]]] = []
        for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True):
            freqs = self.freqs[start : start + size - 1].tolist()
            cums = self.cums[start : start + size].tolist()
            rows.append((cums[1:], [*zip(freqs, cums[:-1], strict=True), (0, TOTAL)]))
        return rows

    @cached_property
    def scalar_pushes(self) -> list[tuple[int, int, int, int]]:
        """Per entry: freq, TOTAL - freq, cum, and the state from which a word is shed first."""
        freqs = self.freqs.astype(np.int64)
        columns = (freqs, TOTAL - freqs, self.cums, freqs << (32 - TOTAL_BITS))
        return list(zip(*map(np.ndarray.tolist, columns), strict=True))

    def entries_of(
        self, symbols: Int32[np.ndarray, " n"], indexes: UInt16[np.ndarray, " n"]
    ) -> Int64[np.ndarray, " n"]:
        """The entry that codes each symbol: its own, or its table's escape.

        Args:
            symbols: any 32-bit integers.
            indexes: the table of each symbol, below ``num_tables``.
        """
        offsets = symbols.astype(np.int64) - self.minimums[indexes]
        last = (self.sizes[indexes] - 1).astype(np.int64)
        outside = (offsets < 0) | (offsets > last)
        return self.starts[indexes] + np.where(outside, last, offsets)


def _check(bank: TableBank) -> None:
    """Raise `ModelError` unless the arrays of ``bank`` are consistent tables."""
    count = bank.sizes.size
    if not 1 <= count <= MAX_TABLES:
        raise ModelError(f"table bank: {count} tables, wanted 1 .. {MAX_TABLES}")
    if bank.minimums.size != count or bank.starts.size != count:
        raise ModelError("table bank: minimums, sizes and starts differ in length")
    sizes = bank.sizes.astype(np.int64)
    if int(sizes.min()) < 2 or int(sizes.max()) > TOTAL:
        raise ModelError(f"table bank: a size is outside 2 .. {TOTAL}")
    ends = np.cumsum(sizes)
    if int(ends[-1]) != bank.freqs.size or np.any(ends - sizes != bank.starts):
        raise ModelError("table bank: starts and sizes do not tile the frequencies")
    maximums = bank.minimums.astype(np.int64) + sizes - 2
    if int(bank.minimums.min()) < -SYMBOL_LIMIT or int(maximums.max()) > SYMBOL_LIMIT:
        raise ModelError("table bank: a symbol is outside -2**30 .. 2**30")
    if int(bank.freqs.min()) < 1 or int(bank.freqs.max()) >= TOTAL:
        raise ModelError(f"table bank: a frequency is outside 1 .. {TOTAL - 1}")
    sums = np.add.reduceat(bank.freqs.astype(np.int64), bank.starts.astype(np.intp))
    if np.any(sums != TOTAL):
        table = int(np.argmax(sums != TOTAL))
        raise ModelError(f"table {table}: frequencies sum to {sums[table]}, not {TOTAL}")
