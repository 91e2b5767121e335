"""The worst files: as small as 64 kB, and asking a decoder for as much as they can.

    python tests/fuzz/worst.py -o benchmarks/results/worst_file.csv

Each file is decoded in a process of its own under ``max_pixels=1_000_000``: with the native library
and without it. Printed are the most memory beyond what the imports take, the CPU time (one thread)
and what came of it. The goals: 300 MB, 2 s with the native library, 20 s without.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]

import numpy as np  # noqa: E402

import intact  # noqa: E402
from fuzz.seeds import build_model  # noqa: E402
from intact.bits.tables import TOTAL, TableBank  # noqa: E402
from intact.bottleneck.checkerboard import Checkerboard  # noqa: E402
from intact.bottleneck.scalar import NUM_SCALES, Levels  # noqa: E402
from intact.codec.embedded import check_embedded  # noqa: E402
from intact.codec.image import Encoder  # noqa: E402
from intact.codec.model import Model  # noqa: E402
from intact.container import chunks  # noqa: E402
from intact.container.image_file import (  # noqa: E402
    ImageFile,
    ImageHeader,
    Mode,
    pack_image,
    unpack_image,
)
from intact.container.tree import Tree, model_id, skeleton  # noqa: E402
from intact.intnet.program import (  # noqa: E402
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
)
from tiny_model import picture, tiny_model  # noqa: E402

MAX_PIXELS = 1_000_000
MAX_BYTES = 64 << 10
GOAL_MB = 300
GOAL_S = {"native": 2, "numpy": 20}
INT16 = (-32768, 32767)


def conv(source: str, target: str, channels: tuple[int, int], **options: Any) -> Conv:
    """A convolution of zeros: as much work as any, and nearly no bytes."""
    inputs, outputs = channels
    taps, groups = options.pop("taps", 1), options.pop("groups", 1)
    weight = np.zeros((outputs, inputs // groups, taps, taps), int)
    if options.pop("wide", False):  # beyond what 8 bits and float32 hold
        weight[0, 0, 0, 0] = 8191
        options |= {"low": INT16[0], "high": INT16[1]}
    zeros = np.zeros(outputs, int)
    divisor = np.full(outputs, 101)
    return Conv(source, target, weight, zeros, zeros, divisor, groups=groups, **options)


def sure_tables(count: int) -> TableBank:
    """Tables of which symbol 0 costs next to nothing, so that few bytes hold very many."""
    return TableBank.build([0] * count, [[TOTAL - 1, 1]] * count)


def model_of(latents: int, name: str, **more: tuple[Op, ...]) -> Model:
    """A model of so many latents, all sent; ``more`` are operations that a role does besides."""
    m, y = latents, Value("y", latents, *INT16)
    z, f = Value("z", 1, -128, 127), Value("f", 1, *INT16)
    wide = {"low": INT16[0], "high": INT16[1]}
    heads = (conv("f", "mean", (1, m), **wide), conv("f", "theta", (1, m), low=0, high=255))
    programs = {
        "analysis": Program(
            "analysis",
            (Value("pixels", 3, -128, 127),),
            (Unshuffle("pixels", "u", 16), conv("u", "y", (768, m), **wide)),
            ("y",),
        ),
        "hyper_analysis": Program(
            "hyper_analysis",
            (y,),
            (conv("y", "h", (m, 1), stride=2), conv("h", "z", (1, 1), stride=2)),
            ("z",),
        ),
        "hyper_synthesis": Program(
            "hyper_synthesis", (z,), (conv("z", "h", (1, 16), **wide), Shuffle("h", "f", 4)), ("f",)
        ),
        "prior_a": Program("prior_a", (f,), heads, ("mean", "theta")),
        "prior_b": Program("prior_b", (f, y), heads, ("mean", "theta")),
        "synthesis": Program(
            "synthesis", (y,), (conv("y", "p", (m, 768)), Shuffle("p", "pixels", 16)), ("pixels",)
        ),
    }
    for role, ops in more.items():
        old = programs[role]
        programs[role] = Program(role, old.inputs, (*old.ops, *ops), old.outputs)
    row = np.array([64])
    levels = Levels(steps=row, shifts=row * 0, parameters=row * 0, offsets=row * 0)
    tables = sure_tables(NUM_SCALES), sure_tables(1)
    # What does not pack makes room for content that packs well.
    info = {"": np.random.default_rng(0).bytes(17 << 10).hex()}
    return Model(name, programs, Checkerboard(*tables, levels, predicted=min(m, 16)), info)


def chain(count: int, channels: int, make: Callable[[str, str, int], Op]) -> tuple[Op, ...]:
    """``count`` operations one after the other on ``channels``, as fine as a shuffle makes."""
    factor = next(f for f in (16, 8, 4, 2, 1) if channels * f**2 <= 4096)
    first = conv("y", "w", (1, channels * factor**2), low=INT16[0], high=INT16[1])
    names = ["x", *(f"c{i}" for i in range(count))]
    ops = (make(a, b, channels) for a, b in itertools.pairwise(names))
    return (first, Shuffle("w", "x", factor), *ops)


def deep(kind: str, count: int, channels: int) -> Model:
    """A model with a long synthesis."""
    return model_of(1, kind, synthesis=chain(count, channels, KINDS[kind]))


def longest(kind: str, channels: int, side: int) -> Model | None:
    """The model with the longest synthesis that an image of ``side`` x ``side`` may carry."""

    def fits(count: int) -> Model | None:
        try:
            model = deep(kind, count, channels)
            header = ImageHeader(bytes(16), Mode.L, 0, side, side, 0)
            check_embedded(model, header, MAX_PIXELS)
        except intact.IntactError:
            return None
        return model if len(packed(model.tree)) < MAX_BYTES - 4096 else None

    low, high = 0, 512
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return fits(low) if low else None


KINDS: dict[str, Callable[[str, str, int], Op]] = {
    "depthwise": lambda a, b, c: conv(a, b, (c, c), taps=3, groups=c),
    "depthwise-16": lambda a, b, c: conv(a, b, (c, c), taps=3, groups=c, wide=True),
    "one-to-one": lambda a, b, c: conv(a, b, (c, c), groups=c, wide=True),
    "dense": lambda a, b, c: conv(a, b, (c, c)),
    "dense-16": lambda a, b, c: conv(a, b, (c, c), wide=True),
    "square": lambda a, b, c: conv(a, b, (c, c), taps=3),
    "square-16": lambda a, b, c: conv(a, b, (c, c), taps=3, wide=True),
    "requantize": lambda a, b, c: Requantize(a, b, np.ones(c, int)),
    "scale": lambda a, b, c: Scale(a, b, np.ones(c, int)),
    "add": lambda a, b, c: Add(a, "x", b),
}
"""Operations by what a decoder may find slow in them."""
SHAPES = ((1, 256), (16, 256), (16, 1000), (64, 1000), (1024, 1000))
"""Channels, and the side of the image."""


def image_of(model: Model, height: int, width: int, *, wrong: bool = False) -> bytes:
    """A file of a gray picture with its model in it, all latents sent."""
    data = Encoder(np.full((height, width, 1), 128, np.uint8), model).encode(0).data
    return embedded(data, packed(model.tree), wrong=wrong)


def embedded(data: bytes, model: bytes | None, *, wrong: bool = False) -> bytes:
    """A file with a model in it, and a checksum that its pixels do not meet."""
    file = unpack_image(data, max_pixels=1 << 64)
    parts = file.chunks if model is None else (chunks.Chunk(chunks.MODEL, model),)
    crc = file.header.pixel_crc ^ wrong
    return pack_image(ImageFile(replace(file.header, pixel_crc=crc), file.tiles, parts))


def bomb(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file whose model unpacks to something large that is no model."""
    tree = tiny_model().tree
    tree = {**tree, "programs": {k: dict(v) for k, v in tree["programs"].items()}}
    change(tree)
    data = packed(tree)
    header = ImageHeader(data[9:25], Mode.RGB, 0, 16, 16, 0)
    return pack_image(ImageFile(header, (bytes(5),), (chunks.Chunk(chunks.MODEL, data),)))


