"""What analyzing a picture twice is worth, and how much of what is lost should be added.

    python benchmarks/twicing.py [--model NAME_OR_FILE] [--pictures 12] [-o CSV]

Real payloads of photographs that are set aside (benchmarks/held_out.txt; middles of at most 384 x
384), at seven qualities: with the picture analyzed once, with constant shares of what is lost added
before a second analysis, and as effort 1 does it (`intact.codec.twicing`). Printed: which part of
the squared error stands before anything is quantized; the change of the size at equal PSNR and at
equal SSIMULACRA 2 (our own), in percent, mean of the pictures and worst. (Time: effort.py.)
docs/decisions/0037 has the figures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import RESULTS, Row, find_model, machine, write
from effort import held_out, ssimulacra2
from scipy.interpolate import PchipInterpolator

from intact.codec import pixels as px
from intact.codec.coding import Coded, encode_latents, size_of
from intact.codec.encoder import Encoder
from intact.codec.model import Model
from intact.codec.runtime import Runtime
from intact.codec.twicing import boosted, encode_twice
from intact.container.image_file import Mode
from intact.measure.psnr import mse, psnr

QUALITIES = (40, 50, 60, 70, 80, 90, 100)
SHARES = (0.0, 0.3, 0.7)
RULE = "effort 1"
SIDE = 384


def with_share(encoder: Encoder, level: int, share: float) -> tuple[Coded, float]:
    """Coded with a share of what is lost added; and the squared error before quantization."""
    networks, bottleneck, image = encoder.networks, encoder.model.bottleneck, encoder.source.color
    pixels = px.to_network(image, bottleneck.LATENT_PX)
    y = networks.run("analysis", {"pixels": pixels}, level)["y"]
    found = networks.run("synthesis", {"y": y}, level)["pixels"]
    lost = mse(image, px.from_network(found[: len(image), : image.shape[1]], Mode.RGB))
    if share:
        again = boosted(pixels, found, round(256 * share))
        y = networks.run("analysis", {"pixels": again}, level)["y"]
    return encode_latents(networks, bottleneck, y, encoder.header(level)), lost


def measured(model: Model, name: str, image: np.ndarray) -> list[Row]:
    """A row a quality and variant."""
    encoder, rows = Encoder(image, model, runtime=Runtime(threads=1)), list[Row]()
    for quality in QUALITIES:
        level = model.levels.of_quality(quality)
        for variant in (*SHARES, RULE):
            if variant == RULE:
                rest = encoder.networks, model.bottleneck, image, encoder.header(level)
                coded, lost = encode_twice(*rest), 0.0
            else:
                coded, lost = with_share(encoder, level, float(variant))
            rows.append({
                "model": model.name, "image": name, "variant": variant, "quality": quality,
                "bytes": size_of(coded), "psnr": psnr(image, coded[1]),
                "ssimulacra2": ssimulacra2(image, coded[1]), "lost": lost,
                "wrong": mse(image, coded[1]),
            })  # fmt: skip
    return rows


def of(rows: list[Row], variant: object, key: str, image: object) -> np.ndarray:
    """[qualities]: a column of a picture."""
    found = [r[key] for r in rows if (r["variant"], r["image"]) == (variant, image)]
    return np.array(found, float)


def gains(rows: list[Row], variant: object, key: str) -> np.ndarray:
    """[pictures, qualities]: what a variant takes more for what a quality has, in percent.

    Looked up on the variant's curve: at quality 100 that goes beyond the one without.
    """
    result = []
    for image in dict.fromkeys(row["image"] for row in rows):
        curve = of(rows, variant, key, image), np.log(of(rows, variant, "bytes", image))
        size = PchipInterpolator(*curve, extrapolate=True)(of(rows, 0.0, key, image))
        result.append(100 * (np.exp(size) / of(rows, 0.0, "bytes", image) - 1))
    return np.array(result)


def show(rows: list[Row]) -> None:
    """Print means."""
    images = list(dict.fromkeys(row["image"] for row in rows))
    print("quality", *QUALITIES)
    part = np.mean([of(rows, 0.0, "lost", i) / of(rows, 0.0, "wrong", i) for i in images], 0)
    print("squared error before quantization, part of all:", *part.round(2))
    for variant in (*SHARES[1:], RULE):
        for key in ("psnr", "ssimulacra2"):
            found = gains(rows, variant, key)
            print(f"{variant}: size at equal {key}, mean", *(f"{x:+.1f}" for x in found.mean(0)),
                  "%; worst", *(f"{x:+.1f}" for x in found.max(0)))  # fmt: skip


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None, help="name or file [the default]")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    model, _ = find_model(options.model)
    print(f"model {model.name} {model.id.hex()}; {machine()}")
    rows: list[Row] = []
    for name, image in held_out(options.pictures, SIDE).items():
        rows += measured(model, name, image)
        write(options.output or RESULTS / f"twicing_{model.name}.csv", rows)  # what is done is kept
    show(rows)


if __name__ == "__main__":
    main()
