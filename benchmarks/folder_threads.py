"""Many small pictures with one and with two threads: folders, and threads of one process.

    python benchmarks/folder_threads.py [--count 500] [--side 256] [--rounds 3]

``intact encode FOLDER --threads 2`` works in two processes; the goal is 1.6 times the speed of one
thread. Threads of a user's process, and two threads for one small picture, must not be slower than
one. In turns, medians; on a busy machine look at the CPU time, too: where two threads take as much
of it as one, they take half the time as soon as there are two cores. Writes
benchmarks/results/folder_threads.csv.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import RESULTS, Row, machine, photo, write
from PIL import Image

import intact

GOAL = 1.6


def crops(count: int, side: int) -> list[np.ndarray]:
    """Pieces of a photo, which overlap where there are many."""
    image = photo(3072, 2048)
    random = np.random.default_rng(0)
    places = [(random.integers(2048 - side), random.integers(3072 - side)) for _ in range(count)]
    return [np.ascontiguousarray(image[y : y + side, x : x + side]) for y, x in places]


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU time in seconds."""
    start, cpu = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - start, cpu_seconds() - cpu


def command(verb: str, source: Path, target: Path, threads: int) -> Callable[[], object]:
    """A command on a folder, into an empty one."""

    def run() -> None:
        shutil.rmtree(target, ignore_errors=True)
        line = [sys.executable, "-m", "intact", verb, source, "-o", target, "--quiet"]
        subprocess.run([*line, "--threads", str(threads)], check=True)

    return run


def in_threads(work: Callable[..., object], items: list, threads: int) -> Callable[[], object]:
    """Calls of one thread each, from so many threads of this process."""

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda item: work(item, threads=1), items))

    return run


def one_by_one(work: Callable[..., object], items: list, threads: int) -> Callable[[], object]:
    """One call after the other, each with so many threads."""

    def run() -> None:
        for item in items:
            work(item, threads=threads)

    return run


def main() -> int:
    """Print a table and write it as CSV; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pictures = crops(options.count, options.side)
    files = [intact.encode(picture, threads=1) for picture in pictures[: options.count // 4]]
    rows: list[Row] = []
    print(f"{machine()}\n{options.count} pictures of {options.side} x {options.side}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "png").mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / "png" / f"{number:04}.png")
        command("encode", folder / "png", folder / "coded", 2)()
        some = pictures[: options.count // 4]
        works: dict[str, tuple[Callable[[int], Callable[[], object]], float]] = {
            "encode a folder": (
                lambda n: command("encode", folder / "png", folder / f"out{n}", n),
                GOAL,
            ),
            "decode a folder": (
                lambda n: command("decode", folder / "coded", folder / f"back{n}", n),
                GOAL,
            ),
            "encode from threads": (lambda n: in_threads(intact.encode, some, n), 1),
            "decode from threads": (lambda n: in_threads(intact.decode, files, n), 1),
            "encode with threads": (lambda n: one_by_one(intact.encode, some, n), 1),
            "decode with threads": (lambda n: one_by_one(intact.decode, files, n), 1),
        }
        for what, (make, goal) in works.items():
            found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
            for _ in range(options.rounds):
                for threads in found:
                    found[threads].append(timed(make(threads)))
            wall, cpu = (
                {n: statistics.median(pair[i] for pair in found[n]) for n in found} for i in (0, 1)
            )
            row = {
                "what": what,
                "seconds_1": wall[1],
                "seconds_2": wall[2],
                "times_as_fast": wall[1] / wall[2],
                "cpu_1": cpu[1],
                "cpu_2": cpu[2],
                "goal": goal,
            }
            rows.append(row)
            print(
                f"{what:20} {wall[1]:7.2f} s, {wall[2]:7.2f} s: {wall[1] / wall[2]:.2f} times as "
                f"fast (goal {goal}); CPU {cpu[1]:.2f} s, {cpu[2]:.2f} s",
                flush=True,
            )
    write(RESULTS / "folder_threads.csv", rows)
    return int(any(row["times_as_fast"] < 0.97 * row["goal"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
