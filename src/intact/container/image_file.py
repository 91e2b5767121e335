"""The image file: a header, the tiles' payloads, optional chunks. Bytes in, value out.

Strategy: one pass over a `Cursor`. The header says how many tiles there are, the table of their
lengths says where each lies, and both are compared with the bytes at hand before any list is
made. Nothing here decodes a payload or knows what a model is. docs/spec/container.md is
normative.
"""

from __future__ import annotations

import enum
import zlib
from dataclasses import dataclass, field
from typing import Final

from intact.bits import varint
from intact.container.chunks import ALPHA, Chunk, check_order, read_chunks, write_chunks
from intact.container.cursor import Cursor
from intact.container.limits import (
    LATENT_PX,
    MAX_PIXELS,
    MAX_SIDE_PX,
    MAX_TILE_BYTES,
    MAX_TILE_LOG2,
    MIN_TILE_BYTES,
    MIN_TILE_LOG2,
)
from intact.errors import CorruptDataError, UnsupportedError

MAGIC: Final = b"\xc9INT\r\n\x1a\n"
"""0xC9 is 'I' with the high bit set: not text. Line ends catch transfers in text mode."""
MAJOR: Final = 1
MINOR: Final = 0
MODEL_ID_BYTES: Final = 16
HEADER_BYTES: Final = 42
"""The longest header; `peek` needs no more of a file."""
SUPPORTED_DEPTHS: Final = (8,)


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


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before its payload.

    Attributes:
        model_id: 16 bytes, see `intact.container.model_file.model_id`.
        mode: channels.
        level: index into the model's quality levels, 0 .. 255.
        width: pixels, 1 .. 2**32 - 1.
        height: pixels, 1 .. 2**32 - 1.
        pixel_crc: CRC-32 of the decoded samples, row by row, channels interleaved, alpha included.
        tile_log2: tiles are squares of ``2**tile_log2`` latents, 4 .. 6.
        depth: bits per sample; 8.

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

    def __post_init__(self) -> None:
        if len(self.model_id) != MODEL_ID_BYTES:
            raise ValueError(f"model id must be 16 bytes, has {len(self.model_id)}")
        if self.depth not in SUPPORTED_DEPTHS:
            raise ValueError(f"depth is {self.depth} bits, must be one of {SUPPORTED_DEPTHS}")
        ranges = {
            "level": (0, 255),
            "width": (1, MAX_SIDE_PX),
            "height": (1, MAX_SIDE_PX),
            "pixel_crc": (0, (1 << 32) - 1),
            "tile_log2": (MIN_TILE_LOG2, MAX_TILE_LOG2),
        }
        for name, (low, high) in ranges.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name} is {value}, must be {low} .. {high}")

    @property
    def num_pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows and columns of the grid of latents."""
        return -(-self.height // LATENT_PX), -(-self.width // LATENT_PX)

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
class ImageFile:
    """All an image file holds: header, one payload per tile (row by row), chunks.

    Raises:
        ValueError: the number of tiles is not the header's, a payload is too short, chunks do not
            ascend, or the alpha chunk and the mode disagree.
    """

    header: ImageHeader
    tiles: tuple[bytes, ...] = field(repr=False)
    chunks: tuple[Chunk, ...] = ()

    def __post_init__(self) -> None:
        if len(self.tiles) != self.header.num_tiles:
            raise ValueError(f"{len(self.tiles)} tiles, must be {self.header.num_tiles}")
        if shortest := [len(tile) for tile in self.tiles if len(tile) < MIN_TILE_BYTES]:
            raise ValueError(f"a tile has {min(shortest)} bytes, must have >= {MIN_TILE_BYTES}")
        check_order(self.chunks)
        if (self.chunk(ALPHA) is not None) != self.header.mode.has_alpha:
            raise ValueError(f"mode {self.header.mode.name} and the alpha chunk disagree")

    def chunk(self, type: str) -> bytes | None:
        """The data of the chunk of this type, or None."""
        return next((chunk.data for chunk in self.chunks if chunk.type == type), None)


def write_header(header: ImageHeader) -> bytes:
    """Serialize the header, 34 .. 42 bytes; inverse of `read_header`."""
    return b"".join(
        [
            MAGIC,
            bytes([MAJOR << 4 | MINOR]),
            header.model_id,
            bytes([header.mode.value << 4 | header.depth - 1, header.level, header.tile_log2]),
            header.pixel_crc.to_bytes(4, "little"),
            varint.encode(header.width),
            varint.encode(header.height),
        ]
    )


def read_magic(cursor: Cursor, magic: bytes, major: int) -> None:
    """Read magic and version; any minor version of ``major`` is readable.

    Raises:
        CorruptDataError: the bytes are not such a file, or were changed as text.
        UnsupportedError: the major version is another one.
    """
    found = cursor.take(len(magic), "magic")
    if found != magic:
        if found[:4] == magic[:4]:
            raise CorruptDataError(f"{cursor.name}: line ends were changed, as in a text transfer")
        raise CorruptDataError(
            f"not an Intact {cursor.name}: starts with {found!r}, must start with {magic!r}"
        )
    version = cursor.u8("version")
    if version >> 4 != major:
        raise UnsupportedError(
            f"{cursor.name}: version {version >> 4}.{version & 15}; this reads {major}.x"
        )


def read_header(cursor: Cursor) -> ImageHeader:
    """Read the header; inverse of `write_header`. Its CRC comes after the payload.

    Raises:
        CorruptDataError: it is cut short, or a field is illegal.
        UnsupportedError: version, mode, depth or tile field are of a later version.
    """
    read_magic(cursor, MAGIC, MAJOR)
    model_id = cursor.take(MODEL_ID_BYTES, "model id")
    samples, level, tiling = cursor.take(3, "mode, level and tiling")
    pixel_crc = cursor.u32("CRC-32 of the pixels")
    width = cursor.varint(1, MAX_SIDE_PX, "width")
    height = cursor.varint(1, MAX_SIDE_PX, "height")
    channels, depth = samples >> 4, (samples & 15) + 1
    if channels not in (mode.value for mode in Mode):
        raise UnsupportedError(f"mode with {channels} channels; this version reads 1 .. 4")
    if depth not in SUPPORTED_DEPTHS:
        raise UnsupportedError(f"{depth} bits per sample; this version reads 8")
    if not MIN_TILE_LOG2 <= tiling <= MAX_TILE_LOG2:
        # The upper four bits are room for later features, so this is not called damage.
        raise UnsupportedError(f"tiling field is {tiling}; this version reads 4 .. 6")
    return ImageHeader(
        model_id=model_id,
        mode=Mode(channels),
        level=level,
        width=width,
        height=height,
        pixel_crc=pixel_crc,
        tile_log2=tiling,
        depth=depth,
    )


def peek(prefix: bytes) -> ImageHeader:
    """Read the header from the first `HEADER_BYTES` or more bytes of a file.

    The header is not checked against a checksum: that needs the payload. No limit on pixels is
    applied, because nothing is allocated.

    Raises:
        CorruptDataError: the header is cut short, or a field is illegal.
        UnsupportedError: the file is of a later version.
    """
    return read_header(Cursor(prefix, "image file"))


def pack_image(image: ImageFile) -> bytes:
    """Serialize an image file; inverse of `unpack_image`. The same value gives the same bytes."""
    lengths = [varint.encode(len(tile)) for tile in image.tiles]
    body = b"".join([write_header(image.header), *lengths, *image.tiles])
    return body + zlib.crc32(body).to_bytes(4, "little") + write_chunks(image.chunks)


def unpack_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Read and check a whole image file; inverse of `pack_image`.

    Args:
        data: the file.
        max_pixels: largest width * height to accept.

    Raises:
        CorruptDataError: the bytes are damaged, cut short, or have a tail.
        UnsupportedError: the file is of a later version, or larger than ``max_pixels``.
    """
    cursor = Cursor(data, "image file")
    header = read_header(cursor)
    if header.num_pixels > max_pixels:
        raise UnsupportedError(
            f"image of {header.width} x {header.height} pixels exceeds the limit of {max_pixels}"
        )
    # A tile takes at least one byte for its length and its payload's minimum.
    cursor.need(header.num_tiles * (1 + MIN_TILE_BYTES), f"{header.num_tiles} tiles")
    lengths: list[int] = []
    for _ in range(header.num_tiles):
        lengths.append(cursor.varint(MIN_TILE_BYTES, MAX_TILE_BYTES, "length of a tile"))
    cursor.need(sum(lengths), "the payload")
    tiles = tuple([cursor.take(length, "a tile") for length in lengths])
    cursor.check_crc(0, "header and payload")
    chunks = read_chunks(cursor)
    cursor.finish()
    if any(chunk.type == ALPHA for chunk in chunks) != header.mode.has_alpha:
        raise cursor.corrupt(f"mode {header.mode.name} and the alpha chunk disagree")
    return ImageFile(header, tiles, chunks)
