"""Distributions to integer frequency tables: the last place where a probability is a float.

The Gaussian of Ballé 2019, Eq. 14, is what training assumed; what the frozen encoder really emits
(it has a dead zone, and residuals have heavier tails) is counted on training images and mixed in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank
from intact.train.entropy import FactorizedPrior

PRECISION = 1 << 30
"""Probabilities become integers of this precision before they are apportioned."""
TAIL = 0.7 / TOTAL
"""Symbols less probable than this travel as escapes."""
PRIOR_COUNTS = 2000.0
"""The Gaussian counts as much as this many observed symbols."""


def gaussian_pmf(sigma: float, radius: int) -> np.ndarray:
    """Probabilities of -radius..radius under N(0, sigma^2) and rounding; Eq. 14."""
    edges = (np.arange(-radius, radius + 2) - 0.5) / (sigma * math.sqrt(2))
    cdf = np.array([0.5 * math.erfc(-e) for e in edges])
    upper = np.array([0.5 * math.erfc(e) for e in edges])
    # Differences of the tail function where the cdf has lost its digits.
    middle = radius + 1
    return np.concatenate([np.diff(cdf[: middle + 1]), -np.diff(upper[middle:])])


def table_from_pmf(pmf: np.ndarray, minimum: int) -> tuple[int, np.ndarray]:
    """Cut a distribution to its worthwhile symbols: (minimum, frequencies, the escape's last)."""
    keep = np.flatnonzero(pmf >= TAIL)
    first, last = (int(keep[0]), int(keep[-1])) if keep.size else (pmf.size // 2,) * 2
    inside = pmf[first : last + 1]
    escape = max(1.0 - float(inside.sum()), 1e-6)
    weights = np.append(inside, escape)
    weights = np.maximum(np.rint(weights / weights.sum() * PRECISION), 1).astype(np.int64)
    return minimum + first, apportion(weights)


def scale_tables(sigmas: Sequence[float], counts: np.ndarray | None = None) -> TableBank:
    """The bank of tables for latents.

    Args:
        sigmas: the scale of each table, in quantization steps.
        counts: int64 [scales, 2 r + 1]: how often each table met the symbols -r..r; or None.
    """
    minimums, freqs = [], []
    for index, sigma in enumerate(sigmas):
        radius = math.ceil(8 * sigma) + 4
        if counts is not None:
            radius = max(radius, counts.shape[1] // 2)
        pmf = gaussian_pmf(sigma, radius)
        if counts is not None:
            seen = np.zeros_like(pmf)
            half = counts.shape[1] // 2
            row = counts[index].astype(np.float64)
            # The sign carries no information: both halves are one observation.
            seen[radius - half : radius + half + 1] = (row + row[::-1]) / 2
            total = PRIOR_COUNTS * pmf + seen
            pmf = total / total.sum()
        minimum, table = table_from_pmf(pmf, -radius)
        minimums.append(minimum)
        freqs.append(table)
    return TableBank.build(minimums, freqs)


def hyper_tables(
    prior: FactorizedPrior, counts: np.ndarray | None = None, steps: Tensor | None = None
) -> TableBank:
    """The bank of tables for hyper-latents, one per channel, or one per band and channel.

    Args:
        prior: the trained densities.
        counts: int64 [bands * channels, 256]: how often each channel was -128..127; or None.
        steps: float [bands, channels], of quantization; one band of step 1 when None.
    """
    return density_tables(prior, 128, counts=counts, steps=steps)


def density_tables(
    prior: FactorizedPrior,
    radius: int,
    *,
    offsets: Tensor | None = None,
    counts: np.ndarray | None = None,
    steps: Tensor | None = None,
) -> TableBank:
    """A bank of one table per channel, or of one per band and channel.

    Args:
        prior: the trained densities.
        radius: tables have entries for some of -radius..radius - 1.
        offsets: [channels], o of Ballé 2019, Eq. 19: symbol n stands for n + o; or None for 0.
        counts: int64 [bands * channels, 2 * radius]: how often each symbol was seen; or None.
        steps: float [bands, channels], of quantization; one band of step 1 when None.
    """
    symbols = torch.arange(-radius, radius, dtype=torch.float32)
    channels = len(prior.matrices[0])
    steps = torch.ones(1, channels) if steps is None else steps.float()
    with torch.no_grad():
        at = symbols.expand(channels, -1)
        at = at if offsets is None else at + offsets[:, None]
        widths = [row[:, None].expand(-1, symbols.numel()) for row in steps]
        found = [prior.probability(at * width, width) for width in widths]
        pmf = torch.cat(found).double().numpy()
    if counts is not None:
        pmf = PRIOR_COUNTS * pmf + counts
    pmf = pmf / pmf.sum(1, keepdims=True)
    pairs = [table_from_pmf(row, -radius) for row in pmf]
    return TableBank.build([m for m, _ in pairs], [f for _, f in pairs])
