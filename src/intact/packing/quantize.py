"""The packer's choice of symbols: a uniform step, and rounding that leans to cheap symbols.

Nothing of this is in a file but its result. A step is a share of the tensor's standard deviation,
the same for all tensors of a group; equal weights of tensors (measured: weighting by Fisher
information costs accuracy). A value goes to the nearer multiple unless the farther one is cheaper:
squared error + lambda * step**2 * bits is least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.packing.dtypes import Array, Dtype, as_float32, narrow
from intact.packing.limits import BLOB_VALUES

LAMBDA: Final = 0.1
"""Squared steps for a bit. At high rates -dD/dR is 2 ln 2 * step**2 / 12 = 0.116 squared steps."""
LARGEST_COST: Final = 4.0
"""Bits between neighbors, at most: counts of a sample say nothing of rare symbols."""
NUM_COSTS: Final = 256
"""Magnitudes whose costs are told apart."""
SAMPLE: Final = 1 << 14
"""Values of a tensor that its rate is estimated from."""
LEAST_LEFT: Final = 0.01
"""Of the values that are not 0, that a step must leave, or we warn."""
LARGEST_SYMBOL: Final = 32767
LEAST_SHARE, LARGEST_SHARE = 2.0**-14, 16.0
"""Of the standard deviation, that a step may be."""
FINEST_SHARE: Final = 2.0**-10
"""Where bits are asked for: 12 of them. A finer one has more multiples than small tensors have
elements, and entropy then says nothing."""


@dataclass(frozen=True)
class Statistics:
    """What the packer knows of a tensor.

    Attributes:
        count: of its elements.
        std: standard deviation.
        largest: magnitude.
        finite: all elements are.
        sample: some, float32, divided by std (if that is not 0).
    """

    count: int
    std: float
    largest: float
    finite: bool
    sample: NDArray[np.float32]


def pieces(raw: Array) -> Iterator[Array]:
    """A raw tensor in parts of `BLOB_VALUES`."""
    for start in range(0, len(raw), BLOB_VALUES):
        yield raw[start : start + BLOB_VALUES]


def statistics(raw: Array, dtype: Dtype) -> Statistics:
    """Look at a tensor of at least one element, part by part.

    Args:
        raw: its raw elements [n].
        dtype: a type that is quantizable.
    """
    total, square, low, high = 0.0, 0.0, math.inf, -math.inf
    for piece in pieces(raw):
        values = as_float32(piece, dtype).astype(np.float64)
        if not np.isfinite(values).all():
            nothing = np.zeros(0, np.float32)
            return Statistics(len(raw), 0.0, math.inf, finite=False, sample=nothing)
        total += float(values.sum())
        square += float(values @ values)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    mean = total / len(raw)
    std = math.sqrt(max(square / len(raw) - mean * mean, 0.0)) if low < high else 0.0
    sample = as_float32(np.ascontiguousarray(raw[:: -(-len(raw) // SAMPLE)]), dtype)
    with np.errstate(over="ignore"):
        sample = (sample.astype(np.float64) / (std or 1.0)).astype(np.float32)
    return Statistics(len(raw), std, max(-low, high), finite=True, sample=sample)


class Rounding:
    """Symbols of values, for one tensor and one step.

    Args:
        sample: of values, divided by std.
        share: the step, divided by std.
    """

    def __init__(self, sample: NDArray[np.float32], share: float) -> None:
        sizes = np.minimum(np.rint(np.abs(sample) / np.float32(share)), NUM_COSTS).astype(np.int64)
        counts = np.bincount(sizes, minlength=NUM_COSTS + 1) + 0.5
        counts[1:] /= 2  # two signs share a magnitude's values
        gaps = np.clip(-np.diff(np.log2(counts)), 0.0, LARGEST_COST)
        self._borders = np.minimum(0.5 + LAMBDA / 2 * gaps, 1.0).astype(np.float32)

    def symbols(self, values: NDArray[np.float32], step: np.float32) -> NDArray[np.int32]:
        """The multiples of ``step`` that stand for values; at most 2**31 in magnitude."""
        size = np.abs(values) / step
        whole = np.floor(size)
        found = whole.astype(np.int32)
        border = self._borders[np.minimum(found, NUM_COSTS - 1)]
        found += size - whole > border
        return np.where(values < 0, -found, found)

    def erases(self, sample: NDArray[np.float32], share: float) -> bool:
        """Whether hardly any of a sample's values is left: a few huge ones make the deviation."""
        left = np.count_nonzero(self.symbols(sample, np.float32(share)))
        return bool(left < LEAST_LEFT * np.count_nonzero(sample))


