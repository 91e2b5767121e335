"""CIFAR-10 from ../shared/data/cifar10, its split, and the augmentation that everybody uses.

The last 5,000 training images are held out: fine-tuning, calibration and the statistics of batch
norm never see them, choices are made on them. The test images are for evaluate.py alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ROOT = next(
    (p / "shared/data" for p in Path(__file__).resolve().parents if (p / "shared/data").is_dir()),
    Path("shared/data"),
)
HELD_OUT = 5000
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def read(part: str, sheets: range) -> tuple[Tensor, Tensor]:
    """Images uint8 [n, 3, 32, 32] and labels int64 [n] of sheets of 1,000 images."""
    images = []
    for sheet in sheets:
        with Image.open(ROOT / f"cifar10/{part}_{sheet:02}.webp") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        grid = pixels.reshape(40, 32, 25, 32, 3).transpose(0, 2, 4, 1, 3)
        images.append(grid.reshape(1000, 3, 32, 32))
    labels = np.load(ROOT / f"cifar10/{part}_labels.npy").astype(np.int64)
    chosen = labels[sheets.start * 1000 : sheets.stop * 1000]
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(chosen)


def training() -> tuple[Tensor, Tensor]:
    """The 45,000 images that everything learns from."""
    return read("train", range(50 - HELD_OUT // 1000))


def held_out() -> tuple[Tensor, Tensor]:
    """The 5,000 training images that choices are made on; the pretrained network has seen them."""
    return read("train", range(50 - HELD_OUT // 1000, 50))


def test() -> tuple[Tensor, Tensor]:
    """The 10,000 test images."""
    return read("test", range(10))


def normalized(images: Tensor) -> Tensor:
    """As the pretrained network wants them: float32 [b, 3, 32, 32]."""
    x = (images.float() / 255 - MEAN) / DEVIATION
    return x.contiguous(memory_format=torch.channels_last)


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """4 black pixels around images, a random 32x32 of that, and a mirror half of the time.

    Black, as when the network was trained (images were padded before they were normalized): its
    statistics know such edges. With gray ones batch norm, counted again, has two thirds of the
    variance in its first layer, and the network without any compression a loss of 0.088 instead of
    0.025 on held-out images.
    """
    n = len(images)
    x = normalized(torch.nn.functional.pad(images, (4, 4, 4, 4)))
    top = torch.randint(9, (n, 1), generator=generator) + torch.arange(32)
    left = torch.randint(9, (n, 1), generator=generator) + torch.arange(32)
    mirror = torch.rand(n, 1, generator=generator) < 0.5
    left = torch.where(mirror, left.flip(1), left)
    x = x.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None], top[:, :, None], left[:, None, :]]
    return x.permute(0, 3, 1, 2)


def batches(
    data: tuple[Tensor, Tensor], size: int, seed: int, start: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches; batch i depends on the seed and i alone, so that it resumes."""
    images, labels = data
    each = len(images) // size
    step = start
    while True:
        epoch, place = divmod(step, each)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed + epoch))
        for i in range(place, each):
            chosen = order[i * size : (i + 1) * size]
            generator = torch.Generator().manual_seed((seed << 32) + step)
            yield augmented(images[chosen], generator), labels[chosen]
            step += 1
