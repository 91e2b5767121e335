"""Gradients and flat colors: what codecs for photographs do to plain areas.

    python benchmarks/plain_areas.py [--model NAME_OR_FILE] [-o CSV]

24 gradients (linear at several angles, radial, two colors, gray; 256 to 1,024 pixels on a side),
white, and 27 flat colors, at 17 qualities. Prints what docs and decisions quote:

- PSNR at each quality, mean and worst, and the largest loss from one quality to any higher one;
- seams: second differences across multiples of 16 and of 256 pixels over those elsewhere, as the
  ratio of their means of absolute values, in the worse of two directions (1: no seam);
- how far white and the flat colors are off, at worst over pixels and channels.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import intact
from intact.measure import psnr

QUALITIES = (0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 72.8, 75, 80, 90, 95, 100)
"""72.8 is where a seam of image codec 1 was found first."""


def gradients() -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 [h, w, 3]) of the 24 gradients."""
    pairs = {
        "gray": ((16, 16, 16), (240, 240, 240)),
        "dark gray": ((20, 20, 20), (70, 70, 70)),
        "blue to white": ((30, 60, 160), (250, 250, 255)),
        "orange to purple": ((250, 140, 30), (90, 20, 110)),
    }
    shapes = (("horizontal", 256, 256), ("vertical", 512, 512), ("diagonal", 768, 1024))
    radial = (("radial", 256, 256), ("radial", 640, 480), ("radial", 1024, 1024))
    for (colors, (first, last)), (shape, h, w) in itertools.product(
        pairs.items(), (*shapes, *radial)
    ):
        y, x = np.mgrid[0:h, 0:w].astype(np.float64)
        match shape:
            case "horizontal":
                t = x / (w - 1)
            case "vertical":
                t = y / (h - 1)
            case "diagonal":
                t = (x + y) / (w + h - 2)
            case _:
                t = np.hypot(x - w / 3, y - h / 2)
                t = t / t.max()
        image = np.array(first) + (np.array(last) - first) * t[:, :, None]
        yield f"{shape} {w}x{h}, {colors}", np.rint(image).astype(np.uint8)


def seam(pixels: np.ndarray, period: int) -> float:
    """Second differences across multiples of a period over those elsewhere, the larger axis."""
    found = []
    for axis in (0, 1):
        values = np.moveaxis(pixels.astype(np.float64), axis, 0)
        second = np.abs(np.diff(values, 2, axis=0)).mean(axis=(1, 2))
        position = np.arange(len(second)) + 1  # of the middle pixel
        # Both second differences that have the edge between two of their pixels.
        at = (position % period == 0) | ((position + 1) % period == 0)
        if at.any() and second[~at].mean() > 0:
            found.append(second[at].mean() / second[~at].mean())
    return max(found, default=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="What codecs for photographs do to plain areas.")
    parser.add_argument("--model", default="auto")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    source = arguments.model
    model = intact.load_model(Path(source) if Path(source).is_file() else source)

    def decoded(image: np.ndarray, quality: float) -> tuple[int, np.ndarray]:
        data = intact.encode(image, quality=quality, model=model)
        return len(data), intact.decode(data, model=model).pixels

    rows = []
    for name, image in gradients():
        for quality in QUALITIES:
            size, pixels = decoded(image, quality)
            found = psnr(image, pixels)
            seams = [seam(pixels, p) for p in (16, 256)]
            rows.append((name, quality, size, round(found, 3), *(round(s, 3) for s in seams)))
    table = {q: np.array([r[3:] for r in rows if r[1] == q]) for q in QUALITIES}
    print(
        f"model {model.name} {model.id.hex()}\nquality  PSNR mean, worst  seam 16, 256 mean, worst"
    )
    for quality, values in table.items():
        mean, worst = values.mean(0), values.max(0)
        print(
            f"{quality:6} {mean[0]:8.2f} {values[:, 0].min():7.2f}"
            f" {mean[1]:8.2f} {worst[1]:6.2f} {mean[2]:6.2f} {worst[2]:6.2f}"
        )
    series = np.stack([table[q][:, 0] for q in QUALITIES])  # qualities, gradients
    highest = np.maximum.accumulate(series, axis=0)
    loss = (highest - series).max(0)
    print(f"largest loss to a higher quality: mean {loss.mean():.2f}, worst {loss.max():.2f} dB")

    white = np.full((256, 256, 3), 255, np.uint8)
    for quality in QUALITIES:
        _, pixels = decoded(white, quality)
        off = int(np.abs(pixels.astype(int) - 255).max())
        rows.append(("white", quality, 0, off, 0, 0))
    colors = [
        np.full((192, 320, 3), c, np.uint8) for c in itertools.product((0, 128, 255), repeat=3)
    ]
    for quality in QUALITIES:
        off = [int(np.abs(decoded(c, quality)[1].astype(int) - c).max()) for c in colors]
        rows.append(("27 colors", quality, 0, max(off), 0, 0))
        found = next(r[3] for r in rows if r[:2] == ("white", quality))
        mean = np.mean(off)
        print(f"quality {quality}: white off by {found}, colors by {max(off)} (mean {mean:.1f})")
    if arguments.output:
        with arguments.output.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "quality", "bytes", "psnr_or_off", "seam_16", "seam_256"))
            writer.writerows(rows)


if __name__ == "__main__":
    main()
