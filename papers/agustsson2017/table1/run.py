"""A row of table 1: trains it (resuming), and writes packed/ROW-CODER.intactw.

    python run.py --row soft-to-hard --runs ~/table1

Rows: pruning k-means hessian uniform ecsq soft-to-hard compress best, or all. Nothing
here reads test images; evaluate.py does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rows import ROWS, held_out_figures
from stored import ratio_file, ratio_paper, write
from table1 import HERE

from evaluate import FORMS


def main() -> None:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--row", choices=[*ROWS, "all"], required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--packed", type=Path, default=HERE / "packed")
    parser.add_argument("--no-files", action="store_true", help="train, but write no files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.runs.mkdir(parents=True, exist_ok=True)
    for row in ROWS if given.row == "all" else [given.row]:
        found = ROWS[row](given.runs)
        print(row, held_out_figures(found.model), flush=True)
        if given.no_files:
            continue
        for name, form in FORMS[row].items():
            path = given.packed / f"{name}.intactw"
            size = write(found, path, form)
            print(f"{name}: {size} bytes, {ratio_paper(path):.2f}x as the paper counts, "
                  f"{ratio_file(path):.2f}x of the file", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
