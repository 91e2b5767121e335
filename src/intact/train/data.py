"""Training images and crops: each is a function of (seed, step, index), nothing needs saving.

A collection may be larger than memory and have files in it that are no images. What is left out,
and what is cut, is said in `ImageFolder.notes`, and depends on the files alone: a resumed run sees
the same pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from intact.codec.depth import refuse_deep
from intact.errors import ArgumentError
from intact.images import open_listed
from intact.train.crops import Place, Source
from intact.train.folders import find_images, large_images

MEMORY_GB = 4.0
WINDOW_CROPS = 16
"""An image that must be cut keeps an area of at least so many crops; else fewer images are read."""
NOTED = 3
"""So many files that were left out are named."""

Progress = Callable[[int, int], None]
"""Called with how many images are read, of how many."""
Size = tuple[int, int]
Box = tuple[int, int, int, int]


class ImageFolder:
    """All images below some folders, decoded into memory as uint8 RGB.

    Where they do not fit, a random window of each larger one is kept; where that would leave small
    ones only, windows of some of the images, spread evenly over the sorted names.

    Args:
        folders: searched recursively, in sorted order.
        crop: images with a side below this are left out.
        exclude: paths below their folder, with slashes, of images not to be used.
        memory_gb: for the pixels, in 10^9 bytes.
        progress: called while the images are read.

    Attributes:
        images: uint8 [h, w, 3] each.
        source: of crops.
        notes: lines for people: what was left out and cut.

    Raises:
        ArgumentError: no image can be used, or an excluded one does not exist.
        OSError: a folder is not there, or cannot be read.
    """

    @large_images()
    def __init__(
        self,
        folders: list[Path],
        crop: int,
        *,
        exclude: frozenset[str] = frozenset(),
        memory_gb: float = MEMORY_GB,
        progress: Progress | None = None,
    ) -> None:
        names, notes = find_images(folders)
        unknown = sorted(exclude - set(names.values()))
        if unknown:
            # A misspelled name would be trained on, and nobody would know.
            raise ArgumentError(
                f"{len(unknown)} of {len(exclude)} excluded images are in none of the folders: "
                + ", ".join(unknown[:NOTED])
            )
        paths = sorted(p for p, name in names.items() if name not in exclude)
        sizes = [_tried(size_of, path, crop) for path in paths]
        left_out = [f"{p}: {s}" for p, s in zip(paths, sizes, strict=True) if isinstance(s, str)]
        usable = [(p, s) for p, s in zip(paths, sizes, strict=True) if not isinstance(s, str)]
        chosen, area = _fit(usable, int(memory_gb * 1e9 / 3), crop)
        todo = [(path, window(size, area, crop, i)) for i, (path, size) in enumerate(chosen)]

        self.images: list[np.ndarray] = []
        for done, (path, found) in enumerate(_map(_read, todo), 1):
            if isinstance(found, str):
                left_out.append(f"{path}: {found}")
            else:
                self.images.append(found)
            if progress:
                progress(done, len(todo))
        self.notes = [*notes, *_notes(left_out, len(paths), usable, chosen, area)]
        if not self.images:
            where = ", ".join(map(str, folders))
            raise ArgumentError(
                "; ".join([f"no image of at least {crop}x{crop} pixels in {where}", *self.notes])
            )
        self.source = Source(self.images)

    def crops(
        self, indexes: Sequence[int], size: int, seed: int, step: int, **shares: float
    ) -> np.ndarray:
        """uint8 [n, size, size, 3]: random crops, flipped and transposed at random.

        Args:
            indexes: [n], of the crops in the step's batch.
            size: their side in pixels.
            seed: with ``step`` and its index decides everything of a crop.
            step: see ``seed``.
            shares: ``flat`` and ``synthetic``, see `Source.place`.
        """
        places = self.places(indexes, size, seed, step, **shares)
        return np.stack([self.source.cut(place, size) for place in places])

    def places(
        self, indexes: Sequence[int], size: int, seed: int, step: int, **shares: float
    ) -> list[Place]:
        """Where the crops lie that `crops` cuts out."""
        rngs = (np.random.default_rng((seed, step, i)) for i in indexes)
        return [self.source.place(size, rng, **shares) for rng in rngs]


def read_list(path: Path) -> frozenset[str]:
    """Names in a text file, one a line; '#' begins a comment.

    Raises:
        OSError: the file cannot be read.
        ArgumentError: it is not UTF-8, or names nothing.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{path} is not a text file of names: {error}") from error
    names = frozenset(filter(None, (line.partition("#")[0].strip() for line in lines)))
    if not names:
        raise ArgumentError(f"{path} names no image")
    return names


