"""What the training loop knows of what it trains: a loss per step, and whose weights fall for it.

The loop (`intact.train.loop`) knows no image and no codec. A task's `forward` is a module's, so
that a wrapper that computes gradients in several processes fits around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from intact.errors import ArgumentError


@dataclass(frozen=True)
class Share:
    """The part of a step's batch that one process computes: number ``index`` of ``count`` parts."""

    index: int = 0
    count: int = 1

    def of(self, batch: int) -> range:
        """Which crops (or samples) of a batch these are.

        Raises:
            ArgumentError: the batch cannot be cut into equal parts.
        """
        if batch % self.count:
            raise ArgumentError(f"{batch} crops per step cannot be shared by {self.count} equally")
        size = batch // self.count
        return range(self.index * size, (self.index + 1) * size)


class Task(nn.Module):
    """Something to train. A step depends on the weights, buffers and the step's number alone.

    Whatever else changes while training (a temperature, a histogram, a stage) lives in buffers of
    `kept`: then it is in the checkpoints, and resuming is bit for bit.
    """

    @property
    def kept(self) -> nn.Module:
        """Whose parameters are trained, and whose state a checkpoint holds."""
        return self

    def forward(self, step: int, share: Share) -> dict[str, Tensor]:
        """The scalars of a step: ``loss``, with gradients, and others to look at.

        Args:
            step: its number, from 0; decides what is drawn.
            share: the part of the batch to compute. Scalars are means over it: their mean over all
                shares is what one process would have found.
        """
        raise NotImplementedError

    def groups(self) -> list[dict[str, Any]]:
        """Groups of parameters: ``params``, and by which ``factor`` their learning rate differs."""
        return [{"params": list(self.kept.parameters()), "factor": 1.0}]

    def set_precision(self, dtype: torch.dtype) -> None:
        """Choose the precision of what may be less than float32."""

    def before(self, step: int) -> None:
        """Change buffers before a step, by its number."""

    def after(self, step: int) -> None:
        """Change buffers after a step's weights were updated."""

    @property
    def notes(self) -> list[str]:
        """Lines for people, before it begins."""
        return []

    def about(self) -> str:
        """What the loss is, for the message that it diverged."""
        return ""
