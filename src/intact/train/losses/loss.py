"""What a loss is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A differentiable distance between pictures.

    Attributes:
        distance: (reference, decoded) to [b]; both float [b, h, w, 3] in 0..255, sides multiples
            of 64. 0 for equal pictures, else larger.
        worth: quantization step [b] to [b]: as how many squared gray levels a distance of 1 counts
            there. Bits fall with the mean squared error as rd_weight / step^2; ``worth`` is the
            slope of this distance in that unit, measured on the shipped model
            (`benchmarks/loss_worth.py`). So levels keep their rates, whatever is mixed.
        min_crop: side in pixels below which a scale would be missing.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    worth: Callable[[Tensor], Tensor]
    min_crop: int = 64
