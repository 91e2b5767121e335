"""Mean curves of all codecs, one panel a metric; published ones dashed. Needs matplotlib."""

from __future__ import annotations

import importlib
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intact import files
from intact.evaluate.codec import MissingError
from intact.evaluate.curves import Curve, Table, front, mean_curve, pictures_of
from intact.evaluate.metrics import Metric
from intact.evaluate.published import Published

STYLES = {
    "jpeg": ("JPEG", "#9a9a9a"), "jpeg2000": ("JPEG 2000", "#8c564b"), "webp": ("WebP", "#2ca02c"),
    "avif": ("AVIF 4:4:4", "#9467bd"), "jxl": ("JPEG XL", "#1f77b4"),
    "heic": ("HEIC 4:4:4 (x265)", "#17a2b8"), "jpegxr": ("JPEG XR", "#c5b0d5"),
    "bpg": ("BPG 4:4:4", "#4c4c9a"),
}  # fmt: skip
OURS = ("#d62728", "#ff7f0e", "#e377c2", "#111111", "#bcbd22")
MARKED = ("o-", "s-", "^-", "D-", "v-")
"""Colors of codecs that have none of their own, and marks, one after the other: 25 that differ."""
DASHED = ("#555555", "#7f7f00", "#008080", "#800080", "#a0522d", "#4682b4")
"""Of published curves."""


def draw(
    path: Path,
    found: Table,
    metrics: Sequence[Metric],
    title: str,
    published: Sequence[Published] = (),
) -> None:
    """Write a PNG.

    With published curves ours are of the mean values, as they are (else means of the decibels).

    Raises:
        MissingError: matplotlib is not installed.
    """
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ImportError as error:
        raise MissingError("matplotlib is not installed (it is in the extra bench)") from error
    matplotlib.use("Agg")
    plt: Any = importlib.import_module("matplotlib.pyplot")
    columns = 1 if len(metrics) == 1 else 2 if len(metrics) in (2, 4) else 3
    lines = -(-len(metrics) // columns)
    size = (8.6, 5.2) if len(metrics) == 1 else (5.4 * columns, 4.4 * lines)
    figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False)
    spare = list(grid.flat)[len(metrics) :]
    counts = [
        _panel(axes, found, metric, published)
        for axes, metric in zip(grid.flat, metrics, strict=False)
    ]
    handles, labels = grid.flat[0].get_legend_handles_labels()
    if len(metrics) == 1:
        grid.flat[0].legend(
            handles, labels, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False
        )
    else:
        place = spare[0] if spare else grid.flat[0]
        place.legend(handles, labels, loc="center" if spare else "lower right", frameon=False)
    for axes in spare:
        axes.axis("off")
    number = max(counts, default=0)
    pictures = f"mean of {number} pictures" if number != 1 else "1 picture"
    figure.suptitle(f"{title}, {pictures}, sizes of whole files")
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, dpi=110, format="png")
    plt.close(figure)
    files.replace(path, data.getvalue())


def _panel(axes: Any, found: Table, metric: Metric, published: Sequence[Published]) -> int:
    """Draw one metric; how many pictures the means are over."""
    names = pictures_of(found, found, metric)
    theirs = [curve for curve in published if metric.key in curve.points]
    ours, rates = itertools.cycle((c, m) for m in MARKED for c in OURS), []
    for codec, pictures in found.items():
        points = mean_curve(pictures, metric, names, of_values=bool(theirs))
        rates += [rate for rate, _ in points]
        own = codec not in STYLES
        color, mark = next(ours) if own else ("", "o-")
        label, color = STYLES.get(codec) or (codec, color)
        _line(axes, points, metric, mark, color=color, label=label, zorder=3 if own else 2,
              markersize=4 if own else 2.5, linewidth=2.2 if own else 1.3)  # fmt: skip
    for number, curve in enumerate(theirs):
        points = front((rate, metric.quality(value)) for rate, value in curve.points[metric.key])
        if rates:  # what nobody here reaches would only make the rest small
            points = [p for p in points if 0.8 * min(rates) <= p[0] <= 1.2 * max(rates)]
        _line(axes, points, metric, "--", color=DASHED[number % len(DASHED)],
              label=f"{curve.name}, published", linewidth=1.1, zorder=1)  # fmt: skip
    _axes(axes, metric)
    return len(names)


def _line(axes: Any, points: Curve, metric: Metric, style: str, **how: Any) -> None:
    shown = [q if metric.plot_quality else metric.raw(q) for _, q in points]
    axes.plot([rate for rate, _ in points], shown, style, **how)


def _axes(axes: Any, metric: Metric) -> None:
    axes.set_xscale("log")
    ends = axes.get_xlim()
    ticks = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(ends)
    axes.set_xlabel("bits per pixel")
    better = "lower is better" if metric.lower_is_better else "higher is better"
    axes.set_title(f"{metric.label} ({better})", fontsize=11)
    if metric.lower_is_better:
        axes.set_yscale("log")
        axes.invert_yaxis()
        ends = axes.get_ylim()
        values = (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 50)
        axes.set_yticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.set_ylim(ends)
    if metric.key == "ssimulacra2":
        axes.set_ylim(bottom=max(axes.get_ylim()[0], -20))
    axes.grid(alpha=0.25)
