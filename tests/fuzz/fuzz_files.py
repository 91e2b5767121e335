"""Mutate files until something other than an `IntactError` happens. docs/fuzzing.md says how.

    python tests/fuzz/fuzz_files.py --runs 200000 --seed 1

A run is a function of the seed and its number, so `--start N --runs 1` repeats one.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]
    # Workers of --jobs must find the classes under the name that the tests use.
    sys.modules["fuzz.fuzz_files"] = sys.modules["__main__"]

import intact  # noqa: E402
from fuzz import check, mutate, reach, trees  # noqa: E402
from fuzz.seeds import (  # noqa: E402
    blob_seeds,
    image_seeds,
    model_seeds,
    models,
    payload_seeds,
)
from intact.codec.model import Model  # noqa: E402
from intact.container.tree import DTYPES  # noqa: E402

FAILURES = HERE / "failures"
SLOW_S = 1.0  # of CPU time: others use this machine
HANG_S = 20
MEMORY_KB = 512 << 10  # growth of the peak in one run
ADDRESS_SPACE = 4 << 30  # beyond what Python and NumPy have mapped already
TRACE_EVERY = 7  # this and the next share no factor with 20, the period of `Fuzzer.case`
ALL_CODERS_EVERY = 3
SUFFIXES = {"image": ".intact", "model": ".intactm", "payload": ".rans", "blob": ".blob"}


class Hang(BaseException):
    """A run exceeded `HANG_S`; not an Exception, so that no parser can catch it."""


@dataclass(frozen=True)
class Case:
    """One mutated file.

    Attributes:
        target: "image", "model", "blob" (of an array) or "payload" (of rANS).
        kind: what was done to it.
        data: the file.
        seed: number of the seed it came from.
        options: of a blob, what the index of a file would say: method, type, shape.
    """

    target: str
    kind: str
    data: bytes
    seed: int
    options: tuple[int, str, tuple[int, ...]] = (0, "int8", ())


@dataclass
class Report:
    """What happened; reports of several jobs add up."""

    runs: int = 0
    kinds: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "-")
    largest_kb: tuple[int, str] = (0, "-")
    seconds: float = 0.0
    seen: dict[str, set[int]] = field(default_factory=dict)

    def add(self, other: Report) -> None:
        """Count another job's runs too."""
        self.runs += other.runs
        self.kinds += other.kinds
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.largest_kb = max(self.largest_kb, other.largest_kb)
        self.seconds = max(self.seconds, other.seconds)
        for name, lines in other.seen.items():
            self.seen.setdefault(name, set()).update(lines)

    def text(self) -> str:
        """Tables for people."""
        outcomes = sorted({outcome for _, _, outcome in self.kinds})
        rows = [
            f"{self.runs} runs in {self.seconds:.0f} s, {self.runs / max(self.seconds, 1e-9):.0f} "
            f"a second; {len(self.failures)} failures",
            f"slowest run {1000 * self.slowest[0]:.0f} ms: {self.slowest[1]}",
            f"largest growth of memory {self.largest_kb[0] / 1024:.0f} MiB: {self.largest_kb[1]}",
            "",
            f"{'target':<9}{'kind':<18}{'runs':>8}" + "".join(f"{o:>18}" for o in outcomes),
        ]
        totals: Counter[str] = Counter()
        for target, kind in sorted({key[:2] for key in self.kinds}):
            counts = [self.kinds[target, kind, outcome] for outcome in outcomes]
            totals.update(dict(zip(outcomes, counts, strict=True)))
            rows.append(
                f"{target:<9}{kind:<18}{sum(counts):>8}" + "".join(f"{c:>18}" for c in counts)
            )
        rows.append(f"{'all':<27}{self.runs:>8}" + "".join(f"{totals[o]:>18}" for o in outcomes))
        return "\n".join([*rows, *self.failures])


@cache
def _tree_mutators() -> tuple[trees.TreeMutator, ...]:
    return tuple(trees.TreeMutator(seed) for seed in model_seeds())


@cache
def _payload_pool() -> list[bytes]:
    return [tile for seed in image_seeds() for tile in seed.file.tiles]


def _cut(number: int, files: list[bytes]) -> tuple[bytes, int]:
    """Truncation number ``number`` of the list: with enough runs every length of every file."""
    number %= sum(map(len, files))
    for seed, data in enumerate(files):
        if number < len(data):
            return data[:number], seed
        number -= len(data)
    raise AssertionError("number is below the sum")


