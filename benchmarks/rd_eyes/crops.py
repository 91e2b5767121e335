"""Side by side at about equal bytes: the same part of a picture, original and every codec."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rd_eyes.codecs import Codec, Grid
from rd_eyes.metrics import Meter
from rd_eyes.pictures import Picture

TOLERANCE = 0.02
"""A codec may use that share more than the target."""
LINE, TEXT = 16, 13
"""Height of a caption's line and of its letters, in pixels."""


@dataclass(frozen=True)
class Window:
    """The part shown.

    Attributes:
        side: pixels of the original.
        zoom: how much each is enlarged.
        left, top: corner; None centers.
    """

    side: int = 256
    zoom: int = 2
    left: int | None = None
    top: int | None = None

    def of(self, pixels: np.ndarray) -> Image.Image:
        """The part of a picture, enlarged without smoothing."""
        h, w = pixels.shape[:2]
        left = (w - self.side) // 2 if self.left is None else self.left
        top = (h - self.side) // 2 if self.top is None else self.top
        left, top = max(0, min(left, w - self.side)), max(0, min(top, h - self.side))
        part = Image.fromarray(pixels[top : top + self.side, left : left + self.side])
        size = (part.width * self.zoom, part.height * self.zoom)
        return part.resize(size, Image.Resampling.NEAREST)


@dataclass(frozen=True)
class Tile:
    """One codec's part and caption."""

    pixels: np.ndarray
    caption: tuple[str, str]


def nearest(codec: Codec, grid: Grid, pixels: np.ndarray, target: int) -> tuple[str, bytes]:
    """The setting of a grid, and its file, that comes nearest to a size without exceeding it much.

    Bisection, as sizes grow along a grid. Where even the first setting's file is too large, that
    one is returned.
    """
    files: dict[int, bytes] = {}

    def size(place: int) -> int:
        if place not in files:
            files[place] = codec.encode(pixels, grid[place])
        return len(files[place])

    limit = target * (1 + TOLERANCE)
    low, high = 0, len(grid)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= limit else (low, middle)
    near = [place for place in (low - 1, low) if place >= 0 and size(place) <= limit] or [0]
    best = min(near, key=lambda place: abs(size(place) - target))
    size(best)
    return grid[best], files[best]


def tile(codec: Codec, meter: Meter, target: int) -> Tile:
    """A codec at about a size; the best of its variants."""
    tiles = []
    for grid in codec.grids:
        setting, data = nearest(codec, grid, meter.original, target)
        decoded = codec.decode(data)
        values = meter(decoded)
        over = len(data) > target * (1 + TOLERANCE)
        score = values.get("ssimulacra2", values["psnr"])
        name = f"{codec.name} {setting}, {len(data):,} bytes" + (", its smallest" if over else "")
        tiles.append(((not over, score), Tile(decoded, (name, figures(values)))))
    return max(tiles, key=lambda found: found[0])[1]


def figures(values: dict[str, float]) -> str:
    """The caption's second line."""
    text = f"PSNR {values['psnr']:.2f} dB"
    if "butteraugli_3" in values:
        text = f"Butteraugli {values['butteraugli_3']:.2f}  {text}"
    if "ssimulacra2" in values:
        text = f"SSIMULACRA2 {values['ssimulacra2']:.1f}  {text}"
    return text


def sheet(
    picture: Picture, codecs: Sequence[Codec], first: Codec, quality: str, window: Window
) -> Image.Image:
    """One row: the original, then every codec at the size of ``first`` at a setting of its own."""
    pixels = picture.pixels()
    meter = Meter(pixels)
    target = len(first.encode(pixels, quality))
    area = pixels.shape[0] * pixels.shape[1]
    about = f"{picture.name}, {pixels.shape[1]}x{pixels.shape[0]}"
    tiles = [
        Tile(pixels, ("original", f"{about}, target {target:,} bytes, {8 * target / area:.3f} bpp"))
    ]
    tiles += [tile(codec, meter, target) for codec in codecs]
    return row(tiles, window)


def row(tiles: Sequence[Tile], window: Window) -> Image.Image:
    """Tiles side by side, captions below."""
    parts = [window.of(t.pixels) for t in tiles]
    width, height = parts[0].size
    gap, font = 4, ImageFont.load_default(TEXT)
    canvas = Image.new("RGB", ((width + gap) * len(tiles) - gap, height + 2 * LINE + 4), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (t, part) in enumerate(zip(tiles, parts, strict=True)):
        left = number * (width + gap)
        canvas.paste(part, (left, 0))
        for line, words in enumerate(t.caption):
            draw.text((left + 2, height + 1 + line * LINE), words, "black", font)
    return canvas


def write(folder: Path, picture: Picture, image: Image.Image) -> Path:
    """Write a sheet as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (picture.name.replace("/", "_").rpartition(".")[0] + ".png")
    unfinished = path.with_name(path.name + ".part")
    image.save(unfinished, "PNG")
    os.replace(unfinished, path)
    return path
