"""Where centers and sigma_0 come from: SGD on the cluster energy, a grid, or k-means."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from intact.errors import ArgumentError, DivergedError
from intact.quantize.checks import check_finite, check_kind, check_points, positive, whole
from intact.quantize.hard import hard_assign
from intact.quantize.soft import soft_quantize


class Fit(NamedTuple):
    """Centers and the hardness that goes with them.

    Attributes:
        centers: [1, L, k] or [g, L, k].
        sigma: sigma_0, above 0.
        energy: mean of |z - Q~(z)|^2 over the points, at each step: its course shows whether the
            steps were enough.
    """

    centers: Tensor
    sigma: float
    energy: list[float]


def sample_centers(
    points: Tensor, size: int, *, shared: bool = True, generator: torch.Generator | None = None
) -> Tensor:
    """``size`` different points, drawn at random: the start of §3.2.

    Args:
        points: [g, n, k].
        size: L.
        shared: one codebook from all groups, [1, L, k], or one from each, [g, L, k].
        generator: of random numbers, on the CPU.

    Raises:
        ArgumentError: points are fewer than centers, those that differ, that is.
        DivergedError: a point is not finite.
    """
    check_points(points, points)
    check_finite(points, "points")
    if generator is not None:
        check_kind(generator, torch.Generator, "generator", "a torch.Generator")
    whole(size, "size", 2)
    books = []
    for i, group in enumerate([points.flatten(0, 1)] if shared else list(points.unbind())):
        different = group.detach().unique(dim=0)
        if len(different) < size:
            raise ArgumentError(
                f"{size} centers are wanted, but the {len(group)} points of "
                f"{'all groups' if shared else f'group {i}'} are only {len(different)} different "
                "ones: give more points, or want fewer centers"
            )
        order = torch.randperm(len(different), generator=generator)[:size]
        books.append(different[order.to(different.device)])
    return torch.stack(books)


def fit_centers(  # noqa: PLR0913 - SGD has these settings
    points: Tensor,
    size: int,
    *,
    shared: bool = True,
    steps: int = 1000,
    batch: int = 4096,
    rate: float = 0.05,
    generator: torch.Generator | None = None,
) -> Fit:
    """Centers and sigma_0 by SGD on the cluster energy, sum of |z - Q~(z)|^2; §3.2.

    Q~ is the *soft* quantization: centers and sigma move together, and sigma settles where soft
    values come nearest to the points. Steps are taken on points of unit standard deviation, for
    log sigma and, since a center owns about 1 / L of the points, L times for centers.

    Args:
        points: [g, n, k], some thousands for each center.
        size: L.
        shared: one codebook for all groups, or one for each.
        steps: of SGD with momentum 0.9, at a rate that falls to 0 as a cosine.
        batch: points a group and step.
        rate: step size at the start.
        generator: of random numbers, on the CPU.

    Raises:
        ArgumentError: an argument is out of its range, or points are too few.
        DivergedError: a point is not finite, or the fit diverges.
    """
    whole(steps, "steps")
    whole(batch, "batch")
    positive(rate, "rate")
    start = sample_centers(points, size, shared=shared, generator=generator)
    points = points.detach()
    middle, spread = points.mean((0, 1)), points.std((0, 1), correction=0).mean()
    z, c = (points - middle) / spread, ((start - middle) / spread).requires_grad_()
    # Soft at the scale on which the centers stand apart: a Gaussian as wide as their distance.
    some = z[:, torch.randperm(z.shape[1], generator=generator)[:batch].to(z.device)]
    nearest = soft_quantize(some, c.detach(), 1e4).values
    apart = max(float((some - nearest).square().sum(2).mean()), 1e-6)
    log_sigma = torch.tensor(0.5 / apart, device=z.device).log().requires_grad_()
    optimizer = torch.optim.SGD(
        # The energy itself is small where centers are many: log sigma's step is relative to it.
        [{"params": [c], "lr": rate * size}, {"params": [log_sigma], "lr": rate / apart}],
        momentum=0.9,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    energy = []
    for _ in range(steps):
        drawn = torch.randint(z.shape[1], (batch,), generator=generator).to(z.device)
        part = z[:, drawn]
        values = soft_quantize(part, c, log_sigma.exp()).values
        loss = (part - values).square().sum(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        energy.append(float(loss.detach() * spread**2))
        hardness = float(log_sigma.detach().exp())
        if not 0 < hardness < float("inf"):
            raise DivergedError(f"at step {len(energy)} of the fit sigma is {hardness}: take a "
                                f"lower rate than {rate}")  # fmt: skip
    sigma = float(log_sigma.detach().exp() / spread**2)
    if not 0 < sigma < float("inf"):
        raise DivergedError(
            f"points have a standard deviation of {float(spread):.3g}: sigma, in units of 1 / z^2, "
            f"is {sigma} in {points.dtype}; scale them"
        )
    return Fit(c.detach() * spread + middle, sigma, energy)


def grid_centers(size: int, spacing: float = 1.0) -> Tensor:
    """[1, size, 1]: scalars ``spacing`` apart around 0, which is one of them if size is odd.

    For weights of unit standard deviation: k-means would put centers so near each other that a
    sigma which is hard for them lies far beyond what training reaches.

    Raises:
        ArgumentError: size is below 2 or spacing not above 0.
    """
    whole(size, "size", 2)
    positive(spacing, "spacing")
    return (torch.arange(size) - (size - 1) / 2)[None, :, None] * spacing


@torch.no_grad()
def kmeans_centers(
    points: Tensor,
    size: int,
    *,
    shared: bool = True,
    steps: int = 30,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Lloyd's k-means from `sample_centers`: the control that `fit_centers` is held against.

    A center that no point is nearest to stays where it is. Args, result and errors are those of
    `sample_centers`; ``steps`` are Lloyd's.
    """
    whole(steps, "steps")
    centers = sample_centers(points, size, shared=shared, generator=generator)
    parts = points.detach().flatten(0, 1)[None] if shared else points.detach()
    for _ in range(steps):
        symbols = hard_assign(parts, centers)
        for book, part, symbol in zip(centers, parts, symbols, strict=True):
            sums = torch.zeros_like(book).index_add_(0, symbol, part)
            counts = torch.bincount(symbol, minlength=size)[:, None]
            book.copy_(torch.where(counts > 0, sums / counts.clamp(min=1), book))
    return centers
