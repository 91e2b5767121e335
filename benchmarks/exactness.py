"""Same pixels, same files: every backend, thread count and oneDNN instruction set, on Kodak.

    python benchmarks/exactness.py [--qualities 10,40,70,100] [--every N] [--jobs 2]
        [--backends torch] [--effort 1]

Each configuration runs in a process of its own (oneDNN reads ONEDNN_MAX_CPU_ISA once). It encodes
every image at every quality and decodes the file that the *reference configuration* (native, one
thread) wrote; SHA-256 of files and pixels are compared. Exit code 1 on any difference, and where a
backend was refused or rescued by another. Writes benchmarks/results/exactness.csv. All 24 images
take about 45 minutes, most of it torch.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KODAK = ROOT.parent / "shared" / "data" / "kodak"
ISAS = ("SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI", "")


def worker(args: argparse.Namespace, paths: list[str]) -> None:
    """Print one JSON line per image and quality: hashes of the file and of its pixels."""
    import numpy as np
    from PIL import Image

    import intact
    from intact.codec.image import Runtime
    from intact.codec.store import load_model
    from intact.intnet.backends import choose

    backend, threads, chosen = args.worker, args.threads, load_model(args.model or None)
    qualities = [float(q) for q in args.qualities.split(",")]
    used = Runtime(backend, threads).networks(chosen, 1 << 18).backend.name
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB"))
        for quality in qualities:
            start = time.perf_counter()
            data = intact.encode(
                image, quality=quality, model=chosen, backend=backend, threads=threads,
                effort=args.effort,
            )  # fmt: skip
            pixels = intact.decode(data, model=chosen, backend=backend, threads=threads).pixels
            row = {
                # What another backend had to decode for it is not its own.
                "used": f"{used}, rescued" if backend in choose.refusals() else used,
                "key": f"{Path(path).stem}@{quality:g}",
                "file": hashlib.sha256(data).hexdigest(),
                "pixels": hashlib.sha256(pixels.tobytes()).hexdigest(),
                "seconds": time.perf_counter() - start,
            }
            print(json.dumps(row), flush=True)


def run(backend: str, threads: int, isa: str, args: argparse.Namespace) -> dict[str, dict]:
    """One configuration in a fresh process; rows by image and quality."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    env.pop("ONEDNN_MAX_CPU_ISA", None)
    if isa:
        env["ONEDNN_MAX_CPU_ISA"] = isa
    command = [sys.executable, __file__, "--worker", backend, "--threads", str(threads)]
    command += ["--qualities", args.qualities, "--every", str(args.every), "--model", args.model]
    command += ["--effort", str(args.effort)]
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return {row["key"]: row for row in map(json.loads, out.splitlines())}


def main() -> int:
    """Run all configurations and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qualities", default="10,40,70,100")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="")
    parser.add_argument("--effort", type=int, default=0, help="1 is the same everywhere, too")
    parser.add_argument("--backends", default="native,numpy,torch", help="besides native, 1 thread")
    parser.add_argument("--jobs", type=int, default=1, help="configurations at the same time")
    parser.add_argument("-o", type=Path, default=ROOT / "benchmarks/results/exactness.csv")
    parser.add_argument("--worker", default="")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    paths = [str(p) for p in sorted(KODAK.glob("*.png"))[:: args.every]]
    if args.worker:
        worker(args, paths)
        return 0
    configurations = [("native", 1, ""), ("native", 2, ""), ("numpy", 1, ""), ("numpy", 2, "")]
    configurations += [("torch", threads, isa) for isa in ISAS for threads in (1, 2)]
    wanted = args.backends.split(",")
    configurations = [c for c in configurations if c[0] in wanted or c[:2] == ("native", 1)]
    reference: dict[str, dict] = {}
    rows, worst = [], 0
    with ThreadPoolExecutor(args.jobs) as pool:  # each of these threads waits for a process
        results = pool.map(lambda c: run(c[0], c[1], c[2], args), configurations)
        for (backend, threads, isa), found in zip(configurations, results, strict=True):
            reference = reference or found
            files = sum(found[k]["file"] != reference[k]["file"] for k in reference)
            pixels = sum(found[k]["pixels"] != reference[k]["pixels"] for k in reference)
            used = " / ".join(sorted({row["used"] for row in found.values()}))
            worst = max(worst, files, pixels, used != backend)
            rows.append((backend, used, threads, isa or "unset", len(found), files, pixels))
            print(
                f"{backend:8} (ran as {used:9}) {threads} threads, ISA {isa or 'unset':17}: "
                f"{len(found)} files, {files} files differ, {pixels} images differ"
                f"   {sum(row['seconds'] for row in found.values()):.0f} s",
                flush=True,
            )
    with args.o.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["backend", "ran_as", "threads", "onednn_isa", "files", "files_differ", "pixels_differ"]
        )
        writer.writerows(rows)
    return 1 if worst else 0


if __name__ == "__main__":
    raise SystemExit(main())
