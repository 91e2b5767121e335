"""What the scripts of paper B share: pictures, models, tables that grow."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from intact import files
from intact.bottleneck.grid import Layout
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.pixels import to_network
from intact.images import read_image

HERE = Path(__file__).resolve().parent
RUNS = Path(os.environ.get("BALLE_RUNS", HERE / "runs"))
"""Checkpoints and models; outside of git."""
RESULTS = Path(os.environ.get("BALLE_RESULTS", HERE / "results"))
"""Tables and pictures; committed."""
SHARED = HERE.parents[2] / "shared"
TILE_LOG2 = 6
KODAK = SHARED / "data" / "kodak"


def kodak(every: int = 1) -> dict[str, Path]:
    """The pictures of Kodak by name, or every n-th of them."""
    return {path.stem: path for path in sorted(KODAK.glob("*.png"))[::every]}


def pixels_of(path: Path) -> np.ndarray:
    """uint8 [h, w, 3]."""
    return np.ascontiguousarray(read_image(path.read_bytes()).color)


def latents_of(
    model: Model, networks: Networks, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hyper-latents int8 [h / 4, w / 4, N] and symbols int32 [h, w, M], as an encoder has them."""
    y = networks.run("analysis", {"pixels": to_network(pixels, 16)}, 0)["y"]
    layout = Layout((y.shape[0], y.shape[1]), TILE_LOG2)
    plan = model.bottleneck.plan(networks, y, 0, layout)
    assert plan.z is not None
    return plan.z, plan.symbols


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
