"""What AVIF and JPEG 2000 files say in boxes, and Pillow does not pass on: colors, EXIF, XMP.

Boxes of ISO 14496-12: a length, four letters, a body. In JPEG 2000 (ISO 15444-1, annex I) they are
the same. A file that breaks off, or whose lengths make no sense, has the boxes up to there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Final

from intact.container.limits import MAX_METADATA_BYTES
from intact.errors import UnsupportedError

_MAX_BOXES: Final = 4096
_UUID_EXIF: Final = b"JpgTiffExif->JP2"
_UUID_XMP: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_SRGB: Final = {0, 15, 16, 17, 18}
"""Enumerated color spaces that Pillow turns into gray or sRGB: bilevel, sRGB, gray, sYCC."""
_COLOR_SPACES: Final = {12: "CMYK", 14: "CIELab", 20: "e-sRGB", 21: "ROMM-RGB", 24: "e-sYCC"}


def boxes(file: IO[bytes], start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each box between two places; media data and codestreams without body."""
    for _ in range(_MAX_BOXES):
        if end is not None and start >= end:
            return
        file.seek(start)
        head = file.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        if len(head) < 8 or (size < header and size != 0) or size >= 1 << 62:
            return
        kind = head[4:8]
        if kind in (b"mdat", b"jp2c"):
            body = b""
        else:
            file.seek(start + header)
            body = file.read(min(size - header if size else MAX_METADATA_BYTES, MAX_METADATA_BYTES))
        yield kind, body
        if size == 0:  # up to the end of the file
            return
        start += size


def _inside(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    return boxes(io.BytesIO(body), 0, len(body))


def avif_code_points(file: IO[bytes]) -> tuple[int, int] | None:
    """Primaries and transfer of an AVIF's picture, by H.273, where a colr box says them.

    Pillow applies the matrix and the range. Properties belong to items: the picture is the primary
    one, alpha and gain maps are others.
    """
    for kind, body in boxes(file):
        if kind == b"meta":
            return _nclx(_primary_properties(body[4:]))
    return None


def _nclx(properties: list[tuple[bytes, bytes]]) -> tuple[int, int] | None:
    for kind, body in properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 10:
            return int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big")
    return None


def _primary_properties(meta: bytes) -> list[tuple[bytes, bytes]]:
    """The properties of the primary item (boxes pitm, ipco, ipma)."""
    primary, properties, associations = 0, list[tuple[bytes, bytes]](), b""
    for kind, body in _inside(meta):
        if kind == b"pitm":
            primary = int.from_bytes(body[4:6] if body[:1] == b"\0" else body[4:8], "big")
        elif kind == b"iprp":
            for inner, content in _inside(body):
                if inner == b"ipco":
                    properties = list(_inside(content))
                elif inner == b"ipma":
                    associations = content
    indexes = _associated(associations, primary)
    return [properties[i - 1] for i in indexes if 0 < i <= len(properties)]


def _associated(ipma: bytes, item: int) -> list[int]:
    """Which properties an item has, counted from 1."""
    stream = io.BytesIO(ipma)
    version, flags = int.from_bytes(stream.read(1), "big"), int.from_bytes(stream.read(3), "big")
    width = 2 if flags & 1 else 1
    for _ in range(min(int.from_bytes(stream.read(4), "big"), _MAX_BOXES)):
        found = int.from_bytes(stream.read(4 if version else 2), "big")
        count = int.from_bytes(stream.read(1), "big")
        listed = stream.read(count * width)
        if found == item:
            top = 1 << 8 * width - 1  # the highest bit says that it is essential
            parts = (listed[i : i + width] for i in range(0, len(listed), width))
            return [int.from_bytes(part, "big") & top - 1 for part in parts]
    return []


def jpeg2000(file: IO[bytes]) -> dict[str, bytes]:
    """What a JP2 file holds beside its codestream: "icc_profile", "exif", "xmp".

    Raises:
        UnsupportedError: its colors are none that Pillow reads, or alpha is multiplied in.
    """
    found: dict[str, bytes] = {}
    for kind, body in boxes(file):
        if kind == b"jp2h":
            found.update(_jp2_header(body))
        elif kind == b"uuid" and body[:16] in (_UUID_EXIF, _UUID_XMP):
            found["exif" if body[:16] == _UUID_EXIF else "xmp"] = body[16:]
    return found


def _jp2_header(header: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    known = False
    for kind, body in _inside(header):
        if kind == b"cdef" and 2 in _channel_types(body):
            raise UnsupportedError("JPEG 2000 with premultiplied alpha; convert it first")
        if kind != b"colr" or known or len(body) < 3:  # the first that is understood counts
            continue
        if body[0] in (2, 3):
            found["icc_profile"] = body[3:]
            known = True
        elif body[0] == 1:
            number = int.from_bytes(body[3:7], "big")
            if number not in _SRGB:
                name = _COLOR_SPACES.get(number, f"color space {number}")
                raise UnsupportedError(f"JPEG 2000 with {name}; convert it to RGB first")
            known = True
    return found


def _channel_types(cdef: bytes) -> list[int]:
    """0 is color, 1 alpha, 2 alpha that is multiplied in."""
    return [int.from_bytes(cdef[at + 2 : at + 4], "big") for at in range(2, len(cdef) - 5, 6)]
