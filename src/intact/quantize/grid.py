"""Soft quantization of many scalars: assignments on a uniform grid, interpolated.

Between two points of the grid every phi_j is taken as linear. Then a value is the interpolated
Q~, and a sum of phi over points is a sum over the *grid* of phi times the weight that the points
left there: one table [cells, L] serves any number of scalars. The error falls with the square of
a cell. Gradients are the exact derivatives at the grid, interpolated the same way.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from intact.quantize.checks import without_autocast

ENTRIES = 1 << 21
"""Entries of the largest table [cells, L]: 16 MB, and a handful of them are held."""


def cells_needed(z: Tensor, c: Tensor, sigma: float, tolerance: float) -> int:
    """Cells for an error of about ``tolerance`` in an assignment, at least 16.

    Between two centers D apart phi is a logistic function with slope 2 sigma D, whose second
    derivative is at most 0.0963 (2 sigma D)^2; interpolation errs by an eighth of it times the
    cell squared. Centers take part as far as the Gaussian of eq. 7, of standard deviation
    1 / sqrt(2 sigma), reaches around a point, or as far as the nearest two stand apart.
    """
    low, high = (float(x) for x in z.detach().aminmax())
    near = c.detach().flatten().sort().values
    gaps = near.diff()
    # A gap that no point lies in makes no steep slope where it matters.
    inside = gaps[(near[1:] >= low) & (near[:-1] <= high)]
    gap = float(inside.max()) if len(inside) else 0.0
    reach = max(gap, min(float(near[-1] - near[0]), 2 / math.sqrt(2 * sigma)))
    cell = math.sqrt(8 * tolerance / 0.0963) / max(2 * sigma * reach, 1e-30)
    return int(min(max((high - low) / cell, 16), 1e15)) + 1


def grid_quantize(z: Tensor, c: Tensor, sigma: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """(z [g, n], c [L], sigma []) -> (values [g, n], q [g, L]); differentiable once."""
    return _Grid.apply(z, c, sigma, cells)


def assignments(logits: Tensor) -> Tensor:
    """Softmax of rows, which it changes; none of it is below e^-46.

    That is 1e-20: denormal numbers would make exponentials and products ten times slower.
    """
    return torch.softmax(logits.sub_(logits.amax(1, keepdim=True)).clamp_(min=-46), 1)


class _Tables:
    """The grid's points x [cells + 1], and there phi [cells + 1, L] and Q~ less x; float64.

    In float32 the squares of far points would leave no digit for the centers' differences.
    """

    def __init__(self, z: Tensor, c: Tensor, sigma: Tensor, cells: int) -> None:
        low, high = z.double().aminmax()
        steps = torch.arange(cells + 1, dtype=torch.float64, device=c.device)
        self.x = low + steps * ((high - low) / cells)
        self.offsets = c.double() - self.x[:, None]
        self.phi = assignments(self.offsets.square().mul_(-sigma.double()))
        self.mean = (self.phi * self.offsets).sum(1)
        scale = cells / (high - low).clamp(min=1e-30)
        place = ((z.flatten() - low.to(z.dtype)) * scale.to(z.dtype)).clamp_(0, cells)
        self.cell = place.long().clamp_(max=cells - 1)
        self.share = place.sub_(self.cell)


def _between(table: Tensor, cell: Tensor, share: Tensor) -> Tensor:
    """A table [cells + 1] interpolated at points given by their cell and the share beyond it."""
    at = table.to(share.dtype).index_select(0, cell)
    return at.addcmul_(table.diff().to(share.dtype).index_select(0, cell), share)


def _left(cell: Tensor, share: Tensor, weight: Tensor | None, cells: int) -> Tensor:
    """The reverse of `_between`: what points leave on the grid [cells + 1], summed in float64."""
    beyond = share if weight is None else share * weight
    left = torch.bincount(cell, None if weight is None else weight.double(), cells + 1).double()
    part = torch.bincount(cell, beyond.double(), cells + 1)
    left -= part
    left[1:] += part[:-1]
    return left


class _Grid(torch.autograd.Function):
    """As `intact.quantize.soft._Exact`, whose formulas these are, with grid points for points."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, c: Tensor, sigma: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        tables = _Tables(z, c, sigma, cells)
        values = _between(tables.mean + tables.x, tables.cell, tables.share).reshape(z.shape)
        left = [
            _left(cell, share, None, cells)
            for cell, share in zip(
                tables.cell.reshape(z.shape), tables.share.reshape(z.shape), strict=True
            )
        ]
        weights = torch.stack(left)
        ctx.save_for_backward(c, sigma)
        ctx.tables, ctx.weights, ctx.shape = tables, weights, z.shape
        return values, (weights @ tables.phi / z.shape[1]).to(z.dtype)

    @staticmethod
    @once_differentiable
    @without_autocast
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - of the decorator
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        c, sigma = (t.double() for t in ctx.saved_tensors)
        flat, grad_q = grads[0].flatten(), grads[1].double() / ctx.shape[1]
        t: _Tables = ctx.tables
        weights, length = ctx.weights.T, ctx.shape[1]  # [cells + 1, g]
        # dz = G 2 sigma Var(c) + 2 sigma Cov(h, c), both over phi and so functions of z alone.
        spread = (t.phi * t.offsets.square()).sum(1) - t.mean.square()
        by_q = t.phi @ grad_q.T  # [cells + 1, g]
        covariance = t.phi @ (grad_q * c).T - by_q * (t.mean + t.x)[:, None]
        dz = flat * _between(2 * sigma * spread, t.cell, t.share)
        for i, slopes in enumerate((2 * sigma * covariance).unbind(1)):
            part = slice(i * length, (i + 1) * length)
            dz[part] += _between(slopes, t.cell[part], t.share[part])
        # r_j of all points that left a share at a grid point: a is linear in what they left.
        pulled = _left(t.cell, t.share, flat, len(t.x) - 1)
        a = (t.offsets - t.mean[:, None]) * pulled[:, None]
        a += weights @ grad_q
        a -= (by_q * weights).sum(1, keepdim=True)
        r = a.mul_(t.phi)
        dc = t.phi.T @ pulled - 2 * sigma * (r * t.offsets).sum(0)
        dsigma = -(r * t.offsets.square()).sum()
        kind = grads[0].dtype
        return dz.reshape(ctx.shape), dc.to(kind), dsigma.to(kind), None
