"""Write the golden vectors of the kind `vector`: run by hand, never by a test.

    python vectors/image/vector/generate.py

A small model for each form of the kind, a file made with each, and index.json with the SHA-256 of
the pixels that a file must decode to (row by row, channels interleaved).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[2] / "tests"))

from intact import decode
from intact.codec.image import Encoder, Runtime
from tiny_model import picture
from tiny_vector import MODELS, tiny_vector

HEIGHT, WIDTH = 75, 90
CHANNELS = {"vector": 3, "scalar": 4, "logits": 1}


def encoded(which: str) -> bytes:
    """The file of a model; the scalar one's has alpha, that of logits is gray."""
    image = picture(HEIGHT, WIDTH, CHANNELS[which])
    return Encoder(image, tiny_vector(which), runtime=Runtime("reference", 1)).encode(0).data


def main() -> None:
    """Write models, files and index."""
    index = {}
    for which in MODELS:
        model, data = tiny_vector(which), encoded(which)
        (FOLDER / f"{which}.intactm").write_bytes(model.to_bytes())
        (FOLDER / f"{which}.intact").write_bytes(data)
        decoded = decode(data, model=model, backend="reference")
        index[which] = {
            "model_id": model.id.hex(),
            "mode": decoded.mode,
            "width": WIDTH,
            "height": HEIGHT,
            "pixels_sha256": hashlib.sha256(decoded.pixels.tobytes()).hexdigest(),
        }
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
