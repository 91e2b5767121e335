"""Writing TIFF: our own layout of the pixels, and what EXIF says of the picture.

EXIF is a TIFF structure itself. So the file begins with the EXIF as it is, byte for byte: whatever
its directories point to stays where it was, also inside makers' notes, which nobody can move. Only
the first directory is written anew, behind the pixels: the layout of these pixels, and of the tags
that EXIF has there those that describe the picture. How EXIF said that its pixels were stored, and
a thumbnail, are left out.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from intact.codec import exif as ex

STRIP_BYTES: Final = 1 << 18
"""Pixels are deflated in strips of about so many bytes, so that readers need not hold all."""
_ICC: Final = 34675
_DESCRIPTIVE: Final = {
    *ex.DESCRIPTIVE, *ex.RESOLUTION, ex.ORIENTATION, ex.EXIF_DIRECTORY, ex.GPS_DIRECTORY,
}  # fmt: skip


@dataclass(frozen=True)
class Tiff:
    """A file, and the tags of the EXIF's first directory that are lost."""

    data: bytes
    left_out: tuple[int, ...]


def write_tiff(
    pixels: np.ndarray, *, exif: bytes = b"", icc_profile: bytes = b"", xmp: bytes = b""
) -> Tiff:
    """Write a TIFF, deflated.

    Args:
        pixels: uint8 [h, w] or [h, w, 2..4]; a second or fourth channel is alpha.
        exif: from its TIFF header on.
        icc_profile: or b"".
        xmp: or b"".

    Raises:
        ValueError: ``exif`` is no TIFF structure, or the file would have more than 2^32 bytes.
    """
    structure = ex.Structure(io.BytesIO(exif)) if exif else None
    order = structure.order if structure else "<"
    out = bytearray(exif or b"II*\0\0\0\0\0")
    directory, left_out = _described(structure, len(exif)) if structure else ({}, ())

    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    samples = pixels.reshape(height, width * channels)
    rows = min(height, max(1, STRIP_BYTES // (width * channels)))
    places, sizes = [], []
    for top in range(0, height, rows):
        strip = _differences(samples[top : top + rows], channels)
        places.append(_append(out, zlib.compress(strip.tobytes(), 6)))
        sizes.append(len(out) - places[-1])
    layout: list[tuple[int, str, list[int] | bytes]] = [
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [8] * channels),
        (259, "H", [8]),  # deflate
        (262, "H", [2 if channels > 2 else 1]),  # RGB, or gray from black on
        (273, "I", places),
        (277, "H", [channels]),
        (278, "I", [rows]),
        (279, "I", sizes),
        (284, "H", [1]),  # channels interleaved
        (317, "H", [2]),  # differences along rows
    ]
    if channels in (2, 4):
        layout.append((338, "H", [2]))  # alpha that is not multiplied in
    if xmp:
        layout.append((ex.XMP, "B", xmp))
    if icc_profile:
        layout.append((_ICC, "B", icc_profile))
    for tag, form, values in layout:
        directory[tag] = _entry(out, order, tag, form, values)
    start = _append(out, struct.pack(f"{order}H", len(directory)))
    out += b"".join(directory[tag] for tag in sorted(directory)) + bytes(4)
    if len(out) >= 1 << 32:
        raise ValueError(f"{len(out)} bytes, a TIFF has less than 2^32")
    out[4:8] = struct.pack(f"{order}I", start)
    return Tiff(bytes(out), left_out)


def _described(structure: ex.Structure, size: int) -> tuple[dict[int, bytes], tuple[int, ...]]:
    """The entries of the first directory that go over, as they are, and the tags of the others."""
    kept: dict[int, bytes] = {}
    left_out: list[int] = []
    for entry in structure.entries(structure.first, _DESCRIPTIVE):
        if entry.tag in (ex.EXIF_DIRECTORY, ex.GPS_DIRECTORY):
            place = structure.pointer(entry)
            good = place is not None and place + 2 <= size
        elif entry.tag == ex.ORIENTATION:
            good = structure.short(entry) in range(1, 9)
        elif entry.tag in ex.RESOLUTION:
            good = entry.data is not None and entry.count == 1
        else:
            good = entry.data is not None
        if good:
            kept[entry.tag] = entry.raw
        elif entry.tag not in ex.STORAGE and entry.count:
            left_out.append(entry.tag)
    return kept, tuple(left_out)


def _differences(samples: np.ndarray, channels: int) -> np.ndarray:
    """Each sample minus the one of its channel to the left, modulo 256."""
    out = samples.copy()
    out[:, channels:] -= samples[:, :-channels]
    return out


def _append(out: bytearray, data: bytes) -> int:
    """Add data at an even place; the place."""
    out += bytes(len(out) % 2)
    place = len(out)
    out += data
    return place


def _entry(out: bytearray, order: str, tag: int, form: str, values: list[int] | bytes) -> bytes:
    """An entry of a directory; values of more than four bytes are added to the file."""
    kind = {"B": 1, "H": 3, "I": 4}[form]
    if tag == _ICC:
        kind = 7  # undefined
    data = bytes(values) if form == "B" else struct.pack(f"{order}{len(values)}{form}", *values)
    if len(data) > 4:
        value = struct.pack(f"{order}I", _append(out, data))
    else:
        value = data.ljust(4, b"\0")
    return struct.pack(f"{order}HHI", tag, kind, len(values)) + value
