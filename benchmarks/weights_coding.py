"""Coded bytes of the quantized weights of ResNet-32 by every method, and by what others would take.

    python benchmarks/weights_coding.py

The pretrained network of `../shared/data/resnet32` (461,872 weights of 31 convolutions and one
layer, no biases, no batch norm), rounded with one step for all layers (`one`) or a step in
proportion to each layer's standard deviation (`std`), so that one histogram of all weights has
4, 1.6 or 0.8 bits; at 0.8 bits with a dead zone (rounded down from 0.7). Bytes are those of real
files' payloads, tables and heads included, one payload per layer unless it says `network`.
Every array is decoded and compared. The last part is lossless coding of all its floats, batch norm
included.
"""

from __future__ import annotations

import argparse
import bz2
import importlib
import lzma
import zlib
from pathlib import Path

import numpy as np
from common import DATA, RESULTS, Row, write
from numpy.typing import NDArray

from intact.packing import coding
from intact.weights.checkpoints import read_checkpoint

CHECKPOINT = DATA / "resnet32" / "resnet32-d509ac18.th"
CASES = [(4.0, 0.5), (1.6, 0.5), (0.8, 0.3)]
"""Bits of one histogram, and what is added before rounding down."""
Layer = tuple[NDArray[np.int32], int]
"""Symbols [rows, columns] and positions of the kernel."""


def tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """All floating-point tensors of the network."""
    sources = [source for source in read_checkpoint(path) if source.dtype.name == "F32"]
    return {s.name: s.raw().reshape(s.shape).view(np.float32) for s in sources}


def entropy(symbols: NDArray[np.int32]) -> float:
    """Bits per symbol of one histogram."""
    counts = np.unique(symbols, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def quantized(weights: list[NDArray[np.float32]], bits: float, add: float, scale: str):  # noqa: ANN201
    """Layers, and their steps, at so many bits of one histogram (by bisection)."""
    low, high = 1e-3, 20.0
    layers: list[Layer] = []
    step = low
    stds = [float(w.std()) if scale == "std" else 1.0 for w in weights]
    for _ in range(40):
        step = (low * high) ** 0.5
        layers = []
        for w, std in zip(weights, stds, strict=True):
            ratio = w / (step * std)
            symbols = (np.sign(ratio) * np.floor(np.abs(ratio) + add)).astype(np.int32)
            kernel = w.shape[2] * w.shape[3] if w.ndim == 4 else 1
            layers.append((symbols.reshape(w.shape[0], -1), kernel))
        if entropy(joined(layers)) > bits:
            low = step
        else:
            high = step
    return layers, step


def joined(layers: list[Layer]) -> NDArray[np.int32]:
    """All symbols in one row."""
    return np.concatenate([symbols.ravel() for symbols, _ in layers])


def ours(layers: list[Layer], method: coding.Method) -> int:
    """Bytes of all layers, each on its own; all are decoded again."""
    total = 0
    for symbols, kernel in layers:
        data = coding.encode(symbols, method, kernel=kernel)
        assert np.array_equal(coding.decode(data, *symbols.shape), symbols)
        total += len(data)
    return total


def others(raw: bytes) -> dict[str, int]:
    """What general compressors make of one byte per weight of the whole network."""
    found = {
        "zlib, network": len(zlib.compress(raw, 9)),
        "bz2, network": len(bz2.compress(raw, 9)),
        "lzma, network": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
    }
    for name in ("zstandard", "imagecodecs"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            found["zstd -19, network"] = len(module.ZstdCompressor(level=19).compress(raw))
        else:
            found["zstd -19, network"] = len(module.zstd_encode(raw, level=19))
        break
    return found


def rows_of(layers: list[Layer], scale: str, bits: float) -> list[Row]:
    """The table of one quantized network."""
    whole = joined(layers)
    ideal = whole.size * entropy(whole) / 8
    row = whole[None]
    sizes: dict[str, int] = {"one histogram, network (entropy)": round(ideal)}
    for method in ("static", "huffman"):
        sizes[f"{method}, network"] = ours([(row, 1)], method)
    for method in coding.METHODS:
        sizes[method] = ours(layers, method)
    sizes |= others(whole.astype(np.int8).tobytes())
    return [
        {
            "steps": scale,
            "bits": bits,
            "method": method,
            "bytes": size,
            "bits_per_weight": f"{8 * size / whole.size:.4f}",
            "against_one_histogram": f"{round(100 * (size - ideal) / ideal, 2) + 0.0:+.2f} %",
        }
        for method, size in sizes.items()
    ]


def lossless(arrays: list[NDArray[np.float32]]) -> list[Row]:
    """Bytes of all floats, without loss."""
    found: list[Row] = []
    singles = [array.view(np.uint32).ravel() for array in map(np.ascontiguousarray, arrays)]
    wide = [bits.astype(np.int64) for bits in singles]
    rounded = [(bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype(np.uint16) for bits in wide]
    halves = [array.astype(np.float16).view(np.uint16).ravel() for array in arrays]
    kinds: dict[coding.FloatKind, list] = {
        "float32": singles, "bfloat16": rounded, "float16": halves,
    }  # fmt: skip
    for kind, values in kinds.items():
        size = sum(len(coding.encode_floats(bits, kind)) for bits in values)
        raw = sum(bits.nbytes for bits in values)
        found.append(
            {
                "steps": "none",
                "bits": 8 * raw // sum(bits.size for bits in values),
                "method": f"lossless {kind}",
                "bytes": size,
                "bits_per_weight": f"{8 * size / sum(bits.size for bits in values):.4f}",
                "against_one_histogram": f"{100 * size / raw:.2f} % of raw",
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "weights_coding.csv")
    options = parser.parse_args()
    everything = tensors(CHECKPOINT)
    weights = [array for array in everything.values() if array.ndim > 1]
    table: list[Row] = []
    for scale in ("one", "std"):
        for bits, add in CASES:
            layers, step = quantized(weights, bits, add, scale)
            print(f"steps {scale}, {bits} bits: step {step:.4f}")
            table += rows_of(layers, scale, bits)
    table += lossless(list(everything.values()))
    for line in table:
        print(*line.values(), sep="  ")
    write(options.output, table)


if __name__ == "__main__":
    main()
