"""Unpacks packed/*.intactw, evaluates on the 10,000 test images, and writes result.csv.

    python evaluate.py [--only NAME ...]

Rows that are there already keep their figures unless they are named; float32 throughout.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import cifar
import torch
from resnet import accuracy, pretrained
from stored import Form, ratio_file, ratio_paper, read
from table1 import HERE, rows_of

from intact.weights import save_module

COLUMNS = ["method", "accuracy", "ratio_paper", "ratio_file", "paper_accuracy", "paper_ratio"]
HUFFMAN, GAPS = Form("huffman"), Form("huffman", joint=False, gaps=True)
STATIC, ROWS, BEST = Form("static"), Form("rows", joint=False), Form("best", joint=False)
FORMS: dict[str, dict[str, Form]] = {
    "pruning": {"pruning": GAPS},
    "k-means": {"k-means": GAPS},
    "hessian": {"hessian": GAPS},
    "uniform": {"uniform": GAPS},
    "ecsq": {"ecsq": GAPS},
    "soft-to-hard": {
        "soft-to-hard-huffman": HUFFMAN,
        "soft-to-hard-arithmetic": STATIC,
        "soft-to-hard-contexts": ROWS,
    },
    "compress": {"compress": ROWS},
    "best": {"best": ROWS},
}
"""Row to its files, and how each is made."""
METHODS = {
    "original": ("original", 92.6, 1.0),
    "pruning": ("pruning + FT + index coding + Huffman", 92.6, 4.52),
    "k-means": ("pruning + FT + k-means + FT + index coding + Huffman", 92.6, 18.25),
    "hessian": (
        "pruning + FT + Hessian k-means + FT + index coding + Huffman",
        92.7,
        20.51,
    ),
    "uniform": ("pruning + FT + uniform quantization + FT + index coding + Huffman", 92.7, 22.17),
    "ecsq": ("pruning + FT + iterative ECSQ + FT + index coding + Huffman", 92.7, 21.01),
    "soft-to-hard-huffman": ("soft-to-hard annealing + FT + Huffman", 92.1, 19.15),
    "soft-to-hard-arithmetic": ("soft-to-hard annealing + FT + arithmetic", 92.1, 20.15),
    "soft-to-hard-contexts": ("soft-to-hard annealing + FT + contexts (ours)", "", ""),
    "compress": ("compress(): GPTQ + batch norm, no training + contexts (ours)", "", ""),
    "best": ("GPTQ + dead zone, straight-through + FT + contexts (ours)", "", ""),
}


def main() -> None:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", choices=list(METHODS))
    parser.add_argument("--packed", type=Path, default=HERE / "packed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    place = HERE / "result.csv"
    before = rows_of(place, "method")
    with tempfile.TemporaryDirectory() as folder:
        rows = evaluated(given, before, Path(folder))
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def evaluated(
    given: argparse.Namespace, before: dict[str, dict[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    """The rows of result.csv, of files that are there; test images are read for new ones alone."""
    data = None
    seen: dict[bytes, float] = {}
    rows = []
    for name, (method, paper_accuracy, paper_ratio) in METHODS.items():
        path = given.packed / f"{name}.intactw"
        if name == "original":  # 1.5 MB, not committed
            path = folder / "original.intactw"
            if method not in before:
                save_module(pretrained(), path)
        wanted = path.exists() and (method not in before or name in (given.only or ()))
        if not wanted:
            rows += [before[method]] if method in before else []
            continue
        data = cifar.test() if data is None else data
        network = read(path)
        key = hashlib.sha256(b"".join(t.numpy().tobytes() for t in network.state_dict().values()))
        if key.digest() not in seen:  # files of one network are evaluated once
            seen[key.digest()] = accuracy(network, data, cifar.normalized)[0]
        share = seen[key.digest()]
        rows.append(
            {
                "method": method,
                "accuracy": f"{100 * share:.2f}",
                "ratio_paper": f"{ratio_paper(path):.2f}",
                "ratio_file": f"{ratio_file(path):.2f}",
                "paper_accuracy": paper_accuracy,
                "paper_ratio": paper_ratio,
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