def entropy(symbols: NDArray[np.int32]) -> float:
    """Of the histogram, bits per symbol."""
    if not symbols.size:
        return 0.0
    counts = np.unique(symbols, return_counts=True)[1]
    shares = counts / symbols.size
    return float(-(shares * np.log2(shares)).sum())


def estimate_bits(parts: Sequence[Statistics], share: float) -> float:
    """Bits of tensors with a step of that share, by the entropy of their samples."""
    bits = 0.0
    for part in parts:
        symbols = Rounding(part.sample, share).symbols(part.sample, np.float32(share))
        bits += part.count * entropy(symbols)
    return bits


def share_for_bits(parts: Sequence[Statistics], bits: float) -> float:
    """The step's share of std at which `estimate_bits` is ``bits``: by bisection.

    A number of bits that no step gives leads to the end of the range that is nearer.
    """
    low, high = math.log2(FINEST_SHARE), math.log2(LARGEST_SHARE)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if estimate_bits(parts, 2.0**middle) > bits:
            low = middle
        else:
            high = middle
    return 2.0**high


def read_back(symbols: NDArray[np.int32], dtype: Dtype, step: np.float32) -> Array:
    """float32 of what a reader makes of symbols: multiples of the step, rounded to the type."""
    with np.errstate(over="ignore"):
        return as_float32(narrow(symbols.astype(np.float32) * step, dtype), dtype)


def error_of(
    values: NDArray[np.float32], symbols: NDArray[np.int32], dtype: Dtype, step: np.float32
) -> float:
    """Sum of squared errors; in float64: squares of large and tiny values leave float32."""
    distance = values.astype(np.float64) - read_back(symbols, dtype, step)
    return float(distance @ distance)


def holds(dtype: Dtype, largest: float, step: np.float32) -> bool:
    """Whether a type and our symbols reach as far as the largest magnitude, a step farther too."""
    if not 0 < step < np.inf or largest / step > LARGEST_SYMBOL:
        return False
    farthest = np.array([math.ceil(largest / step)], np.int32)
    return bool(np.isfinite(read_back(farthest, dtype, step)).all())


def share_for_error(part: Statistics, raw: Array, dtype: Dtype, error: float) -> float:
    """The largest step's share of std at which the root mean square error is at most ``error`` std.

    By bisection on the sample; then on the whole tensor, until it holds.
    """
    low, high = math.log2(LEAST_SHARE), math.log2(LARGEST_SHARE)
    while high - low > 1e-3:
        middle = (low + high) / 2
        share = np.float32(2.0**middle)
        found = Rounding(part.sample, float(share)).symbols(part.sample, share)
        distance = part.sample.astype(np.float64) - found * share
        if math.sqrt(float(np.mean(distance * distance))) > error:
            high = middle
        else:
            low = middle
    share = 2.0**low
    while share > LEAST_SHARE:
        step = np.float32(share * part.std)
        rounding = Rounding(part.sample, share)
        total = 0.0
        for piece in pieces(raw):
            values = as_float32(piece, dtype)
            total += error_of(values, rounding.symbols(values, step), dtype, step)
        found = math.sqrt(total / part.count) / part.std
        if found <= error:
            break
        share *= min(error / found, 0.999) * 0.9995
    return share
