"""Write the golden vectors of whole images: run by hand, never by a test.

    python vectors/image/generate.py

A small model (tiny.intactm), files of every mode made with it, and index.json with the size, mode
and SHA-256 of the pixels (row by row, channels interleaved) that each file must decode to, and what
a chunk says that is no opaque metadata. An
implementation in any language can check itself against them. A difference after a change of the
code means that the format changed: that needs a new version, not new vectors.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "tests"))

import numpy as np

from intact import Model, decode
from intact.codec.image import Encoder
from tiny_model import picture, tiny_model

CASES = {
    # name: (height, width, channels, level)
    "one_pixel_rgb": (1, 1, 3, 7),
    "one_latent_gray": (16, 16, 1, 15),
    "edge_15_17_rgb": (15, 17, 3, 8),
    "gray_alpha": (33, 20, 2, 4),
    "rgb_alpha": (40, 65, 4, 12),
    "coarsest": (70, 90, 3, 0),
    "finest": (70, 90, 3, 15),
    "two_tiles_wide": (20, 1030, 3, 6),
    "two_tiles_high": (1030, 20, 1, 6),
    "whole_block": (290, 290, 3, 3),  # 16 x 16 latents and parts of three more
    "plain": (400, 300, 3, 6),  # most hyper-latents repeat: mode 2
    "plain_two_tiles": (16, 1400, 3, 6),  # nearly all do: mode 3
    "hdr_colors": (18, 30, 3, 8),  # with the chunk cicp
    "gray_as_rgb": (40, 50, 3, 8),  # three equal channels: with the flag
    "gray_as_rgb_alpha": (35, 20, 4, 8),
}
METADATA = {"hdr_colors": {"cicp": bytes([9, 16, 0, 1])}}


def encoded(name: str, model: Model) -> bytes:
    """The file of a case."""
    height, width, channels, level = CASES[name]
    image = picture(height, width, channels)
    image = image[:, :, 0] if channels == 1 else image
    if name.startswith("plain"):
        image = np.broadcast_to(np.array((200, 90, 30), np.uint8), image.shape)
    if name.startswith("gray_as_rgb"):
        image[:, :, 1] = image[:, :, 2] = image[:, :, 0]
    return Encoder(image, model, METADATA.get(name)).encode(level).data


def main() -> None:
    """Write model, files and index."""
    model = tiny_model()
    (FOLDER / "tiny.intactm").write_bytes(model.to_bytes())
    index = {"model": "tiny.intactm", "model_id": model.id.hex(), "files": {}}
    for name, (height, width, _, level) in CASES.items():
        data = encoded(name, model)
        (FOLDER / f"{name}.intact").write_bytes(data)
        decoded = decode(data, model=model, backend="reference")
        index["files"][f"{name}.intact"] = {
            "width": width,
            "height": height,
            "mode": decoded.mode,
            "level": level,
            "pixels_sha256": hashlib.sha256(decoded.pixels.tobytes()).hexdigest(),
        }
        if decoded.cicp:
            index["files"][f"{name}.intact"]["cicp"] = decoded.cicp.hex()
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
