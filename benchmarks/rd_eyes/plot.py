"""Mean curves of all codecs, one panel a metric. Needs matplotlib."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rd_eyes.bd import Table, mean_curve
from rd_eyes.metrics import Metric

STYLES = {
    "jpeg": ("JPEG", "#9a9a9a"), "jpeg2000": ("JPEG 2000", "#8c564b"), "webp": ("WebP", "#2ca02c"),
    "avif": ("AVIF 4:4:4", "#9467bd"), "jxl": ("JPEG XL", "#1f77b4"),
    "heic": ("HEIC 4:4:4 (x265)", "#17a2b8"),
}  # fmt: skip
OURS = ("#d62728", "#ff7f0e", "#e377c2", "#111111", "#bcbd22")


def draw(path: Path, found: Table, metrics: Sequence[Metric], title: str) -> None:
    """Write a PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    plt: Any = importlib.import_module("matplotlib.pyplot")
    names = sorted(set.intersection(*(set(pictures) for pictures in found.values())))
    columns = 2 if len(metrics) in (2, 4) else min(3, len(metrics))
    lines = -(-len(metrics) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(5.4 * columns, 4.4 * lines), squeeze=False)
    spare = list(grid.flat)[len(metrics) :]
    for axes, metric in zip(grid.flat, metrics, strict=False):
        ours = iter(OURS)
        for codec, pictures in found.items():
            points = mean_curve(pictures, metric, names)
            label, color = STYLES.get(codec) or (codec, next(ours, "#000000"))
            shown = [q if metric.plot_quality else metric.raw(q) for _, q in points]
            own = codec not in STYLES
            axes.plot(
                [rate for rate, _ in points], shown, "o-", color=color, label=label,
                markersize=4 if own else 2.5, linewidth=2.2 if own else 1.3, zorder=3 if own else 2,
            )  # fmt: skip
        _axes(axes, metric)
    place = spare[0] if spare else grid.flat[0]
    handles, labels = grid.flat[0].get_legend_handles_labels()
    place.legend(handles, labels, loc="center" if spare else "lower right", frameon=False)
    for axes in spare:
        axes.axis("off")
    figure.suptitle(f"{title}, mean of {len(names)} pictures, sizes of whole files")
    figure.tight_layout()
    unfinished = path.with_name(path.name + ".part")
    figure.savefig(unfinished, dpi=110, format="png")
    plt.close(figure)
    os.replace(unfinished, path)


def _axes(axes: Any, metric: Metric) -> None:
    axes.set_xscale("log")
    ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 4)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("bits per pixel")
    better = "lower is better" if metric.lower_is_better else "higher is better"
    axes.set_title(f"{metric.label} ({better})", fontsize=11)
    if metric.lower_is_better:
        axes.set_yscale("log")
        axes.invert_yaxis()
        values = (0.3, 0.5, 1, 2, 3, 5, 10, 20)
        axes.set_yticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    if metric.key == "ssimulacra2":
        axes.set_ylim(bottom=max(axes.get_ylim()[0], -20))
    axes.grid(alpha=0.25)
