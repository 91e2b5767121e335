"""Curves that others have published, for the sets of pictures that they were measured on.

`published_kodak.csv` has the rows of a few codecs, each with its source. A set is recognized by its
pixels: means over other pictures, or over some of them, cannot be compared with these curves.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intact.errors import ArgumentError

FOLDER = Path(__file__).parent
SETS = {"3f3259eb8d331bb6": "kodak"}
"""Sets by `key`."""
LABELS = {
    "bpg_444_x265_ycbcr": "BPG 4:4:4",
    "vtm": "VTM intra",
    "cai-bmshj2018-hyperprior_mse@8bit": "hyperprior (MSE)",
    "cai-bmshj2018-hyperprior_ms-ssim_cpu": "hyperprior (MS-SSIM)",
    "cai-cheng2020-anchor_mse@8bit": "cheng2020-anchor (MSE)",
    "paper-elic2022_mse": "ELIC (MSE)",
}


@dataclass(frozen=True)
class Published:
    """A published curve.

    Attributes:
        name: for people.
        source: where it is from.
        points: rates and mean values, by metric ("psnr", "ms_ssim").
    """

    name: str
    source: str
    points: dict[str, list[tuple[float, float]]]


def key(digests: Iterable[str]) -> str:
    """Of a set of pictures, whatever their order."""
    return hashlib.sha256(" ".join(sorted(set(digests))).encode()).hexdigest()[:16]


def for_pictures(digests: Iterable[str]) -> tuple[str, list[Published]]:
    """The name of the set that these pictures are, all of it, and its curves; ("", []) of others.

    Args:
        digests: `intact.evaluate.pictures.digest` of the pictures.
    """
    name = SETS.get(key(digests), "")
    return name, read(FOLDER / f"published_{name}.csv") if name else []


def read(path: Path, only: Sequence[str] = ()) -> list[Published]:
    """The curves of a file: columns codec, bpp, psnr, ms_ssim and perhaps source.

    Args:
        path: of a CSV.
        only: codecs; all by default.

    Raises:
        ArgumentError: it is no such file, or has no such codec.
        OSError: it cannot be read.
    """
    curves: dict[str, Published] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if only and row["codec"] not in only:
                    continue
                name = LABELS.get(row["codec"], row["codec"])
                curve = curves.setdefault(name, Published(name, row.get("source") or "", {}))
                for metric in ("psnr", "ms_ssim"):
                    value = float(row.get(metric) or "nan")
                    if math.isfinite(value):
                        curve.points.setdefault(metric, []).append((float(row["bpp"]), value))
    except (KeyError, ValueError) as error:
        raise ArgumentError(f"{path} holds no curves: {type(error).__name__}: {error}") from error
    missing = [name for name in only if LABELS.get(name, name) not in curves]
    if missing or not curves:
        raise ArgumentError(f"{path} has no curve {', '.join(missing)}")
    return list(curves.values())
