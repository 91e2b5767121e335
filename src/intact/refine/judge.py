"""What an error is worth in bits: by the loss that a model was trained for.

A model tuned for eyes gains little by SSIMULACRA2 when its latents are refined for squared error,
and much when they are refined for its own mixture (docs/decisions/0020).
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from intact.codec.model import Model
from intact.train.losses import LOSSES, LossConfig, distortion

RD_WEIGHT = 0.02
"""Lambda at step 1 per squared gray level, as all models were trained (`RateConfig`)."""
MOST, FEWEST = 64.0, 512
"""A picture's own curve changes that by a factor of at most so much, and by none where levels
differ by fewer bits: chance would decide."""


def loss_of(model: Model) -> LossConfig:
    """The mixture that a model says it was trained for; squared error where it says nothing.

    ``info["loss"]`` is what `intact.freeze.run` writes: "mse 0.4, ms_ssim 0.05". It is a text of
    anybody's: what makes no mixture counts for nothing.
    """
    known = {field.name for field in fields(LossConfig)}
    weights: dict[str, float] = {}
    for part in model.info.get("loss", "").split(","):
        name, _, text = part.strip().partition(" ")
        try:
            weight = float(text)
        except ValueError:
            continue
        if name in known and 0 < weight < 1e6:
            weights[name] = weight
    return LossConfig(**{"mse": 0.0, **weights}) if weights else LossConfig()


class Judge:
    """Errors in bits.

    Args:
        loss: the mixture.
        step: of the level, which decides what an error is worth.

    Attributes:
        worth: a factor of that; see `calibrate`.
    """

    def __init__(self, loss: LossConfig, step: float) -> None:
        self.loss, self.step, self.worth = loss, step, 1.0

    def calibrate(self, bits: float, errors: float) -> None:
        """Let errors be worth what they cost between two levels of the picture.

        Steps that differ by channel do not say for which one a model was trained, and off the slope
        of its own curve a picture is moved along the curve instead of away from it.

        Args:
            bits: what the finer level takes more.
            errors: what the coarser one's are worth more, by `bits`, so far.
        """
        if bits >= FEWEST and errors > 0:
            self.worth *= min(max(bits / errors, 1 / MOST), MOST)

    def bits(self, reference: Tensor, decoded: Tensor) -> Tensor:
        """What the errors of a picture are worth, summed over its pixels.

        Args:
            reference: float [1, h, w, 3], 0..255.
            decoded: the same shape.
        """
        side = min(reference.shape[1:3])
        mse = (decoded - reference).square().mean((1, 2, 3))
        # Scales that a small picture lacks would fail, or count for what they are not.
        fits = all(side >= LOSSES[name].min_crop for name in self.loss.shares())
        loss = self.loss if fits else LossConfig()
        found = distortion(loss, reference, decoded, torch.tensor([self.step]), mse)
        area = reference.shape[1] * reference.shape[2]
        return self.worth * RD_WEIGHT / self.step**2 * area * found.sum()
