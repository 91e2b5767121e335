"""1 - MS-SSIM, by the definition of `intact.measure.ssim`, which a test holds it to."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from intact.measure.ssim import C1, C2, SCALE_WEIGHTS
from intact.train.losses.blur import blur
from intact.train.losses.loss import Loss

FLOOR = 1e-4
"""Of the contrast terms: a power below 1 has no finite gradient at 0."""


def one_minus_ms_ssim(reference: Tensor, decoded: Tensor) -> Tensor:
    """1 - MS-SSIM [b]; Wang et al. 2003, five scales, each color by itself."""
    a, b = reference.permute(0, 3, 1, 2), decoded.permute(0, 3, 1, 2)
    result = torch.ones(a.shape[:2], device=a.device)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        last = scale == len(SCALE_WEIGHTS) - 1
        mean_a, mean_b, square, product = blur(
            torch.stack([a, b, a * a + b * b, a * b]), "valid", "valid"
        )
        means, cross = mean_a * mean_a + mean_b * mean_b, mean_a * mean_b
        similarity = (2 * (product - cross) + C2) / (square - means + C2)
        if last:
            similarity = similarity * (2 * cross + C1) / (means + C1)
        result = result * similarity.mean((2, 3)).clamp(min=FLOOR) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return 1 - result.mean(1)


def _worth(step: Tensor) -> Tensor:
    return torch.full_like(step, 2050.0)


MS_SSIM = Loss(one_minus_ms_ssim, _worth, min_crop=192)
