"""Batch norm in a file: stored as it is, or folded to one scale and one bias a channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from intact.errors import ArgumentError
from intact.weights.attach import check_network


class ChannelAffine(nn.Module):
    """x weight + bias, each [channels]: what batch norm is once its statistics stand still.

    Args:
        channels: of axis 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Of [b, channels, ...]."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        # As batch norm does, whose numbers may be float32 where activations are narrower.
        return torch.addcmul(self.bias.view(shape), x, self.weight.view(shape)).to(x.dtype)


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> list[str]:
    """Put a `ChannelAffine` in the place of each batch norm of a network, for evaluation.

    4 numbers a channel (scale, bias, mean, variance) become 2, under the names of scale and bias.
    They are not multiplied into the weights before: those may be shared values.

    Returns:
        Names of the modules that were replaced.

    Raises:
        ArgumentError: a batch norm keeps no running statistics, or is the network itself.
    """
    check_network(model)
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    for name, norm in found:
        if norm.running_mean is None or norm.running_var is None:
            raise ArgumentError(f"batch norm {name!r} keeps no statistics: it cannot be folded")
        if not name:
            raise ArgumentError("the network is itself a batch norm: nothing to put it into")
        affine = _affine_for(norm)
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        bias = -norm.running_mean.double() * scale
        if norm.bias is not None:
            bias = bias + norm.bias.double()
        affine.weight.copy_(scale)
        affine.bias.copy_(bias)
        affine.train(norm.training)
        model.set_submodule(name, affine)
    return [name for name, _ in found]


def give_channel_affines(model: nn.Module) -> None:
    """As `fold_batch_norm`, with nothing to fold: to load a folded state into a new network."""
    check_network(model)
    for name, norm in list(model.named_modules()):
        if isinstance(norm, _BatchNorm):
            model.set_submodule(name, _affine_for(norm))


def _affine_for(norm: _BatchNorm) -> ChannelAffine:
    """Where a batch norm is, and of its type."""
    affine = ChannelAffine(norm.num_features)
    like = norm.running_mean if norm.weight is None else norm.weight
    return affine if like is None else affine.to(like.device, like.dtype)
