"""Speed and size of `intact.bits` beside constriction: the same tables, symbols and process.

    PYTHONPATH=src python benchmarks/entropy_coder.py [--symbols 60000 1000000] [--csv FILE]

Both code the same integer frequencies: constriction's `Categorical` gets ``freq * 1024 - 1`` (its
precision is 24 bits), with which its float scaling is exactly 1 (anchors/ecosystem.md, fact 5).
"grouped": symbols sorted by table, one call per table, which is constriction's fast way.
"mixed": one table per symbol in message order, as a learned codec has them; constriction then
takes a row of probabilities per symbol. Symbols are drawn from the tables, without escapes.
The best of several runs, in CPU time of this process (the machine may be shared).
"""

from __future__ import annotations

import argparse
import csv
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from intact.bits import fast
from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank

# By name: constriction is not among the packages that `make test` installs.
stream: Any = importlib.import_module("constriction").stream

FIELDS = [
    "kind", "order", "symbols", "coder", "lanes", "bytes", "overhead_percent",
    "encode_msymbols_s", "decode_msymbols_s", "encode_ratio", "decode_ratio",
]  # fmt: skip
Row = dict[str, Any]


def make_bank(widest: float, num_tables: int = 64) -> TableBank:
    """Gaussian tables as in a scale hyperprior: scales 0.11 to ``widest``, 4 deviations wide."""
    minimums, rows = [], []
    for scale in np.geomspace(0.11, widest, num_tables).tolist():
        reach = max(1, int(np.ceil(4 * scale)))
        density = np.exp(-((np.arange(-reach, reach + 1) / scale) ** 2) / 2)
        weights = (density / density.sum() * 1e12).astype(np.int64)
        rows.append(apportion([*weights.tolist(), 10**8]))
        minimums.append(-reach)
    return TableBank.build(minimums, rows)


def draw(bank: TableBank, indexes: np.ndarray, seed: int) -> np.ndarray:
    """Symbols with the tables' own frequencies; an escape becomes the table's minimum."""
    slots = np.random.default_rng(seed).integers(0, TOTAL, indexes.size)
    entries = bank.slot_entries[indexes.astype(np.int64) * TOTAL + slots]
    return np.where(bank.is_escape[entries], bank.minimums[indexes], bank.values[entries])


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least CPU seconds of some runs, and the last result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return max(min(seconds), 1e-9), result


def ideal_bytes(bank: TableBank, symbols: np.ndarray, indexes: np.ndarray) -> float:
    """Information content under the integer tables."""
    freqs = bank.freqs[bank.entries_of(symbols, indexes.astype(np.uint16))]
    return float((np.log2(TOTAL) - np.log2(freqs)).sum()) / 8


def run_intact(
    bank: TableBank, symbols: np.ndarray, indexes: np.ndarray, backend: fast.Backend, repeats: int
) -> Row:
    """Time `intact.bits.fast`; its default number of lanes."""
    encode_s, payload = best(
        lambda: fast.encode([(symbols, indexes, bank)], backend=backend), repeats
    )

    def decode() -> np.ndarray:
        decoder = fast.Decoder(payload, backend=backend)
        decoded = decoder.decode(indexes, bank)
        decoder.finish()
        return decoded

    decode_s, decoded = best(decode, repeats)
    assert np.array_equal(decoded, symbols)
    return measured(f"intact {backend}", symbols.size, len(payload), encode_s, decode_s) | {
        "lanes": 1 << payload[0]
    }


def probabilities(bank: TableBank, table: int) -> np.ndarray:
    """A table's frequencies as constriction's `Categorical` takes them exactly."""
    start, size = int(bank.starts[table]), int(bank.sizes[table])
    return bank.freqs[start : start + size].astype(np.float64) * 1024 - 1


def run_grouped(
    bank: TableBank, symbols: np.ndarray, indexes: np.ndarray, repeats: int, *, queue: bool
) -> Row:
    """Time constriction with one call per table; the models are built beforehand."""
    categorical = stream.model.Categorical
    models = [categorical(probabilities(bank, t), perfect=False) for t in range(bank.num_tables)]
    groups = []
    for table in np.unique(indexes).tolist():
        offsets = (symbols[indexes == table] - bank.minimums[table]).astype(np.int32)
        groups.append((models[table], offsets))

    def encode() -> np.ndarray:
        if queue:
            encoder = stream.queue.RangeEncoder()
            for model, offsets in groups:
                encoder.encode(offsets, model)
            return encoder.get_compressed()
        coder = stream.stack.AnsCoder()
        for model, offsets in reversed(groups):
            coder.encode_reverse(offsets, model)
        return coder.get_compressed()

    encode_s, words = best(encode, repeats)

    def decode() -> list[np.ndarray]:
        coder = stream.queue.RangeDecoder(words) if queue else stream.stack.AnsCoder(words)
        return [coder.decode(model, offsets.size) for model, offsets in groups]

    decode_s, decoded = best(decode, repeats)
    assert all(np.array_equal(got, want) for got, (_, want) in zip(decoded, groups, strict=True))
    name = "constriction " + ("range" if queue else "ans")
    return measured(name, symbols.size, words.nbytes, encode_s, decode_s)


