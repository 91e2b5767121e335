"""Rate-distortion of a model on Kodak: real file sizes, real decoded pixels.

    python benchmarks/rd_kodak.py [--model NAME_OR_PATH] [--twin RUN] [--qualities 0,10,...]

Measured by the parts of ``intact eval`` (`intact.evaluate`): every point is a file written by
`intact.encode` and pixels that `intact.decode` returned. With
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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from rd_baselines import HYPERPRIOR, RESULTS as BASELINES, SHARED, read_points, report, tell

from intact.codec.coding import encode_colors
from intact.codec.model import Model
from intact.codec.store import DEFAULT, load_model
from intact.container.image_file import ImageFile, ImageHeader, Mode, pack_image
from intact.evaluate.codec import Codec
from intact.evaluate.curves import by_codec, front
from intact.evaluate.find import find_codec
from intact.evaluate.metrics import metric_set
from intact.evaluate.pictures import Picture
from intact.evaluate.report import means
from intact.evaluate.run import outcomes, plan
from intact.measure import bd_rate

ROOT = Path(__file__).resolve().parent.parent
KODAK = ROOT.parent / "shared" / "data" / "kodak"
RESULTS = ROOT / "benchmarks" / "results"
QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
COLUMNS = ["bpp", "psnr", "ms_ssim", "ssimulacra2"]


@dataclass(frozen=True, eq=False)
class TwinCodec(Codec):
    """The float networks of a training run as a codec with real files.

    Attributes:
        run: the run, or float weights.
        model: the model in whose place they are.
    """

    run: str
    model: str | None

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        return f"quality={setting} weights={self.run}"

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file; its pixels are kept, as nothing else decodes it."""
        networks, model = _twin(self.run, self.model)
        bottleneck, level = model.bottleneck, model.levels.of_quality(float(setting))
        height, width = pixels.shape[:2]
        header = ImageHeader(model.id, Mode.RGB, level, width, height, 0)
        payloads, decoded, _ = encode_colors(networks, bottleneck, pixels, header)
        header = replace(header, pixel_crc=zlib.crc32(decoded.tobytes()))
        data = pack_image(ImageFile(header, payloads))
        _DECODED.clear()
        _DECODED[data] = decoded
        return data

    def decode(self, data: bytes) -> np.ndarray:
        """The pixels that `encode` came to last."""
        return _DECODED[data]


_DECODED: dict[bytes, np.ndarray] = {}


@lru_cache
def _twin(run: str, model_name: str | None) -> tuple[Any, Model]:
    from intact.train.start import float_codec
    from intact.train.twin import FloatTwin

    model = load_model(model_name)
    net = float_codec(Path(run)).eval()
    return FloatTwin({name: net.network(name) for name in net.networks}, model), model


def measure(codecs: Sequence[Codec], images: Sequence[Path]) -> tuple[list, list]:
    """Rows of means and rows of single pictures, for the result files."""
    pictures = [Picture(path.name, path) for path in images]
    wanted = metric_set(("psnr", "ms_ssim", "ssimulacra2"))
    rows = []
    for outcome in outcomes(plan(pictures, codecs, [], wanted).tasks, 1, tell):
        if outcome.failure:
            sys.exit(outcome.failure)
        rows += outcome.rows
    averages = means(by_codec(rows))
    singles = [(row.codec, float(row.setting), row.image.rpartition(".")[0],
                *(getattr(row, key) for key in COLUMNS)) for row in rows]  # fmt: skip
    return [(row["codec"], float(row["setting"]), *(row[key] for key in COLUMNS))
            for row in averages], singles  # fmt: skip


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
    paths = sorted(args.images.glob("*.png"))[:: args.every]
    qualities = args.qualities.split(",")
    name = args.model or DEFAULT
    codecs: list[Codec] = [find_codec(f"intact={name}").at(qualities)]
    if args.twin:
        weights, settings = str(args.twin), tuple(qualities)
        codecs.append(TwinCodec("float twin", settings, (settings,), weights, weights, args.model))
    averages, singles = measure(codecs, paths)
    write(args.o, ["codec", "quality", *COLUMNS], averages)
    header = ["codec", "quality", "image", *COLUMNS]
    write(args.o.with_name(args.o.stem + "_per_image.csv"), header, singles)
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
