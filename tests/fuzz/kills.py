"""End commands by signals at random moments: what is there is whole, and nothing stays behind.

    python tests/fuzz/kills.py --runs 100 --seed 1

Half of the runs are ended at a random moment of the command's life, half as soon as a temporary
file is seen. Then the command is repeated with --skip-existing, and must leave what it would have
left without the signal.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

from PIL import Image  # noqa: E402

from intact import files  # noqa: E402
from intact.cli import main as intact  # noqa: E402
from tiny_model import picture, tiny_model  # noqa: E402

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL")
VERBS = ("encode", "decode")
PICTURES = 8
PARTIAL = ".intact-partial"


@dataclass
class Row:
    """What became of the runs of one verb and one signal.

    Attributes:
        runs: how many.
        ended: of which so many were ended by the signal, not by themselves.
        aimed: of which so many had a temporary file when it came.
        left: temporary files that were there afterwards.
        tracebacks: of runs that printed one (Python itself does, before any line of ours runs).
        faults: what must not be, in words.
    """

    runs: int = 0
    ended: int = 0
    aimed: int = 0
    left: int = 0
    tracebacks: int = 0
    faults: list[str] = field(default_factory=list)


class Kills:
    """Commands to end, and what they leave when they are not.

    Args:
        folder: an empty one.
        random: decides the moments.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder, self.random = folder, random
        self.model = folder / "model.intactm"
        self.model.write_bytes(tiny_model().to_bytes())
        pictures = folder / "pictures"
        for number in range(PICTURES):
            place = pictures / ("sub" if number % 2 else ".") / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(96, 128, seed=number)).save(place)
        self.golden = {verb: folder / f"{verb}d" for verb in VERBS}
        self.inputs = {"encode": pictures, "decode": self.golden["encode"]}
        self.seconds = {}
        for verb in VERBS:
            start = time.perf_counter()
            subprocess.run([*self._python(), *self._command(verb, self.golden[verb])], check=True)
            self.seconds[verb] = time.perf_counter() - start
        self.wanted = {verb: contents(self.golden[verb]) for verb in VERBS}
        assert len(self.wanted["encode"]) == len(self.wanted["decode"]) == PICTURES

    def _python(self) -> list[str]:
        return [sys.executable, "-m", "intact"]

    def _command(self, verb: str, out: Path) -> list[str]:
        places = [str(self.inputs[verb]), "-o", str(out)]
        return [verb, *places, "--model", str(self.model), "--quiet"]

    def run(self, verb: str, name: str, row: Row, *, aim: bool) -> None:
        """End a command once, look at what is there, repeat it, look again."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        number = getattr(signal, name)
        moment = self.random.random() * self.seconds[verb]
        with subprocess.Popen(
            [*self._python(), *self._command(verb, out)], stderr=subprocess.PIPE
        ) as process:
            seen = self._wait(process, out, None if aim else moment)
            process.send_signal(number)
            _, said = process.communicate()
        row.runs += 1
        row.ended += process.returncode != 0
        row.aimed += seen
        row.tracebacks += b"Traceback" in said
        what = f"{verb}, {name}, {'aimed' if aim else f'{moment:.3f} s'}"
        # An interrupt while Python itself starts ends it with a traceback and 1.
        ours = re.search(rb'cli/__init__\.py", line \d+, in main', said)
        early = number == signal.SIGINT and process.returncode == 1 and not ours
        if process.returncode not in (0, -number, 128 + number) and not early:
            row.faults.append(f"{what}: exit code {process.returncode}: {said[-300:]!r}")
        found = contents(out)
        left = [path for path in found if path.endswith(PARTIAL)]
        row.left += len(left)
        if left and name != "SIGKILL":
            row.faults.append(f"{what}: leaves {left}")
        self._compare({p: d for p, d in found.items() if p not in left}, verb, what, row)

        files._CLEANED.clear()  # the next run is another process
        code = intact([*self._command(verb, out), "--skip-existing"])
        if code:
            row.faults.append(f"{what}: repeated, exit code {code}")
        self._compare(contents(out), verb, f"{what}, repeated", row, whole=True)

    def _wait(self, process: subprocess.Popen[bytes], out: Path, moment: float | None) -> bool:
        """Wait for the moment, or for a temporary file; whether there is one."""
        end = time.perf_counter() + (10 * self.seconds["encode"] if moment is None else moment)
        while time.perf_counter() < end and process.poll() is None:
            if moment is None and any(map(has_partial, (out, out / "sub"))):
                return True
            time.sleep(0 if moment is None else 0.0005)
        return any(map(has_partial, (out, out / "sub")))

    def _compare(
        self, found: dict[str, bytes], verb: str, what: str, row: Row, *, whole: bool = False
    ) -> None:
        wanted = self.wanted[verb]
        wrong = [path for path, data in found.items() if wanted.get(path) != data]
        if wrong:
            row.faults.append(f"{what}: {wrong} are not what they should be")
        if whole and len(found) != len(wanted):
            row.faults.append(f"{what}: {len(found)} files, not {len(wanted)}")


def has_partial(folder: Path) -> bool:
    """Whether a temporary file is in a folder."""
    try:
        return any(name.endswith(PARTIAL) for name in os.listdir(folder))
    except OSError:
        return False


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too, by their paths in it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def kill(runs: int, seed: int, *, log: bool = False) -> dict[tuple[str, str], Row]:
    """``runs`` of each verb and signal."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder), Random(seed))
        for verb in VERBS:
            for name in SIGNALS:
                row = rows[verb, name] = Row()
                for number in range(runs):
                    kills.run(verb, name, row, aim=number % 2 == 0)
                if log:
                    sys.stdout.write(
                        f"{verb} {name:8} {row.runs:4} runs, {row.ended} ended by it, "
                        f"{row.aimed} while writing, {row.left} temporary files left, "
                        f"{row.tracebacks} tracebacks, {len(row.faults)} faults\n"
                    )
                    sys.stdout.flush()
    return rows


def main() -> int:
    """Print the figures; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each verb and signal")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = kill(arguments.runs, arguments.seed, log=True)
    faults = [fault for row in rows.values() for fault in row.faults]
    sys.stdout.write("\n".join([*faults, f"{len(faults)} faults\n"]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
