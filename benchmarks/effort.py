"""What an effort is worth: files with it and without, and the time that they take.

    python benchmarks/effort.py [--model NAME_OR_FILE] [--pictures 6] [--side 256] [--efforts 1,2]
        [-o CSV]

The middle of some of the 60 photographs that are set aside (benchmarks/held_out.txt, of
``../shared/data/train``; `photo` had seen them), by real files and their real pixels. Prints the
mean of the BD-rates of single pictures against no effort, by PSNR and by SSIMULACRA 2 (our own
implementation, `intact.train.losses.ssimulacra2`), and CPU time per megapixel, of one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import DATA, RESULTS, ROOT, Row, find_model, machine, write
from PIL import Image

from intact.codec.encoder import Encoder
from intact.codec.runtime import Runtime
from intact.measure import bd_rate, psnr
from intact.train.losses.ssimulacra2 import score

QUALITIES = (20, 45, 70, 85, 100)


def held_out(count: int, side: int) -> dict[str, np.ndarray]:
    """uint8 [h, w, 3] by name: the middle of ``count`` of the pictures set aside.

    A side is shorter where the picture's is.
    """
    lines = (ROOT / "benchmarks" / "held_out.txt").read_text("utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    found = {}
    for name in names[:: max(len(names) // count, 1)][:count]:
        with Image.open(DATA / "train" / name) as image:
            pixels = np.asarray(image.convert("RGB"))
        top, left = (max(length - side, 0) // 2 for length in pixels.shape[:2])
        found[name] = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return found


def ssimulacra2(original: np.ndarray, decoded: np.ndarray) -> float:
    """The score of a picture."""
    a, b = (torch.from_numpy(x.astype(np.float32))[None] for x in (original, decoded))
    with torch.no_grad():
        return float(score(a, b))


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None, help="name or file [the default]")
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--efforts", default="1,2")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, _ = find_model(options.model)
    efforts = [0, *map(int, options.efforts.split(","))]
    print(f"model {model.name} {model.id.hex()}; {machine()}; torch {torch.__version__}")
    rows: list[Row] = []
    for name, image in held_out(options.pictures, options.side).items():
        area = image.shape[0] * image.shape[1]
        for effort in efforts:
            encoder = Encoder(image, model, runtime=Runtime(threads=1), effort=effort)
            for quality in QUALITIES:
                begin = time.process_time()
                encoded = encoder.encode(model.levels.of_quality(quality))
                spent = time.process_time() - begin
                rows.append({
                    "model": model.name, "image": name, "effort": effort, "quality": quality,
                    "bpp": 8 * len(encoded.data) / area, "psnr": psnr(image, encoded.pixels),
                    "ssimulacra2": ssimulacra2(image, encoded.pixels),
                    "cpu_s": spent,
                })  # fmt: skip
        write(options.output or RESULTS / f"effort_{model.name}.csv", rows)  # what is done is kept
        sys.stdout.flush()
    print(f"{options.pictures} photographs set aside, {options.side} x {options.side}")
    for effort in efforts:
        rates = {key: gains(rows, effort, key) for key in ("psnr", "ssimulacra2")}
        cpu = np.mean([row["cpu_s"] for row in rows if row["effort"] == effort])
        text = ", ".join(f"{key} {np.mean(v):+.2f} % (worst {max(v):+.2f})"
                         for key, v in rates.items())  # fmt: skip
        print(f"effort {effort}: BD-rate {text}; {1e6 * cpu / options.side**2:.1f} s/Mpx")


def gains(rows: list[Row], effort: int, key: str) -> list[float]:
    """BD-rates in percent of an effort against none, picture by picture."""

    def curve(image: str, which: int) -> tuple[list[float], list[float]]:
        found = [row for row in rows if (row["image"], row["effort"]) == (image, which)]
        return [row["bpp"] for row in found], [row[key] for row in found]

    images = dict.fromkeys(row["image"] for row in rows)
    return [bd_rate(*curve(image, 0), *curve(image, effort)) for image in images]


if __name__ == "__main__":
    main()
