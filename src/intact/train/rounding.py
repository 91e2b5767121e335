"""Round a layer's filters together, so that their errors cancel on the inputs it really sees.

Rounding each weight to the nearest integer is best only for inputs without correlation, and ours
are all but that. Frantar et al. 2022, arXiv:2210.17323v2, Algorithm 1: weights are rounded one
input at a time, and what is left over moves to the inputs that come later, where it does the least
harm to the output.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from intact.train.graph import Conv

ROUNDING_NOISE = 1 / 12
"""Variance that an input has from being an integer itself."""
DAMPING = 1e-2
"""Added to the covariance's diagonal, relative to its mean."""
MAX_SAMPLES = 1 << 14
"""Positions of a batch that are looked at."""


@dataclass
class Moments:
    """Mean and covariance of a layer's inputs, in the order of its flattened filters.

    Attributes:
        count: of positions seen.
        center: [i], the mean of the first batch. What is summed is the distance from it: in float32
            the products of plain images would leave no covariance of their own.
        total: [i], the sum of the distances.
        products: [i, i], the sum of their outer products.
    """

    count: int = 0
    center: Tensor | None = None
    total: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    products: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def observe(self, node: Conv, x: Tensor) -> None:
        """Take in a batch [b, h, w, c] of what the layer reads."""
        x = x.detach().float()
        if node.kernel > 1 or node.stride > 1:
            margin = node.kernel // 2
            columns = F.unfold(x.permute(0, 3, 1, 2), node.kernel, 1, margin, node.stride)
            rows = columns.transpose(1, 2).flatten(0, 1)
        else:
            rows = x.flatten(0, 2)
        rows = rows[:: max(1, len(rows) // MAX_SAMPLES)]
        if self.center is None:
            self.center = rows.double().mean(0)
        rows = (rows.double() - self.center).float()
        self.count += len(rows)
        self.total = self.total + rows.double().sum(0)
        self.products = self.products + (rows.t() @ rows).double()

    @property
    def mean(self) -> Tensor:
        """[i]."""
        assert self.center is not None, "nothing was observed"
        return self.center + self.total / self.count

    @property
    def covariance(self) -> Tensor:
        """[i, i]."""
        mean = self.total / self.count
        return self.products / self.count - torch.outer(mean, mean)


def round_together(weight: Tensor, covariance: Tensor, limit: Tensor) -> Tensor:
    """Integers Q near ``weight`` for which ``(Q - weight) x`` is small on average.

    Args:
        weight: [o, i], in integer steps.
        covariance: [i, i] of the inputs x, in their integer steps.
        limit: [o], the largest magnitude of a weight of each filter.

    Returns:
        [o, i], float64 integers within ``-limit..limit``.
    """
    size = weight.shape[1]
    damping = ROUNDING_NOISE + DAMPING * covariance.diagonal().mean()
    matrix = covariance.double() + damping * torch.eye(size, dtype=torch.float64)
    # Inputs that matter most are rounded first, while there is somewhere to put the error.
    order = matrix.diagonal().argsort(descending=True)
    matrix = matrix[order][:, order]
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    factor = torch.linalg.cholesky(inverse, upper=True)
    left = weight.double()[:, order]
    rounded = torch.empty_like(left)
    bound = limit.double()
    for i in range(size):
        rounded[:, i] = torch.round(left[:, i]).clamp(-bound, bound)
        error = (left[:, i] - rounded[:, i]) / factor[i, i]
        left[:, i + 1 :] -= torch.outer(error, factor[i, i + 1 :])
    result = torch.empty_like(rounded)
    result[:, order] = rounded
    return result
