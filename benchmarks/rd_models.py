"""What a model is worth in PSNR, in one call: the figures that issue 12 asks of a model for MSE.

    python benchmarks/rd_models.py --model NAME_OR_FILE [--twin WEIGHTS] [-o CSV] [--every N]
        [--sets kodak cc0 b100] [--effort N]

1. 24 Kodak images: BD-rate against BPG 4:4:4 (``tfc-bpg444`` of
   ``../shared/anchors/rd/kodak_all.csv``), both curves being means over the images at a setting.
2. CC0 samples and B100: mean of the BD-rates of single photographs against Pillow's JPEG 2000
   (irreversible, one color transform, rates as in `rd_baselines`).
3. Quality 100: PSNR of each Kodak image.
4. With ``--twin`` (float weights or a run): integers against their float twin on Kodak, mean of the
   BD-rates of single images by PSNR and, if its package is there, by SSIMULACRA2, and the
   difference at quality 100; then on text, screens and line art
   (synthetic pictures of kinds that no training sees; docs/decisions/0028).

Sizes are those of whole files, pixels those whose checksum the file carries. ``--every`` takes
every Nth picture of each set, ``--effort`` is of the model's files. For final tables only: nothing
is chosen on these pictures.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import DATA, RESULTS, Row, find_model, machine, write
from PIL import Image
from rd_baselines import codec

from intact.codec.coding import encode_colors
from intact.codec.encoder import Encoder
from intact.codec.model import Model
from intact.codec.runtime import Runtime
from intact.container.image_file import ImageFile, ImageHeader, Mode, pack_image
from intact.evaluate.codec import Codec
from intact.evaluate.ssimulacra2 import Ssimulacra2, why_missing
from intact.measure import bd_rate, psnr

ANCHOR = "tfc-bpg444"
QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
SETS = {"kodak": "kodak", "cc0": "samples_cc0", "b100": "b100"}
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
JPEG_2000: Codec = codec(
    "jpeg2000", "JPEG2000", "quality_layers",
    {"irreversible": True, "mct": 1, "quality_mode": "rates"},
    (240, 160, 120, 96, 80, 64, 48, 40, 32, 24, 20, 16, 12), "jpg_2000",
)  # fmt: skip
TEXT = (
    "terminal", "slide", "dialog", "bar code", "scatter", "diagram", "halftone", "music",
    "swatches",
)  # fmt: skip
"""Kinds of `intact.train.synthetic.HELD_OUT`."""
TEXT_SIDE, TEXT_SEED = 256, 3
TWIN, OURS, THEIRS = "float twin", "model", "jpeg2000"


def pictures(name: str, every: int) -> dict[str, np.ndarray]:
    """uint8 [h, w, 3] by name, of a set."""
    folder = DATA / SETS[name]
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[::every]
    if not paths:
        sys.exit(f"no pictures in {folder}")
    return {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in paths}


def text() -> dict[str, np.ndarray]:
    """uint8 [h, w, 3] by kind."""
    from intact.train.synthetic import crop

    return {kind: crop(kind, TEXT_SIDE, np.random.default_rng(TEXT_SEED)) for kind in TEXT}


def bpg() -> list[tuple[float, float]]:
    """(bpp, PSNR) of BPG 4:4:4 on Kodak, as published."""
    path = DATA.parent / "anchors" / "rd" / "kodak_all.csv"
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == ANCHOR and row["psnr"]]
    return [(float(row["bpp"]), float(row["psnr"])) for row in rows]


class Table:
    """Points that were measured: rows for the CSV, curves by picture and codec.

    Args:
        scored: (set, image) of those whose SSIMULACRA2 is wanted.
    """

    def __init__(self, scored: set[tuple[str, str]]) -> None:
        self.rows: list[Row] = []
        self.scored = scored
        self._judges: dict[tuple[str, str], Ssimulacra2] = {}

    def add(self, place: tuple[str, str, str], setting: object, size: int, pixels: np.ndarray,
            original: np.ndarray) -> None:  # fmt: skip
        """A file of a codec; ``place`` is its set, image and codec."""
        group, image, name = place
        area = original.shape[0] * original.shape[1]
        key = group, image
        if key in self.scored and key not in self._judges:
            self._judges[key] = Ssimulacra2(original)  # half of the work, for all its files
        judge = self._judges.get(key)
        self.rows.append({
            "set": group, "image": image, "codec": name, "setting": setting, "bytes": size,
            "bpp": 8 * size / area, "psnr": psnr(original, pixels),
            "ssimulacra2": judge(pixels) if judge else "",
        })  # fmt: skip

    def curves(
        self, group: str, name: str, metric: str = "psnr"
    ) -> dict[str, list[tuple[float, float]]]:
        """(bpp, metric) by image, in order of the settings."""
        found = defaultdict(list)
        for row in self.rows:
            if (row["set"], row["codec"]) == (group, name):
                found[row["image"]].append((row["bpp"], row[metric]))
        return found


def rising(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Rates and qualities of a curve without the points that cost more and give less."""
    kept: list[tuple[float, float]] = []
    for point in sorted(points):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return [p[0] for p in kept], [p[1] for p in kept]


def single_rates(table: Table, group: str, anchor: str) -> dict[str, float]:
    """BD-rate of the model by image, in percent."""
    anchors, tests = table.curves(group, anchor), table.curves(group, OURS)
    return {image: bd_rate(*rising(anchors[image]), *rising(tests[image])) for image in tests}


