"""The browser's decoder in Node, as a platform: another implementation, which only decompresses.

It needs ``web/dist/parts.js``, which `make test-web` (or ``node web/build.mjs``) builds.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from intact import models
from intact.codec.image import Encoder
from intact.container.image_file import unpack_image
from platforms import worker

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("node.mjs")
VERDICTS = {
    "CorruptDataError": ("corrupt",),
    "UnsupportedError": ("unsupported",),
    "ModelError": ("model", "model-missing"),
}
"""What this decoder calls the errors of `intact.errors`."""
Row = dict[str, Any]


def absent(parts: Path) -> str:
    """Why it cannot be run; "" if it can."""
    if not shutil.which("node"):
        return "node is not installed"
    return "" if parts.exists() else f"{parts} is not there (node web/build.mjs)"


def decoded(parts: Path, cases: Iterable[Row], work: Path) -> dict[str, Row]:
    """What Node says of files, by key.

    Args:
        parts: the built decoder.
        cases: "key", "model" (a path or None) and "file" (a path).
        work: folder for the list.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / "node.json"
    path.write_text(json.dumps({"cases": list(cases)}))
    command = ["node", str(SCRIPT), str(parts), str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {row["key"]: row for row in map(json.loads, done.stdout.splitlines())}


def model_path(name: str | None) -> str | None:
    """A model's file by the name that vectors/files.json has."""
    if name is None:
        return None
    shipped = models.FOLDER / f"{name}.intactm"
    return str(worker.VECTORS / name if name.endswith(".intactm") else shipped)


def vectors(parts: Path, work: Path) -> Iterator[Row]:
    """Rows as `worker.vectors`: files and what must be refused; the rest is web/test's."""
    files = json.loads((worker.VECTORS / "files.json").read_text())
    invalid = json.loads((worker.VECTORS / "invalid" / "index.json").read_text())
    cases = [
        {"key": path, "model": model_path(item["model"]), "file": str(worker.VECTORS / path)}
        for path, item in files.items()
    ]
    for name, item in invalid.items():
        file = str(worker.VECTORS / "invalid" / name)
        cases.append({"key": name, "model": model_path(item.get("model")), "file": file})
    found = decoded(parts, cases, work)
    for path, item in files.items():
        right = found[path].get("hash") == item["pixels_sha256"] and found[path]["fast"]
        yield {"kind": "file", "name": path, "wrong": "" if right else str(found[path])}
    for name, item in invalid.items():
        right = found[name].get("verdict") in VERDICTS[item["error"]]
        yield {"kind": "invalid", "name": name, "wrong": "" if right else str(found[name])}


def decompress(parts: Path, job: Row, work: Path) -> Iterator[Row]:
    """The files of a job, made into whole ones; "same" where the pixels are the encoder's.

    Raises:
        AssertionError: the whole file does not hold the payloads of the job.
    """
    folder, cases, expected = Path(job["folder"]), [], {}
    (folder / "whole").mkdir(exist_ok=True)
    for case in job["cases"]:
        model = worker.model_of(case["model"])
        image = np.load(folder / "images" / f"{case['image']}.npy")
        encoded = Encoder(image, model).encode(case["level"])
        with np.load(folder / "files" / f"{case['file']}.npz") as stored:
            tiles = tuple(stored[f"tile{i}"].tobytes() for i in range(len(stored.files) - 2))
        assert unpack_image(encoded.data).tiles == tiles, case["key"]
        path = folder / "whole" / f"{case['key']}.intact"
        path.write_bytes(encoded.data)
        expected[case["file"]] = hashlib.sha256(encoded.pixels.tobytes()).hexdigest()
        name = model_path(case["model"])
        cases.append({"key": case["file"], "model": name, "file": str(path)})
    for key, row in decoded(parts, cases, work).items():
        same = row.get("hash") == expected[key] and row["fast"]
        symbols = "same" if same else row.get("message", "differ")
        yield {"key": key, "ran_as": "node", "symbols": symbols, "pixels": ""}
