"""Squared error as eyes weigh it: in XYB, where coarse errors count fully and fine ones are masked.

A simple relative of Butteraugli (Alakuijala et al. 2017, arXiv:1703.10114): opponent colors at
three scales; at each the error is split into what a blur keeps and what it takes away, and the
latter counts less where the original itself is busy. Larger errors count more than in proportion: a
3-norm over the positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from intact.train.losses.blur import blur
from intact.train.losses.loss import Loss
from intact.train.losses.ssimulacra2 import inside, linear_light, xyb

NUM_SCALES = 3
BLUE_WEIGHT = 0.3
"""Of errors in B - Y, which eyes resolve badly."""
BUSY = 0.02
"""Local activity of Y (mean distance from its blur) at which a fine error counts half."""
FLOOR = 1e-12
"""Added to a squared error, whose power of 1.5 must keep a finite second derivative near 0."""


def distance(reference: Tensor, decoded: Tensor) -> Tensor:
    """Mean over the scales' 3-norms of the masked error, squared [b]; 0 for equal pictures.

    Args:
        reference: float [b, h, w, 3], 0..255, sides multiples of 64.
        decoded: the same shape; values beyond 0..255 count as these.
    """
    a, b = linear_light(reference), linear_light(inside(decoded))
    weights = torch.tensor([1.0, 1.0, BLUE_WEIGHT], device=a.device)[:, None, None]
    total = torch.zeros(len(a), device=a.device)
    for scale in range(NUM_SCALES):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        original = xyb(a)
        error = (xyb(b) - original) * weights
        coarse = blur(error)
        with torch.no_grad():
            y = original[:, 1:2]
            gain = 1 / (1 + blur((y - blur(y)).abs()) / BUSY)
        squared = (coarse.square() + (gain * (error - coarse)).square()).sum(1)
        total = total + ((squared + FLOOR) ** 1.5).mean((1, 2)) ** (2 / 3)
    return total


def _worth(step: Tensor) -> Tensor:
    return torch.full_like(step, 2.2e5)


MASKED = Loss(distance, _worth, min_crop=64)
