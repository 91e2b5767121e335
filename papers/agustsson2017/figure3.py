"""Figure 3: the gap, soft and hard error, and sigma over training, from a run's log.csv.

    python papers/agustsson2017/figure3.py --runs RUNS --out OUT NAME [NAME ...]

Writes OUT/figure3.csv (all runs) and OUT/figure3.png: one column a run. Errors are means over
pixels of squares of values in 0..1, over the steps between two lines of the log. Dashed is the
gap's plan, T / (T + t) gap(0), gap(0) being the first line's. Needs matplotlib, and no torch.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

COLUMNS = ("step", "error_soft", "error_hard", "sigma", "bpp", "gradient_norm")


def read(run: Path) -> dict[str, np.ndarray]:
    """The columns of a log."""
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    return {key: np.array([float(row[key]) for row in rows]) for key in COLUMNS}


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    logs = {name: read(options.runs / name) for name in options.names}
    options.out.mkdir(parents=True, exist_ok=True)
    count = len(options.names)
    figure, axes = plt.subplots(3, count, figsize=(4.2 * count, 8), squeeze=False, sharex="col")
    with (options.out / "figure3.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", *COLUMNS])
        for column, (name, log) in enumerate(logs.items()):
            for i in range(len(log["step"])):
                writer.writerow([name, *(f"{log[key][i]:.6g}" for key in COLUMNS)])
            settings = json.loads((options.runs / name / "config.json").read_text())["annealing"]
            steps, gap = log["step"], log["error_hard"] - log["error_soft"]
            plan = settings["halving"] / (settings["halving"] + steps - steps[0]) * gap[0]
            axes[0, column].set_title(name)
            axes[0, column].semilogy(steps, log["error_soft"], label="soft error")
            axes[0, column].semilogy(steps, log["error_hard"], label="hard error")
            axes[1, column].plot(steps, gap, label="gap")
            axes[1, column].plot(steps, plan, "--", label="plan")
            axes[2, column].semilogy(steps, log["sigma"], label="sigma")
            axes[2, column].set_xlabel("step of stage 2")
            for row in axes[:, column]:
                row.legend()
                row.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(options.out / "figure3.png", dpi=100)


if __name__ == "__main__":
    main()
