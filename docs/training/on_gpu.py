"""Trains for so many seconds on a machine that is lent for minutes, and leaves small files.

    python docs/training/on_gpu.py CONFIG.toml PICTURES OUT --init NAME.safetensors \
        --seconds 540 [--device cuda] [--set section.key=value ...]

PICTURES is what pack_pictures.py wrote. The schedule follows the clock, which runs from this
script's start, and ends 20 seconds before the time is over. The averaged weights (bfloat16, as
``intact freeze --weights`` leaves them) are written to OUT every two minutes and at the end, in
parts of at most 15 MB: ``cat OUT/weights.part* > weights.safetensors`` joins them. OUT/log.txt has
the lines of the training. Run it for 60 seconds first.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import tempfile
import time
from pathlib import Path

BEGAN = time.monotonic()

import torch  # noqa: E402

from intact import files  # noqa: E402
from intact.errors import IntactError  # noqa: E402
from intact.train import config as configuration, start, weights_file  # noqa: E402

PART = 15_000_000
KEPT_FREE = 20.0
"""Seconds at the end, for the last files."""
EVERY = 120.0
"""Seconds between two sets of weights."""


def main() -> int:
    """Train; 1 where something went wrong, said in the log."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--init", type=Path, help="float weights [start from nothing]")
    parser.add_argument("--grow", action="store_true", help="to the configuration's sizes")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.txt").open("a", encoding="utf-8") as log:

        def say(line: str) -> None:
            for stream in (log, sys.stdout):
                print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", file=stream, flush=True)

        try:
            with tempfile.TemporaryDirectory() as folder:
                train(arguments, Path(folder), say)
        except (IntactError, RuntimeError, OSError) as error:
            # What was written before is sound: the weights of the last two minutes are there.
            say(f"ended by {type(error).__name__}: {error}")
            return 1
    return 0


def train(arguments: argparse.Namespace, folder: Path, say) -> None:  # noqa: ANN001
    """The run, with its checkpoints in a folder that is gone afterwards."""
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    say(f"torch {torch.__version__} on {name}")
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    config = configuration.load(arguments.config, settings(arguments, folder))
    trainer = start.trainer_for(config, device, init=arguments.init, larger=arguments.grow)
    for note in trainer.task.notes:
        say(note)
    # The clock of the schedule: reading the pictures is part of the time.
    trainer.elapsed = time.monotonic() - BEGAN
    say(f"{len(trainer.task.data.images)} pictures, {trainer.precision}, the first step begins")
    written = time.monotonic()

    def report(step: int, scalars: dict[str, float]) -> None:
        nonlocal written
        shown = "  ".join(f"{k} {v:.5g}" for k, v in scalars.items())
        say(f"step {step}  {shown}")
        if time.monotonic() - written > EVERY:
            trainer.save()
            leave(folder, arguments.out, step)
            written = time.monotonic()

    trainer.run(report)
    leave(folder, arguments.out, trainer.step)
    crops = trainer.step * config.data.batch
    pixels = crops * config.data.crop**2
    say(f"{trainer.step} steps, {crops} crops, {pixels / 1e9:.2f} Gpx; weights in {arguments.out}")


def settings(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """What is changed of the configuration: places, the clock, and what is asked for."""
    pictures: Path = arguments.pictures
    folders = [str(p) for p in (pictures / "photographs", pictures / "graphics") if p.is_dir()]
    synthetic = pictures / "synthetic"
    return [
        f"data.folders={folders!r}", 'data.exclude=""', "data.on_device=true",
        f"data.synthetic_folder={str(synthetic)!r}" if synthetic.is_dir() else "data.synthetic=0",
        f"optimizer.seconds={arguments.seconds - KEPT_FREE}", "optimizer.steps=1000000",
        # Checkpoints are made with the weights, and at the end.
        "output.checkpoint_every=1000000", f"output.folder={str(folder / 'run')!r}",
        *arguments.set,
    ]  # fmt: skip


def leave(folder: Path, out: Path, step: int) -> None:
    """Write the averaged weights of the last checkpoint, in parts that replace those before."""
    whole = folder / "weights.safetensors"
    weights_file.write(whole, start.float_codec(folder / "run"), {"steps": str(step)})
    data = whole.read_bytes()
    for i in range(math.ceil(len(data) / PART)):
        files.replace(out / f"weights.part{i}", data[i * PART : (i + 1) * PART])


if __name__ == "__main__":
    sys.exit(main())
