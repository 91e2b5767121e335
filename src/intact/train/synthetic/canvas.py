"""What the kinds of synthetic crops are drawn with: colors of a theme, shapes, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from intact.train.synthetic.fonts import Face, atlas, face_of, fonts_of, icons_of
from intact.train.synthetic.words import SCRIPT_NAMES

Color = tuple[int, int, int]
Generator = np.random.Generator


@dataclass(frozen=True)
class Theme:
    """Colors that belong together: of a page, of panels on it, of text, and accents."""

    page: Color
    panel: Color
    text: Color
    muted: Color
    accents: tuple[Color, ...]


def _theme(colors: str) -> Theme:
    page, panel, text, muted, *accents = (
        (int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in colors.split()
    )
    return Theme(page, panel, text, muted, tuple(accents))


THEMES = [
    _theme(line)
    for line in (
        # Adwaita, Breeze, Solarized, Tango, GitHub and Office as they are known, light and dark
        "ffffff f6f5f4 2e3436 929595 3584e4 33d17a e5a50a e01b24 9141ac 986a44",
        "fafafa ebebeb 3d3846 9a9996 1c71d8 26a269 c64600 a51d2d 613583 63452c",
        "242424 303030 ffffff 9a9996 3584e4 57e389 f8e45c ff7b63 dc8add cdab8f",
        "fcfcfc eff0f1 232629 7f8c8d 3daee9 27ae60 f67400 da4453 9b59b6 1abc9c",
        "1b1e20 31363b fcfcfc a1a9b1 3daee9 1cdc9a fdbc4b ed1515 8e44ad 16a085",
        "fdf6e3 eee8d5 657b83 93a1a1 268bd2 859900 b58900 dc322f d33682 2aa198",
        "002b36 073642 839496 586e75 268bd2 859900 cb4b16 dc322f 6c71c4 2aa198",
        "ffffff eeeeec 000000 888a85 3465a4 4e9a06 f57900 cc0000 75507b c17d11",
        "ffffff f6f8fa 24292f 6e7781 0969da 1a7f37 9a6700 cf222e 8250df bf3989",
        "0d1117 161b22 c9d1d9 8b949e 58a6ff 3fb950 d29922 f85149 bc8cff f778ba",
        "ffffff e7e6e6 000000 7f7f7f 4472c4 ed7d31 a5a5a5 ffc000 5b9bd5 70ad47",
        "c0c0c0 d4d0c8 000000 808080 000080 008080 ffffe1 ff0000 0000ff 008000",
    )
]
HELD_OUT_THEMES = [
    _theme(line)
    for line in (
        # Material, Nord, Gruvbox, Dracula, Monokai, viridis
        "ffffff fafafa 212121 757575 2196f3 4caf50 ff9800 f44336 9c27b0 00bcd4",
        "2e3440 3b4252 eceff4 d8dee9 88c0d0 a3be8c ebcb8b bf616a b48ead 5e81ac",
        "fbf1c7 ebdbb2 3c3836 7c6f64 076678 79740e b57614 9d0006 8f3f71 427b58",
        "282828 3c3836 ebdbb2 a89984 83a598 b8bb26 fabd2f fb4934 d3869b 8ec07c",
        "282a36 44475a f8f8f2 6272a4 8be9fd 50fa7b ffb86c ff5555 bd93f9 ff79c6",
        "272822 3e3d32 f8f8f2 75715e 66d9ef a6e22e e6db74 f92672 ae81ff fd971f",
        "ffffff f0f0f0 111111 777777 440154 3b528b 21918c 5ec962 fde725 cc4778",
    )
]


def random_color(rng: Generator) -> Color:
    """A corner of the color cube, a gray, or any color."""
    form = rng.random()
    if form < 0.3:
        r, g, b = 255 * rng.integers(2, size=3)
    elif form < 0.45:
        r = g = b = rng.integers(256)
    else:
        r, g, b = rng.integers(256, size=3)
    return int(r), int(g), int(b)


def mix(a: Color, b: Color, share: float) -> Color:
    """``share`` of the second color in the first."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


