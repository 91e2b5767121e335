"""Figure 13: entropy and histogram of the symbols over soft-to-hard training.

    python figure13.py RUNS   # the folder given to run.py; needs matplotlib

Writes figure13.csv (what is drawn) and figure13.png.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent


def main(runs: Path) -> None:
    """From soft.csv and histograms.npz of a run."""
    with (runs / "soft.csv").open(newline="") as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}  # a resumed run repeats some
    with np.load(runs / "histograms.npz") as file:
        histograms = {int(step): file[step] for step in file.files}
    rows = dict(sorted(rows.items()))
    columns = ["step", "sigma", "soft_bits", "hard_bits", "soft", "hard"]
    with (HERE / "figure13.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for key, label in (("hard_bits", "H(p), hard"), ("soft_bits", "H(q, p), soft")):
        points = [(step, float(row[key])) for step, row in rows.items() if row[key]]
        left.plot(*zip(*points, strict=True), label=label)
    left.set(xlabel="step", ylabel="bits per weight", ylim=(0, None))
    left.legend()
    centers = np.arange(75) - 37
    steps = sorted(histograms)
    chosen = [steps[round(i * (len(steps) - 1) / 3)] for i in range(4)]
    for step in dict.fromkeys(chosen):
        right.plot(centers, histograms[step], marker=".", label=f"step {step}")
    right.set(xlabel="center (root mean squares)", ylabel="share of weights", xlim=(-12, 12))
    right.set(yscale="log", ylim=(1e-6, 1))
    right.legend()
    figure.savefig(HERE / "figure13.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
