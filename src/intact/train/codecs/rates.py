"""One model, many rates: the quantization step of each level, and what a bit may cost there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.codecs.transforms import LATENT_UNIT


@dataclass(frozen=True)
class RateConfig:
    """The range of rates that one model covers.

    Attributes:
        step_min: quantization step of the finest level (t = -1).
        step_max: of the coarsest (t = 1).
        rd_weight: lambda at step 1, per MSE of pixels in 0..255; at other steps divided by step^2.
        coarse_weight: of the coarsest level in the loss; it falls to 1 at the middle of the range,
            t = 0, geometrically. All levels share one set of weights, and this says whose they are.
    """

    step_min: float = 0.42
    step_max: float = 5.0
    rd_weight: float = 0.02
    coarse_weight: float = 1.0

    def step(self, t: Tensor) -> Tensor:
        """Step of level t in [-1, 1]: log-spaced."""
        low, high = math.log(self.step_min), math.log(self.step_max)
        return torch.exp((low + high) / 2 + (high - low) / 2 * t)

    def loss(
        self, bpp: Tensor, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * step * (bpp + rd_weight / step^2 * distortion)``.

        Coarse levels count ``coarse_weight ** t``.
        """
        step = self.step(t)
        loss = step * bpp + self.rd_weight / step * distortion
        loss = loss * self.coarse_weight ** t.clamp(min=0)
        return (loss if weight is None else weight * loss).mean()

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ArgumentError: the finest step is not the smaller one, or no file could say one of them.
        """
        for key in ("step_min", "step_max"):
            if not FINEST <= (step := getattr(self, key)) <= COARSEST:
                raise ArgumentError(f"rate.{key} = {step}, must be in {FINEST}..{COARSEST}")
        if self.step_min >= self.step_max:
            raise ArgumentError(
                f"rate.step_min = {self.step_min} is not below rate.step_max = {self.step_max}"
            )


FINEST, COARSEST = LATENT_UNIT, 32767 * LATENT_UNIT
"""Steps that a frozen model can have: 1 to 32,767 units of the latents."""
POSITIVE = ("rate.step_min", "rate.step_max", "rate.rd_weight", "rate.coarse_weight")
"""Settings above 0."""
