"""Files of other formats as cameras and programs write them and Pillow does not, byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageCms

from tiny_model import picture

ORDERS = {"<": b"II", ">": b"MM"}
MAKER = b"Maker\0" + bytes(range(90))
THUMBNAIL = b"\xff\xd8 a thumbnail \xff\xd9"


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """A small picture as Pillow writes it."""
    stream = io.BytesIO()
    (image or Image.fromarray(picture(24, 40))).save(stream, kind, **options)
    return stream.getvalue()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# ---------------------------------------------------------------- EXIF

Entry = tuple[int, int, int, bytes]
"""Tag, type, count, values."""


def short(order: str, *values: int) -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def long(order: str, *values: int) -> bytes:
    return struct.pack(f"{order}{len(values)}I", *values)


def directory(order: str, at: int, entries: list[Entry], following: int = 0) -> bytes:
    """A directory that stands at a place of the structure, its values behind it."""
    values = at + 2 + 12 * len(entries) + 4
    head, behind = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, count, data in entries:
        place = data.ljust(4, b"\0") if len(data) <= 4 else long(order, values + len(behind))
        head += struct.pack(f"{order}HHI", tag, kind, count) + place
        behind += data + bytes(len(data) % 2) if len(data) > 4 else b""
    return head + long(order, following) + behind


def camera_exif(order: str = "<", orientation: int = 6, more: list[Entry] | None = None) -> bytes:
    """EXIF as a camera writes it: five directories, a maker's note, a thumbnail."""
    rational = lambda *v: long(order, *v)  # noqa: E731
    out = ORDERS[order] + struct.pack(f"{order}HI", 42, 8)
    first: list[Entry] = [
        (256, 4, 1, long(order, 4000)),
        (257, 4, 1, long(order, 3000)),
        (271, 2, 7, b"Camera\0"),
        (272, 2, 9, b"Model 70\0"),
        (274, 3, 1, short(order, orientation)),
        (282, 5, 1, rational(300, 1)),
        (283, 5, 1, rational(300, 1)),
        (296, 3, 1, short(order, 2)),
        (306, 2, 20, b"2020:01:01 00:00:00\0"),
        (531, 3, 1, short(order, 2)),
        (33432, 2, 11, b"(c) nobody\0"),
        *(more or []),
        (34665, 4, 1, bytes(4)),
        (34853, 4, 1, bytes(4)),
    ]
    first.sort()
    size = len(directory(order, 8, first))
    gps = directory(
        order,
        exif_at := 8 + size,
        [
            (0, 1, 4, bytes([2, 3, 0, 0])),
            (1, 2, 2, b"N\0"),
            (2, 5, 3, rational(52, 1, 30, 1, 0, 1)),
            (3, 2, 2, b"E\0"),
            (4, 5, 3, rational(13, 1, 24, 1, 0, 0)),  # 0/0, as cameras write what they do not know
        ],
    )
    gps_at, exif_at = exif_at, exif_at + len(gps)
    inner: list[Entry] = [
        (33434, 5, 1, rational(1, 125)),
        (36867, 2, 20, b"2020:01:01 00:00:00\0"),
        (37500, 7, len(MAKER), MAKER),
        (40961, 3, 1, short(order, 1)),
        (40962, 4, 1, long(order, 4000)),
        (40965, 4, 1, bytes(4)),
    ]
    interoperability_at = exif_at + len(directory(order, exif_at, inner))
    inner[-1] = (40965, 4, 1, long(order, interoperability_at))
    interoperability = directory(
        order, interoperability_at, [(1, 2, 4, b"R98\0"), (2, 7, 4, b"0100")]
    )
    thumbnail_at = interoperability_at + len(interoperability)
    entries: list[Entry] = [
        (259, 3, 1, short(order, 6)),
        (513, 4, 1, long(order, thumbnail_at + 42)),
        (514, 4, 1, long(order, len(THUMBNAIL))),
    ]
    thumbnail = directory(order, thumbnail_at, entries)
    first = [
        (tag, kind, count, {34665: long(order, exif_at), 34853: long(order, gps_at)}.get(tag, data))
        for tag, kind, count, data in first
    ]
    out += directory(order, 8, first, following=thumbnail_at) + gps
    return out + directory(order, exif_at, inner) + interoperability + thumbnail + THUMBNAIL


