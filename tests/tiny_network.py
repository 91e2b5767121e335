"""A network with a convolution, batch norm and a linear layer, and data that it can learn."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from intact.weights import Settings, fine_tune


def network(seed: int = 0) -> Any:
    """1x8x8 in, 3 logits out."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    net.add_module("last", nn.Linear(4 * 36, 3))
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            if p.dim() > 1:
                p.copy_(torch.randn(p.shape, generator=generator) / (10 + i))
            elif i in (1, 5):  # biases that would be random
                p.zero_()
    return net


def data(seed: int = 1) -> tuple[Tensor, Tensor]:
    """30 items and their labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 1, 8, 8, generator=generator)
    return x, (x.mean((1, 2, 3)) > 0).long() + (x[:, 0, 0, 0] > 1).long()


def loss_of(net: nn.Module) -> Tensor:
    """Cross entropy over all of the data."""
    x, y = data()
    return nn.functional.cross_entropy(net(x), y)


def endless(start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of 8 from a step on."""
    x, y = data()
    step = start
    while True:
        at = torch.arange(8) + 8 * (step % 3)
        yield x[at], y[at]
        step += 1


def tuned(net: Any, steps: int = 20, **more: Any) -> Any:
    """Fine-tuned for some steps."""
    return fine_tune(net, endless, Settings(steps, 0.05), **more)
