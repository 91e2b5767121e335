"""BD-rates of one codec against another by bands of rate, from a table of `intact eval`.

    python benchmarks/rd_bands.py RESULTS.csv CODEC ANCHOR [--edges 0,0.2,0.4,0.7,1.1,9]

For each picture the logarithm of the rate is interpolated over the metric (monotone cubic, points
whose metric does not rise with the rate left out), and read at 200 values of the metric that both
codecs reach. A value belongs to the band that the anchor's rate is in; a picture's figure for a
band is the mean there, the band's the mean over the pictures that have at least 10 values in it.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

METRICS = {"ssimulacra2": 1, "butteraugli_3": -1, "butteraugli_max": -1, "ms_ssim": 1, "psnr": 1}
"""By name, the sign that makes better greater."""


def curve(points: list[tuple[float, float]]) -> tuple[Any, float, float]:
    """(log rate over the metric, its least, its greatest) of points (bpp, metric)."""
    rising: list[tuple[float, float]] = []
    for bpp, quality in sorted(points):
        if not rising or quality > rising[-1][1]:
            rising.append((bpp, quality))
    rates, qualities = np.array(rising).T
    return PchipInterpolator(qualities, np.log(rates)), qualities[0], qualities[-1]


def main() -> None:
    """Print a line for each metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("codec")
    parser.add_argument("anchor")
    parser.add_argument("--edges", default="0,0.2,0.4,0.7,1.1,9", help="of the bands, in bpp")
    options = parser.parse_args()
    edges = [float(edge) for edge in options.edges.split(",")]
    with options.results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    print("bits per pixel of the anchor:", options.edges)
    for metric, sign in METRICS.items():
        points: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for row in rows:
            if row["codec"] in (options.codec, options.anchor) and row.get(metric):
                key = (row["codec"], row["image"])
                points[key].append((float(row["bpp"]), sign * float(row[metric])))
        bands: list[list[float]] = [[] for _ in edges[1:]]
        for image in sorted({image for _, image in points}):
            ours, least, most = curve(points[options.codec, image])
            theirs, their_least, their_most = curve(points[options.anchor, image])
            values = np.linspace(max(least, their_least), min(most, their_most), 200)
            at = np.exp(theirs(values))
            for band, low, high in zip(bands, edges, edges[1:], strict=False):
                inside = (at >= low) & (at < high)
                if inside.sum() >= 10:
                    band.append(float(np.mean(ours(values) - theirs(values), where=inside)))
        print(metric, *(
            f"{100 * np.expm1(np.mean(band)):+.1f} ({len(band)})" if band else "-" for band in bands
        ))  # fmt: skip


if __name__ == "__main__":
    main()