def measure_model(
    table: Table, group: str, images: dict[str, np.ndarray], model: Model, effort: int
) -> None:
    """Files of the model."""
    levels = {quality: model.levels.of_quality(quality) for quality in QUALITIES}
    for name, image in images.items():
        encoder = Encoder(image, model, runtime=Runtime(), effort=effort)
        for quality, level in levels.items():
            encoded = encoder.encode(level)
            table.add((group, name, OURS), quality, len(encoded.data), encoded.pixels, image)
        print(f"{group} {name}", file=sys.stderr, flush=True)


def measure_twin(
    table: Table, group: str, images: dict[str, np.ndarray], model: Model, weights: Path
) -> None:
    """Files of the float networks in the place of the programs; only their size counts."""
    from intact.train.start import float_codec
    from intact.train.twin import FloatTwin

    net = float_codec(weights).eval()
    twin = FloatTwin({name: net.network(name) for name in net.networks}, model)
    for name, image in images.items():
        for quality in QUALITIES:
            level = model.levels.of_quality(quality)
            header = ImageHeader(model.id, Mode.RGB, level, image.shape[1], image.shape[0], 0)
            payloads, decoded, _ = encode_colors(twin, model.bottleneck, image, header)
            data = pack_image(ImageFile(replace(header, pixel_crc=1), payloads))
            table.add((group, name, TWIN), quality, len(data), decoded, image)
        print(f"twin {name}", file=sys.stderr, flush=True)


def measure_other(table: Table, group: str, images: dict[str, np.ndarray]) -> None:
    """Files of JPEG 2000."""
    for name, image in images.items():
        for setting in JPEG_2000.settings:
            data = JPEG_2000.encode(image, setting)
            pixels = JPEG_2000.decode(data)
            table.add((group, name, THEIRS), setting, len(data), pixels, image)


def say(what: str, rates: dict[str, float]) -> None:
    """A line about BD-rates of single pictures."""
    worst = max(rates, key=lambda image: rates[image])
    values = list(rates.values())
    print(f"{what}: {np.mean(values):+.2f} % on average of {len(values)}, median "
          f"{np.median(values):+.2f}, worst {rates[worst]:+.2f} ({worst})")  # fmt: skip


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None, help="name or file [the default]")
    parser.add_argument("--twin", type=Path, help="float weights, or the folder of a run")
    parser.add_argument("--twin-every", type=int, default=3, help="every Nth image for the twin")
    parser.add_argument("--every", type=int, default=1, help="every Nth picture of each set")
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS))
    parser.add_argument("--effort", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    model, _ = find_model(args.model)
    print(f"model {model.name} {model.id.hex()}; {machine()}")
    twins: dict[str, dict[str, np.ndarray]] = {}
    if args.twin and "kodak" in args.sets:
        few = list(pictures("kodak", args.every).items())[:: args.twin_every]
        twins["kodak"] = dict(few)
    if args.twin:
        twins["text"] = text()
    missing = why_missing()
    if missing and twins:
        print(f"without SSIMULACRA2: {missing}", file=sys.stderr)
    table = Table({(k, i) for k, images in twins.items() for i in images if not missing})
    suffix = f"@{args.effort}" if args.effort else ""
    output = args.output or RESULTS / f"rd_models_{model.name}{suffix}.csv"
    both: dict[str, float] = {}
    for name in args.sets:
        images = pictures(name, args.every)
        measure_model(table, name, images, model, args.effort)
        if name == "kodak":
            say_kodak(table)
        else:
            measure_other(table, name, images)
            rates = single_rates(table, name, THEIRS)
            say(f"{name} against JPEG 2000", rates)
            both |= rates
        write(output, table.rows)  # what is done is kept
    if both:
        say("all of them against JPEG 2000", both)
    for group, images in twins.items():
        if group not in args.sets:
            measure_model(table, group, images, model, args.effort)
        measure_twin(table, group, images, model, args.twin)
        write(output, table.rows)
        say_twin(table, group)


def say_kodak(table: Table) -> None:
    """The BD-rate against BPG, and quality 100."""
    curves = np.array(list(table.curves("kodak", OURS).values()))  # image, setting, (bpp, PSNR)
    mean = rising([tuple(point) for point in curves.mean(0)])
    rate = bd_rate(*rising(bpg()), *mean)
    print(f"Kodak, {len(curves)} images, against BPG 4:4:4 ({ANCHOR}): {rate:+.2f} %")
    top = curves[:, -1, 1]
    names = list(table.curves("kodak", OURS))
    print(f"quality 100, PSNR: mean {top.mean():.2f}, lowest {top.min():.2f} dB"
          f" ({names[int(top.argmin())]}), {curves[:, -1, 0].mean():.2f} bpp; of each: "
          + " ".join(f"{value:.2f}" for value in top), flush=True)  # fmt: skip


def say_twin(table: Table, group: str) -> None:
    """The integers against their float twin."""
    for metric in ("ssimulacra2", "psnr") if table.scored else ("psnr",):
        twins, ours = (table.curves(group, name, metric) for name in (TWIN, OURS))
        rates = {image: bd_rate(*rising(twins[image]), *rising(ours[image])) for image in twins}
        say(f"{group}: integers against their float twin, {metric}", rates)
    twins, ours = table.curves(group, TWIN), table.curves(group, OURS)
    lost = [twins[image][-1][1] - ours[image][-1][1] for image in twins]
    print(f"{group}: at quality 100 the twin has {np.mean(lost):+.2f} dB, at most {max(lost):+.2f}")


if __name__ == "__main__":
    main()
