"""Train the networks of the comparison, by name; each can be stopped and goes on where it was.

    python papers/agustsson2017/train.py --list
    python papers/agustsson2017/train.py all --runs RUNS
    python papers/agustsson2017/train.py stage1 vector-b2 --runs RUNS --scale small --minutes 38

A run's folder is RUNS/NAME: checkpoints, config.json, and log.csv, from which figure 3 is drawn.
Every run of stage 2 starts from the last checkpoint of the stage-1 network that `ARMS` names, with
equal steps and equal learning rates. `SCALES` are what two cores allow, `docs/shvq.toml` has the
paper's own numbers. What else differs from the paper stands in README.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from intact import files
from intact.cli.train import keep_memory
from intact.train import checkpoint, config as configuration
from intact.train.start import trainer_for

DATA = Path(__file__).parents[3] / "shared" / "data" / "train"
SHIPPED = Path(__file__).parents[2] / "src" / "intact" / "models" / "photo-eyes.safetensors"
COMMON = {
    "codec.kind": "vector", "data.crop": 128, "data.batch": 4, "data.flat": 0.0,
    "data.memory_gb": 0.5, "transform.channels": 16, "optimizer.precision": "auto",
    "optimizer.warmup": 100, "output.checkpoint_every": 250, "output.log_every": 10,
    "codebook.window": 250, "codebook.every": 2, "codebook.fit_steps": 150,
}  # fmt: skip
GAP = 500.0
"""K_G times the steps, in thousands, over sigma_0: by it sigma may grow as much in short runs."""


@dataclass(frozen=True)
class Scale:
    """Sizes that all runs of a comparison share: width, and the steps of both stages."""

    filters: int
    first: int
    second: int
    rate_1: float = 2e-3
    rate_2: float = 1e-3

    def settings(self, stage: int) -> dict[str, object]:
        """Of a run of a stage."""
        found: dict[str, object] = {**COMMON, "transform.filters": self.filters}
        if stage == 1:
            rest = {"rate.unfreeze": self.first // 3, "optimizer.learning_rate": self.rate_1}
            return found | {"rate.stage": 1, "optimizer.steps": self.first} | rest
        rest = {
            "annealing.halving": self.second / 10, "annealing.gain": 1000 * GAP / self.second,
            "optimizer.learning_rate": self.rate_2,
        }  # fmt: skip
        return found | {"rate.stage": 2, "optimizer.steps": self.second} | rest


SCALES = {"tiny": Scale(24, 400, 150), "small": Scale(48, 16000, 4000)}
"""tiny is to see that all of it works; small is meant for the curves (README.md: hours)."""
SCALAR: dict[str, object] = {"codebook.values": 1, "codebook.size": 6}
"""6^4 = 1296 [recall of A.3]."""
IDENTITY = "hard, identity gradient"
BETAS = {"b1": 8e-3, "b2": 4e-3, "b3": 2e-3, "b4": 1e-3}
"""By rate, the lowest first; per bit and pixel, the error being the mean of squares in 0..1."""


@dataclass(frozen=True)
class Arm:
    """A run: what it starts from, its settings beyond those of its stage, and a factor of K_G.

    Where ``grown``, it adds layers to what it starts from. Without a start these are the transforms
    of the float weights `SHIPPED`, and it has a third of the steps.
    """

    start: str | None = None
    settings: dict[str, object] = field(default_factory=dict)
    gain: float = 1.0
    grown: bool = False


def _arms() -> dict[str, Arm]:
    # Twice the channels: transforms that are this good are worth more than 0.25 numbers a pixel.
    fast: dict[str, object] = {"transform.form": "fast", "transform.channels": 32}
    arms = {
        "stage1": Arm(),
        "stage1-all-at-once": Arm(None, {"rate.unfreeze": 0}),
        "stage1-fast": Arm(None, fast, grown=True),
    }
    # As the gap of scalars is larger, sigma would fall to its least at once.
    gains = {
        "gain-0.1": 0.1, "gain-10": 10.0, "scalar": 0.1, "scalar-no-entropy": 0.1,
        "scalar-gain-10": 1.0,
    }  # fmt: skip
    kinds: dict[str, dict[str, object]] = {
        "vector": {},
        "scalar": SCALAR,
        "scalar-gain-10": SCALAR,
        "vector-no-entropy": {"rate.entropy": False},
        "scalar-no-entropy": {**SCALAR, "rate.entropy": False},
        "own-codebooks": {"codebook.shared": False},
        "form-pq": {"rate.form": "p,q"},
        "gain-0.1": {},
        "gain-10": {},
        "kmeans": {"codebook.start": "k-means"},
        "identity": {**SCALAR, "rate.forward": IDENTITY},
        # Theis et al.: rounding, the gradient of the identity, bits of a parametric density.
        "theis": {
            "codebook.values": 1,
            "codebook.size": 255,
            "codebook.start": "grid",
            "rate.form": "density",
            "rate.forward": IDENTITY,
            "annealing.method": "fixed",
        },
    }
    for name, settings in kinds.items():
        if "no-entropy" in name:  # then beta says nothing: the number of centers is the rate
            arms[name] = Arm("stage1", settings, gains.get(name, 1.0))
            continue
        for beta, value in BETAS.items():
            arms[f"{name}-{beta}"] = Arm(
                "stage1", {**settings, "rate.beta": value}, gains.get(name, 1.0)
            )
    for size in (16, 128):
        few: dict[str, object] = {"codebook.size": size, "rate.entropy": False}
        arms[f"vector-no-entropy-{size}"] = Arm("stage1", few)
    for size in (2, 3):
        few = {**SCALAR, "codebook.size": size, "rate.entropy": False}
        arms[f"scalar-no-entropy-{size}"] = Arm("stage1", few, gains["scalar"])
    for beta, value in BETAS.items():
        arms[f"fast-{beta}"] = Arm("stage1-fast", {**fast, "rate.beta": value})
    for beta in ("b2", "b3"):
        one: dict[str, object] = {"rate.beta": BETAS[beta]}
        arms[f"all-at-once-{beta}"] = Arm("stage1-all-at-once", one)
        logits: dict[str, object] = {
            "transform.decision": "largest", "transform.logits": 64,
            "annealing.method": "exponential", "annealing.sigma": 1.0, **one,
        }  # fmt: skip
        arms[f"gumbel-{beta}"] = Arm("stage1", logits, grown=True)
    return arms


ARMS = _arms()
PLAN = [
    "stage1", "vector-b2", "scalar-b2", "vector-b3", "scalar-b3", "vector-b1", "vector-b4",
    "vector-no-entropy", "vector-no-entropy-128", "scalar-no-entropy", "scalar-no-entropy-3",
    "identity-b2", "identity-b3", "theis-b2", "theis-b3", "kmeans-b2", "kmeans-b3",
    "own-codebooks-b2", "own-codebooks-b3", "form-pq-b2", "form-pq-b3", "gain-0.1-b2", "gain-10-b2",
    "gain-0.1-b3", "gain-10-b3", "stage1-fast", "fast-b2", "fast-b3", "gumbel-b2", "gumbel-b3",
    "stage1-all-at-once", "all-at-once-b2", "all-at-once-b3", "vector-no-entropy-16",
    "scalar-no-entropy-2",
]  # fmt: skip
"""What `all` trains, what says most first."""


def settings_of(name: str, runs: Path, scale: Scale) -> list[str]:
    """All settings of an arm, as ``section.key=value``."""
    arm = ARMS[name]
    merged = scale.settings(1 if name.startswith("stage1") else 2)
    merged["annealing.gain"] = float(str(merged.get("annealing.gain", 100.0))) * arm.gain
    if name.startswith("gumbel"):
        merged |= {"annealing.factor": 10 ** (1 / scale.second)}  # 1 / tau grows to 10
    elif arm.grown:
        merged |= {"optimizer.steps": scale.first // 3, "rate.unfreeze": scale.first // 9}
    if arm.settings.get("codebook.values") == 1:
        merged["annealing.halving"] = scale.second / 40  # their first gap is ten times a vector's
    merged |= arm.settings
    merged |= {"data.folders": [str(DATA)], "output.folder": str(runs / name)}
    words = {True: "true", False: "false"}
    found = []
    for key, value in merged.items():
        text = words[value] if isinstance(value, bool) else repr(value).replace("'", '"')
        found.append(f"{key}={text}")
    return found


def is_whole(run: Path) -> bool:
    """Whether a run has been trained to its end: what arms fork from must not depend on when."""
    if not checkpoint.exists(run):
        return False
    state = checkpoint.read(run)[1]
    return bool(state["step"] >= state["config"]["optimizer"]["steps"])


def train(name: str, runs: Path, scale: Scale, deadline: float) -> bool:
    """Train an arm to its end, or until the deadline; True if it is finished."""
    folder, start = runs / name, ARMS[name].start
    config = configuration.load(None, settings_of(name, runs, scale))
    resume = checkpoint.exists(folder)
    init = runs / start if start is not None else SHIPPED if ARMS[name].grown else None
    trainer = trainer_for(
        config, torch.device("cpu"), resume=resume, init=None if resume else init,
        larger=ARMS[name].grown,
    )  # fmt: skip
    if trainer.finished:
        return True
    log, first = folder / "log.csv", trainer.step
    rows = []
    if log.exists():  # what was logged after the checkpoint is done again
        rows = [
            row for row in csv.DictReader(log.read_text().splitlines()) if int(row["step"]) <= first
        ]

    def report(step: int, scalars: dict[str, float]) -> None:
        rows.append({"step": str(step)} | {k: f"{v:.6g}" for k, v in scalars.items()})
        text = io.StringIO()
        writer = csv.DictWriter(
            text, list(rows[-1]), restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        files.replace(log, text.getvalue().encode())  # a kill leaves no half of a line
        print(name, step, {k: v for k, v in rows[-1].items() if k != "step"}, flush=True)

    trainer.run(report, deadline=deadline)
    return trainer.finished


def main() -> None:
    """Train the arms that are named, in this order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list or not options.names:
        print("\n".join(ARMS))
        return
    torch.set_num_threads(1)
    keep_memory()
    deadline = time.monotonic() + 60 * options.minutes
    names = PLAN if options.names == ["all"] else options.names
    if unknown := [name for name in names if name not in ARMS]:
        parser.error(f"no such runs: {', '.join(unknown)}; --list has them")
    for name in names:
        start = ARMS[name].start
        if start is not None and not is_whole(options.runs / start):
            raise SystemExit(f"{name} starts from {start}, which is not trained to its end")
        if not train(name, options.runs, SCALES[options.scale], deadline):
            print(f"{name}: the time is over; the same command goes on")
            return


if __name__ == "__main__":
    main()
