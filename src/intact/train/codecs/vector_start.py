"""The second stage's first centers, sigma_0 and logits: the paper's way, and controls."""

from __future__ import annotations

import torch
from torch import Tensor

from intact.quantize import Fit, fit_centers, grid_centers, kmeans_centers
from intact.train.codecs.vector_settings import VectorCodebook
from intact.train.network import Network

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


@torch.no_grad()
def start_logits(network: Network, fit: Fit) -> None:
    """Let the layer of logits, "y", start as what the soft assignment (eq. 7) has in their place.

    It is linear in a patch z, but for what all symbols have alike: -sigma |z - c|^2 =
    2 sigma z c - sigma |c|^2 - sigma |z|^2. A channel's logits read its own patch alone.

    Args:
        network: the analysis; it reads the patches of g channels, 4 numbers each, in a row.
        fit: centers [1 or g, L, 4], and sigma.
    """
    books, size, numbers = fit.centers.shape
    weight, bias = (network.get("y", key) for key in ("weight", "bias"))
    channels = len(bias) // size
    own = weight.view(channels, size, channels, numbers).zero_()
    for channel in range(channels):
        own[channel, :, channel] = 2 * fit.sigma * fit.centers[channel % books]
    squares = fit.centers.square().sum(2).expand(channels, -1)
    bias.copy_(-fit.sigma * squares.flatten())
