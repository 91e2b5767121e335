"""Rounding that is drawn: stochastic Gumbel annealing (Yang et al. 2020, arXiv:2006.04240).

Up or down is a random choice, the likelier the nearer; a Gumbel-softmax of falling temperature
makes it differentiable, and hard in the end. Straight-through gradients lose where this wins: they
push a latent across a border that its symbol then crosses for nothing (docs/decisions/0020).
"""

from __future__ import annotations

import torch
from torch import Tensor

EDGE = 1e-4
"""Distances from an integer are kept within EDGE..1 - EDGE: atanh is infinite at 1."""


class Annealed:
    """Rounds at a temperature; see the module's docstring.

    Args:
        generator: of the choices.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.temperature = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        """Mixtures of the integers below and above x, of its shape."""
        below = x.detach().floor()
        share = (x - below).clamp(EDGE, 1 - EDGE)
        # Of two, only the difference of the logits and that of the Gumbels (a logistic) count.
        u = torch.rand(x.shape, generator=self.generator).clamp(1e-6, 1 - 1e-6)
        logistic = torch.log(u) - torch.log1p(-u)
        logit = (torch.atanh(share) - torch.atanh(1 - share)) / self.temperature
        up = torch.sigmoid((logit + logistic) / self.temperature)
        return below + up
