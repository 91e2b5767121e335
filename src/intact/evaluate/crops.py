"""Side by side at about equal bytes: the same part of a picture, original and every codec."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from intact import files
from intact.evaluate.codec import Codec, Grid, told
from intact.evaluate.meter import Meter
from intact.evaluate.pictures import Picture

TOLERANCE = 0.02
"""A codec may use that share more than the target."""
DEFAULT_BPP = 0.25
ORDER = ("ssimulacra2", "ms_ssim", "psnr", "ssim")
"""Which metric chooses among the variants of a codec: the first one that was measured."""
MIN_TILE = 320
"""Pixels, so that captions have room."""
FEW = 8
"""Settings of a grid that are all tried."""
ROW = 4
"""Tiles side by side at most; more go below, as many in each line as can be."""
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

    Bisection, as sizes grow along a grid; of a few settings, which may be models of one rate, all
    are tried. Where every file is too large the smallest one is returned.
    """
    coded: dict[int, bytes] = {}

    def size(place: int) -> int:
        if place not in coded:
            coded[place] = codec.encode(pixels, grid[place])
        return len(coded[place])

    limit = target * (1 + TOLERANCE)
    if len(grid) <= FEW:
        fitting = [place for place in range(len(grid)) if size(place) <= limit]
        best = max(fitting, key=size) if fitting else min(range(len(grid)), key=size)
        return grid[best], coded[best]
    low, high = 0, len(grid)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= limit else (low, middle)
    near = [place for place in (low - 1, low) if place >= 0 and size(place) <= limit] or [0]
    best = min(near, key=lambda place: abs(size(place) - target))
    size(best)
    return grid[best], coded[best]


def tile(codec: Codec, meter: Meter, target: int) -> Tile:
    """A codec at about a size; the best of its variants."""
    tiles = []
    for grid in codec.grids:
        setting, data = nearest(codec, grid, meter.original, target)
        decoded = codec.decode(data)
        values = meter(decoded)
        over = len(data) > target * (1 + TOLERANCE)
        score = next((values[k] for k in ORDER if not math.isnan(values[k])), 0.0)
        rate = 8 * len(data) / math.prod(meter.original.shape[:2])
        name = f"{codec.name} {setting}, {len(data):,} bytes, {rate:.3f} bpp"
        name += ", its smallest" if over else ""
        tiles.append(((not over, score), Tile(decoded, (name, figures(values)))))
    return max(tiles, key=lambda found: found[0])[1]


def figures(values: dict[str, float]) -> str:
    """The caption's second line."""
    shown = {
        "ssimulacra2": f"SSIMULACRA2 {values['ssimulacra2']:.1f}",
        "butteraugli_3": f"Butteraugli {values['butteraugli_3']:.2f}",
        "ms_ssim": f"MS-SSIM {values['ms_ssim']:.4f}",
        "ssim": f"SSIM {values['ssim']:.4f}",
        "psnr": f"PSNR {values['psnr']:.2f} dB",
    }
    return "  ".join(text for key, text in shown.items() if not math.isnan(values[key]))


def size_of(codec: Codec, pixels: np.ndarray, bpp: float | None) -> int:
    """Bytes that crops are compared at.

    Args:
        codec: the first of ours.
        pixels: uint8 [h, w, 3].
        bpp: bits per pixel, or None: `DEFAULT_BPP`, or what a codec of few rates has nearest to it.
    """
    target = round((bpp or DEFAULT_BPP) * pixels.shape[0] * pixels.shape[1] / 8)
    if bpp is None and len(codec.grids) == 1 and len(codec.grids[0]) <= FEW:
        return len(nearest(codec, codec.grids[0], pixels, target)[1])
    return target


def sheet(
    picture: Picture,
    codecs: Sequence[Codec],
    target: int,
    metric_set: str,
    window: Window,
    left_out: list[str] | None = None,
) -> Image.Image:
    """The original, then every codec at about ``target`` bytes; see `ROW`.

    A codec that refuses the picture is left out, and what it said added to ``left_out``; without
    such a list its error is raised.
    """
    pixels = picture.pixels()
    meter = Meter(pixels, metric_set)
    area = pixels.shape[0] * pixels.shape[1]
    about = f"{pixels.shape[1]}x{pixels.shape[0]}, target {target:,} bytes"
    about = f"{about}, {8 * target / area:.3f} bpp"
    tiles = [Tile(pixels, (f"original {picture.name}", about))]
    for codec in codecs:
        try:
            tiles.append(tile(codec, meter, target))
        except Exception as error:  # of other people's libraries any
            if left_out is None:
                raise
            left_out.append(f"crops of {picture.name} by {codec.name}: {told(error)}")
    return arrange(tiles, window)


def arrange(tiles: Sequence[Tile], window: Window) -> Image.Image:
    """Tiles side by side, captions below."""
    parts = [window.of(t.pixels) for t in tiles]
    gap, font = 4, ImageFont.load_default(TEXT)
    width = max([part.width for part in parts] + [MIN_TILE])
    height = parts[0].height + 2 * LINE + 4
    lines = -(-len(tiles) // ROW)
    columns = -(-len(tiles) // lines)
    canvas = Image.new("RGB", ((width + gap) * columns - gap, height * lines), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (t, part) in enumerate(zip(tiles, parts, strict=True)):
        left, top = number % columns * (width + gap), number // columns * height
        canvas.paste(part, (left, top))
        for line, words in enumerate(t.caption):
            words = fitting(words, font, width - 4)
            draw.text((left + 2, top + part.height + 1 + line * LINE), words, "black", font)
    return canvas


def fitting(words: str, font: Any, width: int) -> str:
    """A caption, cut where it is too wide."""
    while font.getlength(words) > width:
        words = words.rstrip("…")[:-1] + "…"
    return words


def write(folder: Path, picture: Picture, image: Image.Image) -> Path:
    """Write a sheet as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    name = picture.name.replace("/", "_")
    path = folder / (name if name.endswith(".png") else f"{name}.png")
    data = io.BytesIO()
    image.save(data, "PNG")
    files.replace(path, data.getvalue())
    return path
