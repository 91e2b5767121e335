"""Which fonts synthetic crops are written in, and their words as masks.

A crop holds a hundred words; drawing each with FreeType would take longer than the crop may. So
the masks of single labels are kept, and running text is laid out from an *atlas*: the columns of
some dozens of words of one face side by side, of which a line of text is a selection.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from intact.train.synthetic.words import word

ROOTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
ATLAS_WORDS = 48

FONTS: dict[str, dict[str, tuple[str, str]]] = {
    # package: {file: (style, scripts)}; scripts are letters of `words.SCRIPT_NAMES`
    "fonts-dejavu-core": {
        "DejaVuSans.ttf": ("sans", "lcg"), "DejaVuSans-Bold.ttf": ("bold", "lcg"),
        "DejaVuSerif.ttf": ("serif", "lcg"), "DejaVuSansMono.ttf": ("mono", "lc"),
        "DejaVuSansMono-Bold.ttf": ("mono", "l"),
    },
    "fonts-liberation": {
        "LiberationSans-Regular.ttf": ("sans", "lcg"), "LiberationSans-Bold.ttf": ("bold", "lcg"),
        "LiberationSans-Italic.ttf": ("sans", "l"), "LiberationSerif-Regular.ttf": ("serif", "lcg"),
        "LiberationSerif-Italic.ttf": ("serif", "l"), "LiberationMono-Regular.ttf": ("mono", "lc"),
    },
    "fonts-noto-core": {
        "NotoSans-Regular.ttf": ("sans", "lcg"), "NotoSans-Bold.ttf": ("bold", "lcg"),
        "NotoSerif-Regular.ttf": ("serif", "lcg"),
    },
    "fonts-noto-mono": {"NotoSansMono-Regular.ttf": ("mono", "lc")},
    "fonts-roboto-unhinted": {
        "Roboto-Regular.ttf": ("sans", "lc"), "Roboto-Medium.ttf": ("bold", "lc"),
        "RobotoCondensed-Regular.ttf": ("sans", "lc"),
    },
    "fonts-hack": {"Hack-Regular.ttf": ("mono", "lc")},
    "fonts-droid-fallback": {"DroidSansFallbackFull.ttf": ("sans", "h")},
    "fonts-font-awesome": {"fontawesome-webfont.ttf": ("icons", "")},
}  # fmt: skip
"""Fonts of training crops, by the Debian package that has them."""
HELD_OUT_FONTS: dict[str, dict[str, tuple[str, str]]] = {
    "fonts-open-sans": {
        "OpenSans-Regular.ttf": ("sans", "lcg"), "OpenSans-Bold.ttf": ("bold", "lcg"),
    },
    "fonts-lato": {"Lato-Regular.ttf": ("sans", "l"), "Lato-Bold.ttf": ("bold", "l")},
    "fonts-cantarell": {
        "Cantarell-Regular.otf": ("sans", "lc"), "Cantarell-Bold.otf": ("bold", "lc"),
    },
    "fonts-linuxlibertine": {"LinLibertine_R.otf": ("serif", "lcg")},
    "fonts-ebgaramond": {"EBGaramond12-Regular.otf": ("serif", "lc")},
    "fonts-firacode": {"FiraCode-Regular.ttf": ("mono", "lc")},
    "fonts-jetbrains-mono": {"JetBrainsMono-Regular.ttf": ("mono", "lc")},
    "fonts-material-design-icons-iconfont": {"MaterialIcons-Regular.ttf": ("icons", "")},
}  # fmt: skip
"""Fonts that no training crop is written in."""
ICONS = {"fontawesome-webfont.ttf": (0xF000, 0xF1D0), "MaterialIcons-Regular.ttf": (0xE850, 0xE8B6)}
"""First and last code point of the icons that are used."""
RENDERINGS = {"hinted": 0.35, "lcd": 0.33, "smooth": 0.27, "mono": 0.05}
"""Ways to turn outlines into pixels, and how often each is used: gray levels on the font's hints;
sub-pixels; gray levels without hints; no gray levels."""


@dataclass(frozen=True)
class Font:
    """A font file that is there; an empty path is the one built into Pillow."""

    path: str
    style: str
    scripts: str


@lru_cache(maxsize=1)
def _installed() -> dict[str, str]:
    """The path of each font file of this system by its name."""

    def walk() -> Iterator[tuple[str, str]]:
        for root in ROOTS:
            for folder, folders, files in os.walk(Path(root).expanduser()):
                folders.sort()
                yield from ((name, os.path.join(folder, name)) for name in sorted(files))

    found: dict[str, str] = {}
    for name, path in walk():
        found.setdefault(name, path)
    return found


def missing_packages(*, held_out: bool = False) -> list[str]:
    """The Debian packages of which a font is not installed."""
    there = _installed()
    fonts = HELD_OUT_FONTS if held_out else FONTS
    return [package for package, files in fonts.items() if not all(f in there for f in files)]


@lru_cache(maxsize=16)
def fonts_of(style: str, *, held_out: bool) -> tuple[Font, ...]:
    """Fonts of a style: sans, bold, serif, mono or icons (empty where there are no icons)."""
    there = _installed()
    listed = HELD_OUT_FONTS if held_out else FONTS
    found = tuple(
        Font(there[name], kind, scripts)
        for files in listed.values()
        for name, (kind, scripts) in files.items()
        if kind == style and name in there
    )
    return found or (() if style == "icons" else (Font("", style, "l"),))


@lru_cache(maxsize=512)
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    if path:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    built_in = ImageFont.load_default(size)
    if not isinstance(built_in, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType: it cannot draw text")
    return built_in


@dataclass(frozen=True)
class Face:
    """A font in one size (pixels) and one of `RENDERINGS`."""

    font: Font
    size: int
    rendering: str

    @property
    def height(self) -> int:
        """Pixels from the top of the highest letter to the foot of the lowest."""
        ascent, descent = _load(self.font.path, self.size).getmetrics()
        return ascent + descent

    def mask(self, text: str) -> np.ndarray:
        """uint8 [h, w, 1 or 3]: how much of each pixel, or of its three stripes, is ink."""
        return _mask(self, text)


def face_of(font: Font, size: int) -> Face:
    """A font in a size, always rendered in the same way: its masks are found again more often."""
    key = zlib.crc32(f"{Path(font.path).name} {size}".encode())
    place = np.searchsorted(np.cumsum(list(RENDERINGS.values())), key / 2**32)
    return Face(font, size, list(RENDERINGS)[min(int(place), len(RENDERINGS) - 1)])


@lru_cache(maxsize=4)
def icons_of(font: Font) -> tuple[str, ...]:
    """The pictograms that a font has: not those which it draws as the empty box of unknown ones."""
    first, last = ICONS[Path(font.path).name]
    pictures = {
        c: _mask(Face(font, 16, "hinted"), c).tobytes() for c in map(chr, range(first, last))
    }
    unknown = _mask(Face(font, 16, "hinted"), "\uffff").tobytes()
    return tuple(c for c, picture in pictures.items() if picture != unknown)


@lru_cache(maxsize=4096)
def _mask(face: Face, text: str) -> np.ndarray:
    scale = 3 if face.rendering in ("smooth", "lcd") else 1
    # Letters are hardly ever wider than high; what is not used is cut off.
    ink = Image.new("L", (scale * face.size * (len(text) + 1), scale * face.height))
    draw = ImageDraw.Draw(ink)
    draw.fontmode = "1" if face.rendering == "mono" else "L"
    draw.text((0, 0), text, 255, _load(face.font.path, face.size * scale))
    right = (ink.getbbox() or (0, 0, face.size * scale // 3))[2]
    ink = ink.crop((0, 0, -(-right // scale) * scale, ink.height))
    if face.rendering == "smooth":
        return np.asarray(ink.reduce(3))[..., None]
    if face.rendering == "lcd":
        return _stripes(np.asarray(ink))
    return np.asarray(ink)[..., None]


def _stripes(ink: np.ndarray) -> np.ndarray:
    """Sub-pixel antialiasing: three samples per pixel, smoothed by FreeType's filter."""
    height, width = ink.shape
    rows = ink.reshape(height // 3, 3, width).mean(1)
    padded = np.pad(rows, ((0, 0), (2, 2)))
    taps = np.array([8, 77, 86, 77, 8]) / 256
    smooth = sum(t * padded[:, i : i + width] for i, t in enumerate(taps))
    return np.rint(smooth).astype(np.uint8).reshape(height // 3, width // 3, 3)


@dataclass(frozen=True)
class Atlas:
    """Words of one face side by side.

    Attributes:
        columns: uint8 [columns, height, 1 or 3]; the first one is blank.
        starts: where each word begins.
        widths: of the words, in columns.
        space: columns between words.
    """

    columns: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    space: int

    def lines(
        self, rng: np.random.Generator, ends: list[int], width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lines of random words.

        Args:
            rng: decides the words.
            ends: where the text of each line ends at the latest, in columns.
            width: of the block.

        Returns:
            uint8 [lines, height, width, 1 or 3], and the word's number at each column, uint8
            [lines, width]: 0 between words.
        """
        index = np.zeros((len(ends), width), np.intp)
        number = np.zeros((len(ends), width), np.uint8)
        draws = rng.integers(len(self.starts), size=(len(ends), width // 8 + 1))
        for line, end in enumerate(ends):
            x = 0
            for k in draws[line]:
                w = min(int(self.widths[k]), width - x)
                if x + w > end or w <= 0:
                    break
                start = int(self.starts[k])
                index[line, x : x + w] = np.arange(start, start + w)
                number[line, x : x + w] = k + 1
                x += w + self.space
        return self.columns[index].transpose(0, 2, 1, 3), number


@lru_cache(maxsize=256)
def atlas(face: Face, vocabulary: str) -> Atlas:
    """The words of a vocabulary (see `words.word`) in a face."""
    name = Path(face.font.path).name
    key = f"{name} {face.size} {face.rendering} {vocabulary}"
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    masks = [_mask.__wrapped__(face, word(rng, vocabulary)) for _ in range(ATLAS_WORDS)]
    channels = max(m.shape[2] for m in masks)
    whole = [np.broadcast_to(m, (*m.shape[:2], channels)).transpose(1, 0, 2) for m in masks]
    blank = np.zeros((1, *whole[0].shape[1:]), np.uint8)
    widths = np.array([len(m) for m in whole])
    starts = 1 + np.cumsum(widths) - widths
    space = max(2, round(_load(face.font.path, face.size).getlength(" ")))
    return Atlas(np.concatenate([blank, *whole]), starts, widths, space)