def image_case(r: Random, index: int, *, repaired: bool) -> Case:
    """A mutated image file."""
    seeds = image_seeds()
    number = r.randrange(len(seeds))
    data = seeds[number].data
    if index % 20 == 0:
        data, number = _cut(index // 20, [seed.data for seed in seeds])
        return Case("image", "raw cut", data, number)
    if repaired and r.random() < 0.7:
        parts = mutate.split(data, seeds[number].file)
        kind = mutate.edit_parts(r, parts, _payload_pool())
        return Case("image", f"fixed {kind}", parts.build(), number)
    kind = r.choice(("splice", "header", *mutate.BYTE_KINDS))
    match kind:
        case "splice":
            data = mutate.splice(r, data, r.choice(seeds).data)
        case "header":
            data = mutate.edit_header(r, data)
        case _:
            data = mutate.BYTE_KINDS[kind](r, data)
    if repaired and len(data) > 40:
        return Case("image", f"fixed {kind}", mutate.repair_image(data), number)
    return Case("image", f"raw {kind}", data, number)


def model_case(r: Random, index: int, *, repaired: bool) -> Case:
    """A mutated model file."""
    seeds = model_seeds()
    number = 0 if r.random() < 1 / 64 else 1  # the tiny model takes ten times as long to read
    data = seeds[number].data
    if index % 20 == 14:
        cut, place = _cut(index // 20, [seed.data for seed in seeds[::-1]])
        return Case("model", "raw cut", cut, 1 - place)
    if repaired:
        mutator = _tree_mutators()[number]
        if r.random() < 0.6:
            return Case("model", "fixed tree", mutator.pack(r, mutator.tree(r)), number)
        return Case("model", "fixed packing", mutator.packing(r), number)
    kind = r.choice(("splice", "header", *mutate.BYTE_KINDS))
    match kind:
        case "splice":
            data = mutate.splice(r, data, r.choice(seeds).data)
        case "header":
            data = mutate.edit_header(r, data)
        case _:
            data = mutate.BYTE_KINDS[kind](r, data)
    if r.random() < 0.2:  # past the CRC, but not past the id
        return Case("model", f"crc {kind}", trees.with_crc(data), number)
    return Case("model", f"raw {kind}", data, number)


def blob_case(r: Random) -> Case:
    """A mutated blob of an array, and the method, type and shape that the index would say."""
    number = r.randrange(len(blob_seeds()))
    seed = blob_seeds()[number]
    method, dtype, shape = seed.method, seed.dtype, seed.shape
    match r.randrange(8):
        case 0:
            method = r.choice((0, 1, 2, 3, 4, 255))
        case 1:
            dtype = r.choice(DTYPES)
        case 2:
            shape = r.choice(((), (0,), (1,), (3, 5), (4, 0), (1 << 20,), (1 << 14, 1 << 11)))
        case _:
            pass
    blob = trees.edit_blob(r, seed.method, seed.blob) if r.random() < 0.9 else seed.blob
    return Case("blob", f"method {seed.method}", blob, number, (method, dtype, shape))


def payload_case(r: Random) -> Case:
    """A mutated payload of rANS; it has no checksum to repair."""
    seeds = payload_seeds()
    number = r.randrange(len(seeds))
    return Case("payload", "payload", mutate.edit_payload(r, seeds[number].payload), number)


class Fuzzer:
    """Makes and checks cases; the decoders can be replaced, to see that the checks can fail.

    Args:
        seed: any integer.
        decode: `intact.decode`.
        load: `Model.from_bytes`.
        failures: where failing files go; None keeps them nowhere.
    """

    def __init__(
        self,
        seed: int,
        decode: check.Decode = intact.decode,
        load: Callable[[bytes], Model] = Model.from_bytes,
        failures: Path | None = None,
    ) -> None:
        self.seed, self.decode, self.load, self.failures = seed, decode, load, failures
        self.report = Report()
        self.reach = reach.Reach()

    def case(self, index: int) -> tuple[Case, Random]:
        """The mutated file of a run, and the generator that decides how it is checked."""
        r = Random(f"{self.seed}/{index}")
        if index % 20 == 15:
            return blob_case(r), r
        repaired, place = index % 2 == 1, index % 20 // 2
        if place == 9:
            return payload_case(r), r
        if place >= 7:
            return model_case(r, index, repaired=repaired), r
        return image_case(r, index, repaired=repaired), r

    def check(self, case: Case, r: Random) -> str:
        """The outcome of a case; raises whatever is wrong."""
        match case.target:
            case "image":
                backend = "numpy" if r.random() < 1 / 16 else "reference"
                model = image_seeds()[case.seed].model
                return check.check_image(case.data, model, r, self.decode, backend)
            case "model":
                return check.check_model(case.data, r, self.load)
            case "blob":
                method, dtype, shape = case.options
                return check.check_blob(method, case.data, dtype, shape)
            case _:
                return check.check_payload(case.data, payload_seeds()[case.seed])

    def run(self, index: int) -> None:
        """One run."""
        case, r = self.case(index)
        what = f"run {index} ({case.target}, {case.kind}, {len(case.data)} bytes)"
        traced = index % TRACE_EVERY == 0
        compared = index % ALL_CODERS_EVERY == 0
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, maybe_error = time.process_time(), None
        try:
            with (
                self.reach.watching() if traced else nullcontext(),
                check.all_coders() if compared else nullcontext(),
            ):
                result = self.check(case, r)
        except (Exception, Hang) as error:
            result, maybe_error = f"FAILED {type(error).__name__}", error
        seconds = time.process_time() - start
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb
        self.report.runs += 1
        if not traced:
            self.report.slowest = max(self.report.slowest, (seconds, what))
        self.report.largest_kb = max(self.report.largest_kb, (grown_kb, what))
        problem = ""
        if maybe_error is not None:
            problem = "".join(traceback.format_exception(maybe_error))
        elif seconds > SLOW_S and not traced:
            result, problem = "FAILED slow", f"took {seconds:.2f} s"
        elif grown_kb > MEMORY_KB:
            result, problem = "FAILED memory", f"peak of memory grew by {grown_kb >> 10} MiB"
        self.report.kinds[case.target, case.kind, result] += 1
        if problem:
            self._failed(index, case, problem)

    def _failed(self, index: int, case: Case, problem: str) -> None:
        last = problem.strip().splitlines()[-1]
        command = (
            f"python tests/fuzz/fuzz_files.py --seed {self.seed} --start {index} --runs 1 --jobs 1"
        )
        line = f"FAILURE run {index} ({case.target}, {case.kind}): {last}\n  {command}"
        self.report.failures.append(line)
        if self.failures is not None:
            self.failures.mkdir(exist_ok=True)
            stem = self.failures / f"{self.seed}-{index}-{case.kind.replace(' ', '-')}"
            stem.with_suffix(SUFFIXES[case.target]).write_bytes(case.data)
            stem.with_suffix(".txt").write_text(f"{command}\n\n{problem}", "utf-8")

    def finish(self) -> Report:
        """The report."""
        self.report.seen = self.reach.seen
        return self.report


@contextmanager
def hang_alarm() -> Iterator[None]:
    """`Hang` after `HANG_S` seconds of CPU time without `rearm`."""

    def ring(number: int, frame: Any) -> None:
        raise Hang(f"over {HANG_S} s of CPU time")

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def limit_memory() -> None:
    """Mappings beyond `ADDRESS_SPACE` more than now fail: a `MemoryError`, so a finding."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    size = pages * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def work(seed: int, numbers: range, seconds: float, job: int) -> Report:
    """Some of the runs, in a process of their own or in this one."""
    faulthandler.enable()
    logging.disable(logging.WARNING)  # a backend that fails its probes says so at every decode
    check.check_seeds()
    models()
    _tree_mutators()
    limit_memory()
    FAILURES.mkdir(exist_ok=True)
    fuzzer = Fuzzer(seed, failures=FAILURES)
    start = time.monotonic()
    # A crash of native code leaves no report: this file then names the run.
    with (FAILURES / f"last-run-{job}").open("wb", buffering=0) as last, hang_alarm():
        for index in numbers:
            os.pwrite(last.fileno(), f"{index:<12}".encode(), 0)
            signal.setitimer(signal.ITIMER_PROF, HANG_S)
            fuzzer.run(index)
            if time.monotonic() - start > seconds:
                break
    report = fuzzer.finish()
    report.seconds = time.monotonic() - start
    return report


def main() -> int:
    """Run, report; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="number of the first run")
    chosen = parser.parse_args()
    spans = [range(chosen.start + job, chosen.start + chosen.runs, chosen.jobs)
             for job in range(chosen.jobs)]  # fmt: skip
    report = Report()
    if chosen.jobs == 1:
        report.add(work(chosen.seed, spans[0], chosen.seconds, 0))
    else:
        with ProcessPoolExecutor(chosen.jobs) as pool:
            futures = [
                pool.submit(work, chosen.seed, span, chosen.seconds, job)
                for job, span in enumerate(spans)
            ]
            for future in futures:
                report.add(future.result())
    depth = reach.Reach()
    depth.merge(report.seen)
    sys.stdout.write(f"seed {chosen.seed}\n{report.text()}\n\n{depth.table()}\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
