"""Rate and distortion of the classical codecs in Pillow, and BD-rates against them.

    python benchmarks/rd_baselines.py                     # measure, write results/
    python benchmarks/rd_baselines.py --against ours.csv  # BD-rates of another codec's points

Measured by the parts of ``intact eval`` (`intact.evaluate`), with the options of the result file.
Rates are whole files; PSNR is over RGB jointly; MS-SSIM is pytorch-msssim's. One point per setting:
the mean of bpp and the mean of the decibels over the images. ``jpeg`` is the upper envelope of
``jpeg-420`` and ``jpeg-444``: the points of either that lie on or above the other's curve.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from intact.evaluate import run
from intact.evaluate.codec import Codec, texts
from intact.evaluate.curves import by_codec
from intact.evaluate.others import PillowCodec, pillow_source
from intact.evaluate.pictures import Picture
from intact.evaluate.report import means as report_means
from intact.measure import bd_rate, pchip

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "baselines_kodak.csv"
SHARED = ROOT.parent / "shared"
HYPERPRIOR = "bmshj2018-hyperprior"


class Point(NamedTuple):
    """One row of a result file."""

    codec: str
    quality: str
    bpp: float
    psnr: float
    ms_ssim: float
    settings: str
    source: str


JPEG_QUALITIES = (5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 85, 90)
AVIF_QUALITIES = (10, 20, 30, 40, 50, 55, 60, 65, 70, 75, 80)
PLANE = {sampling.replace(":", ""): sampling for sampling in ("4:2:0", "4:4:4")}


def codec(
    name: str, fmt: str, varies: str, fixed: dict[str, Any], settings: Sequence[float], library: str
) -> PillowCodec:
    """A codec of Pillow's with fixed options and the settings that give its curve."""
    found = texts(*settings)
    return PillowCodec(name, found, (found,), pillow_source(library), fmt, varies, fixed, {})


def codecs() -> list[PillowCodec]:
    """Those of the result file; options differ in part from those of ``intact eval``."""
    return [
        *(
            codec(f"jpeg-{name}", "JPEG", "quality", {"optimize": True, "subsampling": sampling},
                  JPEG_QUALITIES, "libjpeg_turbo")
            for name, sampling in PLANE.items()
        ),
        # Pillow's default codes R, G and B apart with the reversible wavelet: far worse.
        codec("jpeg2000", "JPEG2000", "quality_layers",
              {"irreversible": True, "mct": 1, "quality_mode": "rates"},
              (240, 160, 120, 96, 80, 64, 48, 40, 32, 24, 20, 16, 12), "jpg_2000"),
        codec("webp", "WEBP", "quality", {"method": 6},
              (0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 78, 84, 89, 93), "webp"),
        *(
            codec(f"avif-{name}", "AVIF", "quality",
                  {"speed": 6, "subsampling": sampling, "max_threads": 1}, AVIF_QUALITIES, "avif")
            for name, sampling in PLANE.items()
        ),
    ]  # fmt: skip


def measure(codecs: Sequence[Codec], images: Sequence[Path]) -> dict[str, list[Point]]:
    """Curves by codec: means over the images, a point a setting."""
    pictures = [Picture(path.name, path) for path in images]
    plan = run.plan(pictures, codecs, [], "psnr ms_ssim")
    found = list(run.outcomes(plan.tasks, 1, tell))
    wrong = [f"{picture.name}: {error}" for picture, error in plan.unreadable]
    wrong += [o.failure for o in found if o.failure]
    if wrong:  # a mean over fewer pictures would be another figure
        raise SystemExit("\n".join(wrong))
    curves: dict[str, list[Point]] = {codec.name: [] for codec in codecs}
    for row in report_means(by_codec(row for outcome in found for row in outcome.rows)):
        point = Point(row["codec"], row["setting"], row["bpp"], row["psnr"], row["ms_ssim"],
                      row["settings"], row["source"])  # fmt: skip
        curves[point.codec].append(point)
    return curves


def tell(progress: run.Progress) -> None:
    """A line a task."""
    left = run.time_left(progress.seconds_left)
    print(f"[{progress.done}/{progress.total}] {progress.label}, {left}", flush=True)


