"""Draw docs/rd_kodak.png from the result files: python benchmarks/plot_rd.py (needs matplotlib)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from rd_baselines import HYPERPRIOR, RESULTS, SHARED, read_points

# By name: matplotlib is not among the packages that `make test` installs.
matplotlib: Any = importlib.import_module("matplotlib")
matplotlib.use("Agg")
plt: Any = importlib.import_module("matplotlib.pyplot")

ROOT = Path(__file__).resolve().parent.parent
FOLDER = RESULTS.parent


def main() -> None:
    """Left: all codecs on all images. Right: integers and their float twin."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    curves = [("Intact", read_points(FOLDER / "rd_kodak.csv")["intact"], "C3", "o-")]
    baselines = read_points(RESULTS)
    names = {"jpeg": "JPEG", "jpeg2000": "JPEG 2000", "webp": "WebP", "avif-420": "AVIF"}
    for color, (key, name) in zip(("C7", "C0", "C2", "C4"), names.items(), strict=True):
        curves.append((name, baselines[key], color, "-"))
    published = SHARED / "anchors" / "rd" / "kodak_main.csv"
    if published.exists():
        points = read_points(published)[HYPERPRIOR]
        curves.append(("hyperprior 2018 (float)", points, "C1", "--"))
    for name, points, color, style in curves:
        left.plot([p.bpp for p in points], [p.psnr for p in points], style, color=color, label=name)
    left.set(xlim=(0, 1.7), ylim=(25, 39), xlabel="bits per pixel, whole files", ylabel="PSNR, dB")
    left.set_title("Kodak, mean of 24 images")
    twin = read_points(FOLDER / "rd_twin.csv")
    for key, name, style in (("float twin", "float twin", "ko-"), ("intact", "integers", "C3x--")):
        right.plot([p.bpp for p in twin[key]], [p.psnr for p in twin[key]], style, label=name)
    right.set(xlabel="bits per pixel, whole files", title="integers and float twin, 24 images")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "rd_kodak.png", dpi=90)


if __name__ == "__main__":
    main()
