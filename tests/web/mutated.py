"""Mutated files, and whether the browser decoder says of each what Python says.

    python tests/web/mutated.py --runs 100000 --seed 1

Image files and model files of the fuzzer (tests/fuzz), most of them with checksums repaired, go to
Node (web/verdicts.mjs) and to Python: the same kind of error, or the same pixels, must come
from both. A run is a function of the seed and its number.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import intact  # noqa: E402
from fuzz import mutate  # noqa: E402
from fuzz.fuzz_files import image_case, model_case  # noqa: E402
from fuzz.seeds import models  # noqa: E402
from intact.codec import store  # noqa: E402
from intact.codec.model import Model  # noqa: E402
from intact.container.image_file import unpack_image  # noqa: E402
from intact.errors import (  # noqa: E402
    CorruptDataError,
    InexactError,
    IntactError,
    ModelError,
    ModelNotFoundError,
    UnsupportedError,
)
from tiny_channelwise import tiny_channelwise_model  # noqa: E402

MAX_PIXELS = 1 << 16
CODEC2 = ROOT / "vectors" / "image" / "codec2"
VERDICTS = (  # the first that fits
    (ModelNotFoundError, "model-missing"),
    (ModelError, "model"),
    (InexactError, "inexact"),
    (UnsupportedError, "unsupported"),
    (CorruptDataError, "corrupt"),
)
NAMES = {name for _, name in VERDICTS}
BATCH = 1000


@cache
def _codec2() -> list[bytes]:
    paths = sorted(CODEC2.glob("*.intact"))
    return [path.read_bytes() for path in paths if path.stat().st_size < 1000]


def case(seed: int, number: int) -> tuple[bytes, bytes]:
    """A letter that says what is to be judged, and a mutated file."""
    r = Random(f"{seed}:{number}")
    match number % 10:
        case 0 | 1:
            return b"M", model_case(r, number, repaired=r.random() < 0.8).data
        case 2 | 3:
            data = r.choice(_codec2())
            parts = mutate.split(data, unpack_image(data))
            mutate.edit_parts(r, parts, [tile for d in _codec2() for tile in unpack_image(d).tiles])
            return b"I", parts.build()
        case _:
            return b"I", image_case(r, number, repaired=r.random() < 0.8).data


def verdict(kind: bytes, data: bytes) -> str:
    """What Python says of a file."""
    try:
        if kind == b"M":
            model = Model.from_bytes(data)
            return model.id.hex() if model.is_exact else "inexact"
        pixels = intact.decode(data, backend="reference", threads=1, max_pixels=MAX_PIXELS).pixels
        return hashlib.sha256(pixels.tobytes()).hexdigest()
    except IntactError as error:
        name = next(name for kind_of, name in VERDICTS if isinstance(error, kind_of))
        return f"{name}\t{error}"


def known() -> list[Model]:
    """The models that both sides have."""
    return [*(model for model in models() if model.is_exact), tiny_channelwise_model()]


def compare(seed: int, numbers: range) -> tuple[Counter[str], list[str]]:
    """How often each verdict came, and the runs in which the two sides differ."""

    def record(kind: bytes, data: bytes) -> bytes:
        return kind + len(data).to_bytes(4, "little") + data

    cases = [case(seed, number) for number in numbers]
    given = [record(b"m", model.to_bytes()) for model in known()]
    given += [record(kind, data) for kind, data in cases]
    done = subprocess.run(
        ["node", "verdicts.mjs"], cwd=ROOT / "web", input=b"".join(given),
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    found = done.stdout.decode().splitlines()
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in known():
            (Path(folder) / f"{model.name}.intactm").write_bytes(model.to_bytes())
        with mock.patch.object(store, "search_path", return_value=[Path(folder)]):
            for number, (kind, data), line in zip(numbers, cases, found, strict=True):
                ours = verdict(kind, data)
                name, letter = ours.partition("\t")[0], kind.decode()
                counts[f"{letter} {name if name in NAMES else 'accepted'}"] += 1
                if name != line.partition("\t")[0]:
                    wrong.append(f"run {number} {letter}: Python {ours:.200}, Node {line:.200}")
    return counts, wrong


def main() -> int:
    """Compare many; 1 if any differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    end = chosen.start + chosen.runs
    for start in range(chosen.start, end, BATCH):
        some, failed = compare(chosen.seed, range(start, min(start + BATCH, end)))
        counts += some
        wrong += failed
        sys.stdout.write("".join(f"{line}\n" for line in failed))
        sys.stdout.write(f"{sum(counts.values())} files, {len(wrong)} differ: {dict(counts)}\n")
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
