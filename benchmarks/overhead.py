"""Bytes of a file that are not coded symbols, and the sizes of the smallest files.

    python benchmarks/overhead.py [--qualities 0,10,50,100] [--model NAME | --model random]

- container: all outside the payloads: header, lengths of tiles, checksum, end of chunks;
- lanes: a payload's byte for the number of lanes and their first states, less what a state holds of
  the message (its first value was 2**16, so 2 bytes of its 4);
- symbols: the information content of the symbols under the model's tables, in bytes;
- escapes: how many symbols lie outside their table; each takes a byte or two more;
- rest: the file less container, lanes and symbols: escapes' bytes and rounding in the coder.

Fixed overhead = container + 5 bytes (one lane's header), which even a file of one symbol pays: at
most 64, at every quality. More lanes and tiles are added as a file grows, within 0.1 % of it. Two
goals on whole files at the default quality: a 1x1 image at most 120 bytes, flat gray of 512x512 at
most 250. Writes benchmarks/results/overhead.csv; exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from unittest import mock

import numpy as np
from common import RESULTS, Row, find_model, machine, photo, write

from intact.bits import fast, varint
from intact.bits.tables import TOTAL_BITS
from intact.codec.image import DEFAULT_QUALITY, Encoder
from intact.codec.model import Model
from intact.container.image_file import unpack_image

GOALS = {"fixed overhead": 64, "1x1": 120, "gray 512x512": 250}
ONE_LANE = 5


def images() -> dict[str, np.ndarray]:
    """Pictures by name."""
    return {
        "1x1": np.full((1, 1, 3), (200, 120, 40), np.uint8),
        "gray 512x512": np.full((512, 512), 128, np.uint8),
        "photo 64x64": photo(64, 64),
        "photo 768x512": photo(768, 512),
        "photo 2048x1365": photo(2048, 1365),
    }


class Meter:
    """Adds up the information content of what is coded while it stands in for the coder."""

    def __init__(self) -> None:
        self.bits, self.escapes = 0.0, 0

    def __call__(self, parts: list, lanes: int | None = None) -> bytes:
        """As `intact.bits.fast.encode`."""
        for symbols, indexes, bank in parts:
            entries = bank.entries_of(symbols, indexes.astype(np.uint16))
            self.bits += float((TOTAL_BITS - np.log2(bank.freqs[entries])).sum())
            self.escapes += int(bank.is_escape[entries].sum())
        return fast.encode(parts, lanes)


def measure(name: str, image: np.ndarray, model: Model, quality: float) -> Row:
    """Take one file apart."""
    meter = Meter()
    coder = inspect.getmodule(type(model.bottleneck))  # each kind codes by its own file
    with mock.patch.object(coder, "encode", meter):
        data = Encoder(image, model).encode(model.levels.of_quality(quality)).data
    tiles = unpack_image(data).tiles
    container = len(data) - sum(map(len, tiles))
    lanes = sum(1 + 2 * (1 << tile[0]) for tile in tiles if tile)
    symbols = meter.bits / 8
    more = sum(len(varint.encode(len(tile))) for tile in tiles[1:])  # grow with the image
    return {
        "image": name, "quality": quality, "file": len(data), "container": container,
        "lanes": lanes, "symbols": symbols, "escapes": meter.escapes,
        "rest": len(data) - container - lanes - symbols,
        "fixed": container - more + ONE_LANE,
    }  # fmt: skip


def main() -> int:
    """Print a table and write it as CSV; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qualities", default="0,10,50,100")
    parser.add_argument("--model", help="name or path; default the shipped one, else random")
    parser.add_argument("--csv", type=Path, default=RESULTS / "overhead.csv")
    options = parser.parse_args()
    model, what = find_model(options.model)
    print(f"{machine()}\n{what}; bytes")
    rows: list[Row] = []
    for name, image in images().items():
        for quality in sorted({DEFAULT_QUALITY, *map(float, options.qualities.split(","))}):
            row = measure(name, image, model, quality)
            rows.append(row)
            print("  ".join(f"{key} {value:g}" if isinstance(value, (int, float)) else f"{value:16}"
                            for key, value in row.items()))  # fmt: skip
    found = {
        "fixed overhead": max(row["fixed"] for row in rows),
        **{row["image"]: row["file"] for row in rows if row["quality"] == DEFAULT_QUALITY},
    }
    for name, goal in GOALS.items():
        verdict = "met" if found[name] <= goal else "MISSED"
        print(f"{name}: {found[name]} bytes, goal at most {goal}: {verdict}")
    write(options.csv, rows)
    return int(any(found[name] > goal for name, goal in GOALS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
