"""What a dead zone in the encoder's quantizer is worth: BD-rate against rounding to the nearest.

    python benchmarks/dead_zone.py [--model NAME_OR_PATH] [--every 4]

The rounding offsets of the model are replaced by a share of the step; everything else stays.
Real files, Kodak. Writes benchmarks/results/dead_zone.csv. The reason for our default:
docs/decisions/0004.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.image import Encoder
from intact.codec.model import Model
from intact.codec.store import load_model
from intact.measure import bd_rate

ROOT = Path(__file__).resolve().parent.parent
KODAK = ROOT.parent / "shared" / "data" / "kodak"
SHARES = (0.5, 0.47, 0.45, 0.4, 0.35)
LEVELS = (6, 22, 40, 56)


def with_dead_zone(model: Model, share: float) -> Model:
    """The same model, rounding with another offset."""
    bottleneck = model.bottleneck_of(Checkerboard)
    offsets = np.floor(bottleneck.levels.steps * share).astype(np.int64)
    levels = dataclasses.replace(bottleneck.levels, offsets=offsets)
    return dataclasses.replace(model, bottleneck=dataclasses.replace(bottleneck, levels=levels))


def main() -> None:
    """Measure each share on the same images and levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None)
    parser.add_argument("--every", type=int, default=4)
    args = parser.parse_args()
    model = load_model(args.model)
    images = [np.asarray(Image.open(p)) for p in sorted(KODAK.glob("*.png"))[:: args.every]]
    rows = []
    reference: tuple[list[float], list[float]] | None = None
    for share in SHARES:
        variant = with_dead_zone(model, share)
        encoders = [Encoder(image, variant) for image in images]
        rates, qualities = [], []
        for level in LEVELS:
            files = [(encoder, encoder.encode(level)) for encoder in encoders]
            rates.append(float(np.mean([8 * len(f.data) / (e.width * e.height) for e, f in files])))
            qualities.append(float(np.mean([e.psnr(f) for e, f in files])))
        reference = reference or (rates, qualities)
        change = bd_rate(*reference, rates, qualities)
        rows.append((share, f"{change:.2f}"))
        print(f"offset {share:.2f} of a step: BD-rate {change:+.2f} %", flush=True)
    with (ROOT / "benchmarks" / "results" / "dead_zone.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["offset", "bd_rate_percent"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
