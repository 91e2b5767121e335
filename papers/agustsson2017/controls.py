"""What annealing does to a network (§3.2): norms of weights and gradients, and the last errors.

    python papers/agustsson2017/controls.py --runs RUNS --out OUT NAME [NAME ...]

The paper: too slow, and the network inverts the soft assignments, with large weights; too fast, and
gradients vanish. Writes OUT/controls.csv, one row a run: settings; the norm of the transforms'
weights at the start and the end; the mean norm of the gradient, and the errors, over the last tenth
of the logged steps.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from intact.train import checkpoint


def weight_norm(folder: Path) -> float:
    """Of all weights of both transforms."""
    tensors, _ = checkpoint.read(folder)
    total = sum(
        float(x.double().square().sum())
        for name, x in tensors.items()
        if name.startswith("net/networks.") and name.endswith("__weight")
    )
    return total**0.5


def row_of(name: str, runs: Path) -> dict[str, str]:
    """What is known of a run."""
    folder = runs / name
    config = json.loads((folder / "config.json").read_text())
    log = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    end = log[-max(1, len(log) // 10) :]

    def mean(key: str) -> float:
        return float(np.nanmean([float(row[key]) for row in end]))

    sizes, book = config["transform"], config["codebook"]
    gumbel = sizes.get("decision") == "largest"
    facts = {
        "run": name, "beta": config["rate"]["beta"], "entropy": config["rate"]["entropy"],
        "form": config["rate"]["form"], "centers": sizes["logits"] if gumbel else book["size"],
        "numbers": book["values"], "shared": book["shared"],
        "gain": config["annealing"]["gain"], "forward": config["rate"]["forward"],
        "steps": log[-1]["step"],
    }  # fmt: skip
    if config["transform"]["decision"] == "nearest":
        parent = checkpoint.read(folder)[1]["parent"]
        first = parent.removeprefix("run ").split(" (")[0]
        facts["weights_before"] = f"{weight_norm(runs / first):.4g}"
    else:
        facts["weights_before"] = ""
    facts["weights_after"] = f"{weight_norm(folder):.4g}"
    for key in ("gradient_norm", "error_soft", "error_hard", "sigma", "bpp"):
        facts[key] = f"{mean(key):.4g}"
    return {key: str(value) for key, value in facts.items()}


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [row_of(name, options.runs) for name in options.names]
    with (options.out / "controls.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
