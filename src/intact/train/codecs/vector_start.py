"""The second stage's first centers and its sigma_0: the paper's way, and controls."""

from __future__ import annotations

import torch
from torch import Tensor

from intact.quantize import Fit, fit_centers, grid_centers, kmeans_centers
from intact.train.codecs.vector_settings import VectorCodebook

POINTS = 4096
"""Of all channels, in a step of SGD."""
MOST_POINTS = 1 << 17
"""Of all channels, that k-means sees."""


def first_centers(points: Tensor, book: VectorCodebook) -> Fit:
    """Centers and sigma_0 for the features of some crops.

    k-means and the grid take sigma_0 from the cluster energy, too: they differ in centers alone.

    Args:
        points: [channels, n, k].
        book: how many, how found.

    Raises:
        ArgumentError: points are too few, or too much alike.
        DivergedError: a point is not finite.
    """
    generator = torch.Generator().manual_seed(0)
    fit = fit_centers(
        points, book.size, shared=book.shared, steps=book.fit_steps,
        batch=max(64, POINTS // len(points)), generator=generator,
    )  # fmt: skip
    if book.start == "k-means":
        most = max(book.size, MOST_POINTS // len(points))
        some = points[:, torch.randperm(points.shape[1], generator=generator)[:most]]
        centers = kmeans_centers(some, book.size, shared=book.shared, generator=generator)
        return fit._replace(centers=centers)
    if book.start == "grid":
        deviation = points.std((0, 1), correction=0).mean()
        grid = grid_centers(book.size) * deviation * book.spacing
        return fit._replace(centers=grid.expand_as(fit.centers).clone())
    return fit