class Style:
    """The theme and the fonts of one crop.

    Args:
        rng: decides what is chosen.
        held_out: from the fonts and themes that training does not see.
    """

    def __init__(self, rng: Generator, *, held_out: bool) -> None:
        self.rng, self.held_out = rng, held_out
        themes = HELD_OUT_THEMES if held_out else THEMES
        self.theme = themes[rng.integers(len(themes))]
        form = rng.random()
        if form < 0.25:  # black on white, or the other way round
            black, white = (0, 0, 0), (255, 255, 255)
            text, page = (white, black) if form < 0.06 else (black, white)
            panel, muted = mix(page, text, 0.06), mix(page, text, 0.5)
            self.theme = Theme(page, panel, text, muted, self.theme.accents)
        elif form < 0.35:
            page, text = random_color(rng), random_color(rng)
            accents = tuple(random_color(rng) for _ in range(5))
            self.theme = Theme(page, mix(page, text, 0.1), text, mix(page, text, 0.5), accents)

    def accent(self) -> Color:
        """One of the theme's accents."""
        return self.theme.accents[self.rng.integers(len(self.theme.accents))]

    def face(self, style: str, size: int = 0) -> Face:
        """A face of a style (see `fonts.fonts_of`), in a usual size of text unless one is given."""
        fonts = [f for f in fonts_of(style, held_out=self.held_out) if f.scripts != "h" or not size]
        font = fonts[self.rng.integers(len(fonts))]
        usual = (9, 10, 11, 12, 13, 14, 16, 18, 22, 28)
        size = size or usual[self.rng.integers(len(usual))]
        if "h" in font.scripts:
            size = max(12, size)
        return face_of(font, size)

    def vocabulary(self, face: Face) -> str:
        """A script that the face has, Latin most often."""
        scripts = face.font.scripts
        return SCRIPT_NAMES[
            scripts[self.rng.integers(len(scripts)) if self.rng.random() < 0.3 else 0]
        ]

    def icon(self, size: int) -> tuple[Face, str] | None:
        """A pictogram, where a font of them is installed."""
        fonts = fonts_of("icons", held_out=self.held_out)
        if not fonts:
            return None
        font = fonts[self.rng.integers(len(fonts))]
        return Face(font, size, "smooth"), str(self.rng.choice(icons_of(font)))


