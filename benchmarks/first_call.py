"""What the first call of a process costs, and that later ones are not slower than they were.

    python benchmarks/first_call.py [--old FOLDER] [--rounds 15] [--model photo]

In turns, so that a busy machine slows all alike:

- base: a process that imports NumPy and Pillow and decodes a PNG (Kodak's first picture);
- decode: ``intact decode`` of that picture to PPM, encode: ``intact encode`` of it, each a process;
- eight threads that start together in a fresh process, each with a decode, against one: how long
  until all are done, less what eight such decodes take that begin when one thread has made all
  ready, and peak memory against that process;
- decode and encode with the model loaded, one thread and two.

``--old`` is a checkout of an earlier version with its native library built, to compare with (goals:
0.4 of its time for a first call, no more than its time with the model loaded; 1.05 is noise):

    git worktree add /tmp/old 064116b && cd /tmp/old && python setup.py build_ext --inplace

Goals: decode 3.2 times base, encode 3.8 times; eight threads 1.3 times one, in time and memory.
Writes benchmarks/results/first_call.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from common import DATA, RESULTS, ROOT, Row, in_turns, machine, seconds, write

BASE = "import sys, numpy, PIL.Image; PIL.Image.open(sys.argv[1]).load()"
THREADS = """
import json, resource, sys, threading, time
name, count, warm = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = open(name, "rb").read()
import numpy
begin = time.perf_counter()
import intact

def together(count):
    gate, begin = threading.Barrier(count), time.perf_counter()
    def work():
        gate.wait()
        intact.decode(data, threads=1)
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return time.perf_counter() - begin

cold = together(count)
again = together(count) if warm else 0.0
later = together(warm) if warm else 0.0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([cold, again, later, peak / 1024]))
"""
LOADED = """
import json, sys, time
import intact
from PIL import Image
name, file, model = sys.argv[1:4]
image, data, chosen = Image.open(name), open(file, "rb").read(), intact.load_model(model)
image.load()
def best(work):
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times[2:])
found = {}
for threads in (1, 2):
    found[f"decode {threads}"] = best(lambda: intact.decode(data, threads=threads))
    found[f"encode {threads}"] = best(lambda: intact.encode(image, model=chosen, threads=threads))
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What the first call of a process costs.")
    parser.add_argument("--old", type=Path, help="checkout of an earlier version, built")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", default="photo", help="one that the old version has, too")
    given = parser.parse_args()
    print(machine())
    png = DATA / "kodak" / "kodim01.png"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.intact"
        versions = {"": ROOT} | ({"old ": given.old} if given.old else {})
        run(ROOT, ["encode", str(png), "-o", str(file), "--model", given.model])
        rows = whole_processes(versions, png, file, given.model, given.rounds)
        rows += threads_together(file, max(given.rounds // 3, 3))
        rows += loaded(versions, png, file, given.model, max(given.rounds // 3, 3))
    write(RESULTS / "first_call.csv", rows)


def environment(root: Path) -> dict[str, str]:
    """As a user has it: bytecode is kept. With OMP_NUM_THREADS=1 the base is faster by a third."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(root / "src")}


def python(root: Path, *arguments: str) -> str:
    """Run Python with a version of the package; its output."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(root), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(root: Path, arguments: list[str]) -> None:
    """One command in a process of its own."""
    python(root, "-m", "intact", *arguments, "--force", "--quiet")


def whole_processes(
    versions: dict[str, Path], png: Path, file: Path, model: str, rounds: int
) -> list[Row]:
    """Seconds of processes, and how many times the base each takes."""
    out = file.parent
    todo: dict[str, Callable[[], object]] = {"base": lambda: python(ROOT, "-c", BASE, str(png))}
    for label, root in versions.items():
        ppm, again = str(out / "picture.ppm"), str(out / "again.intact")
        todo[f"{label}decode"] = lambda root=root, ppm=ppm: run(
            root, ["decode", str(file), "-o", ppm]
        )
        todo[f"{label}encode"] = lambda root=root, again=again: run(
            root, ["encode", str(png), "-o", again, "--model", model]
        )
    found = in_turns({name: seconds(work) for name, work in todo.items()}, rounds)
    goals = {"decode": 3.2, "encode": 3.8}
    rows: list[Row] = []
    for name, taken in found.items():
        ratio = taken / found["base"]
        rows.append(row(f"process: {name}", taken, "s", ratio, "base", goals.get(name)))
        if f"old {name}" in found:
            against = taken / found[f"old {name}"]
            rows.append(row(f"process: {name}", taken, "s", against, f"old {name}", 0.4))
    return rows


def threads_together(file: Path, rounds: int) -> list[Row]:
    """Eight threads that start together, against one."""

    def once(count: int, warm: int) -> list[float]:
        return json.loads(python(ROOT, "-c", THREADS, str(file), str(count), str(warm)))

    kinds = {"one": (1, 8), "eight": (8, 0)}
    found: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            found[name].append(once(*kind))
    middle = {
        name: [sorted(column)[rounds // 2] for column in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    one = middle["one"][0] - middle["one"][1]
    eight = middle["eight"][0] - middle["one"][2]
    memory = middle["eight"][3] / middle["one"][3]
    return [
        row("threads: one, cold, less its decode", one, "s", 1.0, "one", None),
        row("threads: eight, cold, less their decodes", eight, "s", eight / one, "one", 1.3),
        row("threads: eight, peak memory", middle["eight"][3], "MB", memory, "one first", 1.3),
    ]


def loaded(versions: dict[str, Path], png: Path, file: Path, model: str, rounds: int) -> list[Row]:
    """Decode and encode where all is ready."""
    found: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for label, root in versions.items():
            times = json.loads(python(root, "-c", LOADED, str(png), str(file), model))
            best = found.setdefault(label, times)
            found[label] = {name: min(best[name], taken) for name, taken in times.items()}
    rows: list[Row] = []
    for name, taken in found[""].items():
        old = found.get("old ", {}).get(name)
        what = f"loaded: {name} thread{'s' if name[-1] != '1' else ''}"
        ratio = None if old is None else taken / old
        rows.append(row(what, taken, "s", ratio, "old", 1.05))
    return rows


def row(
    what: str, value: float, unit: str, ratio: float | None, to: str, goal: float | None
) -> Row:
    """A row of the table, which is also printed."""
    shown = "" if ratio is None else f"  {ratio:.2f} of {to}"
    if ratio is not None and goal is not None:
        shown += f" (goal {goal}: {'met' if ratio <= goal else 'MISSED'})"
    print(f"{what:42} {value:8.3f} {unit}{shown}")
    return {"what": what, "value": value, "unit": unit, "ratio": "" if ratio is None else ratio,
            "to": to, "goal": "" if goal is None else goal}  # fmt: skip


if __name__ == "__main__":
    main()
