"""Writes the golden vectors of coded weights. Run by hand only: a changed vector is a new format.

PYTHONPATH=src python vectors/weights/generate.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from intact.packing import coding
from intact.packing.coding import code, shape

HERE = Path(__file__).parent


def paint(rows: int, columns: int, scale: int, kernel: int = 1) -> NDArray[np.int32]:
    """Weights without randomness, larger in some rows, smooth in kernels."""
    at = np.arange(rows * columns, dtype=np.int64)
    wave = (at // kernel * 7919 + at % kernel * 13) % 101 - 50
    sharp = wave**3 // 2500 * scale // 50
    return (sharp.reshape(rows, columns) * (1 + np.arange(rows)[:, None] % 4) // 4).astype(np.int32)


def symbols() -> dict[str, tuple[NDArray[np.int32], int, int]]:
    """Name: symbols, kernel, symbols of a segment."""
    whole = 1 << 22
    outlier = paint(9, 31, 3)
    outlier[4, 7], outlier[8, 30] = 70_000, -3
    return {
        "one": (np.array([[-5]], np.int32), 1, whole),
        "equal": (np.full((3, 4), 7, np.int32), 2, whole),
        "limits": (np.array([[-(1 << 30), 1 << 30, 0]], np.int32), 1, whole),
        "kernels": (paint(12, 54, 2, 9), 9, whole),
        "sparse kernels": (paint(8, 75, 1, 25) * (paint(8, 75, 9) > 2), 25, whole),
        "linear": (paint(20, 33, 12), 1, whole),
        "outlier": (outlier, 1, whole),
        "wide": (paint(9, 36, 4000, 4), 4, whole),
        "segments": (paint(10, 20, 3), 1, 70),
    }


def values() -> dict[str, NDArray[Any]]:
    """Kind: bits."""
    at = np.arange(700, dtype=np.int64)
    exponents = 120 - (at * at % 19) // 3
    mantissas = at * 2654435761 % (1 << 23)
    single = ((at % 2) << 31 | exponents << 23 | mantissas).astype(np.uint32)
    return {
        "float64": single.astype(np.uint64) << np.uint64(29),
        "float32": single,
        "bfloat16": (single >> 16).astype(np.uint16),
        "float16": (single >> 16).astype(np.uint16) ^ np.uint16(0x0400),
        "float8": (single >> 24).astype(np.uint8),
    }


def vectors(backend: shape.Backend | None = None) -> list[dict[str, Any]]:
    """All of them, as they are written."""
    found: list[dict[str, Any]] = []
    for name, (array, kernel, segment) in symbols().items():
        for method in coding.METHODS:
            with mock.patch.object(code, "SEGMENT_SYMBOLS", segment):
                data = coding.encode(array, method, kernel=kernel, backend=backend)
            shape = list(array.shape)
            found.append({"name": name, "method": method, "shape": shape, "data": data.hex()})
            found[-1]["symbols"] = array.reshape(-1).tolist() if method == "static" else "as static"
    for kind, bits in values().items():
        data = coding.encode_floats(bits, cast(coding.FloatKind, kind), backend=backend)
        found.append({"kind": kind, "count": bits.size, "data": data.hex()})
        found[-1]["bits"] = bits.tolist()
    return found


def text(found: list[dict[str, Any]]) -> str:
    """One vector a line."""
    return "[\n" + ",\n".join(json.dumps(vector) for vector in found) + "\n]\n"


if __name__ == "__main__":
    (HERE / "coding.json").write_text(text(vectors()), encoding="utf-8")
