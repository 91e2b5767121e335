"""What a PNG says in chunks that Pillow does not pass on, or passes on in other units.

PNG, third edition: what tells colors stands before the pixels, and cICP goes before iCCP, iCCP
before sRGB, sRGB before gAMA and cHRM.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

from intact.codec.icc import SRGB, Colors

_WANTED: Final = {b"IHDR": 13, b"tRNS": 6, b"cICP": 4}
_HDR: Final = (b"mDCV", b"cLLI", b"mDCv", b"cLLi")
_MAX_CHUNKS: Final = 1 << 16
SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_IHDR_END: Final = 33
_SRGB_GAMMA: Final = (0.45454, 0.45455, 0.45456)
"""gAMA beside sRGB: 1 / 2.2 stands for its curve (11.3.2.5)."""


@dataclass
class Chunks:
    """The chunks in front of the pixels.

    Attributes:
        data: of the small ones that are wanted.
        hdr: names of those that describe a display for HDR.
        has_profile: whether there is iCCP, readable or not.
    """

    data: dict[bytes, bytes] = field(default_factory=dict)
    hdr: list[str] = field(default_factory=list)
    has_profile: bool = False


def read_chunks(file: IO[bytes]) -> Chunks:
    """Walk the chunks up to the pixels. Of a damaged file those that make sense."""
    found, position = Chunks(), len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        kind, size = head[4:], int.from_bytes(head[:4], "big")
        if len(head) < 8 or kind in (b"IDAT", b"IEND"):
            break
        if kind in _WANTED and size <= 256:
            data = file.read(size)
            if int.from_bytes(file.read(4), "big") == zlib.crc32(kind + data):
                found.data.setdefault(kind, data)
        elif kind in _HDR:
            found.hdr.append(kind.decode("ascii"))
        found.has_profile |= kind == b"iCCP"
        position += 12 + size
    return found


def transparent_color(chunks: Chunks) -> tuple[int, ...] | None:
    """The color that is transparent, in units of 8 bits: one number for gray, three for RGB.

    Of each number only as many bits count as a sample has (11.3.1.1); samples of fewer than 8 bits
    are stretched when they are read, so this is, too. Pillow does neither.
    """
    header, color = chunks.data.get(b"IHDR", b""), chunks.data.get(b"tRNS")
    if len(header) != 13 or color is None:
        return None
    bits, kind = header[8], header[9]
    channels = {0: 1, 2: 3}.get(kind, 0)
    if not channels or bits not in (1, 2, 4, 8) or len(color) < 2 * channels:
        return None
    top = (1 << bits) - 1
    values = struct.unpack(f">{channels}H", color[: 2 * channels])
    return tuple((value & top) * 255 // top for value in values)


def colors(info: Mapping[str, Any]) -> Colors | None:
    """What gAMA and cHRM say, as Pillow has them in ``info``; None where they say nothing new."""
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or (gamma is None and points is None):
        return None
    if gamma is not None and gamma <= 0:  # forbidden: as if it were not there
        gamma = None
    if gamma in _SRGB_GAMMA:
        gamma = None
    names = [*(["gAMA"] if gamma else []), *(["cHRM"] if points else [])]
    found = Colors(" and ".join(names), points or SRGB, 1 / gamma if gamma else None)
    return None if found.is_srgb else found


def raw_profiles(info: Mapping[str, Any]) -> dict[str, bytes]:
    """EXIF and XMP that ImageMagick wrote as text: a name, a length, and hexadecimal digits."""
    found = {}
    for key, names in {"exif": ("exif", "APP1"), "xmp": ("xmp",)}.items():
        for name in names:
            text = info.get(f"Raw profile type {name}")
            if not isinstance(text, str):
                continue
            try:
                data = binascii.unhexlify("".join(text.split("\n")[3:]).replace(" ", ""))
            except ValueError:
                continue
            if key == "xmp" or data.startswith((b"Exif\0\0", b"II*\0", b"MM\0*")):
                found.setdefault(key, data)
    return found


def insert_code_points(data: bytes, code_points: bytes) -> bytes:
    """A PNG with a chunk cICP behind its header."""
    chunk = b"cICP" + code_points
    chunk = struct.pack(">I", len(code_points)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:_IHDR_END] + chunk + data[_IHDR_END:]
