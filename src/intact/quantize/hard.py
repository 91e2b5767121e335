"""Hard assignment: the index of the nearest center, and the centers that indices stand for.

Nearest is decided in float64 and ties go to the lowest index, whatever fast way led there: the
symbols of a batch do not depend on how it was cut into pieces, nor on a matrix product's rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.quantize.checks import (
    check_finite,
    check_floats,
    check_points,
    check_symbols,
    without_autocast,
)

PIECE = 1 << 18
"""Entries of a matrix [points, L] that are computed at a time: 1 MB, which a core's cache holds."""

_CELLS = 4096  # of the table that finds a scalar's center


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """What this room computes in: float64 for float64, float32 for all others."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


@torch.no_grad()
@without_autocast
def hard_assign(points: Tensor, centers: Tensor) -> Tensor:
    """e(z): for each point the index of its nearest center; Agustsson 2017, §3.2.

    Args:
        points: [g, n, k], any floating type.
        centers: [L, k] as [1, L, k] for all groups, or [g, L, k]. Equal centers are one center,
            the first of them.

    Returns:
        int64 [g, n], 0..L-1. Of centers equally near (in float64), the lowest index.

    Raises:
        ArgumentError: the shapes do not fit.
        DivergedError: a point or a center is not finite.
    """
    check_points(points, centers)
    check_finite(points, "points")
    check_finite(centers, "centers")
    parts = [points.flatten(0, 1)] if len(centers) == 1 else list(points)
    assign = _assign_scalars if points.shape[2] == 1 else _assign_vectors
    return torch.cat([assign(z, c) for z, c in zip(parts, centers, strict=True)]).reshape(
        points.shape[:2]
    )


def _assign_vectors(z: Tensor, c: Tensor) -> Tensor:
    z = z.to(compute_dtype(z))
    scores = Scores(z, c.to(z.dtype))
    pieces = z.split(max(1, PIECE // len(c)))
    return torch.cat([scores.nearest(scores.of(piece), piece) for piece in pieces])


class Scores:
    """Scores ``scale (z . c - |c|^2 / 2)`` of points for centers, the highest for the nearest.

    They come from a matrix product, points and centers taken from the centers' mean, which keeps
    the terms small: their error is about 1e-7 scale |c|^2 in float32. Scores that differ by less
    than their rounding errors are decided by the true distances in float64.

    Args:
        z: [..., k], all points that scores will be asked for.
        c: [L, k].
        scale: 2 sigma makes the scores the logits of eq. 7, but for what is common to a row.
    """

    def __init__(self, z: Tensor, c: Tensor, scale: float = 1.0) -> None:
        self.centers, self.scale = c, scale
        self.shift = c.mean(0)
        self.shifted = c - self.shift
        self.bias = -0.5 * scale * self.shifted.square().sum(1)
        self.matrix = (scale * self.shifted).T
        z = z.flatten(0, -2)
        reach = max(_longest(z - self.shift), _longest(self.shifted))
        # The bound on a product's error: k + 4 roundings, on both sides of a comparison.
        rounding = 2 * scale * torch.finfo(c.dtype).eps * (c.shape[1] + 4)
        self.close = rounding * reach * (reach + max(_longest(z), _longest(c)))

    def of(self, z: Tensor) -> Tensor:
        """[n, L] for points [n, k], but for a number common to a row."""
        if z.shape[1] == 1:  # as cheap, and exact for near centers among far ones
            return (z - self.centers.T).square_().mul_(-0.5 * self.scale)
        return torch.addmm(self.bias, z - self.shift, self.matrix)

    def nearest(self, scores: Tensor, z: Tensor) -> Tensor:
        """int64 [n] for scores [n, L] and the points [n, k] that they were computed from."""
        best, found = scores.max(1, keepdim=True)
        scores.scatter_(1, found, -float("inf"))
        rival = scores.amax(1)
        scores.scatter_(1, found, best)
        found, best = found[:, 0], best[:, 0]
        unsure = (rival >= best - self.close).nonzero()[:, 0]
        for rows in unsure.split(max(1, PIECE // self.centers.numel())):
            offsets = z[rows].double()[:, None] - self.centers.double()
            found[rows] = offsets.square_().sum(2).argmin(1)
        return found


def _longest(vectors: Tensor) -> float:
    return float(vectors.square().sum(1).max().sqrt())


def _assign_scalars(z: Tensor, c: Tensor) -> Tensor:
    """The same for k = 1: how many borders between the sorted centers lie below each point.

    A search takes 7 steps that a processor cannot foresee; a table says for each of 4,096 cells
    how many borders lie before it, and only the few borders inside a point's own cell are
    compared. Right because the cell of a number, rounding included, never falls as it grows.
    """
    z = z.flatten().to(compute_dtype(z))
    values, inverse = c.flatten().to(z.dtype).unique(sorted=True, return_inverse=True)
    indices = torch.arange(len(inverse), device=z.device)
    lowest = torch.full_like(values, len(inverse), dtype=torch.int64)
    lowest.scatter_reduce_(0, inverse, indices, "amin")
    if len(values) == 1:
        return lowest.expand(len(z)).clone()
    borders = _borders(values, lowest)
    low, high = float(borders[0]), float(borders[-1])
    scale = (_CELLS - 2) / (high - low) if high > low else 0.0

    def cell(x: Tensor) -> Tensor:
        # Clamped before it is an integer: a far point would leave the range of int64.
        return ((x - low) * scale).clamp_(-1, _CELLS - 1).floor_().long() + 1

    border_cells = cell(borders)
    counts = torch.bincount(border_cells, minlength=_CELLS + 1)
    before = counts.cumsum(0) - counts
    # Row r holds the r-th border of each cell, or infinity, which no point is above.
    rank = torch.arange(len(borders), device=z.device) - before[border_cells]
    inside = borders.new_full((int(counts.max()), _CELLS + 1), float("inf"))
    inside[rank, border_cells] = borders
    where = cell(z)
    found = before.index_select(0, where)
    for row in inside:
        found += z > row.index_select(0, where)
    return lowest.index_select(0, found)


def _borders(values: Tensor, lowest: Tensor) -> Tensor:
    """[L - 1]: the largest numbers of the type that still belong to the center on their left."""
    wide = values.double()
    middle = (wide[1:] + wide[:-1]) / 2
    border = middle.to(values.dtype)
    below = torch.nextafter(border, torch.full_like(border, -float("inf")))
    # Rounded up past the middle; or on it while the tie is the right one's, whose index is lower.
    too_high = (border.double() > middle) | (
        (border.double() == middle) & (lowest[1:] < lowest[:-1])
    )
    return torch.where(too_high, below, border)


def look_up(symbols: Tensor, centers: Tensor) -> Tensor:
    """D(e): the centers that symbols stand for. Its gradient reaches the centers.

    Args:
        symbols: integers [g, n], 0..L-1.
        centers: [1, L, k] or [g, L, k].

    Returns:
        [g, n, k], of the type of the centers.

    Raises:
        ArgumentError: a shape does not fit, or a symbol is out of range.
    """
    check_floats(centers, "centers")
    if centers.dim() != 3:
        raise ArgumentError(f"centers have shape {list(centers.shape)}, not [1 or g, L, k]")
    symbols = check_symbols(symbols, centers.shape[1])
    if len(centers) not in (1, len(symbols)):
        raise ArgumentError(
            f"symbols {list(symbols.shape)} and centers {list(centers.shape)} are not [g, n] and "
            "[1 or g, L, k]"
        )
    groups, size, length = len(symbols), centers.shape[1], symbols.shape[1]
    if len(centers) > 1:
        symbols = symbols + size * torch.arange(groups, device=symbols.device)[:, None]
    rows = centers.flatten(0, 1).index_select(0, symbols.flatten())
    return rows.reshape(groups, length, centers.shape[2])


def hard_quantize(points: Tensor, centers: Tensor) -> Tensor:
    """Q^(z): each point's nearest center; Agustsson 2017, §3.2.

    Args and errors are those of `hard_assign`; the result is [g, n, k]. Its gradient reaches the
    centers and not the points, for which it is zero almost everywhere.
    """
    return look_up(hard_assign(points, centers), centers)
