"""What the scripts of paper B share: pictures, models, tables that grow."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from intact import files
from intact.codec.model import Model
from intact.images import read_image

HERE = Path(__file__).resolve().parent
RUNS = Path(os.environ.get("BALLE_RUNS", HERE / "runs"))
"""Checkpoints and models; outside of git."""
RESULTS = Path(os.environ.get("BALLE_RESULTS", HERE / "results"))
"""Tables and pictures; committed."""
SHARED = HERE.parents[2] / "shared"
KODAK = SHARED / "data" / "kodak"


def kodak(every: int = 1) -> dict[str, Path]:
    """The pictures of Kodak by name, or every n-th of them."""
    return {path.stem: path for path in sorted(KODAK.glob("*.png"))[::every]}


def pixels_of(path: Path) -> np.ndarray:
    """uint8 [h, w, 3]."""
    return np.ascontiguousarray(read_image(path.read_bytes()).color)


def model_of(path: Path) -> Model:
    """A frozen model."""
    return Model.from_bytes(path.read_bytes())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no file."""
    if not path.exists():
        return []
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a whole table."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, text.getvalue().encode())
