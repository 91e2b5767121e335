"""Scalars to shared values: the ways of table 1 in which weights of a network become symbols.

Each takes values [n] and returns `Clusters`. None knows networks; zeros that must stay zeros
(pruned weights) are kept out by the caller. Sums are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from intact.errors import ArgumentError, DivergedError
from intact.quantize.checks import positive, whole

_PIECE = 1 << 20
"""Distances held at once."""


class Clusters(NamedTuple):
    """Shared values and who shares them.

    Attributes:
        centers: [L], ascending, of the values' type; each has at least one value.
        symbols: int64 [n], indices into them.
    """

    centers: Tensor
    symbols: Tensor

    def bits(self) -> float:
        """H(p), bits per value."""
        p = torch.bincount(self.symbols, minlength=len(self.centers)).double() / len(self.symbols)
        return float(torch.special.entr(p).sum()) / math.log(2)


def _check(values: Tensor, importance: Tensor | None) -> None:
    if values.dim() != 1 or not values.is_floating_point() or not len(values):
        raise ArgumentError(
            f"values are {values.dtype} {list(values.shape)}; legal are floats [n], n from 1"
        )
    if not bool(torch.isfinite(values).all()):
        raise DivergedError("values to be clustered are not all finite")
    if importance is None:
        return
    if importance.shape != values.shape:
        raise ArgumentError(
            f"importance has shape {list(importance.shape)}, values {list(values.shape)}"
        )
    if not bool((torch.isfinite(importance) & (importance >= 0)).all()):
        raise ArgumentError("importance has entries that are negative or not finite")


def k_means(
    values: Tensor, size: int, importance: Tensor | None = None, *, steps: int = 300
) -> Clusters:
    """Lloyd's k-means of sorted scalars, from centers spread evenly from least to greatest.

    Han et al. 2016 (Deep Compression) found that start to keep the large weights that count. With
    ``importance`` (the Hessian's diagonal) it is Choi et al. 2016: clusters are intervals as
    before, a center is the weighted mean.

    Args:
        values: [n].
        size: clusters at most; those that end empty are left out.
        importance: [n], from 0; a cluster whose all is 0 takes the plain mean.
        steps: at most; it ends when nothing moves.

    Raises:
        ArgumentError: a shape or a number is out of its range.
        DivergedError: a value is not finite.
    """
    _check(values, importance)
    whole(size, "size")
    ordered, order = values.double().sort()
    weight = torch.ones_like(ordered) if importance is None else importance.double()[order]
    zero = torch.zeros(1, dtype=torch.float64)
    mass, moment, plain = (
        torch.cat([zero, part.cumsum(0)]) for part in (weight, weight * ordered, ordered)
    )
    centers = torch.linspace(float(ordered[0]), float(ordered[-1]), size, dtype=torch.float64)
    edges = torch.zeros(0, dtype=torch.int64)
    for _ in range(steps):
        inner = torch.searchsorted(ordered, (centers[1:] + centers[:-1]) / 2)
        found = torch.cat([torch.tensor([0]), inner, torch.tensor([len(ordered)])])
        if len(found) == len(edges) and bool((found == edges).all()):
            break
        edges = found
        inside = mass[edges[1:]] - mass[edges[:-1]]
        sizes = edges.diff()
        means = (moment[edges[1:]] - moment[edges[:-1]]) / inside.clamp(min=1e-300)
        # Of so little a share the difference of two sums is rounding.
        weighed = inside > 1e-9 * mass[-1]
        means = torch.where(weighed, means, (plain[edges[1:]] - plain[edges[:-1]]) / sizes)
        centers = torch.where(sizes > 0, means, centers)
        # Differences of sums round; centers of neighbors must not change places.
        centers = centers.cummax(0).values
    symbols = torch.empty(len(values), dtype=torch.int64)
    symbols[order] = torch.repeat_interleave(torch.arange(size), edges.diff())
    return _used(centers, symbols, values)


def uniform(values: Tensor, step: float, importance: Tensor | None = None) -> Clusters:
    """Multiples of ``step``; the shared value of a cluster is its mean (Choi et al. 2016, §5).

    Args and errors are those of `k_means`; ``step`` is above 0.
    """
    _check(values, importance)
    positive(step, "step")
    cells = (values.double() / step).round().long()
    levels, symbols = cells.unique(return_inverse=True)
    return _used(_means(values, symbols, len(levels), importance), symbols, values)


def ecsq(
    values: Tensor,
    size: int,
    trade: float,
    importance: Tensor | None = None,
    *,
    steps: int = 60,
) -> Clusters:
    """Entropy-constrained scalar quantization, iterated: Choi et al. 2016, §4.2 (Chou et al. 1989).

    In turn each value takes the cluster with the least error + ``trade`` x bits of its symbol, and
    clusters take their means and histogram. Clusters that nobody takes fall away.

    Args:
        values: [n].
        size: clusters at the start, on an even grid.
        trade: squared error (times importance) that a bit is worth, from 0.
        importance: [n] or None for 1.
        steps: at most.

    Raises:
        ArgumentError: a shape or a number is out of its range.
        DivergedError: a value is not finite.
    """
    _check(values, importance)
    whole(size, "size")
    if not (math.isfinite(trade) and trade >= 0):
        raise ArgumentError(f"trade is {trade}; legal is a number from 0")
    low, high = (float(x) for x in values.aminmax())
    centers = torch.linspace(low, high, size, dtype=torch.float64)
    bits = torch.zeros(size, dtype=torch.float64)
    before = None
    symbols = torch.zeros(len(values), dtype=torch.int64)
    for _ in range(steps):
        symbols = _cheapest(values, centers, trade * bits, importance)
        if before is not None and bool((symbols == before).all()):
            break
        kept, symbols = symbols.unique(return_inverse=True)
        centers = _means(values, symbols, len(kept), importance)
        p = torch.bincount(symbols).double() / len(symbols)
        bits, before = -p.log2(), symbols
    return _used(centers, symbols, values)


def _cheapest(values: Tensor, centers: Tensor, costs: Tensor, importance: Tensor | None) -> Tensor:
    if importance is None:
        kept, edges = _envelope(centers.tolist(), costs.tolist())
        return torch.tensor(kept)[torch.searchsorted(torch.tensor(edges).double(), values.double())]
    found = []
    piece = max(1, _PIECE // len(centers))
    for start in range(0, len(values), piece):
        part = values[start : start + piece].double()
        error = (part[:, None] - centers).square()
        error *= importance[start : start + piece].double()[:, None]
        found.append((error + costs).argmin(1))
    return torch.cat(found)


def _envelope(centers: list[float], costs: list[float]) -> tuple[list[int], list[float]]:
    """Which of ascending centers are cheapest somewhere, and the values where one gives way.

    (x - c)^2 + cost is, less x^2, a line in x: the least of lines falls into intervals.
    """
    kept: list[int] = []
    edges: list[float] = []  # before each of them but the first
    for i, (center, cost) in enumerate(zip(centers, costs, strict=True)):
        while kept:
            apart, more = center - centers[kept[-1]], cost - costs[kept[-1]]
            if apart > 0:
                edge = (center + centers[kept[-1]]) / 2 + more / (2 * apart)
            else:
                edge = math.inf if more >= 0 else -math.inf
            if edge > (edges[-1] if edges else -math.inf):
                edges.append(edge)
                break
            kept.pop()
            if edges:
                edges.pop()
        kept.append(i)
    return kept, edges


def _means(values: Tensor, symbols: Tensor, size: int, importance: Tensor | None) -> Tensor:
    """Weighted means of clusters, none of which is empty; float64 [size]."""
    ones = torch.ones(len(values), dtype=torch.float64)
    weight = ones if importance is None else importance.double()
    mass = torch.bincount(symbols, weight, size)
    weighted = torch.bincount(symbols, weight * values.double(), size) / mass.clamp(min=1e-300)
    plain = torch.bincount(symbols, values.double(), size) / torch.bincount(symbols, ones, size)
    return torch.where(mass > 0, weighted, plain)


def _used(centers: Tensor, symbols: Tensor, values: Tensor) -> Clusters:
    """Clusters that have a value, in ascending order of centers; equal ones become one."""
    kept, symbols = symbols.unique(return_inverse=True)
    levels, place = centers[kept].to(values.dtype).unique(return_inverse=True)
    return Clusters(levels, place[symbols])


def for_bits(
    make: Callable[[float], Clusters],
    bits: float,
    low: float,
    high: float,
    *,
    tolerance: float = 0.002,
) -> Clusters:
    """The clusters of ``make(x)`` whose entropy is ``bits``: bisected over log x.

    Args:
        make: x to `Clusters`; bits fall (about) with x.
        bits: wanted, per value.
        low: an x that gives more bits, above 0.
        high: one that gives fewer.
        tolerance: in bits; after 40 steps the nearest is taken, since entropies jump.

    Raises:
        ArgumentError: a number is out of its range.
    """
    positive(bits, "bits")
    positive(low, "low")
    positive(high, "high")
    best: Clusters | None = None
    for _ in range(40):
        middle = math.sqrt(low * high)
        found = make(middle)
        if best is None or abs(found.bits() - bits) < abs(best.bits() - bits):
            best = found
        if abs(best.bits() - bits) <= tolerance:
            break
        if found.bits() > bits:
            low = middle
        else:
            high = middle
    assert best is not None
    return best
