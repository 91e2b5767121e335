"""Writes the golden vectors of the coder. Run by hand only: a changed vector is a new format.

PYTHONPATH=src python vectors/bits/generate.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from intact.bits import rans
from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank

HERE = Path(__file__).parent


def paint(count: int, modulus: int, offset: int = 0) -> list[int]:
    """A pattern without randomness: quadratic, so that no period fits the lanes."""
    return [(k * k + 3 * k) % modulus + offset for k in range(count)]


def cases() -> dict[str, tuple[list[int], list[list[int]], list[list[list[int]]], int]]:
    """Name: minimums, freqs, [symbols, indexes] of each part, lanes."""
    coin = [[8192, 8191, 1]]
    bells = [
        apportion([1, 30, 1000, 30, 1, 1]).tolist(),
        apportion([2**min(k, 16 - k) for k in range(17)] + [1]).tolist(),
        apportion([1] * 251).tolist(),
    ]  # fmt: skip
    edges = [0, 1, 2, -1, 63, -64, 64, -65, 8191, 1 << 30, -(1 << 30), (1 << 31) - 1, -(1 << 31)]
    return {
        "empty": ([0], coin, [[[], []]], 1),
        "one-symbol": ([0], coin, [[[1], [0]]], 1),
        "coin-one-lane": ([0], coin, [[paint(41, 2), [0] * 41]], 1),
        "escapes": ([0], coin, [[edges, [0] * len(edges)]], 1),
        "escapes-in-lanes": ([-7], [[1, TOTAL - 2, 1]], [[edges * 3, [0] * 39]], 4),
        "three-parts": (
            [-2, -8, 100], bells,
            [[paint(37, 5, -2), [0] * 37], [[], []], [paint(101, 17, -8), paint(101, 2)],
             [paint(53, 250, 100), [2] * 53]],
            8,
        ),
        "rows-and-a-rest": ([-2, -8, 100], bells, [[paint(199, 17, -8), paint(199, 3)]], 64),
    }  # fmt: skip


def main() -> None:
    """Write one JSON file with every case."""
    vectors: list[dict[str, Any]] = []
    for name, (minimums, freqs, parts, lanes) in cases().items():
        bank = TableBank.build(minimums, freqs)
        message = [(np.array(s, np.int32), np.array(i, np.int64), bank) for s, i in parts]
        vectors.append(
            {
                "name": name,
                "minimums": minimums,
                "freqs": freqs,
                "parts": [{"symbols": s, "indexes": i} for s, i in parts],
                "lanes": lanes,
                "payload": rans.encode(message, lanes).hex(),
            }
        )
    text = ",\n".join(json.dumps(vector) for vector in vectors)
    (HERE / "rans.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
