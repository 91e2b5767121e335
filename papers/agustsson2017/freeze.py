"""Freeze trained runs to models, and hold the entropy coder to the probabilities it was given.

    python papers/agustsson2017/freeze.py --runs RUNS --models MODELS --pictures KODAK [NAME ...]

Writes MODELS/NAME.intactm and adds to MODELS/coder.csv, for each picture: the bytes of its file,
the sum of -log2 p over its symbols (p as counted on the training images, before it is rounded to a
table), and the file's own entropy, which no table made beforehand reaches: the difference is what
a histogram of the training set costs (eq. 4), and no fault of the coder.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import numpy as np

import intact
from intact import files
from intact.bottleneck.grid import Layout
from intact.bottleneck.vector import Vector
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.pixels import to_network
from intact.freeze.count import count_symbols
from intact.freeze.run import freeze_run
from intact.freeze.vector import probabilities
from intact.images import read_image
from intact.train import checkpoint
from intact.train.codecs.vector_graphs import PATCH
from intact.train.config import from_dict
from intact.train.start import image_folder

IMAGES = 150
"""Training images that symbols are counted on."""


def points_of(bottleneck: Vector) -> int:
    """Symbols of a channel in a latent."""
    return PATCH // bottleneck.codebook.shape[2]


def frozen_p(model: Model, run: Path) -> np.ndarray:
    """float64 [S, L]: the histogram of each slot's symbols over the training images."""
    bottleneck = model.bottleneck_of(Vector)
    config = from_dict(checkpoint.read(run)[1]["config"])
    images = image_folder(config).images
    chosen = images[:: max(1, len(images) // IMAGES)][:IMAGES]
    size, points = bottleneck.order.shape[1], points_of(bottleneck)
    counts = count_symbols(model, chosen, radius=size)["tables"][:, size : 2 * size]
    counts = counts.reshape(-1, points, size).sum(axis=1)
    return np.repeat(probabilities(counts), points, axis=0)


def costs(model: Model, p: np.ndarray, path: Path) -> dict[str, object]:
    """A row of the table, in bytes."""
    bottleneck, source = model.bottleneck_of(Vector), read_image(path.read_bytes())
    networks = Networks(model, 1 << 20, "auto", 1)
    y = networks.run("analysis", {"pixels": to_network(source.color, bottleneck.LATENT_PX)}, 0)["y"]
    symbols = bottleneck.plan(networks, y, 0, Layout(y.shape[:2], 6)).symbols
    slots = np.arange(bottleneck.num_slots)
    ideal = -np.log2(p[slots, symbols]).sum() / 8
    points, own = points_of(bottleneck), 0.0
    for channel in symbols.reshape(-1, bottleneck.num_slots // points, points).swapaxes(0, 1):
        counts = np.bincount(channel.ravel())
        counts = counts[counts > 0]
        own -= (counts * np.log2(counts / counts.sum())).sum() / 8
    size = len(intact.encode(np.asarray(source.color), model=model))
    return {
        "model": model.name, "picture": path.stem,
        "symbols": symbols.size, "file": size,
        "minus_log2_p": round(ideal, 1), "own_entropy": round(own, 1),
        "beyond_p_bytes": round(size - ideal, 1),
        "beyond_p_percent": round(100 * (size / ideal - 1), 3),
        "within_target": size <= 1.005 * ideal + 64,
    }  # fmt: skip


def main() -> None:
    """Freeze what is not frozen yet, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    options = parser.parse_args()
    pictures = sorted(path for path in options.pictures.iterdir() if path.is_file())
    if not pictures:
        parser.error(f"--pictures {options.pictures}: no files")
    options.models.mkdir(parents=True, exist_ok=True)
    table = options.models / "coder.csv"
    rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
    for name in options.names:
        path, run = options.models / f"{name}.intactm", options.runs / name
        model = freeze_run(run, name, images=IMAGES)
        files.replace(path, model.to_bytes())
        print(f"{path}  {path.stat().st_size:,} bytes", flush=True)
        p = frozen_p(model, run)
        rows = [row for row in rows if row["model"] != name]
        found = [costs(model, p, picture) for picture in pictures]
        within = sum(bool(row["within_target"]) for row in found)
        print(f"  within 0.5 % + 64 bytes: {within} of {len(found)}", flush=True)
        rows += [{key: str(value) for key, value in row.items()} for row in found]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.replace(table, text.getvalue().encode())


if __name__ == "__main__":
    main()
