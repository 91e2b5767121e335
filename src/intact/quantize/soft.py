"""Soft assignment to centers and what follows from it: Agustsson 2017, §3.2.

`soft_assign` is eq. 7 as it stands, [g, n, L] in memory. `soft_quantize` returns what training
needs of it: the soft values and the soft histogram, from which both forms of the soft entropy
follow. It never holds more than a piece of the assignments, forward and backward.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from intact.errors import ArgumentError, DivergedError, quoted
from intact.quantize.checks import check_finite, check_points, positive, without_autocast
from intact.quantize.grid import ENTRIES, assignments, cells_needed, grid_quantize
from intact.quantize.hard import PIECE, Scores, compute_dtype, hard_assign

Method = Literal["auto", "exact", "grid"]

TOLERANCE = 5e-5
"""Error of an assignment that the grid of `soft_quantize` is made for."""


class Soft(NamedTuple):
    """What `soft_quantize` returns.

    Attributes:
        values: Q~(z) [g, n, k], of the type of the points. Differentiable.
        q: the soft histogram [g, L], each row summing to 1. Differentiable.
        symbols: int64 [g, n], those of `hard_assign`: the hard values and the hard histogram are
            `look_up` and `hard_histogram` of them.
    """

    values: Tensor
    q: Tensor
    symbols: Tensor


def soft_assign(points: Tensor, centers: Tensor, sigma: float | Tensor) -> Tensor:
    """phi(z) = softmax(-sigma [|z - c_1|^2, ..., |z - c_L|^2]); Agustsson 2017, eq. 7.

    Args:
        points: [g, n, k].
        centers: [1, L, k] or [g, L, k].
        sigma: hardness, above 0; a tensor of one number may take a gradient.

    Returns:
        [g, n, L], each row positive and summing to 1. Plain autograd, any order; memory g n L.

    Raises:
        ArgumentError: the shapes do not fit, or sigma is not above 0.
        DivergedError: a point or a center is not finite.
    """
    check_points(points, centers)
    positive(sigma, "sigma")
    check_finite(points, "points")
    check_finite(centers, "centers")
    distances = (points[:, :, None] - centers[:, None]).square().sum(3)
    return torch.softmax(-sigma * distances, 2)


@without_autocast
def soft_quantize(
    points: Tensor,
    centers: Tensor,
    sigma: float | Tensor,
    *,
    method: Method = "auto",
    tolerance: float = TOLERANCE,
) -> Soft:
    """Q~(z) = sum of c_j phi_j(z), and q_j = mean of phi_j; Agustsson 2017, §3.2.

    Gradients reach points, centers and sigma, once (not a gradient of a gradient). Assignments
    are computed piece by piece and again in the backward pass: beside tensors of the size of the
    points a few MB are held.

    Args:
        points: [g, n, k]; a group has a histogram of its own.
        centers: [1, L, k], one codebook for all groups, or [g, L, k].
        sigma: hardness, above 0.
        method: "exact"; "grid", for k = 1 alone: assignments are computed on a uniform grid and
            interpolated, fine enough for ``tolerance``; or "auto": the one that costs less.
        tolerance: largest error of an assignment by "grid", about; of the values it is this times
            the distance between neighboring centers.

    Returns:
        `Soft`: values, q, symbols.

    Raises:
        ArgumentError: the shapes do not fit; sigma or tolerance is not above 0; "grid" with
            k > 1, or where it would need a table of more than 16 MB.
        DivergedError: a point or a center is not finite, or so large, or sigma is, that
            sigma |z - c|^2 leaves the range of floating point.
    """
    check_points(points, centers)
    check_method(method, points.shape[2])
    scalar = points.shape[2] == 1
    hardness, tolerance = positive(sigma, "sigma"), positive(tolerance, "tolerance")
    reach = max(check_finite(points, "points"), check_finite(centers, "centers"))
    dtype = compute_dtype(points)
    if not 8 * points.shape[2] * reach**2 * max(hardness, 1.0) < torch.finfo(dtype).max:
        raise DivergedError(
            f"points or centers reach {reach:.3g}: with sigma {hardness:.3g} their distances "
            f"leave the range of {dtype}"
        )
    z, c = points.to(dtype), centers.to(dtype)
    s = sigma if isinstance(sigma, Tensor) else torch.tensor(sigma, dtype=torch.float64)
    s = s.to(device=points.device, dtype=dtype).reshape(())
    codebooks = [(z, c[0])] if len(c) == 1 else [(z[i : i + 1], c[i]) for i in range(len(c))]
    results = []
    for part, codebook in codebooks:
        cells = cells_needed(part, codebook, hardness, tolerance) if scalar else 0
        if method == "grid" and cells * len(codebook) > ENTRIES:
            raise ArgumentError(
                f"method 'grid' would need {cells} cells for sigma {hardness:.3g} and tolerance "
                f"{tolerance:.3g}; legal are {ENTRIES // len(codebook)} with {len(codebook)} "
                "centers: take 'exact'"
            )
        if scalar and (method == "grid" or (method == "auto" and _pays(part, codebook, cells))):
            values, q = grid_quantize(part[..., 0], codebook[:, 0], s, cells)
            results.append(Soft(values[..., None], q, hard_assign(part, codebook[None])))
        else:
            values, q, symbols = _Exact.apply(part, codebook, s)
            if scalar:
                symbols = hard_assign(part, codebook[None])
            results.append(Soft(values, q, symbols))
    values, q, symbols = (torch.cat(parts) for parts in zip(*results, strict=True))
    return Soft(values.to(points.dtype), q, symbols)


def check_method(method: str, k: int) -> None:
    """A method of `soft_quantize` for points of k numbers.

    Raises:
        ArgumentError: there is none of that name, or it is for scalars alone.
    """
    if method not in ("auto", "exact", "grid"):
        raise ArgumentError(f"method is {quoted(method)}; legal are 'auto', 'exact', 'grid'")
    if method == "grid" and k > 1:
        raise ArgumentError(f"method 'grid' is for k = 1; the points have k = {k}")


def _pays(z: Tensor, c: Tensor, cells: int) -> bool:
    """Whether a grid of so many cells is cheaper: interpolation costs about 12 entries a point."""
    return cells * len(c) <= ENTRIES and cells * len(c) + 12 * z.numel() < z.numel() * len(c)


class _Exact(torch.autograd.Function):
    """(z [g, n, k], c [L, k], sigma []) -> (values [g, n, k], q [g, L], symbols [g, n]).

    With gradients G of the values and h of q, the loss is to first order the sum over points of
    sum_j phi_j a_j with a_j = c_j . G + h_j / n; r_j = phi_j (a_j - sum_i phi_i a_i) is its
    gradient for the logit -sigma |z - c_j|^2, and sum_j r_j = 0, which lets |z|^2 drop out:

        dz = 2 sigma sum_j r_j c_j
        dc_j = sum over points of phi_j G + 2 sigma r_j (z - c_j)
        dsigma = 2 sum over points and j of r_j (z . c_j - |c_j|^2 / 2)
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, c: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(z, c, sigma)
        scores = Scores(z, c, 2 * float(sigma))
        values, symbols = torch.empty_like(z), z.new_zeros(z.shape[:2], dtype=torch.int64)
        q = z.new_zeros(len(z), len(c))
        for group, part in _pieces(z, c):
            logits = scores.of(z[group, part])
            if z.shape[2] > 1:  # scalars have a faster way
                symbols[group, part] = scores.nearest(logits, z[group, part])
            phi = assignments(logits)
            values[group, part] = torch.addmm(scores.shift, phi, scores.shifted)
            q[group] += phi.sum(0)
        ctx.mark_non_differentiable(symbols)
        return values, q / z.shape[1], symbols

    @staticmethod
    @once_differentiable
    @without_autocast
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - of the decorator
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        grad_values, grad_q, _ = grads
        z, c, sigma = ctx.saved_tensors
        scores = Scores(z, c, 2 * float(sigma))
        dz, dc, dsigma = torch.empty_like(z), torch.zeros_like(c), torch.zeros_like(sigma)
        for group, part in _pieces(z, c):
            logits = scores.of(z[group, part])
            phi = assignments(logits)
            g = grad_values[group, part]
            a = torch.addmm(grad_q[group] / z.shape[1], g, scores.shifted.T)
            a -= torch.linalg.vecdot(phi, a)[:, None]
            r = a.mul_(phi)
            dz[group, part] = r @ scores.matrix.T
            dc += phi.T @ g
            offsets = r.T @ (z[group, part] - scores.shift)
            dc += 2 * sigma * (offsets - r.sum(0)[:, None] * scores.shifted)
            dsigma += torch.dot(r.flatten(), logits.flatten()) / sigma
        return dz, dc, dsigma


def _pieces(z: Tensor, c: Tensor) -> list[tuple[int, slice]]:
    piece = PIECE if z.device.type == "cpu" else 64 * PIECE
    step = max(1, piece // len(c))
    return [(g, slice(i, i + step)) for g in range(len(z)) for i in range(0, z.shape[1], step)]