def adobe_rgb_exif() -> bytes:
    """EXIF of a camera that says Adobe RGB by DCF, and nothing by a profile."""
    return camera_exif(orientation=1).replace(b"R98\0", b"R03\0")


# ---------------------------------------------------------------- PNG


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_with(*chunks: tuple[bytes, bytes], image: Image.Image | None = None) -> bytes:
    """A PNG with these chunks behind its header."""
    data = saved("PNG", image)
    return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]


def gray_png(bits: int, samples: list[list[int]], transparent: int) -> bytes:
    """A gray PNG of few bits, with a transparent value."""
    rows = b""
    for row in samples:
        number = 0
        for sample in row:
            number = number << bits | sample
        rows += b"\0" + number.to_bytes(len(row) * bits // 8, "big")
    header = struct.pack(">IIBBBBB", len(samples[0]), len(samples), bits, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", struct.pack(">H", transparent))]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chromaticities(*values: float) -> bytes:
    return struct.pack(">8I", *(round(v * 100000) for v in values))


# ---------------------------------------------------------------- others


def avif_with(primaries: int, transfer: int) -> bytes:
    """An AVIF whose box nclx says these colors."""
    data = bytearray(saved("AVIF"))
    at = data.find(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def jp2_with(colr: bytes, *, inside: bytes = b"", behind: bytes = b"") -> bytes:
    """A JPEG 2000 file with another color box, and more boxes in its header and at its end."""
    data = saved("JPEG2000")
    header = data.find(b"jp2h") - 4
    size = int.from_bytes(data[header : header + 4], "big")
    colr_at = data.find(b"colr") - 4
    old = int.from_bytes(data[colr_at : colr_at + 4], "big")
    body = data[header + 8 : colr_at] + box(b"colr", colr) + inside
    body += data[colr_at + old : header + size]
    return data[:header] + box(b"jp2h", body) + data[header + size :] + behind


def bmp_with(space: bytes, *, ends: tuple[float, ...] = (0.0,) * 9, gamma: float = 0.0,
             profile: bytes = b"") -> bytes:  # fmt: skip
    """A BMP of version 5 that says its colors."""
    data = saved("BMP")
    old = data[14:54]
    pixels = data[54:]
    header = struct.pack("<I", 124) + old[4:40] + bytes(16) + space
    header += struct.pack("<9i", *(round(v * (1 << 30)) for v in ends))
    header += struct.pack("<3I", *[round(gamma * 65536)] * 3)
    header += struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    offset = 14 + len(header)
    start = struct.pack("<2sIHHI", b"BM", offset + len(pixels) + len(profile), 0, 0, offset)
    return start + header + pixels + profile


def gif_with(name: bytes, data: bytes, *, blocks: bool = True) -> bytes:
    """A GIF with an application extension in front of its picture."""
    gif = saved("GIF")
    start = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)
    if blocks:
        parts = [data[i : i + 255] for i in range(0, len(data), 255)]
        data = b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    extension = b"!\xff" + bytes([len(name)]) + name + data
    return gif[:start] + extension + gif[start:]


def qoi(colorspace: int) -> bytes:
    """A QOI of one red pixel."""
    end = bytes(7) + b"\1"
    return b"qoif" + struct.pack(">IIBB", 1, 1, 3, colorspace) + b"\xfe\xff\0\0" + end


def retagged(tiff: bytes, tag: int, kind: int, values: bytes) -> bytes:
    """An uncompressed little-endian TIFF of Pillow's with one more tag, or another value of one."""
    start = int.from_bytes(tiff[4:8], "little")
    count = int.from_bytes(tiff[start : start + 2], "little")
    entries = [tiff[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries = [entry for entry in entries if int.from_bytes(entry[:2], "little") != tag]
    size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4}[kind]
    place = values.ljust(4, b"\0")
    out = tiff + bytes(len(tiff) % 2)
    if len(values) > 4:
        place = long("<", len(out))
        out += values + bytes(len(values) % 2)
    entries.append(struct.pack("<HHI", tag, kind, len(values) // size) + place)
    entries.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    body = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return out[:4] + long("<", len(out)) + out[8:] + body
