"""Pixels in, pixels out: what images are accepted, padding, the alpha plane."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from intact.container.chunks import EXIF_PREFIX
from intact.container.image_file import Mode
from intact.errors import CorruptDataError, UnsupportedError

_DIRECT = {"L", "LA", "RGB", "RGBA"}
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB", "La": "LA",
              "RGBa": "RGBA", "HSV": "RGB", "LAB": "RGB"}  # fmt: skip
_OTHER_COLORS = {"YCbCr", "HSV", "LAB"}


@dataclass(frozen=True)
class Source:
    """An image to encode.

    Attributes:
        color: uint8 [h, w, 3] or [h, w, 1].
        alpha: uint8 [h, w], or None.
        mode: of the file.
        note: what was converted, or "".
        metadata: "exif", "icc_profile" and "xmp" as found in the image.
    """

    color: np.ndarray
    alpha: np.ndarray | None
    mode: Mode
    note: str
    metadata: dict[str, bytes]


def from_image(image: Any) -> Source:
    """Take an array or a Pillow image apart.

    Args:
        image: uint8 [h, w], [h, w, 1..4], or a Pillow image.

    Raises:
        UnsupportedError: 16-bit, floating-point and CMYK images.
        ValueError: an array of another shape, or an empty one.
    """
    note, metadata = "", {}
    # Pillow is recognized by what it offers: below the line nothing imports it.
    if hasattr(image, "getbands") and hasattr(image, "convert"):
        refuse_deep(image)
        image.load()  # PNG may carry metadata behind the pixels
        metadata = _metadata(image)
        mode = image.mode
        # A palette may carry alpha itself, without the key; only newer Pillows say so.
        transparent = getattr(image, "has_transparency_data", "transparency" in image.info)
        if mode in _CONVERTED:
            wanted = _CONVERTED[mode]
            if transparent:
                wanted = {"P": "RGBA", "1": "LA"}.get(mode, wanted)
            image = image.convert(wanted)
            note = f"converted from {mode} to {wanted}"
            if mode in _OTHER_COLORS:  # a profile of Lab says nothing about RGB
                metadata.pop("icc_profile", None)
        elif mode not in _DIRECT:
            raise UnsupportedError(
                f"image mode {mode}: only 8-bit gray, RGB and alpha are coded; convert it first"
            )
        elif transparent and mode in ("L", "RGB"):
            wanted = "LA" if mode == "L" else "RGBA"
            image = image.convert(wanted)
            note = f"converted from {mode} with a transparent color to {wanted}"
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise UnsupportedError(f"pixels are {array.dtype}: only 8-bit images (uint8) are coded")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise ValueError(f"pixels have the shape {array.shape}, wanted [h, w] or [h, w, 1..4]")
    mode = Mode(array.shape[2])
    alpha = np.ascontiguousarray(array[:, :, -1]) if mode.has_alpha else None
    return Source(array[:, :, : mode.color_channels], alpha, mode, note, metadata)


def refuse_deep(image: Any) -> None:
    """Refuse a Pillow image that would lose bits on loading.

    Pillow has no mode for color of more than 8 bits: it says RGB and drops the rest, or reads
    planes of 16 bits as if they had 8. Until the pixels are loaded the file tells; afterwards
    nothing does.

    Raises:
        UnsupportedError: samples of more than 8 bits.
    """
    bits = _sample_bits(image)
    if bits > 8:
        raise UnsupportedError(
            f"samples of {bits} bits: only 8-bit gray, RGB and alpha are coded; convert it first"
        )


def _sample_bits(image: Any) -> int:
    """Most bits of a sample in an image file, as its format says it; 8 where it says nothing."""
    tiles = getattr(image, "tile", ())
    if not tiles:  # loaded, or never a file
        return 8
    codec, arguments = str(tiles[0][0]), tiles[0][3]
    kind = getattr(image, "format", None)
    if kind == "PNG":
        return 16 if ";16" in str(arguments) else 8
    if kind == "TIFF":
        return max(int(bits) for bits in image.tag_v2.get(258, (8,)))  # BitsPerSample
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
    """Bits of the deepest component: ISO 15444-1, boxes ihdr and bpcc (I.5.3), or SIZ (A.5.1)."""
    box, siz = head.find(b"ihdr"), head.find(b"\xff\x4f\xff\x51")
    if 0 <= box < len(head) - 14 and head[box + 14] != 255:
        return (head[box + 14] & 0x7F) + 1
    if box >= 0 and (bpcc := head.find(b"bpcc")) >= 0:
        depths = head[bpcc + 4 : bpcc + 4 + int.from_bytes(head[box + 12 : box + 14], "big")]
    elif siz >= 0:
        depths = head[
            siz + 42 : siz + 42 + 3 * int.from_bytes(head[siz + 40 : siz + 42], "big") : 3
        ]
    else:
        depths = b""
    return max(((depth & 0x7F) + 1 for depth in depths), default=8)


def _avif_bits(head: bytes) -> int:
    """Bits by the box av1C: high_bitdepth and twelve_bit (AV1 in ISOBMFF, 2.3.3)."""
    at = head.find(b"av1C")
    flags = head[at + 6] if 0 <= at < len(head) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def _metadata(image: Any) -> dict[str, bytes]:
    found = {}
    for key in ("exif", "icc_profile", "xmp"):
        value = image.info.get(key)
        if isinstance(value, str):
            value = value.encode("utf-8")
        if isinstance(value, bytes) and value:
            found[key] = value
    return bare(found)


def bare(metadata: dict[str, bytes]) -> dict[str, bytes]:
    """Metadata as files hold it: EXIF from its TIFF structure on, nothing empty."""
    exif = metadata.get("exif", b"").removeprefix(EXIF_PREFIX)
    return {k: v for k, v in {**metadata, "exif": exif}.items() if v}


def to_network(color: np.ndarray, multiple: int) -> np.ndarray:
    """int8 [h', w', 3]: pixels minus 128, gray as three equal channels, the edge repeated."""
    h, w, c = color.shape
    padding = ((0, -h % multiple), (0, -w % multiple), (0, 0))
    padded = np.pad(color, padding, mode="edge") if h % multiple or w % multiple else color
    if c == 1:
        padded = np.repeat(padded, 3, axis=2)
    # Flipping the top bit of p gives p - 128 in two's complement.
    return (np.ascontiguousarray(padded) ^ 128).view(np.int8)


def from_network(pixels: np.ndarray, mode: Mode) -> np.ndarray:
    """uint8 [h, w, 1 or 3]: inverse of `to_network`; gray is the rounded mean. Normative."""
    color = np.ascontiguousarray(pixels).view(np.uint8) ^ 128
    if mode.color_channels == 3:
        return color
    return ((color.sum(axis=2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)


FILTERS = {0: (), 1: (1,), 2: (0,), 3: (0, 1)}
"""Alpha filters by number: the axes along which neighbors are subtracted, modulo 256."""


def pack_alpha(alpha: np.ndarray) -> bytes:
    """Code an alpha plane without loss: a filter's number, then zlib; inverse of `unpack_alpha`."""
    candidates = []
    for number, axes in FILTERS.items():
        plane = alpha
        for axis in axes:
            plane = np.diff(plane, axis=axis, prepend=np.uint8(0))
        candidates.append(bytes([number]) + zlib.compress(plane.tobytes(), 9))
    return min(candidates, key=len)


def unpack_alpha(data: bytes, h: int, w: int) -> np.ndarray:
    """uint8 [h, w]; inverse of `pack_alpha`.

    Raises:
        CorruptDataError: unknown filter, damaged stream, or not exactly h * w samples.
    """
    if not data or data[0] not in FILTERS:
        raise CorruptDataError("alpha plane: unknown filter")
    inflater = zlib.decompressobj()
    try:
        plane = inflater.decompress(data[1:], h * w + 1)
    except zlib.error as error:
        raise CorruptDataError(f"alpha plane: {error}") from error
    if len(plane) != h * w or not inflater.eof or inflater.unused_data:
        raise CorruptDataError(f"alpha plane: {len(plane)} samples for {w}x{h} pixels")
    alpha = np.frombuffer(plane, np.uint8).reshape(h, w)
    for axis in reversed(FILTERS[data[0]]):
        alpha = np.cumsum(alpha, axis=axis, dtype=np.uint8)
    return alpha
