"""BD-rates for people: printed tables and a CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rd_eyes.bd import Comparison
from rd_eyes.metrics import Metric


def write(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write all comparisons as CSV."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Comparison)], lineterminator="\n")
        writer.writeheader()
        for comparison in comparisons:
            values = asdict(comparison).items()
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in values})
    os.replace(unfinished, path)


def text(comparisons: Sequence[Comparison], metrics: Sequence[Metric]) -> str:
    """One table a test codec: anchors down, metrics across."""
    lines = []
    for test in dict.fromkeys(c.test for c in comparisons):
        mine = {(c.anchor, c.metric): c for c in comparisons if c.test == test}
        shown = [m for m in metrics if any(metric == m.key for _, metric in mine)]
        lines += [
            f"BD-rate of {test} in percent, negative: {test} needs fewer bytes.",
            "mean of the BD-rates of single pictures (BD-rate of the mean curves) "
            "worst picture / pictures",
            f"{'against':14}" + "".join(f"{m.label:>32}" for m in shown),
        ]
        for anchor in dict.fromkeys(anchor for anchor, _ in mine):
            cells = (_cell(mine.get((anchor, m.key))) for m in shown)
            lines.append(f"{anchor:14}" + "".join(f"{cell:>32}" for cell in cells))
        lines.append("")
    return "\n".join(lines)


def _cell(c: Comparison | None) -> str:
    if c is None:
        return "-"
    few = "" if c.pictures == c.all_pictures else f" of {c.all_pictures}"
    return f"{c.mean_of_pictures:+.1f} ({c.of_mean_curves:+.1f}) {c.worst:+.0f} / {c.pictures}{few}"
