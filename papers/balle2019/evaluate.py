"""Codes Kodak by the arms' frozen models, in real files, and decodes them again.

    evaluate.py --steps 5000 [--snapshots] [--every 1] [ARM ...]

Appends to results/STEPS/rd.csv (all 24 pictures by the finished models, or every n-th), or with
--snapshots to
results/STEPS/training_rd.csv (every third picture by the models frozen on the way). Rows that are
there already for the same model are not measured again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from arms import ARMS, STEPS
from paper_b import RESULTS, RUNS, kodak, model_of, pixels_of, read_rows, write_rows

import intact
from intact.codec.model import Model

EVERY = 3
"""Of the pictures for models frozen on the way."""


def measure(model: Model, pixels: np.ndarray) -> dict[str, str]:
    """Code and decode a picture."""
    begin = time.process_time()
    # Float networks by PyTorch, which is quicker than NumPy; programs native.
    options = {"backend": "auto" if model.is_exact else "torch", "threads": 1}
    inexact = {"allow_inexact": not model.is_exact}
    data = intact.encode(pixels, model=model, **options, **inexact)
    middle = time.process_time()
    decoded = intact.decode(data, model=model, **options, **inexact).pixels
    end = time.process_time()
    mse = float(np.square(decoded.astype(np.float64) - pixels).mean())
    area = pixels.shape[0] * pixels.shape[1]
    return {
        "bytes": str(len(data)), "bpp": f"{8 * len(data) / area:.6f}", "mse": f"{mse:.5f}",
        "psnr": f"{10 * np.log10(255**2 / mse):.5f}", "encode_s": f"{middle - begin:.3f}",
        "decode_s": f"{end - middle:.3f}",
    }  # fmt: skip


def evaluate(table: Path, name: str, step: int, path: Path, every: int) -> None:
    """Measure what a table lacks of a model."""
    model = model_of(path)
    rows = read_rows(table)
    key = {"arm": name, "step": str(step), "model": model.id.hex()}
    done = {r["image"] for r in rows if all(r[k] == v for k, v in key.items())}
    rows = [r for r in rows if (r["arm"], r["step"]) != (name, str(step)) or r["image"] in done]
    for image, place in kodak(every).items():
        if image not in done:
            rows.append({**key, "image": image, **measure(model, pixels_of(place))})
    write_rows(table, rows)
    print(name, step, "measured", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arms", nargs="*", metavar="ARM")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--snapshots", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    results, runs = RESULTS / str(args.steps), RUNS / str(args.steps)
    there = [path.stem for path in sorted(runs.glob("*.intactm"))]  # posthoc.py's, too
    for name in args.arms or dict.fromkeys([*ARMS, *there]):
        if not args.snapshots:
            path = runs / f"{name}.intactm"
            if path.exists():
                evaluate(results / "rd.csv", name, args.steps, path, args.every)
            continue
        for path in sorted((runs / name).glob("step*.intactm")):
            step = int(path.stem.removeprefix("step"))
            evaluate(results / "training_rd.csv", name, step, path, EVERY)


if __name__ == "__main__":
    main()
