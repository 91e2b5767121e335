"""Write the golden vectors of the kind `image codec 2`: run by hand, never by a test.

    python vectors/image/codec2/generate.py

A small model (tiny2.intactm), files made with it, and index.json, as in vectors/image/generate.py.
The files are few: what both kinds share is tested there.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[2] / "tests"))

import numpy as np

from intact import Model, decode
from intact.codec.image import Encoder
from tiny_channelwise import tiny_channelwise_model
from tiny_model import picture

CASES = {
    # name: (height, width, channels, level)
    "one_pixel": (1, 1, 3, 1),
    "coarsest": (75, 90, 3, 0),
    "finest": (75, 90, 3, -1),
    "gray": (40, 50, 1, 1),
    "alpha": (40, 50, 4, 1),
    "two_tiles_wide": (20, 1030, 3, 1),  # a latent of the second tile alone in its row
    "four_tiles": (1040, 1050, 3, 0),  # colors and pass B look across all borders
    "plain": (400, 600, 3, 1),  # of one color
}


def encoded(name: str, model: Model) -> bytes:
    """The file of a case."""
    height, width, channels, level = CASES[name]
    image = picture(height, width, channels)
    image = image[:, :, 0] if channels == 1 else image
    if name == "plain":
        image = np.broadcast_to(np.array((200, 90, 30), np.uint8), image.shape)
    return Encoder(image, model).encode(level % len(model.levels)).data


def main() -> None:
    """Write model, files and index."""
    model = tiny_channelwise_model()
    (FOLDER / "tiny2.intactm").write_bytes(model.to_bytes())
    index = {"model": "tiny2.intactm", "model_id": model.id.hex(), "files": {}}
    for name, (height, width, _, level) in CASES.items():
        data = encoded(name, model)
        (FOLDER / f"{name}.intact").write_bytes(data)
        decoded = decode(data, model=model, backend="reference")
        index["files"][f"{name}.intact"] = {
            "width": width,
            "height": height,
            "mode": decoded.mode,
            "level": level % len(model.levels),
            "pixels_sha256": hashlib.sha256(decoded.pixels.tobytes()).hexdigest(),
        }
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
