"""What a table of measurements comes to: BD-rates, means, and CompressAI's JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from intact import files
from intact.evaluate.bd import Comparison
from intact.evaluate.curves import Table
from intact.evaluate.metrics import METRICS, Metric

AVERAGED = ("bpp", *(metric.key for metric in METRICS), "encode_s", "decode_s")
COMPRESSAI = {
    "bpp": ("bpp",), "psnr": ("psnr", "psnr-rgb"), "ms_ssim": ("ms-ssim", "ms-ssim-rgb"),
    "ssim": ("ssim-rgb",), "ssimulacra2": ("ssimulacra2",), "butteraugli_3": ("butteraugli-3",),
    "encode_s": ("encoding_time",), "decode_s": ("decoding_time",),
}  # fmt: skip
"""Columns by the names that CompressAI has for them, and others in its manner."""


def write(path: Path, comparisons: Sequence[Comparison]) -> None:
    """Write all comparisons as CSV."""
    rows = [asdict(comparison) for comparison in comparisons]
    _write_csv(path, [f.name for f in fields(Comparison)], rows, digits=4)


def means(found: Table) -> list[dict[str, Any]]:
    """One row a codec and setting: means over the pictures that have it, nan where there are none.

    MS-SSIM is the mean of the values, not of their decibels; PSNR that of the decibels.
    """
    rows = []
    for codec, pictures in found.items():
        for setting in dict.fromkeys(s for settings in pictures.values() for s in settings):
            chosen = [settings[setting] for settings in pictures.values() if setting in settings]
            averages = {key: _mean([getattr(row, key) for row in chosen]) for key in AVERAGED}
            facts = {"settings": chosen[0].settings, "source": chosen[0].source}
            about = {"codec": codec, "setting": setting, "pictures": len(chosen)}
            rows.append({**about, **averages, **facts})
    return rows


def write_means(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what `means` returns as CSV."""
    _write_csv(path, ["codec", "setting", "pictures", *AVERAGED, "settings", "source"], rows)


def write_compressai(folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write what `means` returns as one JSON a codec and variant, as CompressAI's plots read them.

    ``python -m compressai.utils.plot -f FOLDER/*.json -m psnr`` (or ms-ssim). Older and newer
    versions call metrics psnr and psnr-rgb; both are there. Points without a finite PSNR and
    MS-SSIM are left out.
    """
    curves: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        variant = row["setting"].rpartition("/")[0]
        curves.setdefault(f"{row['codec']}-{variant}" if variant else row["codec"], []).append(row)
    paths = []
    for name, points in curves.items():
        points = sorted(points, key=lambda row: row["bpp"])
        keys = {key: names for key, names in COMPRESSAI.items()
                if any(math.isfinite(row[key]) for row in points)}  # fmt: skip
        kept = [row for row in points if all(math.isfinite(row[key]) for key in keys)]
        results = {n: [row[key] for row in kept] for key, names in keys.items() for n in names}
        about = f"{points[0]['source']}: {points[0]['settings']} .. {points[-1]['settings']}"
        document = {"name": name, "description": about, "results": results}
        paths.append(folder / f"{_file_name(name)}.json")
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(paths[-1], (json.dumps(document, indent=2) + "\n").encode())
    return paths


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.@+-]", "_", name)


def _write_csv(
    path: Path, columns: list[str], rows: Sequence[Mapping[str, Any]], digits: int = 6
) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: _decimal(value, digits) if isinstance(value, float) else value
                for key, value in row.items()
            }
        )
    files.replace(path, text.getvalue().encode())


def _decimal(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def text(comparisons: Sequence[Comparison], metrics: Sequence[Metric]) -> str:
    """One table a test codec and metric: what it is compared with, a line each."""
    if not comparisons:
        why = "there is nothing to compare with" if metrics else "no metric has a value"
        return f"No BD-rates: {why}.\n"
    lines = []
    for test in dict.fromkeys(c.test for c in comparisons):
        lines.append(f"BD-rate of {test} in percent, negative: {test} needs fewer bytes.")
        for metric in metrics:
            mine = [c for c in comparisons if c.test == test and c.metric == metric.key]
            if not mine:
                continue
            # Qualities in common are values of the metric itself, not their decibels.
            label = metric.label.removesuffix(", dB") if metric.plot_quality else metric.label
            width = max(17, len(label), *(len(c.anchor) + 3 for c in mine))
            head = ("mean of pictures", "of mean curves", "worst picture", "pictures")
            lines.append(f"{label:{width}}" + "".join(f"{text:>17}" for text in head)
                         + "   qualities in common, share")  # fmt: skip
            lines += [f"  {c.anchor:{width - 2}}{_line(c)}" for c in mine]
        lines.append("")
    return "\n".join(lines)


def _line(c: Comparison) -> str:
    rates = (c.mean_of_pictures, c.of_mean_curves, c.worst)
    cells = ["-" if math.isnan(rate) else f"{rate:+.1f}" for rate in rates]
    cells.append(f"{c.pictures} of {c.all_pictures}" if c.pictures else "-")
    common = f"{c.low:.4g} .. {c.high:.4g}, {100 * c.overlap:.0f} %" if c.overlap else "none"
    return "".join(f"{cell:>17}" for cell in cells) + f"   {common}"