class Canvas:
    """A square picture, in coordinates of its pixels; edges between pixels stay sharp.

    Args:
        side: in pixels.
        color: of its ground.
        scale: shapes are drawn so many times larger and reduced, which softens slanted edges.
    """

    def __init__(self, side: int, color: Color, scale: int = 1) -> None:
        self.side, self.scale = side, scale
        self._image = Image.new("RGB", (side * scale, side * scale), color)
        self._draw = ImageDraw.Draw(self._image)
        self._texts: list[tuple[int, int, np.ndarray, Color]] = []

    def rectangle(
        self,
        box: tuple[float, float, float, float],
        fill: Color | None,
        *,
        outline: Color | None = None,
        radius: float = 0,
        width: float = 1,
    ) -> None:
        """Left, top, right, bottom; the last two lie outside."""
        k = self.scale
        x0, y0, x1, y1 = (round(v * k) for v in box)
        if x1 <= x0 or y1 <= y0:
            return
        edge = max(1, round(width * k))
        if radius:
            corner = min(radius * k, (x1 - x0) / 2, (y1 - y0) / 2)
            self._draw.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), corner, fill, outline, edge)
        else:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill, outline, edge)

    def line(self, points: Sequence[tuple[float, float]], fill: Color, width: float = 1) -> None:
        """Through the middles of pixels."""
        k = self.scale
        moved = [((x + 0.5) * k - 0.5, (y + 0.5) * k - 0.5) for x, y in points]
        self._draw.line(moved, fill, max(1, round(width * k)), joint="curve")

    def polygon(
        self, points: Sequence[tuple[float, float]], fill: Color, outline: Color | None = None
    ) -> None:
        """A closed shape."""
        k = self.scale
        self._draw.polygon([(x * k, y * k) for x, y in points], fill, outline, k)

    def ellipse(
        self,
        center: tuple[float, float],
        radii: tuple[float, float],
        fill: Color | None,
        outline: Color | None = None,
    ) -> None:
        """An ellipse with its axes along the picture's."""
        k = self.scale
        (x, y), (a, b) = center, radii
        box = ((x - a) * k, (y - b) * k, (x + a) * k, (y + b) * k)
        self._draw.ellipse(box, fill, outline, k)

    def pie(
        self, center: tuple[float, float], radius: float, angles: tuple[float, float], fill: Color
    ) -> None:
        """A sector, in degrees."""
        k = self.scale
        (x, y), r = center, radius
        box = ((x - r) * k, (y - r) * k, (x + r) * k, (y + r) * k)
        self._draw.pieslice(box, *angles, fill)

    def paste(self, pixels: np.ndarray, x: int, y: int) -> None:
        """Put a picture, uint8 [h, w, 3], over the shapes."""
        k = self.scale
        image = Image.fromarray(pixels)
        size = (image.width * k, image.height * k)
        self._image.paste(image.resize(size, Image.Resampling.NEAREST), (x * k, y * k))

    def text(
        self, xy: tuple[float, float], text: str, face: Face, color: Color, *, anchor: str = "l"
    ) -> int:
        """Write one line, over all shapes; returns its width. ``anchor``: l, m or r of ``xy``."""
        mask = face.mask(text)
        width = mask.shape[1]
        x = round(xy[0]) - {"l": 0, "m": width // 2, "r": width}[anchor]
        self._texts.append((x, round(xy[1]), mask, color))
        return width

    def icon(self, xy: tuple[float, float], size: int, color: Color, style: Style) -> None:
        """A pictogram, or a square where no font has one."""
        found = style.icon(size)
        x, y = xy
        if found is None:
            self.rectangle((x + 2, y + 2, x + size - 2, y + size - 2), color, radius=size / 6)
        else:
            self.text((x, y), found[1], found[0], color)

    def finish(self) -> np.ndarray:
        """uint8 [side, side, 3]: shapes, then text."""
        image = self._image.reduce(self.scale) if self.scale > 1 else self._image
        pixels = np.array(image)
        for x, y, mask, color in self._texts:
            write_block(pixels, (x, y), mask, np.array(color))
        return pixels


def blend(below: np.ndarray, color: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 of ``below``'s shape: a color through a mask of 0..255."""
    ink = mask.astype(np.int32)
    return ((below * (255 - ink) + color * ink + 127) // 255).astype(np.uint8)


def write_block(
    pixels: np.ndarray,
    place: tuple[int, int],
    mask: np.ndarray,
    colors: np.ndarray,
) -> None:
    """Blend lines of an atlas into a picture, in place.

    Args:
        pixels: uint8 [h, w, 3].
        place: left and top of the first line; may lie outside.
        mask: uint8 [rows, width, 1 or 3].
        colors: [rows, width, 3] or anything that broadcasts to it.
    """
    x, y = place
    rows = slice(max(0, -y), max(0, pixels.shape[0] - y))
    columns = slice(max(0, -x), max(0, pixels.shape[1] - x))
    part = mask[rows, columns]
    if part.size:
        top, left = max(0, y), max(0, x)
        area = pixels[top : top + part.shape[0], left : left + part.shape[1]]
        inks = np.broadcast_to(colors, (*mask.shape[:2], 3))[rows, columns]
        area[...] = blend(area, inks, part)


def running_text(
    rng: Generator, face: Face, vocabulary: str, ends: list[int], width: int, pitch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lines of random words.

    Returns:
        uint8 [lines * pitch, width, 1 or 3], and the word's number at each pixel (see
        `fonts.Atlas.lines`), uint8 [lines * pitch, width].
    """
    lines, numbers = atlas(face, vocabulary).lines(rng, ends, width)
    pitch = max(pitch, lines.shape[1])
    out = np.zeros((len(ends), pitch, *lines.shape[2:]), np.uint8)
    out[:, : lines.shape[1]] = lines
    return out.reshape(-1, *lines.shape[2:]), np.repeat(numbers, pitch, 0)
