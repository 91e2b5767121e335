"""Writes files that the pages allow and that this version cannot decode. Run by hand only.

A reader that lacks what they have must refuse them as unsupported and say what it is; index.json
has the words of ours. All checksums are right. Payloads are not what they will be one day: a file
here is not to be decoded by anybody.

python vectors/unsupported/generate.py
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

import numpy as np

from intact.bits import varint
from intact.container.header import FLAGGED, PREVIEW, TILE_MODES, ImageHeader, Mode, write_header
from intact.container.image_file import ImageFile, pack_image
from intact.container.model_file import pack_model

HEADER = ImageHeader(bytes(16), Mode.RGB, 3, 300, 2, 0)


def checked(body: bytes) -> bytes:
    """A header and payloads with their CRC, without chunks."""
    return body + zlib.crc32(body).to_bytes(4, "little") + b"\0"


def flagged(flags: int, rest: bytes) -> bytes:
    """An image file with this byte of flags and ``rest`` behind the height."""
    head = write_header(HEADER)
    sides = varint.encode(HEADER.width) + varint.encode(HEADER.height)
    fixed = bytearray(head[: len(head) - len(sides)])
    fixed[25] |= FLAGGED
    return checked(bytes(fixed) + bytes([flags]) + sides + rest)


def with_byte(at: int, value: int) -> bytes:
    """An image file with another byte in its header."""
    body = bytearray(pack_image(ImageFile(HEADER, (b"paint",)))[:-5])
    body[at] = value
    return checked(bytes(body))


def with_codebook() -> bytes:
    """A model file whose only array has packing method 4."""
    data = bytearray(pack_model({"w": np.array([1, -2, 3], np.int8)}))
    at = data.index(b"\x00\x03\x01\xfe\x03")  # method, length, data
    data[at] = 4
    body = bytes(data[:-4])
    return body + zlib.crc32(body).to_bytes(4, "little")


IMAGES: dict[str, tuple[bytes, str]] = {
    "raw-tiles": (flagged(TILE_MODES, b"\x01\x01r"), "raw tiles"),
    "palette-tiles": (flagged(TILE_MODES, b"\x02\x01p"), "palette tiles"),
    "exact-tiles": (flagged(TILE_MODES, b"\x03\x01e"), "exact tiles"),
    "tiles-of-mode-4": (flagged(TILE_MODES, b"\x04\x01?"), "mode 4 tiles"),
    "preview": (flagged(PREVIEW, b"\x03\x05smapaint"), "a preview of 3 bytes"),
    "profile-3": (flagged(6, b"\x05paint"), "profile 3"),
    "flag-5": (flagged(32, b"\x05paint"), "header flags 0x20"),
    "one-bit": (with_byte(25, 0x30), "1 bit per sample"),
    "sixteen-bits": (with_byte(25, 0x3F), "16 bits per sample"),
    "latents-of-128": (with_byte(27, 0x36), "latents of 128 x 128 pixels"),
}
MODELS: dict[str, tuple[bytes, str]] = {
    "codebook": (with_codebook(), "a codebook (packing method 4)"),
}


def main() -> None:
    """Write all."""
    index: dict[str, Any] = {}
    for suffix, group in ((".intact", IMAGES), (".intactm", MODELS)):
        for name, (data, lacks) in group.items():
            (HERE / f"{name}{suffix}").write_bytes(data)
            index[f"{name}{suffix}"] = lacks
    (HERE / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
