"""Write the golden vectors of the kind `hyperprior`: run by hand, never by a test.

    python vectors/image/hyperprior/generate.py

A small model for each profile, a file made with each, and index.json. An exact file has the SHA-256
of the pixels that it must decode to (row by row, channels interleaved). The others have the mean of
each color channel, which another machine's floats come close to; that their latents are right, for
a float prior if they can be, is what the checksum in the file says.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[2] / "tests"))

import numpy as np

from intact import decode
from intact.codec.image import Encoder, Runtime
from tiny_hyperprior import MODELS, tiny_hyperprior
from tiny_model import picture

HEIGHT, WIDTH, LEVEL = 75, 90, 2


def encoded(which: str) -> bytes:
    """The file of a model; the factorized one's is of gray stored as RGB, the prior's has alpha."""
    image = picture(HEIGHT, WIDTH, 4 if which == "prior" else 3)
    if which == "factorized":
        image[:, :, 1] = image[:, :, 2] = image[:, :, 0]
    model = tiny_hyperprior(which)
    runtime = Runtime("reference", 1, allow_inexact=not model.is_exact)
    return Encoder(image, model, runtime=runtime).encode(LEVEL).data


def main() -> None:
    """Write models, files and index."""
    index = {}
    for which in MODELS:
        model, data = tiny_hyperprior(which), encoded(which)
        (FOLDER / f"{which}.intactm").write_bytes(model.to_bytes())
        (FOLDER / f"{which}.intact").write_bytes(data)
        exact = model.is_exact
        pixels = decode(data, model=model, backend="reference", allow_inexact=not exact).pixels
        index[which] = {
            "model_id": model.id.hex(),
            "profile": model.bottleneck.profile,
            "mode": "RGBA" if which == "prior" else "RGB",
            "width": WIDTH,
            "height": HEIGHT,
        }
        if exact:
            index[which]["pixels_sha256"] = hashlib.sha256(pixels.tobytes()).hexdigest()
        else:
            means = pixels[:, :, :3].mean(axis=(0, 1))
            index[which]["mean_colors"] = [float(value) for value in np.round(means, 2)]
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
