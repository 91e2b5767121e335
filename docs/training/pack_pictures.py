"""Packs training pictures into one small folder, for a machine that nothing can be fetched from.

    python docs/training/pack_pictures.py ../packed --train ../shared/data/train \
        --exclude benchmarks/held_out.txt --debian ../debian_pictures

DIR/photographs gets the photographs of Debian packages (JPEG, quality 92, 4:4:4) and, as they are,
those of the training set whose shorter side is at least 320, in an order without meaning (that of
their names' SHA-256) as long as they fit; DIR/graphics the graphics; DIR/synthetic pictures of the
training kinds, since the machine has no fonts. DIR/LIST.csv says what came from where.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from intact.train.data import read_list
from intact.train.folders import find_images
from intact.train.synthetic import check_fonts, training_crop

LEAST = 320
"""Pixels of the shorter side, and of the synthetic pictures."""
SEED = 2**31 - 5
"""Of the synthetic pictures; no run has it."""


def main() -> int:
    """Fill the folder; 1 where there is nothing to fill it with."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="must not exist yet")
    parser.add_argument("--train", type=Path, help="photographs, searched recursively")
    parser.add_argument("--exclude", type=Path, help="list of photographs not to be used")
    parser.add_argument("--debian", type=Path, help="what fetch_pictures.py wrote")
    parser.add_argument("--synthetic", type=int, default=300, help="pictures [300]")
    parser.add_argument(
        "--megabytes", type=float, default=43.0, help="[43: with this repository below 64 MiB]"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True)
    listed = [*_synthetic(folder, arguments.synthetic), *_debian(folder, arguments.debian)]
    limit = int(arguments.megabytes * 1e6) - sum(file.stat().st_size for file, _ in listed)
    if arguments.train:
        excluded = read_list(arguments.exclude) if arguments.exclude else frozenset()
        listed += _train(folder, arguments.train, excluded, limit - 100_000)  # the list itself
    with (folder / "LIST.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "source"])
        writer.writerows([path.relative_to(folder).as_posix(), source] for path, source in listed)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{len(listed)} pictures, {size / 1e6:.1f} MB in {folder}")
    if size > arguments.megabytes * 1e6:
        print("more than was asked for: give fewer --synthetic, or no --debian", file=sys.stderr)
    return 0 if listed and size <= arguments.megabytes * 1e6 else 1


def _synthetic(folder: Path, count: int) -> Iterator[tuple[Path, str]]:
    for note in check_fonts() if count else []:
        print(note, file=sys.stderr)
    for i in range(count):
        target = _place(folder, "synthetic", f"{i:04d}.png")
        pixels = training_crop(LEAST, np.random.default_rng((SEED, i)))
        Image.fromarray(pixels).save(target, optimize=True)
        yield target, "intact.train.synthetic"


def _debian(folder: Path, source: Path | None) -> Iterator[tuple[Path, str]]:
    names, _ = find_images([source]) if source else ({}, [])
    for path, name in sorted(names.items()):
        kind = "graphics" if name.startswith("graphics/") else "photographs"
        target = _place(folder, kind, path.with_suffix(".jpg").name)
        with Image.open(path) as image:
            image.convert("RGB").save(target, quality=92, subsampling=0, optimize=True)
        yield target, "docs/training/debian_pictures.csv"


def _train(
    folder: Path, source: Path, excluded: frozenset[str], limit: int
) -> Iterator[tuple[Path, str]]:
    names, _ = find_images([source])
    unknown = excluded - set(names.values())
    if unknown:
        raise SystemExit(f"{len(unknown)} excluded pictures are not in {source}: {min(unknown)}")
    order = sorted(names.items(), key=lambda item: hashlib.sha256(item[1].encode()).digest())
    for path, name in order:
        with Image.open(path) as image:
            small = min(image.size) < LEAST
        size = path.stat().st_size
        if small or size > limit or name in excluded:
            continue
        limit -= size
        target = _place(folder, "photographs", name.replace("/", "_"))
        shutil.copyfile(path, target)
        yield target, f"{source.name}/{name}"


def _place(folder: Path, kind: str, name: str) -> Path:
    (folder / kind).mkdir(exist_ok=True)
    return folder / kind / name


if __name__ == "__main__":
    sys.exit(main())
