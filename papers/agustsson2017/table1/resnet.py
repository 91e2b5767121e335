"""The paper's network: ResNet-32 for CIFAR-10 (He et al. 2016), 464,154 parameters, pretrained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from cifar import ROOT
from torch import Tensor, nn
from torch.nn import functional as F

PARAMETERS = 464154


class Block(nn.Module):
    """Two 3x3 convolutions; the shortcut takes every second pixel and pads channels (option A)."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.grown = stride, width - width_in

    def forward(self, x: Tensor) -> Tensor:
        """[b, width_in, h, w] to [b, width, h / stride, w / stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.grown:
            side = self.grown // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, side, side))
        return F.relu(y + x)


class ResNet32(nn.Module):
    """[b, 3, 32, 32] to 10 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        width_in = 16
        for i, width in enumerate((16, 32, 64)):
            blocks = []
            for j in range(5):
                blocks.append(Block(width_in, width, 2 if i and not j else 1))
                width_in = width
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Normalized images to logits."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def pretrained() -> ResNet32:
    """The network of ../shared/data/resnet32, 92.63 % on the test images."""
    path = ROOT / "resnet32/resnet32-d509ac18.th"
    # weights_only: nothing in the file is executed.
    read = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]  # noqa: TID251
    network = ResNet32()
    network.load_state_dict({k.removeprefix("module."): v for k, v in read.items()}, strict=False)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS
    return network.to(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(
    network: nn.Module,
    data: tuple[Tensor, Tensor],
    normalize: Callable[[Tensor], Tensor],
    *,
    size: int = 500,
) -> tuple[float, float]:
    """Share of images that are named rightly, and the mean cross entropy."""
    network.eval()
    right, loss = 0, 0.0
    for i in range(0, len(data[0]), size):
        logits = network(normalize(data[0][i : i + size])).float()
        labels = data[1][i : i + size]
        right += int((logits.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    return right / len(data[0]), loss / len(data[0])
