"""Gradients and flat colors: what codecs for photographs do to plain areas.

    python benchmarks/plain_areas.py [--model NAME_OR_FILE] [--every N] [-o CSV]

24 gradients (linear at several angles, radial, two colors, gray; 256 to 1,024 pixels on a side),
white, and 27 flat colors, at all levels or every Nth. Pixels are the encoder's, whose checksum
stands in the file; some files are decoded, too. Prints, against the goals of issue 12 (the exit
code is 1 if one is missed):

- the largest loss of a gradient from a level to any higher one: 0.3 dB;
- the worst PSNR of a gradient from quality 50 on: 43 dB;
- seams: second differences across multiples of 16 and of 256 pixels over those elsewhere, ratio of
  the means of absolute values: 1.2. Summed over the gradients of a level, each with the weight of
  its pixels, for a single one has a few rows there whose rounding decides; the worst single one and
  the originals' own are printed, too;
- how far pixels of white are off, at worst, from quality 20 on: 1; and of 27 colors from 50 on: 2.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from common import Row, find_model, write

import intact
from intact.codec.encoder import Encoder
from intact.codec.runtime import Runtime
from intact.measure import psnr

PERIODS = (16, 256)
LOSS, LEAST, SEAM, WHITE, COLORS = 0.3, 43.0, 1.2, 1, 2
"""Goals."""


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
        yield f"{shape} {w}x{h} {colors}", np.rint(image).astype(np.uint8)


def flat(color: Sequence[int], height: int = 192, width: int = 320) -> np.ndarray:
    """uint8 [height, width, 3] of one color."""
    return np.full((height, width, 3), color, np.uint8)


def differences(pixels: np.ndarray, period: int) -> np.ndarray:
    """[2, 2]: sums and numbers of absolute second differences across multiples, and elsewhere."""
    found = np.zeros((2, 2))
    for axis in (0, 1):
        values = np.moveaxis(pixels.astype(np.float64), axis, 0)
        second = np.abs(np.diff(values, 2, axis=0)).sum(axis=(1, 2))
        position = np.arange(len(second)) + 1  # of the middle pixel
        # Both second differences that have the edge between two of their pixels.
        at = (position % period == 0) | ((position + 1) % period == 0)
        size = values[0].size
        found += [[second[at].sum(), at.sum() * size], [second[~at].sum(), (~at).sum() * size]]
    return found


def ratio(found: np.ndarray) -> float:
    """The mean at seams over the mean elsewhere; 1 where there is nothing to compare."""
    (at, number), (elsewhere, others) = found
    if not number or not elsewhere:
        return 1.0
    return float(at / number / (elsewhere / others))


def lowest_quality(level: int, levels: int) -> int:
    """The lowest whole quality that takes a level or a higher one."""
    return math.ceil(100 * level / (levels - 1))


def main() -> int:
    """Print a table and what misses a goal; 1 if something does."""
    parser = argparse.ArgumentParser(description="What codecs for photographs do to plain areas.")
    parser.add_argument("--model", default=None, help="name or file [the default]")
    parser.add_argument("--every", type=int, default=1, help="take every Nth level")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    model, _ = find_model(arguments.model)
    count = len(model.levels)
    levels = sorted({*range(0, count, arguments.every), count - 1})
    runtime = Runtime(threads=1)
    rows: list[Row] = []
    seams = np.zeros((count, len(PERIODS), 2, 2))
    own = np.zeros((len(PERIODS), 2, 2))
    quality = {level: lowest_quality(level, count) for level in levels}

    def add(name: str, level: int, size: int, **values: float) -> None:
        empty: Row = {"psnr": "", "seam_16": "", "seam_256": "", "off": ""}
        place: Row = {"image": name, "level": level, "quality": quality[level], "bytes": size}
        rows.append({**place, **empty, **values})

    for name, image in gradients():
        encoder = Encoder(image, model, runtime=runtime)
        own += [differences(image, period) for period in PERIODS]
        for level in levels:
            encoded = encoder.encode(level)
            if level in (levels[0], levels[-1]):
                assert np.array_equal(intact.decode(encoded.data, model=model).pixels,
                                      encoded.pixels)  # fmt: skip
            found = np.array([differences(encoded.pixels, period) for period in PERIODS])
            seams[level] += found
            add(name, level, len(encoded.data), psnr=psnr(image, encoded.pixels),
                seam_16=ratio(found[0]), seam_256=ratio(found[1]))  # fmt: skip
    flats = {"white": flat((255,) * 3, 256, 256), "white 500x300": flat((255,) * 3, 300, 500)}
    for color in itertools.product((0, 128, 255), repeat=3):
        flats["flat {} {} {}".format(*color)] = flat(color)
    for name, image in flats.items():
        encoder = Encoder(image, model, runtime=runtime)
        for level in levels:
            encoded = encoder.encode(level)
            off = np.abs(encoded.pixels.astype(int) - image)
            add(name, level, len(encoded.data), off=int(off.max()))
    if arguments.output:
        write(arguments.output, rows)
    print(f"model {model.name} {model.id.hex()}")
    print("originals' own seams: {:.2f} {:.2f}".format(*map(ratio, own)))
    return report(rows, {level: [ratio(s) for s in seams[level]] for level in levels})


def report(rows: list[Row], seams: dict[int, list[float]]) -> int:
    """The table by level, then the goals."""

    def of(key: str, level: int, what: str = "") -> np.ndarray:
        return np.array([
            row[key] for row in rows
            if row["level"] == level and row[key] != "" and row["image"].startswith(what)
        ])  # fmt: skip

    quality = {row["level"]: row["quality"] for row in rows}
    print("level quality  PSNR mean  worst  seam 16 worst one   256 worst one  white  colors")
    for level, found in seams.items():
        values = of("psnr", level)
        print(
            f"{level:5} {quality[level]:7} {values.mean():10.2f} {values.min():6.2f}"
            f" {found[0]:8.2f} {of('seam_16', level).max():9.2f}"
            f" {found[1]:5.2f} {of('seam_256', level).max():9.2f}"
            f" {of('off', level, 'white').max():6} {of('off', level, 'flat').max():7}"
        )
    series = np.stack([of("psnr", level) for level in seams])  # levels, gradients
    loss = np.maximum.accumulate(series, axis=0) - series
    names = [row["image"] for row in rows if row["level"] == 0 and row["psnr"] != ""]
    worst_level, worst = np.unravel_index(loss.argmax(), loss.shape)
    print(f"loss to a higher level: mean of the gradients' worst {loss.max(0).mean():.2f} dB, worst"
          f" {loss.max():.2f} dB ({names[worst]} at level {list(seams)[worst_level]})")  # fmt: skip
    fine = [level for level in seams if quality[level] >= 50]
    light = [level for level in seams if quality[level] >= 20]
    goals = (
        ("largest loss to a higher level, dB", loss.max(), loss.max() <= LOSS, LOSS),
        least("worst PSNR from quality 50 on, dB", [of("psnr", v).min() for v in fine]),
        most("seams of 16 px", [found[0] for found in seams.values()], SEAM),
        most("seams of 256 px", [found[1] for found in seams.values()], SEAM),
        most("white from quality 20 on", [of("off", v, "white").max() for v in light], WHITE),
        most("27 colors from quality 50 on", [of("off", v, "flat").max() for v in fine], COLORS),
    )
    for what, value, met, goal in goals:
        print(f"{'met   ' if met else 'MISSED'} {what}: {value:.4g} (goal {goal})")
    return int(not all(met for _, _, met, _ in goals))


Goal = tuple[str, float, bool, float]


def most(what: str, values: list[float], goal: float) -> Goal:
    """A goal that the largest value meets."""
    return what, max(values), max(values) <= goal, goal


def least(what: str, values: list[float]) -> Goal:
    """The goal of the PSNR."""
    return what, min(values), min(values) >= LEAST, LEAST


if __name__ == "__main__":
    raise SystemExit(main())
