"""The image file: a header, the tiles' payloads, optional chunks. Bytes in, value out.

Strategy: one pass over a `Cursor`. The header says how many tiles there are, the table of their
lengths says where each lies, and both are compared with the bytes at hand before any list is
made. Nothing here decodes a payload or knows what a model is. docs/spec/container.md is
normative.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final

from intact.bits import varint
from intact.container.chunks import ALPHA, Chunk, check_order, read_chunks, write_chunks
from intact.container.cursor import Cursor
from intact.container.header import (
    HEADER_BYTES as HEADER_BYTES,
    MAGIC as MAGIC,
    MAJOR as MAJOR,
    ImageHeader as ImageHeader,
    Layers,
    Mode as Mode,
    Profile as Profile,
    check_pixels as check_pixels,
    lacks,
    peek as peek,
    read_header,
    write_header as write_header,
)
from intact.container.limits import MAX_PIXELS, MAX_TILE_BYTES, MIN_TILE_BYTES
from intact.errors import UnsupportedError

TILE_MODES: Final = ("lossy", "raw", "palette", "exact")
"""How a tile may be coded; this version decodes the first."""


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


def pack_image(image: ImageFile) -> bytes:
    """Serialize an image file; inverse of `unpack_image`. The same value gives the same bytes."""
    lengths = [varint.encode(len(tile)) for tile in image.tiles]
    body = b"".join([write_header(image.header), *lengths, *image.tiles])
    return body + zlib.crc32(body).to_bytes(4, "little") + write_chunks(image.chunks)


def unpack_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Read and check a whole image file; inverse of `pack_image`.

    Args:
        data: the file.
        max_pixels: see `check_pixels`.

    Raises:
        CorruptDataError: the bytes are damaged, cut short, or have a tail.
        UnsupportedError: the file is of a later version, or larger than ``max_pixels``.
    """
    cursor = Cursor(data, "image file")
    header, layers = read_header(cursor)
    check_pixels(header, max_pixels)
    if layers.tile_modes or layers.preview_bytes:
        raise _beyond(cursor, header, layers)
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


def _beyond(cursor: Cursor, header: ImageHeader, layers: Layers) -> UnsupportedError:
    """The error that names what a file has beyond this version; its payloads are passed over.

    Raises:
        CorruptDataError: they are damaged, or it has nothing beyond: one fact has one spelling.
    """
    each = 3 if layers.tile_modes else 1 + MIN_TILE_BYTES
    cursor.need(header.num_tiles * each, f"{header.num_tiles} tiles")
    found: set[int] = set()
    total = layers.preview_bytes
    for _ in range(header.num_tiles):
        mode = cursor.u8("mode of a tile") if layers.tile_modes else 0
        found.add(mode)
        least = 1 if mode else MIN_TILE_BYTES
        total += cursor.varint(least, MAX_TILE_BYTES, "length of a tile")
    cursor.take(total, "the payload")
    cursor.check_crc(0, "header and payload")
    if layers.tile_modes and found == {0}:
        raise cursor.corrupt("tiles have modes, but all are lossy: then there must be none")
    named = [TILE_MODES[mode] if mode < 4 else f"mode {mode}" for mode in sorted(found - {0})]
    parts = [f"a preview of {layers.preview_bytes} bytes"] if layers.preview_bytes else []
    parts += [f"{' and '.join(named)} tiles"] if named else []
    return lacks(" and ".join(parts))
