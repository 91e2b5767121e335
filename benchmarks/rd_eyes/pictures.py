"""Which pictures: files, folders, lists of names; whole or their center.

Pixels are what Pillow decodes, as 8-bit RGB: color profiles and EXIF rotation are dropped before
any codec sees the picture, so that no codec pays for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2"}


@dataclass(frozen=True)
class Picture:
    """One picture to measure.

    Attributes:
        name: unique in a run: the path below the folder that was named.
        path: the file.
        center: largest width and height of the crop in the middle, or None for the whole.
    """

    name: str
    path: Path
    center: tuple[int, int] | None = None

    def pixels(self) -> np.ndarray:
        """uint8 [h, w, 3]; a side that is shorter than the crop's stays whole."""
        with Image.open(self.path) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        h, w = pixels.shape[:2]
        width, height = self.center or (w, h)
        top, left = max(h - height, 0) // 2, max(w - width, 0) // 2
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])

    def too_small(self) -> str:
        """What to say of a picture that is smaller than the crop; "" of others."""
        with Image.open(self.path) as opened:
            w, h = opened.size
        width, height = self.center or (w, h)
        if w >= width and h >= height:
            return ""
        kept = f"{min(w, width)}x{min(h, height)}"
        return f"{self.name} is {w}x{h}, smaller than the crop {width}x{height}: {kept} measured"


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of the shape and the pixels, 16 hex digits: what was measured, not how it lay."""
    shape = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def listed(file: Path, root: Path) -> list[tuple[str, Path]]:
    """Names and paths of a list: one name below ``root`` a line; what follows a # is a comment."""
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [(name, root / name) for name in lines if name]


def found(place: Path) -> list[tuple[str, Path]]:
    """Names and paths of a file, or of all images below a folder, sorted."""
    if not place.is_dir():
        return [(place.name, place)]
    paths = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
    return [(p.relative_to(place).as_posix(), p) for p in paths]


def choose(
    places: Sequence[Path],
    names: tuple[Path, Path] | None = None,
    every: int = 1,
    center: tuple[int, int] | None = None,
) -> list[Picture]:
    """Every ``every``-th of the pictures at some places, and of those in a list.

    Args:
        places: files and folders.
        names: a list file and the folder its names are below.
        every: >= 1.
        center: width and height of the crop to measure.

    Raises:
        ValueError: a name comes twice.
        FileNotFoundError: one of the files does not exist.
    """
    pairs = [pair for place in places for pair in found(place)]
    pairs += listed(*names) if names else []
    seen: set[str] = set()
    for name, path in pairs:
        if not path.is_file():
            raise FileNotFoundError(f"no picture at {path}")
        if name in seen:
            raise ValueError(f"two pictures are named {name!r}; measure them in two runs")
        seen.add(name)
    return [Picture(name, path, center) for name, path in pairs[::every]]