def packed(tree: Tree) -> bytes:
    """A model file of any tree, as small as may be; quickly made."""
    bones, arrays = skeleton(tree)
    blobs = tuple((1, zlib.compress(array.tobytes())) for array in arrays)
    size = len(bones) + sum(array.nbytes for array in arrays)
    return build_model(model_id(tree), bones, blobs, size)


def _many_tables(tree: dict[str, Any]) -> None:
    count = 9 << 20
    tree["tables_y"] = {
        "minimums": np.zeros(count, np.int8),
        "sizes": np.full(count, 2, np.int8),
        "freqs": np.full(1, 2, np.int8),
    }


def _many_weights(tree: dict[str, Any]) -> None:
    ops = list(tree["programs"]["synthesis"]["ops"])
    ops[0] = {**ops[0], "weight": np.zeros((4096, 4096, 1, 1), np.int16)}
    tree["programs"]["synthesis"]["ops"] = ops


def _long_text(tree: dict[str, Any]) -> None:
    tree["info"] = {"a": "x" * (15 << 20) + "\U0001f600"}


BOMBS: dict[str, Callable[[dict[str, Any]], None]] = {
    "tables": _many_tables,
    "weights": _many_weights,
    "text": _long_text,
}


def photo(height: int, width: int, *, wrong: bool = False) -> bytes:
    """A file of the shipped model at the highest quality that 64 kB hold."""
    image = picture(height, width)
    low, high = 0, 100
    best = b""
    while low <= high:
        middle = (low + high) // 2
        data = intact.encode(image, quality=middle)
        if len(data) <= MAX_BYTES:
            best, low = data, middle + 1
        else:
            high = middle - 1
    return embedded(best, None, wrong=wrong)


