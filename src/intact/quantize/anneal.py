"""How the hardness sigma grows: Agustsson 2017, §3.2 (a function of the step) and §4 (the gap).

All state is in buffers, so that a resumed training goes on bit for bit. One object can serve
several quantizers: it is stepped once a step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from intact.errors import ArgumentError, DivergedError
from intact.quantize.checks import plain, positive


class Fixed(nn.Module):
    """A sigma that stays, or is set by hand; and what the others share.

    Args:
        sigma: above 0.

    Raises:
        ArgumentError: it is not.
    """

    def __init__(self, sigma: float = 1.0) -> None:
        super().__init__()
        self.sigma: Tensor
        self.steps: Tensor
        start = torch.tensor(positive(sigma, "sigma"), dtype=torch.float64)
        self.register_buffer("sigma", start)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def set(self, sigma: float | Tensor) -> None:
        """Go on from another sigma, above 0."""
        self.sigma.fill_(positive(sigma, "sigma"))

    def step(
        self, soft_error: float | Tensor | None = None, hard_error: float | Tensor | None = None
    ) -> None:
        """To be called after each step of the optimizer.

        Args:
            soft_error: for `GapControlled`; the others do not look at it.
            hard_error: the same.
        """
        self.steps += 1


class Exponential(Fixed):
    """sigma(t + 1) = factor sigma(t); §5 has 0.4 and 1.001.

    Args:
        sigma: sigma(0).
        factor: above 0.
        highest: where it stays, at least sigma(0).

    Raises:
        ArgumentError: one is not above 0, or sigma(0) above ``highest``.
    """

    def __init__(self, sigma: float, factor: float = 1.001, highest: float = 1e6) -> None:
        super().__init__(sigma)
        self.factor, self.highest = positive(factor, "factor"), positive(highest, "highest")
        if self.highest < float(self.sigma):
            raise ArgumentError(f"sigma is {float(self.sigma):g}; legal is at most highest, "
                                f"{self.highest:g}")  # fmt: skip

    def step(
        self, soft_error: float | Tensor | None = None, hard_error: float | Tensor | None = None
    ) -> None:
        """To be called after each step of the optimizer; errors do not matter."""
        super().step()
        self.sigma.mul_(self.factor).clamp_(max=self.highest)


class GapControlled(Fixed):
    """sigma(t + 1) = sigma(t) + K_G e_G(t), e_G(t) = gap(t) - T / (T + t) gap(0); §4.

    The gap, hard error less soft error, is led to halve within T steps and then on towards 0.
    K_G is in units of 1 / error: whether errors are means or sums belongs to it. A gap that is
    ahead of its plan makes sigma fall, never below ``lowest``.

    Args:
        sigma: sigma(0).
        gain: K_G, above 0.
        halving: T in steps, above 0.
        lowest: least sigma, at most sigma(0); the paper has none. Like sigma, in units of
            1 / z^2: of large features it must be less than the default.

    Raises:
        ArgumentError: one is not above 0, or sigma(0) below ``lowest``.
    """

    def __init__(self, sigma: float, gain: float, halving: float, *, lowest: float = 1e-3) -> None:
        super().__init__(sigma)
        self.gain, self.halving = positive(gain, "gain"), positive(halving, "halving")
        self.lowest = positive(lowest, "lowest")
        if self.lowest > float(self.sigma):
            raise ArgumentError(f"sigma is {float(self.sigma):g}; legal is at least lowest, "
                                f"{self.lowest:g}: give another lowest")  # fmt: skip
        self.first_gap: Tensor
        self.register_buffer("first_gap", torch.zeros((), dtype=torch.float64))

    def step(
        self, soft_error: float | Tensor | None = None, hard_error: float | Tensor | None = None
    ) -> None:
        """To be called after each step, with e_S and e_H of the same batch.

        Args:
            soft_error: e_S, of the network with soft quantization.
            hard_error: e_H, with hard quantization.

        Raises:
            ArgumentError: an error is not given, or no number.
            DivergedError: one is not finite, or sigma no longer.
        """
        if soft_error is None or hard_error is None:
            raise ArgumentError("GapControlled.step wants the soft and the hard error of the step")
        soft, hard = plain(soft_error, "soft_error"), plain(hard_error, "hard_error")
        gap = hard - soft
        if not math.isfinite(gap):
            raise DivergedError(
                f"at step {int(self.steps)} the hard error is {hard}, the soft one {soft}: sigma "
                "has nothing to follow"
            )
        if not int(self.steps):
            self.first_gap.fill_(gap)
        share = self.halving / (self.halving + self.steps)
        self.sigma.add_(self.gain * (gap - share * self.first_gap)).clamp_(min=self.lowest)
        if not bool(torch.isfinite(self.sigma)):
            raise DivergedError(
                f"at step {int(self.steps)} sigma is {float(self.sigma)}: the gain of "
                f"{self.gain:g} is too large for a gap of {gap:g}"
            )
        super().step()
