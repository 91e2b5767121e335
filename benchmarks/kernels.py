"""The native integer kernels beside the same networks in float32 torch.

Everything in one process and in turns, so that a busy machine slows all alike; medians of many
rounds. The float networks have no rounding divisions and no clips except ReLU, and run channels
last (F.linear; oneDNN for the 3x3 layers). Prints a table and, with ``--csv FILE``, writes one.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from intact import native
from intact.intnet import ops
from intact.intnet.backends import native as backend, numpy as numpy_backend
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.program import (
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

FULL = {"low": -32768, "high": 32767}
Case = tuple[str, Program, np.ndarray, Callable[[torch.Tensor], torch.Tensor], int]


class Builder:
    """Makes random layers whose values keep to their ranges, as trained ones do."""

    def __init__(self, channels: int) -> None:
        self.rng = np.random.default_rng(0)
        self.channels = channels
        self.ops: list[Op] = []
        self.weights: dict[str, torch.Tensor] = {}

    def conv(self, source: str, target: str, sizes: tuple[int, int], **kw: int) -> str:
        """A convolution with 7-bit weights, normal with a quarter of the range."""
        taps, groups, divisor = kw.get("taps", 1), kw.get("groups", 1), kw.get("divisor", 301)
        shape = (sizes[1], sizes[0] // groups, taps, taps)
        weight = np.clip(np.rint(self.rng.normal(0, 16, shape)), -64, 64).astype(np.int64)
        zeros = np.zeros(sizes[1], np.int64)
        self.ops.append(
            Conv(source, target, weight, self.rng.integers(-999, 999, sizes[1]), zeros,
                 zeros + divisor, kw.get("stride", 1), groups, kw.get("low", -128),
                 kw.get("high", 127))
        )  # fmt: skip
        self.weights[target] = torch.from_numpy(weight.astype(np.float32) / 300)
        return target

    def requantize(self, source: str, target: str, divisor: int = 99) -> str:
        """One divisor for all channels: as fast as any."""
        self.ops.append(Requantize(source, target, np.full(self.channels, divisor)))
        return target

    def branch(self, stream: str, index: int) -> str:
        """One residual block; returns the new stream."""
        c, i = self.channels, index
        self.requantize(stream, f"a{i}")
        self.conv(f"a{i}", f"b{i}", (c, c), low=0, high=255, divisor=1001)
        self.conv(f"b{i}", f"d{i}", (c, c), taps=3, groups=c, divisor=257)
        self.conv(f"d{i}", f"e{i}", (c, c), divisor=43, **FULL)
        self.ops.append(Add(stream, f"e{i}", f"t{i}"))
        self.requantize(f"t{i}", f"p{i}")
        self.conv(f"p{i}", f"q{i}", (c, 2 * c), low=0, high=255, divisor=1001)
        self.conv(f"q{i}", f"r{i}", (2 * c, c), divisor=77, **FULL)
        self.ops.append(Add(f"t{i}", f"r{i}", f"s{i}"))
        return f"s{i}"

    def float_branch(self, stream: torch.Tensor, index: int) -> torch.Tensor:
        """The same block in float32, [h, w, c]."""
        weight = {key: self.weights[f"{key}{index}"] for key in "bdeqr"}
        b = linear(stream, weight["b"]).relu_()
        d = depthwise(b, weight["d"])
        stream = linear(d, weight["e"]).add_(stream)
        q = linear(stream, weight["q"]).relu_()
        return linear(q, weight["r"]).add_(stream)


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A 1x1 convolution of [h, w, c]."""
    return F.linear(x, weight[:, :, 0, 0])


def nchw(x: torch.Tensor) -> torch.Tensor:
    """[h, w, c] as a channels-last tensor [1, c, h, w], without a copy."""
    return x.permute(2, 0, 1)[None]


