"""Peak memory of a 24-megapixel encode, decode and encode to a target, each in a fresh process.

    python benchmarks/memory.py [--size 6000x4000] [--threads 2] [--backends native,numpy]
        [--model NAME | --model random]

The peak is the kernel's VmHWM of the process, interpreter, model, pixels (72 MB) and file included,
so Linux only. "base" is what the imports and the model take before any pixel. The picture is a
photo, enlarged. The goal is 1,500 MB (millions of bytes). Writes benchmarks/results/memory.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL_MB = 1500


def peak_mb() -> float:
    """The most memory this process ever had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def worker(work: str, backend: Any, threads: int, folder: Path) -> None:
    """Encode or decode once and print a line of JSON."""
    import numpy as np

    import intact
    from intact.codec.model import Model

    model = Model.from_bytes((folder / "model").read_bytes())
    base = peak_mb()
    begin = time.perf_counter()
    how = {"model": model, "backend": backend, "threads": threads}
    if work == "target":
        target(folder, backend, threads)
    elif work == "encode":
        data = intact.encode(np.load(folder / "image.npy"), **how)
        (folder / "file").write_bytes(data)
    else:
        intact.decode((folder / "file").read_bytes(), **how)
    seconds = time.perf_counter() - begin
    print(json.dumps({"base_mb": base, "peak_mb": peak_mb(), "seconds": seconds}))


def target(folder: Path, backend: str, threads: int) -> None:
    """Search for a size as the command line does: several encodes, from a PNG."""
    from intact.cli import main as intact_main

    image, size = folder / "image.png", str((folder / "file").stat().st_size)
    if not image.exists():  # by another process: this one's peak is the result
        code = (
            f"import numpy, PIL.Image as i; i.fromarray(numpy.load({str(folder / 'image.npy')!r}))"
        )
        subprocess.run([sys.executable, "-c", f"{code}.save({str(image)!r})"], check=True)
    options = ["--model", str(folder / "model.intactm"), "--target-size", size, "--quiet"]
    options += ["--backend", backend, "--threads", str(threads)]
    assert intact_main(["encode", str(image), "-o", str(folder / "out"), *options]) == 0


def main() -> int:
    """Print a table and write it as CSV; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="6000x4000", help="width x height of the image")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backends", default="native,numpy")
    parser.add_argument("--model", help="name or path; default the shipped one, else random")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--worker", nargs=2, metavar=("WORK", "BACKEND"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work, backend = options.worker
        worker(work, backend, options.threads, options.folder)
        return 0
    import numpy as np
    from common import RESULTS, Row, find_model, machine, photo, write

    width, height = (int(side) for side in options.size.split("x"))
    model, what = find_model(options.model)
    print(f"{machine()}\n{options.size}, {options.threads} thread(s), {what}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("model", "model.intactm"):
            (folder / file).write_bytes(model.to_bytes())
        np.save(folder / "image.npy", photo(width, height))
        for backend in options.backends.split(","):
            for work in ("encode", "decode", "target"):
                command = [sys.executable, __file__, "--worker", work, backend]
                command += ["--folder", name, "--threads", str(options.threads)]
                environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
                out = subprocess.run(
                    command, env=environment, check=True, stdout=subprocess.PIPE, text=True
                )
                found = json.loads(out.stdout)
                size = (folder / "file").stat().st_size
                ratio = found["peak_mb"] / GOAL_MB
                print(f"{work} {backend:8} peak {found['peak_mb']:6.0f} MB, {ratio:.2f} of the goal"
                      f" (base {found['base_mb']:.0f} MB), {found['seconds']:.1f} s, file of"
                      f" {size:,} bytes", flush=True)  # fmt: skip
                rows.append({
                    "machine": machine(), "size": options.size, "threads": options.threads,
                    "work": work, "backend": backend, **found, "ratio_to_goal": ratio,
                })  # fmt: skip
    write(options.csv or RESULTS / "memory.csv", rows)
    return int(any(row["ratio_to_goal"] > 1 for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
