"""Rate-distortion of a model on Kodak: real file sizes, real decoded pixels.

    python benchmarks/rd_kodak.py [--model NAME_OR_PATH] [--twin RUN] [--qualities 0,10,...]

Every point is a file written by `intact.encode` and pixels that `intact.decode` returned. With
``--twin`` (a run or float weights) the float networks are measured too, in the place of the
programs: the same bottleneck codes their latents into the same container (`intact.train.twin`).
Writes benchmarks/results/rd_kodak.csv (codec, quality, bpp, psnr, ms_ssim, ssimulacra2) and
rd_kodak_per_image.csv, and prints BD-rates against benchmarks/results/baselines_kodak.csv.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from rd_eyes.bd import front
from rd_eyes.metrics import Ssimulacra2, groups

import intact
from intact.codec.coding import encode_colors
from intact.codec.model import Model
from intact.codec.store import load_model
from intact.container.image_file import ImageFile, ImageHeader, Mode, pack_image
from intact.measure import bd_rate, ms_ssim, psnr

ROOT = Path(__file__).resolve().parent.parent
KODAK = ROOT.parent / "shared" / "data" / "kodak"
RESULTS = ROOT / "benchmarks" / "results"
QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


Point = Callable[[np.ndarray, float, Model], tuple[int, np.ndarray]]
"""(image, quality, model) to the file's size in bytes and the decoded pixels."""


def intact_point(image: np.ndarray, quality: float, model: Model) -> tuple[int, np.ndarray]:
    """File size in bytes and decoded pixels."""
    data = intact.encode(image, quality=quality, model=model)
    return len(data), intact.decode(data, model=model).pixels


def twin_of(run: Path, model: Model) -> Point:
    """The float networks of a training run as a codec with real files."""
    from intact.train.start import float_codec
    from intact.train.twin import FloatTwin

    net = float_codec(run).eval()
    networks = FloatTwin({name: net.network(name) for name in net.networks}, model)

    def point(image: np.ndarray, quality: float, model: Model) -> tuple[int, np.ndarray]:
        bottleneck, level = model.bottleneck, model.levels.of_quality(quality)
        height, width = image.shape[:2]
        header = ImageHeader(model.id, Mode.RGB, level, width, height, 0)
        payloads, pixels, _ = encode_colors(networks, bottleneck, image, header)
        header = replace(header, pixel_crc=zlib.crc32(pixels.tobytes()))
        return len(pack_image(ImageFile(header, payloads))), pixels

    return point


def curve(name: str, point: Point, images, qualities, model) -> tuple[list, list]:  # noqa: ANN001
    """(mean rows, per-image rows) of a codec."""
    means, singles = [], []
    for quality in qualities:
        rows = []
        for path, image in images:
            size, pixels = point(image, quality, model)
            bpp = 8 * size / (image.shape[0] * image.shape[1])
            eyes = Ssimulacra2(image)(pixels) if "ssimulacra2" in groups()[0] else math.nan
            rows.append((bpp, psnr(image, pixels), ms_ssim(image, pixels), eyes))
            singles.append((name, quality, path.stem, *rows[-1]))
        means.append((name, quality, *np.mean(rows, 0)))
        print(f"{name:12} q {quality:3}: {means[-1][2]:.4f} bpp {means[-1][3]:.3f} dB "
              f"{means[-1][4]:.4f} {means[-1][5]:.2f}", flush=True)  # fmt: skip
    return means, singles


def single_rates(singles: list, column: int) -> list[float]:
    """BD-rates in percent of the integers against their twin, picture by picture."""
    curves: dict[str, dict[str, list]] = {}
    for codec, _, image, *values in singles:
        curves.setdefault(image, {}).setdefault(codec, []).append((values[0], values[column]))
    rates = []
    for found in curves.values():
        (rate, quality), (twin_rate, twin_quality) = (
            zip(*front(found[codec]), strict=True) for codec in ("intact", "float twin")
        )
        if all(map(math.isfinite, quality)):
            rates.append(bd_rate(twin_rate, twin_quality, rate, quality))
    return rates


def write(path: Path, header: list[str], rows: list) -> None:
    """Write a CSV, numbers rounded to five digits."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{v:.5f}" if isinstance(v, float) else v for v in row])


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None)
    parser.add_argument(
        "--twin", type=Path, default=None, help="folder of the training run, or float weights"
    )
    parser.add_argument("--qualities", default=",".join(map(str, QUALITIES)))
    parser.add_argument("--images", type=Path, default=KODAK)
    parser.add_argument("--every", type=int, default=1, help="use every n-th image only")
    parser.add_argument("-o", type=Path, default=RESULTS / "rd_kodak.csv")
    args = parser.parse_args()
    model = load_model(args.model)
    paths = sorted(args.images.glob("*.png"))[:: args.every]
    images = [(p, np.asarray(Image.open(p).convert("RGB"))) for p in paths]
    qualities = [float(q) for q in args.qualities.split(",")]
    means, singles = curve("intact", intact_point, images, qualities, model)
    if args.twin:
        more = curve("float twin", twin_of(args.twin, model), images, qualities, model)
        means, singles = means + more[0], singles + more[1]
    columns = ["bpp", "psnr", "ms_ssim", "ssimulacra2"]
    write(args.o, ["codec", "quality", *columns], means)
    header = ["codec", "quality", "image", *columns]
    write(args.o.with_name(args.o.stem + "_per_image.csv"), header, singles)
    from rd_baselines import HYPERPRIOR, RESULTS as BASELINES, SHARED, read_points, report

    anchors = read_points(BASELINES)
    published = SHARED / "anchors" / "rd" / "kodak_main.csv"
    if published.exists():
        anchors["published hyperprior"] = read_points(published)[HYPERPRIOR]
    ours = read_points(args.o)
    report(ours, anchors)
    if args.twin:
        print("integers against their float twin:")
        report({"intact": ours["intact"]}, {"float twin": ours["float twin"]})
        for column, name in ((1, "PSNR"), (3, "SSIMULACRA2")):
            rates = single_rates(singles, column)
            if rates:
                print(
                    f"{name}: mean of the BD-rates of {len(rates)} single pictures "
                    f"{np.mean(rates):+.2f} %, worst {max(rates):+.2f} %"
                )


if __name__ == "__main__":
    main()