def depthwise(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A depthwise 3x3 convolution of [h, w, c]."""
    return F.conv2d(nchw(x), weight, padding=1, groups=x.shape[2])[0].permute(1, 2, 0)


def shuffled(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Shuffle of [h, w, c]."""
    h, w, c = x.shape
    blocks = x.reshape(h, w, c // factor**2, factor, factor).permute(0, 3, 1, 4, 2)
    return blocks.reshape(h * factor, w * factor, c // factor**2)


def synthesis(height: int, width: int, channels: int = 192, blocks: int = 4) -> Case:
    """Latents to pixels."""
    make = Builder(channels)
    make.conv("y", "y1", (channels, 4 * channels), divisor=1001, **FULL)
    make.ops.append(Shuffle("y1", "first", 2))
    stream = "first"
    for index in range(blocks):
        stream = make.branch(stream, index)
    make.requantize(stream, "z1")
    make.conv("z1", "z2", (channels, 192), divisor=77, **FULL)
    make.ops += [
        Add(stream, "z2", "z3"),
        Requantize("z3", "z4", np.full(192, 63)),
        Shuffle("z4", "out", 8),
    ]
    program = Program("synthesis", (Value("y", channels, -4000, 4000),), tuple(make.ops), ("out",))

    def forward(y: torch.Tensor) -> torch.Tensor:
        x = shuffled(linear(y, make.weights["y1"]), 2)
        for index in range(blocks):
            x = make.float_branch(x, index)
        return shuffled(x + linear(x, make.weights["z2"]), 8)

    shape = (-(-height // 16), -(-width // 16), channels)
    pixels = shape[0] * shape[1] * 4
    macs = pixels * channels * (channels * (1 + 6 * blocks + 1) + 9 * blocks)
    return "synthesis", program, make.rng.integers(-900, 901, shape).astype(np.int16), forward, macs


def analysis(height: int, width: int, channels: int = 192, blocks: int = 4) -> Case:
    """Pixels to latents."""
    make = Builder(channels)
    make.ops += [Unshuffle("x", "u", 8), Scale("u", "v", np.full(192, 63))]
    make.conv("u", "w", (192, channels), divisor=77, **FULL)
    make.ops.append(Add("v", "w", "first"))
    stream = "first"
    for index in range(blocks):
        stream = make.branch(stream, index)
    make.requantize(stream, "z1")
    make.conv("z1", "out", (channels, channels), taps=3, stride=2, divisor=127, **FULL)
    program = Program("analysis", (Value("x", 3, -128, 127),), tuple(make.ops), ("out",))

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = F.pixel_unshuffle(nchw(x), 8)[0].permute(1, 2, 0).contiguous()
        x = x + linear(x, make.weights["w"])
        for index in range(blocks):
            x = make.float_branch(x, index)
        return F.conv2d(nchw(x), make.weights["out"], padding=1, stride=2)[0].permute(1, 2, 0)

    shape = (height // 8 * 8, width // 8 * 8, 3)
    macs = shape[0] * shape[1] // 64 * channels * (192 + channels * 6 * blocks + 9 * blocks)
    macs += shape[0] * shape[1] // 256 * 9 * channels**2
    return "analysis", program, make.rng.integers(-128, 128, shape).astype(np.int8), forward, macs


def compare(case: Case, threads: int, rounds: int, *, slow: bool) -> list[dict[str, object]]:
    """Time every implementation in turns; rows of results."""
    name, program, array, forward, macs = case
    inputs = {program.inputs[0].name: array}
    floats = torch.from_numpy(array.astype(np.float32))
    best = ISA_NAMES.index(backend.isa())
    runs: dict[str, Callable[[], object]] = {"torch-float32": lambda: forward(floats)}
    for isa in reversed(ISA_NAMES[: best + 1]):
        runner = backend.prepare(program, isa=isa)
        runs[isa] = lambda runner=runner: runner(inputs, level=0, threads=threads)
    if slow:
        other = numpy_backend.prepare(program)
        runs["numpy"] = lambda: other(inputs, level=0, threads=threads)
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = {key: [] for key in runs}
    with torch.inference_mode():
        for _ in range(rounds + 2):
            for key, run in runs.items():
                begin = time.perf_counter()
                run()
                times[key].append(time.perf_counter() - begin)
    medians = {key: statistics.median(values[2:]) for key, values in times.items()}
    return [
        {
            "cpu": cpu(), "network": name, "threads": threads, "what": key,
            "ms": round(1e3 * seconds, 3), "gmac_s": round(macs / seconds / 1e9, 1),
            "ratio": round(medians["torch-float32"] / seconds, 2),
        }
        for key, seconds in medians.items()
    ]  # fmt: skip


def cpu() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="768x512", help="width x height of the image")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--library", help="use this shared library, not the packaged one")
    parser.add_argument("--csv")
    parser.add_argument("--numpy", action="store_true", help="the NumPy backend too")
    args = parser.parse_args()
    if args.library:
        loaded = ctypes.CDLL(args.library)
        setattr(native, "library", lambda: loaded)  # noqa: B010 (a function, to pyright)
    width, height = (int(side) for side in args.size.split("x"))
    rows: list[dict[str, object]] = []
    print(f"{cpu()}; best instruction set {backend.isa()}; {args.size}; torch {torch.__version__}")
    for case in (synthesis(height, width), analysis(height, width)):
        small = case[2][:16, :24]
        expected = ops.run(case[1], {case[1].inputs[0].name: small})
        found = backend.prepare(case[1])({case[1].inputs[0].name: small}, level=0)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        for threads in map(int, args.threads.split(",")):
            for row in compare(case, threads, args.rounds, slow=args.numpy):
                rows.append(row)
                print("{network:10} {threads} thread(s) {what:14} {ms:9.2f} ms {gmac_s:7.1f} GMAC/s"
                      "  {ratio:5.2f} x float32".format(**row))  # fmt: skip
    if args.csv:
        with Path(args.csv).open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
