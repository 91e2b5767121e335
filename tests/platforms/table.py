"""Table 1 of Ballé 2019: failures of every pair of platforms, from the results of the workers."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
COLUMNS = ("model", "compressed_on", "decompressed_on", "images", "failures")


def read(path: Path) -> list[Row]:
    """Lines of JSON; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def pairs(label: str, names: Sequence[str], folder: Path, keys: dict[str, str]) -> list[Row]:
    """Rows of one model: files that both compressed and decompressed, and how many came out wrong.

    A file fails where a symbol differs, where decoding ends in an error, or where pixels were
    decoded on both platforms and differ. Equal files were decoded once a platform; they count for
    every platform that made them.

    Args:
        label: of the model.
        names: of platforms.
        folder: of results; "compress" and "decompress" below it.
        keys: of the results' files, by platform.
    """
    made, found = {}, {}
    for name in names:
        made[name] = {row["key"]: row["file"] for row in read(folder / "compress" / keys[name])}
        found[name] = {row["key"]: row for row in read(folder / "decompress" / keys[name])}
    rows = []
    for source in names:
        for target in names:
            both = [file for file in made[source].values() if file in found[target]]
            if both:
                failures = sum(fails(file, found[source], found[target]) for file in both)
                cells = (label, source, target, len(both), failures)
                rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


def kinds(names: Sequence[str], folder: Path, keys: dict[str, str]) -> list[list[str]]:
    """Platforms in groups that made the same files of all pictures that they have in common.

    With a float prior that is how many platforms count: settings that leave its bits alone do not.
    """
    groups: list[list[str]] = []
    made = {
        name: {row["key"]: row["file"] for row in read(folder / "compress" / keys[name])}
        for name in names
    }
    for name in (name for name in names if made[name]):
        for group in groups:
            first = made[group[0]]
            if all(first.get(key, file) == file for key, file in made[name].items()):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def fails(file: str, at_home: dict[str, Row], away: dict[str, Row]) -> bool:
    """Whether a file did not come out as it was meant."""
    row, own = away[file], at_home.get(file, {})
    if row["symbols"] != "same":
        return True
    return bool(own.get("pixels") and row["pixels"] and own["pixels"] != row["pixels"])


def write(path: Path, rows: Iterable[Row]) -> None:
    """The table, other models' rows kept."""
    rows = list(rows)
    labels = {row["model"] for row in rows}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows += [row for row in csv.DictReader(file) if row["model"] not in labels]
    rows.sort(key=lambda row: row["model"])  # stable: platforms stay in order
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list[str](COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(path: Path, target: Path) -> None:
    """A matrix for each model: failures in percent, gray where a pair was not run."""
    import numpy as np

    plt: Any = importlib.import_module("matplotlib.pyplot")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = list(dict.fromkeys(row["model"] for row in rows))
    names = {label: list(dict.fromkeys(r["compressed_on"] for r in rows if r["model"] == label)
                         | dict.fromkeys(r["decompressed_on"] for r in rows if r["model"] == label))
             for label in labels}  # fmt: skip
    most = max(map(len, names.values()))
    figure, axes = plt.subplots(
        1, len(labels), figsize=(2 + (0.42 * most + 3.2) * len(labels), 0.42 * most + 4),
        squeeze=False,
    )  # fmt: skip
    figure.subplots_adjust(wspace=0.6)
    for axis, label in zip(axes[0], labels, strict=True):
        order = {name: index for index, name in enumerate(names[label])}
        share = np.full((len(order), len(order)), np.nan)
        counts = set()
        for row in rows:
            if row["model"] == label:
                images, failures = int(row["images"]), int(row["failures"])
                counts.add(images)
                place = order[row["compressed_on"]], order[row["decompressed_on"]]
                share[place] = 100 * failures / images
        colors = plt.get_cmap("Reds").copy()
        colors.set_bad("0.85")
        axis.imshow(np.ma.masked_invalid(share), cmap=colors, vmin=0, vmax=100)
        for (i, j), value in np.ndenumerate(share):
            if not np.isnan(value):
                text = "0" if value == 0 else f"{value:.0f}" if value >= 1 else f"{value:.1f}"
                color = "white" if value > 60 else "black"
                axis.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
        axis.set_xticks(range(len(order)), list(order), rotation=90, fontsize=8)
        axis.set_yticks(range(len(order)), list(order), fontsize=8)
        axis.set_xlabel("decompressed on")
        axis.set_ylabel("compressed on")
        files = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        axis.set_title(f"{label}: failures in %, of {files} files a pair")
    figure.savefig(target, dpi=100, bbox_inches="tight")
    plt.close(figure)
