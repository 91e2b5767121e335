"""Rate and distortion of the classical codecs in Pillow, and BD-rates against them.

    python benchmarks/rd_baselines.py                     # measure, write results/
    python benchmarks/rd_baselines.py --against ours.csv  # BD-rates of another codec's points

Rates are whole files; PSNR is over RGB jointly; MS-SSIM is pytorch-msssim's. One point per setting:
the mean of bpp and the mean of the decibels over the images. ``jpeg`` is the upper envelope of
``jpeg-420`` and ``jpeg-444``: the points of either that lie on or above the other's curve.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, __version__ as pillow_version, features

from intact.measure import bd_rate, bpp, ms_ssim, pchip, psnr

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "baselines_kodak.csv"
SHARED = ROOT.parent / "shared"
HYPERPRIOR = "bmshj2018-hyperprior"


class Codec(NamedTuple):
    """One codec with its fixed options and the settings that give its curve."""

    name: str
    format: str
    options: dict[str, Any]
    varies: str
    settings: Sequence[Any]
    library: str

    def options_at(self, setting: float) -> dict[str, Any]:
        """Pillow's save options at one setting."""
        value = [setting] if self.varies == "quality_layers" else setting
        return {**self.options, self.varies: value}


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
CODECS = (
    *(
        Codec(
            f"jpeg-{sampling.replace(':', '')}", "JPEG",
            {"optimize": True, "subsampling": sampling}, "quality", JPEG_QUALITIES, "libjpeg_turbo",
        )
        for sampling in ("4:2:0", "4:4:4")
    ),
    Codec(
        "jpeg2000", "JPEG2000",
        # Pillow's default codes R, G and B apart with the reversible wavelet: far worse.
        {"irreversible": True, "mct": 1, "quality_mode": "rates"}, "quality_layers",
        (240, 160, 120, 96, 80, 64, 48, 40, 32, 24, 20, 16, 12), "jpg_2000",
    ),
    Codec("webp", "WEBP", {"method": 6}, "quality",
          (0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 78, 84, 89, 93), "webp"),
    *(
        Codec(
            f"avif-{sampling.replace(':', '')}", "AVIF",
            {"speed": 6, "subsampling": sampling, "max_threads": 1}, "quality", AVIF_QUALITIES,
            "avif",
        )
        for sampling in ("4:2:0", "4:4:4")
    ),
)  # fmt: skip


def measure(codec: Codec, images: Sequence[Path]) -> list[Point]:
    """One point per setting of a codec: means over the images."""
    points = []
    for setting in codec.settings:
        options = codec.options_at(setting)
        rows = [_measure_one(path, codec.format, options) for path in images]
        mean_bpp, mean_psnr, mean_ms_ssim = np.mean(rows, axis=0)
        points.append(
            Point(
                codec.name, str(setting), mean_bpp, mean_psnr, mean_ms_ssim,
                " ".join(f"{key}={value}" for key, value in options.items()),
                f"Pillow {pillow_version} {codec.library} {features.version(codec.library)}",
            )
        )  # fmt: skip
        print(f"{codec.name} {setting}: {mean_bpp:.4f} bpp {mean_psnr:.3f} dB", flush=True)
    return points


def _measure_one(path: Path, fmt: str, options: dict[str, Any]) -> tuple[float, float, float]:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    file = io.BytesIO()
    image.save(file, fmt, **options)
    reference = np.asarray(image)
    decoded = np.asarray(Image.open(file).convert("RGB"))
    rate = bpp(len(file.getvalue()), image.height, image.width)
    return rate, psnr(reference, decoded), ms_ssim(reference, decoded)


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
        curves = {codec.name: measure(codec, images) for codec in CODECS}
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
