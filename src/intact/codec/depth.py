"""Bits of a sample in files of other formats, which Pillow does not tell and may cut."""

from __future__ import annotations

from typing import Any

from intact.errors import UnsupportedError


def refuse_deep(image: Any) -> None:
    """Refuse a Pillow image that would lose bits on loading.

    Pillow has no mode for color of more than 8 bits: it says RGB and drops the rest, or reads
    planes of 16 bits as if they had 8. Until the pixels are loaded the file tells; afterwards
    nothing does.

    Raises:
        UnsupportedError: samples of more than 8 bits, signed ones in a TIFF (which Pillow takes for
            others), or of less in JPEG 2000 (which Pillow does not stretch: white would be gray).
    """
    bits = _sample_bits(image)
    if bits > 8:
        raise UnsupportedError(
            f"samples of {bits} bits: only 8-bit gray, RGB and alpha are coded; convert it first"
        )
    if bits < 8 and image.format == "JPEG2000":
        raise UnsupportedError(f"JPEG 2000 with samples of {bits} bits; convert it to 8 first")
    kinds = image.tag_v2.get(339, (1,)) if getattr(image, "tag_v2", None) else (1,)
    if 2 in (kinds if isinstance(kinds, tuple) else (kinds,)):  # SampleFormat
        raise UnsupportedError("signed samples; convert it to 8 bits without sign first")


def _sample_bits(image: Any) -> int:
    """Most bits of a sample in an image file, as its format says it; 8 where it says nothing.

    In JPEG 2000 the fewest, if any has less than 8.
    """
    tiles = getattr(image, "tile", ())
    if not tiles:  # loaded, or never a file
        return 8
    codec, arguments = str(tiles[0][0]), tiles[0][3]
    kind = getattr(image, "format", None)
    if kind == "PNG":
        return 16 if ";16" in str(arguments) else 8
    if kind == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # BitsPerSample
        return max(map(int, bits if isinstance(bits, tuple) else (bits,)), default=8)
    if kind == "PPM":
        most = arguments[1] if isinstance(arguments, tuple) and len(arguments) > 1 else 255
        return int(most).bit_length() if isinstance(most, int) else 8
    if kind == "SGI":
        return 16 if codec == "SGI16" or ";16" in str(arguments) else 8
    if kind in ("JPEG2000", "AVIF"):
        position = image.fp.tell()
        image.fp.seek(0)
        head = image.fp.read(HEAD_BYTES)
        image.fp.seek(position)
        return _jpeg2000_bits(head) if kind == "JPEG2000" else _avif_bits(head)
    return 8


HEAD_BYTES = 1 << 16
"""Where JPEG 2000 and AVIF say their depth: ihdr comes first, and a codestream begins with SIZ."""


def _jpeg2000_bits(head: bytes) -> int:
    """Bits of a component: ISO 15444-1, boxes ihdr and bpcc (I.5.3), or SIZ (A.5.1)."""
    box, siz = head.find(b"ihdr"), head.find(b"\xff\x4f\xff\x51")
    if 0 <= box < len(head) - 14 and head[box + 14] != 255:
        depths = head[box + 14 : box + 15]
    elif box >= 0 and (bpcc := head.find(b"bpcc")) >= 0:
        depths = head[bpcc + 4 : bpcc + 4 + int.from_bytes(head[box + 12 : box + 14], "big")]
    elif siz >= 0:
        depths = head[
            siz + 42 : siz + 42 + 3 * int.from_bytes(head[siz + 40 : siz + 42], "big") : 3
        ]
    else:
        depths = b""
    bits = [(depth & 0x7F) + 1 for depth in depths] or [8]
    return max(bits) if max(bits) > 8 else min(bits)


def _avif_bits(head: bytes) -> int:
    """Most bits by the boxes av1C: high_bitdepth and twelve_bit (AV1 in ISOBMFF, 2.3.3).

    There are several: alpha is an image of its own.
    """
    found, at = 8, head.find(b"av1C")
    while 0 <= at < len(head) - 6:
        flags = head[at + 6]
        found = max(found, 8 if not flags & 0x40 else 12 if flags & 0x20 else 10)
        at = head.find(b"av1C", at + 4)
    return found
