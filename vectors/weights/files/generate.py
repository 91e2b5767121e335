"""Writes the golden weight files, and what they hold.

    python vectors/weights/files/generate.py

Their bytes depend on zlib's version; what they unpack to does not.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "tests"))

from intact import files
from intact.packing.choose import Settings, Target
from intact.packing.file import WeightsFile
from intact.packing.inputs import open_input
from intact.packing.pack import pack
from intact.packing.save import save
from intact.packing.state import Symbols
from tiny_tensors import bell, menagerie, safetensors_bytes

SYMBOLS = np.random.default_rng(3).binomial(8, 0.5, (24, 90)) - 4
SMOOTH = np.rint(
    bell((32, 24, 1, 1), 4, 1.5) * np.linspace(0.2, 3, 32)[:, None, None, None]
    + bell((32, 24, 3, 3), 5, 0.4)
).astype(np.int32)
"""As filters are: rows of different sizes, neighbors alike. Contexts pay here."""


def trained(path: Path, method: str) -> None:
    """Symbols with every way to say what they stand for."""
    rows = np.linspace(0.5, 2, 24).astype(np.float32)
    tensors = {
        "step": Symbols(SYMBOLS, step=0.1),
        "step and rows": Symbols(SYMBOLS[:, ::-1], step=0.1, scales=rows, dtype="BF16"),
        "step, half": Symbols(SYMBOLS[::-1], step=0.1, scales=0.7, dtype="F16"),
        "step, double": Symbols(SYMBOLS * 700, step=0.1, dtype="F64"),
        "centers": Symbols(SYMBOLS + 4, centers=bell(9)),
        "centers and scale": Symbols(SYMBOLS.T + 4, centers=bell(9), scales=0.3),
        "vectors": Symbols(SYMBOLS.reshape(-1)[:700] + 4, centers=bell((9, 3)), shape=(2099,)),
        "vectors, from within": Symbols(
            SYMBOLS.reshape(-1)[699:800] + 4, centers=bell((9, 3)), shape=(100, 3), lead=2
        ),
        "convolution": Symbols(SYMBOLS.reshape(24, 10, 3, 3), step=0.5),
        "smooth": Symbols(SMOOTH, step=0.25),
        "other": np.arange(10),
        "narrow": bell((9, 9)),
    }
    save(tensors, path, metadata={"made by": "a test"}, method=method, narrow_to="BF16")


def packed(path: Path, target: Target) -> None:
    """One of everything, by `intact pack`."""
    source = path.with_suffix(".safetensors")
    source.write_bytes(safetensors_bytes(menagerie(), {"format": "pt"}))
    sources, content = open_input(source)
    with files.writing(path) as file:
        pack(sources, file, Settings(target=target), content)
    source.unlink()


def digests(path: Path) -> dict[str, object]:
    """What a file holds: type, shape and the SHA-256 of the raw elements."""
    file = WeightsFile(path)
    return {
        tensor.name: {
            "dtype": tensor.dtype.name,
            "shape": list(tensor.shape),
            "sha256": hashlib.sha256(file.raw(tensor).tobytes()).hexdigest(),
        }
        for tensor in file.index.tensors
    }


def main() -> None:
    """Write all."""
    trained(HERE / "static.intactw", "static")
    trained(HERE / "rows.intactw", "rows")
    packed(HERE / "lossless.intactw", Target())
    packed(HERE / "bits4.intactw", Target(bits=4))
    found = {path.name: digests(path) for path in sorted(HERE.glob("*.intactw"))}
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (HERE / "tensors.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
