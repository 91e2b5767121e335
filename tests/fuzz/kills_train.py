"""End trainings by signals at random moments: resumed, they give the same weights, bit for bit.

    python tests/fuzz/kills_train.py --runs 20 --seed 1

A run is ended up to three times, then resumed to its end; its last checkpoint must be that of a run
that nobody ended, bit for bit. After each signal what is there must be sound, and after all
but SIGKILL nothing else may stay, and the step at hand must be saved.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
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

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from intact.cli import main as intact  # noqa: E402
from intact.errors import CorruptDataError  # noqa: E402
from intact.train import checkpoint, start  # noqa: E402, F401 - loaded before the processes part

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGKILL")
CONFIG = """
[data]
folders = ["pictures"]
crop = 64
batch = 1
[transform]
blocks_analysis = 1
blocks_synthesis = 1
blocks_context = 1
latents = 8
hyper_latents = 4
features = 8
[optimizer]
steps = 12
precision = "float32"
[output]
folder = "run"
checkpoint_every = 3
log_every = 4
"""


@dataclass
class Row:
    """What became of the runs of one signal.

    Attributes:
        runs: how many.
        ended: signals that ended a training, not too late.
        saved: of these, how many had the step at hand saved.
        steps: at which they came.
        faults: what must not be, in words.
    """

    runs: int = 0
    ended: int = 0
    saved: int = 0
    steps: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def train(folder: Path, *options: str) -> int:
    """Start a training in a process of its own, which has PyTorch loaded already: its number."""
    number = os.fork()
    if number:
        return number
    code = 70
    try:
        os.chdir(folder)
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        torch.set_num_threads(1)
        sys.modules["torch.utils.tensorboard"] = None  # type: ignore[assignment] - it takes seconds
        code = intact(["train", "config.toml", "--device", "cpu", *options])
    except KeyboardInterrupt:  # before any line of ours runs
        code = 130
    finally:
        os._exit(code)


def finish(number: int) -> int:
    """Wait for a process: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def prepare(folder: Path) -> None:
    """A place to train in: pictures and a configuration."""
    (folder / "pictures").mkdir(parents=True)
    random = np.random.default_rng(4)
    for i in range(2):
        cells = random.integers(0, 256, (10, 12, 3)).repeat(8, 0).repeat(8, 1)
        Image.fromarray(cells.astype(np.uint8)).save(folder / "pictures" / f"{i}.png")
    (folder / "config.toml").write_text(CONFIG)


def same(one: checkpoint.Content, other: checkpoint.Content) -> bool:
    """Whether two checkpoints are equal, bit for bit, but for the time that they took."""
    (tensors, state), (others, other_state) = one, other
    equal = all(torch.equal(tensors[name], others[name]) for name in others)
    states = [{**s, "seconds": 0} for s in (state, other_state)]
    return tensors.keys() == others.keys() and states[0] == states[1] and equal


class Kills:
    """Trainings to end.

    Args:
        folder: an empty one.
        random: decides the moments.
    """

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder, self.random = folder, random
        prepare(folder)
        begin = time.perf_counter()
        assert finish(train(folder)) == 0, (folder / "log.txt").read_text()
        self.seconds = time.perf_counter() - begin
        self.run_folder = folder / "run"
        self.wanted = checkpoint.read(self.run_folder)

    def run(self, name: str, row: Row) -> None:
        """End a training some times, and let it finish."""
        shutil.rmtree(self.run_folder)
        row.runs += 1
        for _ in range(self.random.randint(1, 3)):
            if not self._ended(name, row):
                break
        options = ["--resume"] if checkpoint.exists(self.run_folder) else []
        code = finish(train(self.folder, *options))
        said = (self.folder / "log.txt").read_text()[-400:]
        if code:
            row.faults.append(f"{name}: resumed, exit code {code}: {said!r}")
        elif not same(checkpoint.read(self.run_folder), self.wanted):
            row.faults.append(f"{name}: resumed, other weights; signals at {row.steps[-3:]}")
        left = [p.name for p in self.run_folder.iterdir() if p.name.endswith("-partial")]
        if left:
            row.faults.append(f"{name}: {left} are left")

    def _ended(self, name: str, row: Row) -> bool:
        """Start or go on, send the signal at a random moment, look at what is there."""
        number = getattr(signal, name)
        options = ["--resume"] if checkpoint.exists(self.run_folder) else []
        process = train(self.folder, *options)
        time.sleep(self.random.random() * self.seconds)
        os.kill(process, number)
        code, said = finish(process), (self.folder / "log.txt").read_text()
        if code == 0:
            return False
        row.ended += 1
        if code not in (-number, 128 + number):
            row.faults.append(f"{name}: exit code {code}: {said[-400:]!r}")
        if not checkpoint.exists(self.run_folder):
            row.steps.append(-1)  # before the first one
            return True
        try:
            step = int(checkpoint.read(self.run_folder)[1]["step"])
        except CorruptDataError as error:
            row.faults.append(f"{name}: {error}")
            return False
        row.steps.append(step)
        stopped = re.search(r"stopped at step (\d+), which is saved", said)
        if stopped:
            row.saved += 1
            if int(stopped[1]) != step:
                row.faults.append(f"{name}: says step {stopped[1]}, the checkpoint has {step}")
        if name != "SIGKILL" and list(self.run_folder.glob(".*partial")):
            row.faults.append(f"{name}: leaves a temporary file")
        return True


def kill(runs: int, seed: int, *, log: bool = False) -> dict[str, Row]:
    """``runs`` of each signal."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder) / "place", Random(seed))
        for name in SIGNALS:
            row = rows[name] = Row()
            for _ in range(runs):
                kills.run(name, row)
            if log:
                sys.stdout.write(
                    f"train {name:8} {row.runs:4} runs, {row.ended} times ended by it at "
                    f"{len(set(row.steps))} different steps, {row.saved} times the step at hand "
                    f"was saved, {len(row.faults)} faults\n"
                )
                sys.stdout.flush()
    return rows


def main() -> int:
    """Print the figures; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each signal")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = kill(arguments.runs, arguments.seed, log=True)
    faults = [fault for row in rows.values() for fault in row.faults]
    sys.stdout.write("\n".join([*faults, f"{len(faults)} faults\n"]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
