"""A control of Ballé 2019, table 1: p of Eq. 14 computed in float32 for every symbol.

    z --float hyper-synthesis--> theta, real --Eq. 15--> sigma --Eq. 14--> p(y), a table each latent

What the paper's authors had before they had tables: nothing is rounded to one of L scales, so that
any bit of sigma counts. Sender and receiver come to the same integers only where their floats agree
to the last bit that matters. No file has this form: it exists to be seen failing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from intact.bits.fast import Decoder, encode as encode_message
from intact.bits.tables import TOTAL, TableBank
from intact.errors import ArgumentError
from intact.inexact.networks import Library

MAX_RADIUS = 1024
TABLES = 1 << 12
"""Latents whose tables are made together."""


class Erfc(Protocol):
    """1 - erf(x) of float32 x >= 0, in float32."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Of any shape."""
        ...


@dataclass(frozen=True)
class Scales:
    """Eq. 15: sigma of theta.

    Attributes:
        low: sigma_min.
        high: sigma_max.
        count: L.
    """

    low: float = 0.11
    high: float = 256.0
    count: int = 64


def encode(
    symbols: np.ndarray, theta: np.ndarray, scales: Scales, library: Library = "numpy"
) -> bytes:
    """The message of some latents; inverse of `decode` where the same floats come out.

    Args:
        symbols: int32 [...].
        theta: float32 [...], as the hyper-synthesis gave it.
        scales: of Eq. 15.
        library: which computes Eq. 14 and 15.
    """
    flat, parts, start = symbols.ravel().astype(np.int32), [], 0
    for bank in _banks(theta, scales, library):
        part = flat[start : start + bank.num_tables]
        parts.append((part, np.arange(part.size, dtype=np.uint16), bank))
        start += part.size
    return encode_message(parts)


def decode(
    payload: bytes, theta: np.ndarray, scales: Scales, library: Library = "numpy"
) -> np.ndarray:
    """int32 [...]: the latents of a message; inverse of `encode`.

    Raises:
        CorruptDataError: the floats differ, and the message ends too early or too late. More
            often other symbols come out.
    """
    decoder, found = Decoder(payload), []
    for bank in _banks(theta, scales, library):
        found.append(decoder.decode(np.arange(bank.num_tables, dtype=np.uint16), bank))
    decoder.finish()
    return np.concatenate(found).reshape(theta.shape)


def _banks(theta: np.ndarray, scales: Scales, library: Library) -> Iterator[TableBank]:
    """The tables of all latents, `TABLES` of them at a time, in order."""
    exp, erfc = _functions(library)
    low, high = math.log(scales.low), math.log(scales.high)
    slope = np.float32((high - low) / (scales.count - 1))
    inside = np.clip(theta.ravel().astype(np.float32), 0, scales.count - 1)
    for start in range(0, inside.size, TABLES):
        sigma = exp(np.float32(low) + slope * inside[start : start + TABLES])
        yield tables(sigma, erfc)


def tables(sigma: np.ndarray, erfc: Erfc) -> TableBank:
    """Eq. 14 for each scale, in float32, and from there on in integers.

    Args:
        sigma: float32 [n].
        erfc: see there.
    """
    radius = np.minimum(np.ceil(6 * sigma).astype(np.int64) + 1, MAX_RADIUS)
    size = 2 * radius + 2  # symbols -radius..radius, and the escape
    freqs = np.ones(int(size.sum()), np.int32)
    starts = np.cumsum(size) - size
    for width in np.unique(radius):
        rows = np.flatnonzero(radius == width)
        edges = np.abs(np.arange(-width, width + 2) - 0.5).astype(np.float32)
        tail = np.float32(0.5) * erfc(edges / (sigma[rows, None] * np.float32(math.sqrt(2))))
        # Mass of |y| from its tails; of 0 what both tails leave.
        mass = np.abs(tail[:, 1:] - tail[:, :-1])
        mass[:, width] = 1 - 2 * tail[:, width]
        spare = TOTAL - (2 * width + 2)
        counts = 1 + np.floor(mass * np.float32(spare)).astype(np.int32)
        counts[:, width] += TOTAL - 1 - counts.sum(1)  # the escape keeps 1
        places = starts[rows, None] + np.arange(2 * width + 1)
        freqs[places] = counts
    return TableBank(-radius.astype(np.int32), size.astype(np.int32), starts, freqs)


def _functions(library: Library) -> tuple[Any, Erfc]:
    """Exponential function and `Erfc` of a library, on NumPy's arrays."""
    if library == "numpy":
        return np.exp, _erfc
    if library == "onnx":
        from intact.inexact import onnx_layers

        return onnx_layers.exp, onnx_layers.erfc
    if library == "torch":
        import torch

        def exp(x: np.ndarray) -> np.ndarray:
            return torch.exp(torch.from_numpy(x)).numpy()

        def erfc(x: np.ndarray) -> np.ndarray:
            return torch.erfc(torch.from_numpy(x)).numpy()

        return exp, erfc
    raise ArgumentError(f"library = {library!r}; legal: numpy, torch, onnx")


_P = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
"""Abramowitz and Stegun, 7.1.26: to 1.5e-7, which is float32's own precision."""


def _erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x) of float32 x >= 0: NumPy has none of its own."""
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * x)
    value = np.zeros_like(t)
    for factor in reversed(_P):
        value = (value + np.float32(factor)) * t
    return value * np.exp(-x * x)
