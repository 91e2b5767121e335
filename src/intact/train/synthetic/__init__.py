"""Synthetic crops: what photographs lack and screens are full of.

Kinds come in two sets without a common kind, font or theme: one is trained on, the other is for
tests of how far that carries. A crop is a function of its generator and the fonts of `fonts` that
are installed (Debian packages); without any, text is written in the font built into Pillow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from intact.errors import ArgumentError
from intact.train.synthetic import charts, drawings, pages, plain, screens
from intact.train.synthetic.canvas import Style
from intact.train.synthetic.fonts import FONTS, missing_packages

Draw = Callable[[int, np.random.Generator, Style], np.ndarray]

TRAINING: dict[str, tuple[Draw, float]] = {
    "paragraphs": (pages.paragraphs, 3),
    "code": (pages.code, 2),
    "table": (pages.table, 1.5),
    "window": (screens.window, 2),
    "controls": (screens.controls, 1.5),
    "icons": (screens.icons, 1),
    "lines": (charts.lines, 1.5),
    "bars": (charts.bars, 1),
    "line art": (drawings.line_art, 1.5),
    "map": (drawings.city_map, 1),
    "pixel art": (drawings.pixel_art, 1),
    "flat": (plain.flat, 4),
    "linear gradient": (plain.linear, 3),
    "soft gradient": (plain.soft, 1.5),
    "ordered dithering": (plain.ordered_dither, 0.5),
}
"""Kinds that are trained on, and how often each is, in shares of their sum."""
HELD_OUT: dict[str, Draw] = {
    "terminal": pages.terminal,
    "slide": pages.slide,
    "calendar": pages.calendar,
    "dialog": screens.dialog,
    "cards": screens.cards,
    "bar code": screens.bar_code,
    "scatter": charts.scatter,
    "pie": charts.pie,
    "heat map": charts.heat_map,
    "diagram": drawings.diagram,
    "halftone": drawings.halftone,
    "music": drawings.music,
    "radial gradient": plain.radial,
    "conic gradient": plain.conic,
    "swatches": plain.swatches,
    "diffused dithering": plain.diffused_dither,
}
"""Kinds for tests, never trained on."""
PLAIN = {"flat", "linear gradient", "soft gradient", "ordered dithering"}
"""Kinds that are not scaled: it would change nothing, or undo them."""
RESCALED, DOUBLED = 0.10, 0.05
"""Shares of the other training crops that are scaled down, or of which each pixel is four."""

_NAMES = list(TRAINING)
_SHARES = np.array([share for _, share in TRAINING.values()]) / sum(s for _, s in TRAINING.values())


def crop(kind: str, side: int, generator: np.random.Generator) -> np.ndarray:
    """uint8 [side, side, 3]: a crop of a kind of `TRAINING` or `HELD_OUT`.

    Args:
        kind: see there.
        side: in pixels.
        generator: decides everything.

    Raises:
        ArgumentError: no such kind.
    """
    if kind in HELD_OUT:
        return HELD_OUT[kind](side, generator, Style(generator, held_out=True))
    if kind not in TRAINING:
        raise ArgumentError(
            f"{kind!r} is no kind of synthetic crop: {', '.join(TRAINING | HELD_OUT)}"
        )
    draw, style = TRAINING[kind][0], Style(generator, held_out=False)
    form = 1.0 if kind in PLAIN else generator.random()
    if form < DOUBLED:
        half = draw(side // 2 + 1, generator, style)
        return np.ascontiguousarray(half.repeat(2, 0).repeat(2, 1)[:side, :side])
    if form < DOUBLED + RESCALED:
        larger = draw(round(side * generator.uniform(1.2, 2)), generator, style)
        filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        filter_ = filters[generator.integers(3)]
        return np.array(Image.fromarray(larger).resize((side, side), filter_))
    return draw(side, generator, style)


def training_crop(side: int, generator: np.random.Generator) -> np.ndarray:
    """uint8 [side, side, 3]: a crop of one of the kinds of `TRAINING`."""
    return crop(_NAMES[generator.choice(len(_NAMES), p=_SHARES)], side, generator)


def plain_crop(side: int, generator: np.random.Generator) -> np.ndarray:
    """uint8 [side, side, 3]: a crop of a kind of `PLAIN`, which need no fonts."""
    return crop(sorted(PLAIN)[generator.integers(len(PLAIN))], side, generator)


def check_fonts() -> list[str]:
    """Lines for people: which Debian packages of fonts are missing.

    Raises:
        ArgumentError: all are; there would be text in one font only.
    """
    missing = missing_packages()
    if len(missing) == len(FONTS):
        raise ArgumentError(
            "data.synthetic needs fonts, and none of its are installed; "
            f"apt-get install {' '.join(missing)}, or set data.synthetic to 0"
        )
    if not missing:
        return []
    return [f"synthetic crops lack fonts: apt-get install {' '.join(missing)}"]
