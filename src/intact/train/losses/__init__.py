"""Distortions to train for, one file each, and their mixture: ``[loss]`` of the configuration.

A new one is a file with a `Loss`, a line in `LOSSES`, and a weight in `LossConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.losses.loss import Loss
from intact.train.losses.masked import MASKED
from intact.train.losses.ms_ssim import MS_SSIM
from intact.train.losses.mse import MSE
from intact.train.losses.ssimulacra2 import SSIMULACRA2

LOSSES: dict[str, Loss] = {
    "mse": MSE,
    "ms_ssim": MS_SSIM,
    "ssimulacra2": SSIMULACRA2,
    "masked": MASKED,
}


@dataclass(frozen=True)
class LossConfig:
    """What a picture is judged by, as weights that count relative to their sum.

    Whatever the mixture, a level keeps about its rate: each loss is worth, at each level's step,
    as many squared gray levels as it cost in bits there (`Loss.worth`).

    Attributes:
        mse: mean squared error of pixels in 0..255; what PSNR measures.
        ms_ssim: 1 - MS-SSIM; needs crops of 192.
        ssimulacra2: SSIMULACRA2 before its last power; needs crops of 128.
        masked: squared error in opponent colors, masked by the original's activity.
    """

    mse: float = 1.0
    ms_ssim: float = 0.0
    ssimulacra2: float = 0.0
    masked: float = 0.0

    def shares(self) -> dict[str, float]:
        """The losses that count, and their shares of 1."""
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items() if weight}

    def check(self, crop: int) -> None:
        """Refuse a mixture that cannot be trained.

        Args:
            crop: side of the training crops in pixels.

        Raises:
            ArgumentError: no weight is above zero, or the crops are too small for a loss.
        """
        if not sum(getattr(self, field.name) for field in fields(self)) > 0:
            raise ArgumentError(f"all weights of loss are 0, one must be > 0: {', '.join(LOSSES)}")
        for name in self.shares():
            least = LOSSES[name].min_crop
            if crop < least:
                raise ArgumentError(
                    f"data.crop = {crop} is too small for loss.{name}: its scales need {least}"
                )


def distortion(
    config: LossConfig, reference: Tensor, decoded: Tensor, step: Tensor, mse: Tensor
) -> Tensor:
    """The mixture [b], in squared gray levels.

    Args:
        config: the weights.
        reference: float [b, h, w, 3], 0..255.
        decoded: the same shape; what lies outside of 0..255 is drawn back.
        step: quantization step per image [b], which decides what each loss is worth.
        mse: mean squared error per image [b], known already.
    """
    total = torch.zeros_like(mse)
    for name, share in config.shares().items():
        loss = LOSSES[name]
        distance = mse if loss is MSE else loss.distance(reference, decoded)
        total = total + share * loss.worth(step) * distance
    return total
