"""The header of an image file: what it says before its payload. docs/spec/container.md.

A reader refuses by its name what the format has and this version lacks (`lacks`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.container.framing import IMAGE_MAGIC, MODEL_ID_BYTES, read_magic
from intact.container.limits import (
    LATENT_PX,
    MAX_LATENT_LOG2,
    MAX_PREVIEW_BYTES,
    MAX_SIDE_PX,
    MAX_TILE_LOG2,
    MIN_TILE_LOG2,
    PADDING_PIXELS,
    PADDING_SHARE,
)
from intact.errors import UnsupportedError

if TYPE_CHECKING:
    from fractions import Fraction

MAGIC: Final = IMAGE_MAGIC
MAJOR: Final = 1
MINOR: Final = 0
HEADER_BYTES: Final = 47
"""The longest header; `peek` needs no more of a file."""
SUPPORTED_DEPTHS: Final = (8,)
FLAGGED: Final = 0x80
"""In the byte of channels and depth: a byte of flags follows the checksum."""
GRAY, PROFILE_SHIFT, TILE_MODES, PREVIEW, UNKNOWN_FLAGS = 1, 1, 8, 16, 0xE0
"""Flags."""


class Mode(enum.Enum):
    """Channels of an image; the value is their number, alpha included."""

    L = 1
    LA = 2
    RGB = 3
    RGBA = 4

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self in (Mode.LA, Mode.RGBA)

    @property
    def color_channels(self) -> int:
        """Channels without alpha."""
        return 3 if self in (Mode.RGB, Mode.RGBA) else 1


class Profile(enum.Enum):
    """What is the same on every machine, and so what the checksum covers."""

    EXACT = 0
    """Everything. The decoded pixels."""
    PRIOR = 1
    """Symbols; the transforms compute in float. The latents and alpha."""
    FLOAT = 2
    """Nothing: the prior is float, too. The latents and alpha, as the encoder had them."""


def lacks(what: str) -> UnsupportedError:
    """The error for what the format has and this version cannot decode, for the caller to raise."""
    return UnsupportedError(f"this file has {what}, which this version of Intact cannot decode")


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before its payload.

    Attributes:
        model_id: 16 bytes, see `intact.container.tree.model_id`.
        mode: channels.
        level: index into the model's quality levels, 0 .. 255.
        width: pixels, 1 .. 2**32 - 1.
        height: pixels, 1 .. 2**32 - 1.
        pixel_crc: CRC-32 of what `profile` says; of samples row by row, channels interleaved, alpha
            included.
        tile_log2: tiles are squares of ``2**tile_log2`` latents, 4 .. 6.
        depth: bits per sample; 8.
        latent_log2: a latent is a square of ``2**latent_log2`` pixels, 0 .. 6.
        gray: the three color channels of each pixel are equal; only of RGB and RGBA.
        profile: what is the same on every machine.

    Raises:
        ValueError: a field is out of range.
    """

    model_id: bytes
    mode: Mode
    level: int
    width: int
    height: int
    pixel_crc: int
    tile_log2: int = MAX_TILE_LOG2
    depth: int = 8
    latent_log2: int = LATENT_PX.bit_length() - 1
    gray: bool = False
    profile: Profile = Profile.EXACT

    def __post_init__(self) -> None:
        if len(self.model_id) != MODEL_ID_BYTES:
            raise ValueError(f"model id must be 16 bytes, has {len(self.model_id)}")
        if self.depth not in SUPPORTED_DEPTHS:
            raise ValueError(f"depth is {self.depth} bits, must be one of {SUPPORTED_DEPTHS}")
        if self.gray and self.mode.color_channels != 3:
            raise ValueError(f"gray is true of mode {self.mode.name}, must be RGB or RGBA")
        ranges = {
            "level": (0, 255),
            "width": (1, MAX_SIDE_PX),
            "height": (1, MAX_SIDE_PX),
            "pixel_crc": (0, (1 << 32) - 1),
            "tile_log2": (MIN_TILE_LOG2, MAX_TILE_LOG2),
            "latent_log2": (0, MAX_LATENT_LOG2),
        }
        for name, (low, high) in ranges.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name} is {value}, must be {low} .. {high}")

    @property
    def num_pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def num_padded_pixels(self) -> int:
        """Pixels of the whole latents, which is what work is done on."""
        rows, columns = self.latent_shape
        return rows * columns << 2 * self.latent_log2

    @property
    def coded_mode(self) -> Mode:
        """The mode in which colors are coded: one channel where all three are equal."""
        return Mode(self.mode.value - 2) if self.gray else self.mode

    @property
    def latent_px(self) -> int:
        """Pixels on a side of the square that a latent stands for."""
        return 1 << self.latent_log2

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid of latents."""
        return -(-self.height >> self.latent_log2), -(-self.width >> self.latent_log2)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid of tiles."""
        rows, columns = self.latent_shape
        return -(-rows >> self.tile_log2), -(-columns >> self.tile_log2)

    @property
    def num_tiles(self) -> int:
        """Tiles in the file, row by row."""
        rows, columns = self.tile_shape
        return rows * columns


