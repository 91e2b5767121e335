"""How fast coded weights are packed and unpacked: 100 MB of float32 at about 4 coded bits.

    python benchmarks/weights_speed.py [--threads 2] [--python]

Two synthetic tensors of 12.5 million weights each, a linear layer and kernels of 3x3, normal with
a scale of their own in each row. Packing is symbols to bytes; unpacking is bytes to float32 (by a
table of levels). Wall time, the best of three runs, warm; on a busy machine also processor time,
which is what one core needs. Megabytes are those of float32. `--python` is NumPy without C.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import RESULTS, Row, machine, write
from numpy.typing import NDArray

from intact.packing import coding

STEP = 0.26
SHAPES = {"linear": (3072, 4096, 1), "3x3": (2720, 4608, 9)}


def symbols(rows: int, columns: int) -> NDArray[np.int32]:
    """Quantized weights."""
    rng = np.random.default_rng(1)
    scales = rng.lognormal(0, 0.3, (rows, 1)).astype(np.float32)
    weights = rng.standard_normal((rows, columns), np.float32) * scales
    return np.rint(weights / STEP).astype(np.int32)


def best(call: Callable[[], object], runs: int) -> tuple[float, float]:
    """Least wall and processor time of some runs, in seconds."""
    walls: list[float] = []
    works: list[float] = []
    for _ in range(runs):
        wall, work = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return min(walls), min(works)


def measure(method: coding.Method, name: str, options: argparse.Namespace) -> Row:
    """Speeds of one method on one tensor."""
    rows, columns, kernel = SHAPES[name]
    rows = max(1, rows // options.divide)
    array = symbols(rows, columns)
    backend = "python" if options.python else None
    data = coding.encode(array, method, kernel=kernel, backend=backend)
    low, high = coding.span(data)
    values = np.arange(low, high + 1, dtype=np.float32) * np.float32(STEP)
    levels = values.view(np.uint32)

    def unpack() -> NDArray[np.float32]:
        return coding.decode(
            data, rows, columns, levels=levels, threads=options.threads, backend=backend
        ).view(np.float32)

    assert np.array_equal(unpack(), array.astype(np.float32) * np.float32(STEP))
    pack = best(lambda: coding.encode(array, method, kernel=kernel, backend=backend), 1)
    found = best(unpack, options.runs)
    megabytes = 4 * array.size / 1e6
    return {
        "method": method,
        "tensor": name,
        "backend": backend or "native",
        "threads": options.threads,
        "megabytes": round(megabytes),
        "bits_per_weight": f"{8 * len(data) / array.size:.3f}",
        "pack_mb_s": round(megabytes / pack[0]),
        "pack_mb_s_core": round(megabytes / pack[1]),
        "unpack_mb_s": round(megabytes / found[0]),
        "unpack_mb_s_core": round(megabytes / found[1]),
        "machine": machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--python", action="store_true")
    parser.add_argument("--divide", type=int, default=1, help="so much smaller tensors")
    parser.add_argument("--method", action="append", choices=coding.METHODS)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "weights_speed.csv")
    options = parser.parse_args()
    table: list[Row] = []
    for method in options.method or coding.METHODS:
        for name in SHAPES:
            table.append(measure(method, name, options))
            print(*table[-1].values(), sep="  ", flush=True)
    write(options.output, table)


if __name__ == "__main__":
    main()
