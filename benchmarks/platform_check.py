"""Is this platform exact? Golden images and the demo's photograph, with every backend; JSON out.

    python benchmarks/platform_check.py [--without-extension]

With ``--without-extension`` the package behaves as where no C compiler was: coder in Python, NumPy.
A backend that another one had to save (`choose.refuse`) counts as wrong. Needs NumPy and Pillow
alone, so that it runs where the test tools do not; `platforms.py` runs it under emulation.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path

if "--without-extension" in sys.argv:
    sys.modules["intact._native"] = None  # type: ignore[assignment]  # importing it fails now

import numpy as np
from PIL import Image

import intact
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.store import DEFAULT, model_files
from intact.intnet.backends import choose
from intact.native import library

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "vectors" / "image"
DEMO = ROOT / "demo"


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def golden(backend: str) -> str:
    """How many golden images decode to their pixels with exactly this backend."""
    index = json.loads((VECTORS / "index.json").read_text())
    model = Model.from_bytes((VECTORS / index["model"]).read_bytes())
    if (
        model.id.hex() != index["model_id"]
        or Networks(model, 1, backend, 1).backend.name != backend
    ):
        return "refused"
    right = 0
    for name, wanted in index["files"].items():
        decoded = intact.decode((VECTORS / name).read_bytes(), model=model, backend=backend)
        right += digest(decoded.pixels.tobytes()) == wanted["pixels_sha256"]
    return f"{right} of {len(index['files'])}{rescued(backend)}"


def rescued(backend: str) -> str:
    """A word on a backend whose mistake another one has mended."""
    return " RESCUED" if backend in choose.refusals() else ""


def model_file() -> str:
    """Whether the shipped model, read and written again, is the same file."""
    data = next(path for path in model_files() if path.stem == DEFAULT).read_bytes()
    return "same" if Model.from_bytes(data).to_bytes() == data else "DIFFERENT"


def photograph(backend: str) -> tuple[str, str]:
    """Whether the shipped model gives the demo's pixels and file here."""
    expected = json.loads((DEMO / "expected.json").read_text())
    with Image.open(DEMO / "original.png") as image:
        data = intact.encode(np.asarray(image.convert("RGB")), backend=backend)
    pixels = intact.decode(data, backend=backend).pixels

    def verdict(what: str, found: str) -> str:
        return ("same" if found == expected[what] else "DIFFERENT") + rescued(backend)

    return (
        verdict("photo.intact sha256", digest(data)),
        verdict("pixels sha256", digest(pixels.tobytes())),
    )


def main() -> None:
    """One row per backend."""
    rows = []
    for backend in choose.available():
        if backend == "torch":
            continue
        row = {
            "machine": platform.machine(),
            "order": sys.byteorder,
            "pointer_bits": str(8 * np.dtype(np.intp).itemsize),
            "numpy": np.__version__,
            "backend": backend,
            "entropy_coder": "C" if library() is not None else "Python",
            "model_file": model_file(),
            "golden_images": golden(backend),
        }
        if backend != "reference":  # minutes for the photograph
            row["encoded_file"], row["decoded_pixels"] = photograph(backend)
        else:
            row["encoded_file"] = row["decoded_pixels"] = "not run"
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
