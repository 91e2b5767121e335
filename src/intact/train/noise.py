"""Randomness of one crop: a function of (seed, step, index), so that nothing needs saving.

Who computes a crop, and which others beside it, changes nothing: not the number of processes, and
not whether a run was resumed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


class Noise:
    """Random numbers for the crops of a step, each crop with a generator of its own.

    Args:
        seed: of the run.
        step: of the run.
        indexes: of the crops in the step's batch.
        device: of what is drawn.
    """

    def __init__(
        self, seed: int, step: int, indexes: Iterable[int], device: torch.device | None = None
    ) -> None:
        self.device = device or torch.device("cpu")
        self.generators = [
            torch.Generator(self.device).manual_seed(_number(seed, step, index))
            for index in indexes
        ]

    def uniform(self, *shape: int) -> Tensor:
        """[crops, *shape], in [0, 1)."""
        drawn = [torch.rand(shape, generator=g, device=self.device) for g in self.generators]
        return torch.stack(drawn)

    def like(self, x: Tensor) -> Tensor:
        """Of the shape of x [crops, ...], in [-0.5, 0.5): what stands for rounding; Eq. 17."""
        return self.uniform(*x.shape[1:]) - 0.5


def _number(*parts: int) -> int:
    """63 bits that follow from all parts."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
