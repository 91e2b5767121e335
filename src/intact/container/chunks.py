"""Optional parts of an image file: four letters, a length, the data, a CRC-32.

Rule 1: what a reader must understand to show the right picture has a type whose first letter is
uppercase (critical); everything else starts lowercase (ancillary). A reader that does not know a
critical chunk refuses the file, and passes over an ancillary one, as in PNG.
Rule 2: types ascend strictly. So no type comes twice, critical chunks come first, and a set of
chunks has one spelling.
Rule 3: the data is opaque here. This file never parses EXIF, ICC or XMP; of the numbers in `cicp`
and `gama` it checks those whose range the format fixes, as one fact has one spelling.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.container.limits import (
    MAX_ALPHA_BYTES,
    MAX_CHUNKS,
    MAX_METADATA_BYTES,
    MAX_MODEL_FILE_BYTES,
)
from intact.errors import UnsupportedError

ALPHA: Final = "ALPH"
"""The coded alpha plane; critical: without it the picture is another one."""
CICP: Final = "cicp"
"""Four bytes of ITU-T H.273, as in PNG: color primaries, transfer characteristics, matrix
coefficients (0: the pixels are RGB or gray), full range (0 or 1)."""
EXIF: Final = "exif"
"""EXIF, starting at its TIFF header (II or MM), without a leading `EXIF_PREFIX`."""
EXIF_PREFIX: Final = b"Exif\0\0"
"""What JPEG has before it, and Pillow with it; not part of the TIFF structure."""
GAMMA: Final = "gama"
"""Gamma as in PNG's gAMA: 100,000 times the exponent, four bytes, not 0."""
ICC: Final = "iccp"
"""An ICC profile, not compressed."""
MODEL: Final = "modl"
"""A whole model file. Ancillary: a reader that has the model by its id needs no copy, and one
that has neither says that the model is missing; no reader can show a wrong picture."""
XMP: Final = "xmpd"
"""An XMP packet, UTF-8."""

KNOWN: Final = {
    ALPHA: MAX_ALPHA_BYTES,
    CICP: 4,
    EXIF: MAX_METADATA_BYTES,
    GAMMA: 4,
    ICC: MAX_METADATA_BYTES,
    MODEL: MAX_MODEL_FILE_BYTES,
    XMP: MAX_METADATA_BYTES,
}
"""Chunk types and the most bytes of data of each."""

END: Final = 0
"""Stands where a chunk's first letter could: nothing follows."""


def _is_letter(byte: int) -> bool:
    """Whether ``byte`` is an ASCII letter."""
    return 65 <= byte & 0xDF <= 90  # bit 5 is the case


def is_code_points(data: bytes) -> bool:
    """Whether bytes are what `CICP` holds."""
    return len(data) == 4 and data[2] == 0 and data[3] <= 1


def _fault(type: str, data: bytes) -> str:
    """What is wrong with the data of a chunk that is not opaque, or ""."""
    if type not in (CICP, GAMMA) or (type == CICP and is_code_points(data)):
        return ""
    if len(data) != 4:
        return f"chunk {type!r} has {len(data)} bytes, must have 4"
    if type == GAMMA:
        return "" if any(data) else f"chunk {type!r} is 0, must not be"
    return f"chunk {type!r} is {list(data)}: the third must be 0, the fourth 0 or 1"


@dataclass(frozen=True)
class Chunk:
    """One optional part: ``type`` is four ASCII letters, ``data`` opaque bytes.

    Raises:
        ValueError: the type is not four letters, or is critical and unknown, or the data exceeds
            the limit of its type, or breaks the rule of `CICP` or `GAMMA`.
    """

    type: str
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.type) != 4 or not (self.type.isascii() and self.type.isalpha()):
            raise ValueError(f"chunk type must be four ASCII letters, is {self.type!r}")
        if self.is_critical and self.type not in KNOWN:
            raise ValueError(f"unknown critical chunk {self.type!r}: no reader could use the file")
        limit = KNOWN.get(self.type, MAX_METADATA_BYTES)
        if len(self.data) > limit:
            raise ValueError(f"chunk {self.type!r} has {len(self.data)} bytes, at most {limit}")
        if fault := _fault(self.type, self.data):
            raise ValueError(fault)

    @property
    def is_critical(self) -> bool:
        """Whether a reader that does not know the type must refuse the file."""
        return self.type[0].isupper()


def check_order(chunks: Sequence[Chunk]) -> None:
    """Check that types ascend strictly and that there are at most `MAX_CHUNKS`.

    Raises:
        ValueError: they do not, or there are more.
    """
    types = [chunk.type for chunk in chunks]
    if len(types) > MAX_CHUNKS:
        raise ValueError(f"{len(types)} chunks, at most {MAX_CHUNKS}")
    if any(left >= right for left, right in pairwise(types)):
        raise ValueError(f"chunk types must ascend and differ, are {types}")


def write_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Serialize ``chunks`` and the end marker; inverse of `read_chunks`.

    Raises:
        ValueError: the types do not ascend strictly.
    """
    check_order(chunks)
    parts: list[bytes] = []
    for chunk in chunks:
        head = chunk.type.encode("ascii") + varint.encode(len(chunk.data))
        crc = zlib.crc32(chunk.data, zlib.crc32(head))
        parts += [head, chunk.data, crc.to_bytes(4, "little")]
    parts.append(bytes([END]))
    return b"".join(parts)


def read_chunks(cursor: Cursor) -> tuple[Chunk, ...]:
    """Read chunks up to and including the end marker; inverse of `write_chunks`.

    Unknown ancillary chunks are checked like the others and kept, not interpreted, so that a
    tool that changes one piece of metadata loses none of the rest.

    Raises:
        CorruptDataError: a chunk is cut short, damaged, too large (whatever its type), repeated,
            out of order, or breaks the rule of `CICP` or `GAMMA`.
        UnsupportedError: a critical chunk is unknown.
    """
    chunks: list[Chunk] = []
    while True:
        start = cursor.position
        if cursor.u8("the end marker or a chunk") == END:
            return tuple(chunks)
        cursor.position = start
        letters = cursor.take(4, "chunk type")
        if not all(_is_letter(byte) for byte in letters):
            raise cursor.corrupt(f"chunk type must be four ASCII letters, is {letters!r}")
        name = letters.decode("ascii")
        if chunks and name <= chunks[-1].type:
            raise cursor.corrupt(f"chunk {name!r} after {chunks[-1].type!r}: types must ascend")
        if len(chunks) == MAX_CHUNKS:
            raise cursor.corrupt(f"more than {MAX_CHUNKS} chunks")
        limit = KNOWN.get(name, MAX_METADATA_BYTES)
        size = cursor.varint(0, limit, f"length of chunk {name!r}")
        data = cursor.take(size, f"chunk {name!r}")
        cursor.check_crc(start, f"chunk {name!r}")
        if name[0].isupper() and name not in KNOWN:
            # After the CRC, so that damage is not mistaken for a newer version's file.
            raise UnsupportedError(f"critical chunk {name!r} is not known to this version")
        if fault := _fault(name, data):
            raise cursor.corrupt(fault)
        chunks.append(Chunk(name, data))
