"""Which pictures: files, folders, lists of names; whole or their center.

Pixels are those that ``intact encode`` would code, as 8-bit RGB: color profiles, EXIF rotation and
transparency are dropped before any codec sees the picture, so that no codec pays for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intact import files
from intact.errors import ArgumentError
from intact.images import read_image

CROPS, PLOT = "crops", "rd_{}.png"
"""The folder and the names of pictures that an evaluation itself writes."""


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
        """uint8 [h, w, 3]; a side that is shorter than the crop's stays whole.

        Raises:
            IntactError: it is damaged, or of a kind that is not read.
            OSError: it cannot be read.
        """
        return self._cut(self._color()[0])

    def look(self) -> tuple[np.ndarray, list[str]]:
        """The pixels, and what people should know of them.

        Raises: as `pixels`.
        """
        color, notes = self._color()
        h, w = color.shape[:2]
        width, height = self.center or (w, h)
        if w < width or h < height:
            kept = f"{min(w, width)}x{min(h, height)}"
            notes.append(f"is {w}x{h}, smaller than the crop {width}x{height}: {kept} measured")
        return self._cut(color), notes

    def _color(self) -> tuple[np.ndarray, list[str]]:
        source = read_image(self.path.read_bytes())
        notes = ["its transparency is left out"] if source.alpha is not None else []
        if source.frames > 1:
            notes.append(f"the first of its {source.frames} images is measured")
        color = source.color
        return (np.repeat(color, 3, axis=2) if color.shape[2] == 1 else color), notes

    def _cut(self, pixels: np.ndarray) -> np.ndarray:
        h, w = pixels.shape[:2]
        width, height = self.center or (w, h)
        top, left = max(h - height, 0) // 2, max(w - width, 0) // 2
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of the shape and the pixels, 16 hex digits: what was measured, not how it lay."""
    shape = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def listed(file: Path, root: Path) -> list[tuple[str, Path]]:
    """Names and paths of a list: one name below ``root`` a line; what follows a # is a comment."""
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [(name, root / name) for name in lines if name]


def found(place: Path, out: Path | None = None) -> list[tuple[str, Path]]:
    """Names and paths of a file, or of all images below a folder, sorted.

    Args:
        place: the file or folder.
        out: where results are written: those that lie there are no pictures to measure, unless
            ``place`` is their own folder.

    Raises:
        ArgumentError: a folder without images.
        OSError: a folder that cannot be read.
    """
    if not place.is_dir():
        return [(place.name, place)]
    paths = [path for path in files.walk(place)[0] if path.suffix.lower() in files.IMAGES]
    if out is not None and not place.resolve().is_relative_to(out.resolve() / CROPS):
        paths = [path for path in paths if not _is_result(path.resolve(), out.resolve())]
    if not paths:
        raise ArgumentError(f"{place}: no file in this folder ends in {', '.join(files.IMAGES)}")
    return [(path.relative_to(place).as_posix(), path) for path in paths]


def _is_result(path: Path, out: Path) -> bool:
    plot = path.parent == out and path.match(PLOT.format("*"))
    return plot or path.is_relative_to(out / CROPS)


def choose(
    places: Sequence[Path],
    names: tuple[Path, Path] | None = None,
    every: int = 1,
    center: tuple[int, int] | None = None,
    out: Path | None = None,
) -> list[Picture]:
    """Every ``every``-th of the pictures at some places, and of those in a list.

    Args:
        places: files and folders.
        names: a list file and the folder its names are below.
        every: >= 1.
        center: width and height of the crop to measure.
        out: see `found`.

    Raises:
        ArgumentError: a folder without images, or a name comes twice.
        FileNotFoundError: one of the files does not exist.
    """
    pairs = [pair for place in places for pair in found(place, out)]
    pairs += listed(*names) if names else []
    seen: set[str] = set()
    for name, path in pairs:
        if not path.is_file():
            raise FileNotFoundError(2, "no such picture", str(path))
        if name in seen:
            raise ArgumentError(f"two pictures are named {name!r}; measure them in two runs")
        seen.add(name)
    return [Picture(name, path, center) for name, path in pairs[::every]]
