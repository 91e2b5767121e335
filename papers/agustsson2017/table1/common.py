"""What the rows share: batches, logs, the network with its accuracy on held-out images."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import cifar
import torch
from resnet import accuracy
from torch import Tensor, nn

BATCH = 64
RUNS = Path("/work/methods-runs")
PRECISION = torch.bfloat16


class Log:
    """Rows of a CSV file, which a resumed run goes on with."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns, self.start = path, columns, time.process_time()
        if not path.exists():
            path.write_text(",".join(columns) + "\n")

    def add(self, **values: object) -> None:
        """A row, which is also printed."""
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(
                [values.get(c, "") for c in self.columns]
            )
        print(f"{time.process_time() - self.start:.0f} s:", values, flush=True)


def held_out_accuracy(network: nn.Module, data: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """On the 5,000 held-out images, in the precision of the training."""
    with torch.autocast("cpu", PRECISION):
        return accuracy(network, data, cifar.normalized)