def _tried(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns, or what went wrong: Pillow's decoders raise nearly anything."""
    try:
        return function(*arguments)
    except MemoryError:
        raise
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__


def size_of(path: Path, crop: int) -> Size:
    """Width and height of an image that can be used.

    Raises:
        ValueError: it is too small, or not gray or RGB.
        UnsupportedError: its samples have more than 8 bits, or it is in no format that is read.
        OSError: it is damaged, or not there.
    """
    with open_listed(path) as image:
        if min(image.size) < crop:
            raise ValueError(f"{image.width}x{image.height} pixels, less than data.crop = {crop}")
        if image.mode.startswith(("I", "F", "CMYK")):
            raise ValueError(f"mode {image.mode}, neither 8-bit gray nor RGB")
        refuse_deep(image)
        return image.size


def area_limit(areas: np.ndarray, total: int) -> int:
    """The largest limit on each of some areas under which their sum is at most ``total``."""
    ordered = np.sort(areas)
    before = np.cumsum(ordered) - ordered
    limits = (total - before) // np.arange(len(ordered), 0, -1)
    (beyond,) = np.nonzero(limits < ordered)
    return int(limits[beyond[0]]) if beyond.size else int(ordered[-1])


def _fit(
    usable: list[tuple[Path, Size]], total: int, crop: int
) -> tuple[list[tuple[Path, Size]], int]:
    """Which images to read, and the largest area to keep of each, for ``total`` pixels in all."""
    if not usable:
        return [], 0
    least = WINDOW_CROPS * crop * crop
    area = area_limit(np.array([w * h for _, (w, h) in usable]), total)
    if area >= least:
        return usable, area
    # Images below `least` are kept whole, so more of them would fit; it is not worth a search.
    places = np.linspace(0, len(usable) - 1, max(1, min(len(usable), total // least))).astype(int)
    chosen = [usable[i] for i in places]
    return chosen, max(least, area_limit(np.array([w * h for _, (w, h) in chosen]), total))


def window(size: Size, area: int, crop: int, seed: int) -> Box:
    """Left, top, right, bottom of a random part of an image, of its shape and at most ``area``."""
    width, height = size
    shrink = min(1.0, (area / (width * height)) ** 0.5)
    w, h = (min(side, max(crop, int(side * shrink))) for side in size)
    random = np.random.default_rng((0, seed))
    left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
    return left, top, left + w, top + h


def _read(todo: tuple[Path, Box]) -> tuple[Path, np.ndarray | str]:
    path, box = todo

    def decode() -> np.ndarray:
        with open_listed(path) as image:
            return np.asarray(image.crop(box).convert("RGB"))

    return path, _tried(decode)


def _map(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """``map`` on all cores (decoders release the lock) that can be interrupted at once."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _notes(
    left_out: list[str],
    num_paths: int,
    usable: list[tuple[Path, Size]],
    chosen: list[tuple[Path, Size]],
    area: int,
) -> list[str]:
    """What a person should know about the images that were read."""
    notes = []
    if left_out:
        more = "; ..." if len(left_out) > NOTED else ""
        named = "; ".join(left_out[:NOTED])
        notes.append(f"{len(left_out)} of {num_paths} images are left out: {named}{more}")
    if len(chosen) < len(usable):
        notes.append(f"{len(chosen)} of {len(usable)} images are used: see data.memory_gb")
    cut = sum(w * h > area for _, (w, h) in chosen)
    if cut:
        notes.append(
            f"of {cut} large images a window of {area / 1e6:.1f} megapixels is used: "
            "see data.memory_gb"
        )
    return notes
