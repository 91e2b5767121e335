"""The tensors of `QuantizedWeights`: where each stands, and what it is divided by."""

from __future__ import annotations

import enum
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from intact.errors import ArgumentError


class Scale(enum.Enum):
    """What a tensor is divided by before it is quantized: sigma is measured in its square.

    The root mean square is the standard deviation around 0, on which centers are placed.
    """

    NONE = "none"
    """Nothing: the paper's text taken literally. Trained weights are small, and a sigma of 0.4
    then makes one blob of them."""
    START = "start"
    """The tensor's root mean square when quantization began. Under normalization layers weights
    shrink at no cost, and sigma is no longer hard: a control."""
    FORWARD = "forward"
    """Its root mean square in each forward pass, through which gradients flow."""


class Piece(NamedTuple):
    """One tensor and its place.

    Attributes:
        name: as in ``named_parameters`` before quantization.
        owner: the module that has it, and under which ``key``.
        shape: of the tensor.
        also: other places of a tied parameter.
    """

    name: str
    owner: nn.Module
    key: str
    shape: torch.Size
    also: tuple[tuple[nn.Module, str], ...] = ()

    @property
    def original(self) -> Tensor:
        """What the optimizer moves.

        Raises:
            ArgumentError: quantization has been taken out of the network.
        """
        lists = getattr(self.owner, "parametrizations", {})
        if self.key not in lists:
            raise ArgumentError(f"{self.name} is quantized no more: remove() was called")
        found = lists[self.key]
        assert isinstance(found, ParametrizationList)
        assert isinstance(found.original, Tensor)
        return found.original


def root_mean_square(part: Tensor) -> Tensor:
    """Of a tensor; 1 for one that is all zeros, which has no scale."""
    square = part.square().mean()
    return torch.where(square > 0, square, torch.ones_like(square)).sqrt()
