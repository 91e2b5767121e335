"""What a loss is worth at each level: the slope of bits against it, on real files of a model.

    python benchmarks/loss_worth.py [--model photo] [--every 3]

At each level: d(bits per pixel) / d(distance) along the model's own curve, in units of the slope
that training for the squared error assumes, rd_weight / step^2. Divided by what the squared error
itself shows there, that is what `Loss.worth` must be, so that levels keep their rates whatever is
mixed. Measured on the photographs that benchmarks/held_out.txt sets aside.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from common import DATA, ROOT, write

import intact
from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.store import load_model
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import LATENT_UNIT
from intact.train.data import read_list
from intact.train.losses import LOSSES


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--every", type=int, default=3, help="use every n-th image only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.model)
    names = sorted(read_list(ROOT / "benchmarks" / "held_out.txt"))[:: args.every]
    qualities = np.linspace(0, 100, 15)
    found = {name: np.zeros(len(qualities)) for name in ("bpp", *LOSSES)}
    for name in names:
        picture = Image.open(DATA / "train" / name).convert("RGB")
        # Whole cells of 64: what the losses' scales divide.
        pixels = np.asarray(picture)[: picture.height // 64 * 64, : picture.width // 64 * 64]
        a = torch.from_numpy(pixels.copy())[None].float()
        for i, quality in enumerate(qualities):
            data = intact.encode(pixels, quality=float(quality), model=model)
            b = torch.from_numpy(intact.decode(data, model=model).pixels)[None].float()
            found["bpp"][i] += 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
            for loss, definition in LOSSES.items():
                found[loss][i] += float(definition.distance(a, b))
        print(name, flush=True)
    levels = model.bottleneck_of(Checkerboard).levels
    steps = np.array([levels.steps[levels.of_quality(float(q))] for q in qualities]) * LATENT_UNIT
    assumed = RateConfig().rd_weight / steps**2
    rows = []
    for i in range(1, len(qualities) - 1):
        row = {"quality": float(qualities[i]), "step": float(steps[i]),
               "bpp": float(found["bpp"][i] / len(names))}  # fmt: skip
        for loss in LOSSES:
            change = found[loss][i + 1] - found[loss][i - 1]
            slope = -(found["bpp"][i + 1] - found["bpp"][i - 1]) / change
            row[loss] = float(found[loss][i] / len(names))
            row[f"worth_{loss}"] = float(slope / assumed[i])
        rows.append(row)
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()))
    for loss in LOSSES:
        worth = np.log([row[f"worth_{loss}"] for row in rows])
        power, constant = np.polyfit(np.log([row["step"] for row in rows]), worth, 1)
        print(f"{loss}: worth is about {np.exp(constant):.4g} * step^{power:.2f}")
    write(ROOT / "benchmarks" / "results" / "loss_worth.csv", rows)


if __name__ == "__main__":
    main()