def flat(height: int, width: int) -> bytes:
    """A file of the shipped model that is all size."""
    return intact.encode(np.zeros((height, width, 3), np.uint8), quality=0)


def cases() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names of files and how they are made."""
    yield "shipped model, 1000x1000", lambda: photo(1000, 1000)
    yield "shipped model, wrong checksum", lambda: photo(1000, 1000, wrong=True)
    yield "shipped model, 62496x1", lambda: flat(1, 62496)
    yield "shipped model, 524288x1", lambda: flat(1, 524288)
    for latents in (320, 640, 1024):
        model = model_of(latents, "latents")
        for side in (720, 1000):
            name = f"{latents} latents, {side}x{side}, wrong checksum"
            yield name, lambda m=model, s=side: image_of(m, s, s, wrong=True)
    for kind, (channels, side) in itertools.product(KINDS, SHAPES):
        model = longest(kind, channels, side)
        if model is not None:
            count = len(model.programs["synthesis"].ops) - 4
            name = f"{count} {kind} of {channels}, {side}x{side}, wrong checksum"
            yield name, lambda m=model, s=side: image_of(m, s, s, wrong=True)
    model = deep("depthwise", 505, 1)
    yield "505 depthwise of 1, 256x256", lambda: image_of(model, 256, 256)
    for name, change in BOMBS.items():
        yield f"content: {name}", lambda c=change: bomb(c)


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024 / 1e6


def measure(path: str, backend: str) -> None:
    """Decode a file in this process and print what it took."""
    from intact import native

    if backend == "numpy":
        native.library = lambda: None  # before others look
    import intact.codec.image
    import intact.intnet.backends.native
    import intact.intnet.backends.numpy

    data = Path(path).read_bytes()
    before, start = _status("VmRSS"), time.process_time()
    try:
        intact.decode(data, threads=1, max_pixels=MAX_PIXELS)
        result = "decoded"
    except intact.IntactError as error:
        result = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - start
    found = {"mb": _status("VmHWM") - before, "seconds": seconds, "result": result}
    sys.stdout.write(json.dumps(found) + "\n")


def main() -> int:
    """Print a table and write it as CSV; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--csv", type=Path)
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--keep", type=Path, help="a folder where files are kept and found again")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return 0
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for name, make in cases():
            if options.only not in name:
                continue
            path = folder / f"{name.replace(' ', '_')}.intact"
            if not path.exists():
                path.write_bytes(make())
            size = path.stat().st_size
            if size > MAX_BYTES:
                sys.stdout.write(f"{name}: {size} bytes, left out\n")
                continue
            for backend, goal in GOAL_S.items():
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", str(path), backend],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True,
                )  # fmt: skip
                found = json.loads(done.stdout)
                missed = found["mb"] > GOAL_MB or found["seconds"] > goal
                rows.append({"file": name, "bytes": size, "backend": backend, **found})
                sys.stdout.write(
                    f"{name:44} {size:6} {backend:7} {found['mb']:6.0f} MB "
                    f"{found['seconds']:6.2f} s {'MISSED ' if missed else ''}"
                    f"{found['result'][:70]}\n"
                )
                sys.stdout.flush()
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                shown = {"mb": f"{row['mb']:.0f}", "seconds": f"{row['seconds']:.2f}"}
                writer.writerow({**row, **shown})
    return int(any(r["mb"] > GOAL_MB or r["seconds"] > GOAL_S[r["backend"]] for r in rows))


if __name__ == "__main__":
    sys.exit(main())