@dataclass(frozen=True)
class Layers:
    """What a file has beside the lossy picture. This version reads that it is there, no more.

    Attributes:
        tile_modes: each tile says how it is coded.
        preview_bytes: length of the preview, 0 without one.
    """

    tile_modes: bool = False
    preview_bytes: int = 0


def write_header(header: ImageHeader) -> bytes:
    """Serialize the header, 34 .. 43 bytes; inverse of `read_header`."""
    flags = GRAY * header.gray | header.profile.value << PROFILE_SHIFT
    samples = header.mode.value << 4 | header.depth - 1
    return b"".join(
        [
            MAGIC,
            bytes([MAJOR << 4 | MINOR]),
            header.model_id,
            bytes([samples | (FLAGGED if flags else 0), header.level]),
            bytes([(header.latent_log2 - 4) % 16 << 4 | header.tile_log2]),
            header.pixel_crc.to_bytes(4, "little"),
            bytes([flags] if flags else []),
            varint.encode(header.width),
            varint.encode(header.height),
        ]
    )


def read_header(cursor: Cursor) -> tuple[ImageHeader, Layers]:
    """Read the header; inverse of `write_header`. Its CRC comes after the payload.

    Raises:
        CorruptDataError: it is cut short, or a field is illegal.
        UnsupportedError: version, mode, depth, flags or tile field are not of this version.
    """
    read_magic(cursor, MAGIC, MAJOR)
    model_id = cursor.take(MODEL_ID_BYTES, "model id")
    samples, level, tiling = cursor.take(3, "mode, level and tiling")
    pixel_crc = cursor.u32("CRC-32 of the pixels")
    flags = _read_flags(cursor) if samples & FLAGGED else 0
    width = cursor.varint(1, MAX_SIDE_PX, "width")
    height = cursor.varint(1, MAX_SIDE_PX, "height")
    preview = cursor.varint(1, MAX_PREVIEW_BYTES, "length of the preview") if flags & PREVIEW else 0
    channels, depth, gray = samples >> 4 & 7, (samples & 15) + 1, bool(flags & GRAY)
    if channels not in (mode.value for mode in Mode):
        raise UnsupportedError(f"mode with {channels} channels; this version reads 1 .. 4")
    if depth not in SUPPORTED_DEPTHS:
        raise lacks(f"{depth} bit{'s' * (depth > 1)} per sample")
    # Other values may be a later version's, so they are not called damage.
    if not MIN_TILE_LOG2 <= tiling & 15 <= MAX_TILE_LOG2:
        raise UnsupportedError(f"tiling field is {tiling & 15}; this version reads 4 .. 6")
    latent_log2 = ((tiling >> 4) + 4) % 16
    if latent_log2 > MAX_LATENT_LOG2:
        raise lacks(f"latents of {1 << latent_log2} x {1 << latent_log2} pixels")
    mode = Mode(channels)
    if gray and mode.color_channels != 3:
        raise cursor.corrupt(f"mode {mode.name} is said to be gray stored as RGB")
    header = ImageHeader(
        model_id=model_id,
        mode=mode,
        level=level,
        width=width,
        height=height,
        pixel_crc=pixel_crc,
        tile_log2=tiling & 15,
        depth=depth,
        latent_log2=latent_log2,
        gray=gray,
        profile=Profile(flags >> PROFILE_SHIFT & 3),
    )
    return header, Layers(bool(flags & TILE_MODES), preview)


def _read_flags(cursor: Cursor) -> int:
    """Read the byte of flags: those that this version knows, one at least."""
    flags = cursor.u8("flags")
    if flags == 0:
        raise cursor.corrupt("the byte of flags is 0: without flags it must not be there")
    if flags & UNKNOWN_FLAGS:
        raise lacks(f"header flags {flags & UNKNOWN_FLAGS:#04x}")
    if flags >> PROFILE_SHIFT & 3 == 3:
        raise lacks("profile 3")
    return flags


def peek(prefix: bytes) -> ImageHeader:
    """Read the header from the first `HEADER_BYTES` or more bytes of a file.

    The header is not checked against a checksum: that needs the payload. No limit on pixels is
    applied, because nothing is allocated.

    Raises:
        CorruptDataError: the header is cut short, or a field is illegal.
        UnsupportedError: the file is of a later version.
    """
    return read_header(Cursor(prefix, "image file"))[0]


def check_pixels(header: ImageHeader, max_pixels: float, weight: Fraction | int = 1) -> None:
    """Refuse an image that is too large, or that takes too much work.

    Args:
        header: of the image.
        max_pixels: largest width * height to accept. Padded to whole latents it may have a 16th and
            65,536 pixels more.
        weight: as how many a padded pixel counts, with a model that takes more work than others.

    Raises:
        UnsupportedError: it is larger.
    """
    what = f"image of {header.width} x {header.height} pixels"
    if header.num_pixels > max_pixels:
        raise UnsupportedError(f"{what} exceeds the limit of {max_pixels}")
    padded, share = header.num_padded_pixels * max(weight, 1), PADDING_SHARE
    if (padded - PADDING_PIXELS) * share > max_pixels * (share + 1):
        counts = f"counts as {ceil(padded)}, in whole squares of {header.latent_px} on a side"
        model = ", for what its model takes" if weight > 1 else ""
        raise UnsupportedError(f"{what} {counts}{model}: exceeds the limit of {max_pixels}")
