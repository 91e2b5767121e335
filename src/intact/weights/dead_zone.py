"""Straight-through training of weights on a grid with a dead zone: what our best row is made by.

Soft assignments are not needed where a network starts from good symbols: the forward pass uses
hard ones, gradients pass as if nothing were rounded. The rate is led by one number, how much
farther than half a step a value must be from 0 to count as the next symbol. It is solved for, not
learned: symbols are hard, so the entropy answers at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.quantize import Blocks, Fixed, Quantized, Quantizer, Stage, entropy, hard_histogram
from intact.quantize.checks import check_finite, positive, whole
from intact.weights.quantized import QuantizedWeights


class DeadZone(Quantizer):
    """Scalars to multiples of a step, with the identity's gradient; to be a `QuantizedWeights`'s.

    A value of m steps becomes floor(m + 1/2 - offset) of them, from 0 up, with its sign.

    Args:
        step: in units of the scale that tensors are divided by.
        highest: symbols are -highest..highest.
        offset: from 0, nearest, upwards.

    Raises:
        ArgumentError: an argument is out of its range.
    """

    def __init__(self, step: float = 1.0, highest: int = 31, offset: float = 0.0) -> None:
        whole(highest, "highest")
        levels = torch.arange(-highest, highest + 1, dtype=torch.float32) * positive(step, "step")
        super().__init__(
            levels[None, :, None], Blocks(1), Fixed(), stage=Stage.HARD_IDENTITY_GRADIENT
        )
        self.centers.requires_grad = False
        self.highest = highest
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(()))
        self.set_offset(offset)

    @property
    def step(self) -> float:
        """Between two values."""
        return float(self.centers[0, self.highest + 1, 0])

    def set_offset(self, offset: float) -> None:
        """Another dead zone, from 0.

        Raises:
            ArgumentError: it is below 0 or not finite.
        """
        if not 0 <= offset < 1e6:
            raise ArgumentError(f"offset is {offset}; legal is a number from 0")
        self.offset.fill_(offset)

    def forward(self, z: Tensor) -> Quantized:
        """Hard values of z [b, n], through which gradients pass; see `Quantizer.forward`."""
        symbols = self.encode(z)
        values = self.centers[0, :, 0][symbols[:, 0]].to(z.dtype)
        values = values + (z - z.detach())
        q = hard_histogram(symbols.transpose(0, 1).flatten(1), self.centers.shape[1])
        return Quantized(values, symbols, q, symbols.shape[2])

    def encode(self, z: Tensor) -> Tensor:
        """Symbols [b, 1, n] of z [b, n]."""
        check_finite(z, "values")
        steps = (z.detach() / self.step).unsqueeze(1)
        sizes = torch.floor(steps.abs() + (0.5 - self.offset)).clamp(0, self.highest)
        return (sizes * steps.sign()).long() + self.highest


@torch.no_grad()
def lead_to(weights: QuantizedWeights, bits: float) -> float:
    """Set the dead zone so that the entropy is at most ``bits``; as little of it as that takes.

    Args:
        weights: whose quantizer is a `DeadZone`.
        bits: per symbol, above 0.

    Returns:
        The entropy, which is less where no dead zone is needed.

    Raises:
        ArgumentError: the quantizer is another, or ``bits`` is not above 0.
    """
    positive(bits, "bits")
    quantizer = weights.quantizer
    if not isinstance(quantizer, DeadZone):
        raise ArgumentError(f"the quantizer is a {type(quantizer).__name__}, not a DeadZone")
    row = weights.row()[None]

    def reached(offset: float) -> float:
        quantizer.set_offset(offset)
        symbols = quantizer.encode(row).flatten(1)
        return float(entropy(hard_histogram(symbols, quantizer.centers.shape[1])).sum())

    low, high = 0.0, float(row.abs().max()) / quantizer.step + 0.5  # there all are 0
    found = reached(low)
    if found > bits:
        for _ in range(16):
            middle = (low + high) / 2
            if reached(middle) > bits:
                low = middle
            else:
                high = middle
        found = reached(high)
    weights.forget()
    return found
