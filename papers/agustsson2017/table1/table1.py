"""What the rows share: batches, logs, losses, accuracy on the held-out images."""

from __future__ import annotations

import copy
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cifar
import torch
from resnet import PARAMETERS, ResNet32, accuracy, pretrained
from torch import Tensor, nn

from intact.weights import Coded, Compressed, Settings, distilled, finish, recalibrate
from intact.weights.finetune import Loss

BATCH = 64
SEED = 1
PRECISION = torch.bfloat16  # of forward passes in training; figures are float32's
HERE = Path(__file__).resolve().parent
Data = tuple[Tensor, Tensor]


def rows_of(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by a column, the last of each; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


class Log:
    """Rows of a CSV file, which a resumed run goes on with."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns, self.start = path, columns, time.process_time()
        if not path.exists():
            path.write_text(",".join(columns) + "\n")

    def add(self, **values: object) -> None:
        """A row, which is also printed."""
        row = [values.get(column, "") for column in self.columns]
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        print(f"{time.process_time() - self.start:.0f} s:", values, flush=True)


def held_out_accuracy(network: nn.Module, data: Data) -> tuple[float, float]:
    """On the 5,000 held-out images, in the precision of the training."""
    with torch.autocast("cpu", PRECISION):
        return accuracy(network, data, cifar.normalized)


@torch.no_grad()
def augmented_loss(network: nn.Module, data: Data) -> float:
    """Cross entropy on held-out images under the training's augmentation: what choices go by.

    The pretrained network has seen these images as they are: accuracy on them means little.
    """
    network.eval()
    total = 0.0
    for i in range(0, len(data[0]), 500):
        x = cifar.augmented(data[0][i : i + 500], torch.Generator().manual_seed(i))
        with torch.autocast("cpu", PRECISION):
            logits = network(x).float()
        labels = data[1][i : i + 500]
        total += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return total / len(data[0])


def training_batches() -> Callable[[int], Iterator[Data]]:
    """For `fine_tune`: the number of a step to batches from there on."""
    data = cifar.training()
    return lambda step: cifar.batches(data, BATCH, SEED, step)


def calibration(count: int) -> list[Tensor]:
    """So many augmented training images, in batches of 128."""
    images = cifar.read("train", range(-(-count // 1000)))[0][:count]
    return [
        cifar.augmented(part, torch.Generator().manual_seed(i))
        for i, part in enumerate(images.split(128))
    ]


def teaching() -> Loss:
    """Half the labels, half the pretrained network at T = 3."""
    return distilled(pretrained().requires_grad_(requires_grad=False))


def training(steps: int, rate: float, decay: float = 0.0) -> Settings:
    """Falling as a cosine."""
    return Settings(steps, rate, decay=decay, precision=PRECISION)


ONE_AXIS_BITS = 7
"""Of folded batch norm and the last bias, where weights are coded by training; chosen on held-out
images."""


def stored(network: ResNet32, coded: dict[str, Coded]) -> Compressed:
    """As it will be in the file: batch norm counted over 4,096 images, folded, and coded, too.

    Where no weight is coded all is float32.
    """
    network = copy.deepcopy(network)
    for name, tensor in coded.items():
        with torch.no_grad():
            network.get_parameter(name).copy_(tensor.values)
    recalibrate(network, calibration(4096), lambda model, batch: model(batch))
    bits = ONE_AXIS_BITS if coded else None
    return finish(network, coded, numbers=PARAMETERS, half=False, one_axis_bits=bits)