def envelope(name: str, curves: Sequence[Sequence[Point]]) -> list[Point]:
    """The pointwise best of several curves: points that no other curve passes above, by rate."""
    kept = [
        point
        for index, curve in enumerate(curves)
        for point in curve
        if not any(
            _psnr_at(point.bpp, other) > point.psnr
            for position, other in enumerate(curves)
            if position != index
        )
    ]
    return [
        point._replace(codec=name, quality=f"{point.codec}/{point.quality}")
        for point in sorted(kept, key=lambda point: point.bpp)
    ]


def _psnr_at(rate: float, curve: Sequence[Point]) -> float:
    """PSNR of a curve at a rate; minus infinity where it has no files of that size."""
    rates = [point.bpp for point in curve]
    if not min(rates) <= rate <= max(rates):
        return -math.inf
    return float(pchip(np.log(rates), [point.psnr for point in curve], math.log(rate)))


def read_points(path: Path) -> dict[str, list[Point]]:
    """Read a result file: columns codec, quality, bpp, psnr, ms_ssim and any others."""
    curves: dict[str, list[Point]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            quality = float(row.get("ms_ssim") or "nan")
            point = Point(row["codec"], row["quality"], float(row["bpp"]), float(row["psnr"]),
                          quality, row.get("settings") or "", row.get("source") or "")  # fmt: skip
            curves.setdefault(point.codec, []).append(point)
    return curves


def write_points(path: Path, points: Iterable[Point]) -> None:
    """Write a result file; inverse of `read_points`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Point._fields)
        for point in points:
            numbers = (f"{point.bpp:.5f}", f"{point.psnr:.4f}", f"{point.ms_ssim:.5f}")
            writer.writerow([point.codec, point.quality, *numbers, point.settings, point.source])


def compare(anchor: Sequence[Point], test: Sequence[Point]) -> tuple[float, float]:
    """BD-rates of a test curve in percent: by PSNR, by MS-SSIM in dB; nan where there is none."""

    def rate(anchor_quality: list[float], test_quality: list[float]) -> float:
        try:
            return bd_rate([p.bpp for p in anchor], anchor_quality,
                           [p.bpp for p in test], test_quality)  # fmt: skip
        except ValueError:
            return math.nan

    def decibels(points: Sequence[Point]) -> list[float]:
        return [-10 * math.log10(1 - p.ms_ssim) for p in points]

    return (
        rate([p.psnr for p in anchor], [p.psnr for p in test]),
        rate(decibels(anchor), decibels(test)),
    )


def report(tests: dict[str, list[Point]], anchors: dict[str, list[Point]]) -> None:
    """Print BD-rates of every test codec against every anchor."""
    print(f"{'codec':22}{'against':24}{'BD-rate PSNR':>14}{'BD-rate MS-SSIM':>17}   common dB")
    for name, test in tests.items():
        for anchor_name, anchor in anchors.items():
            by_psnr, by_ms_ssim = compare(anchor, test)
            low = max(min(p.psnr for p in curve) for curve in (anchor, test))
            high = min(max(p.psnr for p in curve) for curve in (anchor, test))
            print(f"{name:22}{anchor_name:24}{by_psnr:+13.2f}%{by_ms_ssim:+16.2f}%"
                  f"   {low:.1f} .. {high:.1f}")  # fmt: skip


def main() -> None:
    """Measure the baselines, or compare a file of points with them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, default=SHARED / "data" / "kodak")
    parser.add_argument("--csv", type=Path, default=RESULTS, help="the baselines' result file")
    parser.add_argument("--against", type=Path, help="points to compare with the baselines")
    parser.add_argument("--anchors", type=Path, default=SHARED / "anchors/rd/kodak_main.csv")
    options = parser.parse_args()
    if options.against is None:
        images = sorted(options.images.glob("*.png"))
        if not images:
            parser.error(f"no PNG images in {options.images}")
        curves = measure(codecs(), images)
        jpeg = envelope("jpeg", [curves["jpeg-420"], curves["jpeg-444"]])
        write_points(options.csv, (p for curve in [*curves.values(), jpeg] for p in curve))
    anchors = read_points(options.csv)
    tests = anchors if options.against is None else read_points(options.against)
    if options.anchors.exists():
        published = read_points(options.anchors)
        anchors = {**anchors, f"published {HYPERPRIOR}"[:23]: published[HYPERPRIOR]}
    report(tests, anchors)


if __name__ == "__main__":
    main()
