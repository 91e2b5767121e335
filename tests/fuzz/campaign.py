"""A long run of both fuzzers, that can be stopped and goes on where it was.

    nice -n 19 python tests/fuzz/campaign.py --seed 1 -o benchmarks/results/fuzz_1m.json

Even numbers are runs of `fuzz_files`, odd ones of `edges`. What is in the result file is not done
again. A crash of native code ends it: the next start notes the run that it was in, and goes on.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

from fuzz import check, edges, fuzz_files  # noqa: E402
from fuzz.fuzz_files import FAILURES, HANG_S, Fuzzer, Hang, hang_alarm, limit_memory  # noqa: E402
from intact import files  # noqa: E402

SAVE_EVERY_S = 30


class Campaign:
    """Runs and what came of them.

    Args:
        path: of the result file.
        seed: of all runs; another one than the file's is an error.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed = path, seed
        self.next, self.seconds = 0, 0.0
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        self.mark = path.with_suffix(".at")
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if found["seed"] != seed:
                raise SystemExit(f"{path} has seed {found['seed']}")
            self.next, self.seconds = found["next"], found["seconds"]
            self.outcomes.update(found["outcomes"])
            self.failures = found["failures"]
        if self.mark.exists():  # the last process did not end by itself
            crashed = int(self.mark.read_text("utf-8"))
            if crashed >= self.next:
                self.failures.append(f"run {crashed}: the process ended in it")
                self.next = crashed + 1
        self.fuzzer = Fuzzer(seed, failures=FAILURES)

    def run(self, number: int) -> None:
        """One run."""
        if number % 2 == 0:
            before = len(self.fuzzer.report.failures)
            kinds = Counter(self.fuzzer.report.kinds)
            self.fuzzer.run(number // 2)
            self.failures += self.fuzzer.report.failures[before:]
            for target, _, result in self.fuzzer.report.kinds - kinds:
                self.outcomes[f"{target}: {result}"] += 1
            return
        try:
            name, result = edges.run(self.seed, number // 2)
        except (Exception, Hang) as error:
            text = "".join(traceback.format_exception(error))
            self.failures.append(f"run {number} (edges.run({self.seed}, {number // 2})): {error!r}")
            FAILURES.mkdir(exist_ok=True)
            (FAILURES / f"edges-{self.seed}-{number // 2}.txt").write_text(text, "utf-8")
            name, result = edges.CHECKS[number // 2 % len(edges.CHECKS)][0], "FAILED"
        self.outcomes[f"{name}: {result}"] += 1

    def save(self) -> None:
        """Write the result file."""
        found = {
            "seed": self.seed,
            "next": self.next,
            "seconds": round(self.seconds, 1),
            "failures": self.failures,
            "outcomes": dict(sorted(self.outcomes.items())),
        }
        files.replace(self.path, (json.dumps(found, indent=1) + "\n").encode())

    def go_on(self, runs: int, seconds: float) -> None:
        """Run up to number ``runs``, or for so long."""
        start = saved = time.monotonic()
        before = self.seconds
        with hang_alarm(), self.mark.open("w", encoding="utf-8") as mark:
            for number in range(self.next, runs):
                os.pwrite(mark.fileno(), f"{number:<12}".encode(), 0)
                signal.setitimer(signal.ITIMER_PROF, HANG_S)
                self.run(number)
                self.next = number + 1
                now = time.monotonic()
                self.seconds = before + now - start
                if now - saved > SAVE_EVERY_S:
                    self.save()
                    saved = now
                if now - start > seconds:
                    break
        self.save()
        self.mark.unlink()


def main() -> int:
    """Go on with the runs; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000, help="in all, those before counted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("-o", "--output", type=Path, required=True, help="result file")
    chosen = parser.parse_args()
    faulthandler.enable()
    logging.disable(logging.WARNING)
    check.check_seeds()
    fuzz_files._tree_mutators()
    edges.sources()
    limit_memory()
    campaign = Campaign(chosen.output, chosen.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        campaign.go_on(chosen.runs, chosen.seconds)
    except SystemExit:
        campaign.save()
        campaign.mark.unlink(missing_ok=True)
        raise
    lines = [f"{campaign.next} runs, {len(campaign.failures)} failures", *campaign.failures]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
