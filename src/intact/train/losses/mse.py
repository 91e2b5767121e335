"""Mean squared error: what PSNR measures."""

from __future__ import annotations

import torch
from torch import Tensor

from intact.train.losses.loss import Loss


def mse(reference: Tensor, decoded: Tensor) -> Tensor:
    """Mean over all values of the squared difference [b]."""
    return (decoded - reference).square().mean((1, 2, 3))


MSE = Loss(mse, torch.ones_like)