def run_mixed(bank: TableBank, symbols: np.ndarray, indexes: np.ndarray, repeats: int) -> Row:
    """Time constriction with a row of probabilities per symbol, built beforehand."""
    family = stream.model.Categorical(perfect=False)
    rows = np.zeros((bank.num_tables, int(bank.sizes.max())))
    for table in range(bank.num_tables):
        row = probabilities(bank, table)
        rows[table, : row.size] = row
        # unused symbols take their one slot from the most frequent one
        rows[table, np.argmax(row)] -= rows.shape[1] - row.size
    matrix = rows[indexes]
    offsets = (symbols - bank.minimums[indexes]).astype(np.int32)

    def encode() -> np.ndarray:
        coder = stream.stack.AnsCoder()
        coder.encode_reverse(offsets, family, matrix)
        return coder.get_compressed()

    encode_s, words = best(encode, repeats)
    decode_s, decoded = best(lambda: stream.stack.AnsCoder(words).decode(family, matrix), repeats)
    assert np.array_equal(decoded, offsets)
    return measured("constriction ans", symbols.size, words.nbytes, encode_s, decode_s)


def measured(coder: str, count: int, size: int, encode_s: float, decode_s: float) -> Row:
    """The common part of a row."""
    return {
        "coder": coder,
        "symbols": count,
        "bytes": size,
        "encode_msymbols_s": count / encode_s / 1e6,
        "decode_msymbols_s": count / decode_s / 1e6,
    }


def compare(kind: str, bank: TableBank, count: int) -> list[Row]:
    """Every coder on one message, grouped and mixed."""
    mixed = np.random.default_rng(count).integers(0, bank.num_tables, count).astype(np.uint8)
    grouped = np.sort(mixed)
    symbols_grouped, symbols_mixed = draw(bank, grouped, 1), draw(bank, mixed, 1)
    few = min(count, 100_000)  # a row of probabilities per symbol fills the memory
    plans = [
        ("grouped", grouped, symbols_grouped, [
            lambda: run_grouped(bank, symbols_grouped, grouped, 5, queue=False),
            lambda: run_grouped(bank, symbols_grouped, grouped, 5, queue=True),
        ]),
        ("mixed", mixed, symbols_mixed, [
            lambda: run_mixed(bank, symbols_mixed[:few], mixed[:few], 1),
        ]),
    ]  # fmt: skip
    rows: list[Row] = []
    for order, indexes, symbols, peers in plans:
        peer_rows = [peer() for peer in peers]
        ours = [
            run_intact(bank, symbols, indexes, "native", 9),
            run_intact(bank, symbols, indexes, "python", 3),
        ]
        for row in [*ours, *peer_rows]:
            used = row["symbols"]
            ideal = ideal_bytes(bank, symbols[:used], indexes[:used])
            row |= {"kind": kind, "order": order}
            row["overhead_percent"] = 100 * (row["bytes"] / ideal - 1)
            for way in ("encode", "decode"):
                row[f"{way}_ratio"] = (
                    row[f"{way}_msymbols_s"] / peer_rows[0][f"{way}_msymbols_s"]
                )  # to constriction's ANS coder
            rows.append(row)
    return rows


def main() -> None:
    """Print a table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, nargs="+", default=[60_000, 1_000_000])
    parser.add_argument("--csv", type=Path, default=Path("benchmarks/results/entropy_coder.csv"))
    options = parser.parse_args()
    banks = {"low (0.11-0.6)": make_bank(0.6), "wide (0.11-60)": make_bank(60)}
    rows = [
        row
        for kind, bank in banks.items()
        for count in options.symbols
        for row in compare(kind, bank, count)
    ]
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with options.csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(cells)
            line = [str(cells.get(field, "")) for field in FIELDS]
            print("  ".join(cell.ljust(9) for cell in line))
    print(f"python {sys.version.split()[0]}, numpy {np.__version__}; written to {options.csv}")


if __name__ == "__main__":
    main()
