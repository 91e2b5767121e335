"""Controls of rows 7 and 8: the paper's text taken literally. Short runs; writes controls.csv.

    python controls.py [--steps 200] [--only NAME ...]

literal: all 464,154 parameters, batch norm too, in one W as they are, 75 centers by k-means, sigma
0.4 (raw), beta = 0.1. The others divide weights by their root mean square and have centers on a
grid, as our row has: beta = 0.1 of bits per weight (H), beta = 0.1 of all bits (m H), and learned
centers with our beta. Accuracy is that on held-out training images (the first 2,000).
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import cifar
import torch
from resnet import pretrained
from soft_to_hard import BETA
from table1 import BATCH, HERE, PRECISION, SEED, held_out_accuracy, rows_of
from torch import Tensor

from intact.errors import DivergedError
from intact.quantize import Blocks, Exponential, Quantizer, kmeans_centers
from intact.weights import QuantizedWeights, Scale, Settings, fine_tune, quantize_weights

COLUMNS = [
    "control", "steps", "sigma", "hard_bits_start", "hard_bits", "soft_start", "hard_start", "soft",
    "hard", "remark",
]  # fmt: skip


class Control(NamedTuple):
    """What differs from row 7.

    Attributes:
        literal: one W of raw parameters; k-means centers, which are learned.
        learned: centers are learned while assignments are soft.
        rate: the rate term.
    """

    literal: bool
    learned: bool
    rate: Callable[[QuantizedWeights], Tensor]


CONTROLS = {
    "literal": Control(literal=True, learned=True, rate=lambda w: 0.1 * w.entropy()),
    "beta-0.1-H": Control(literal=False, learned=False, rate=lambda w: 0.1 * w.entropy()),
    "beta-0.1-mH": Control(literal=False, learned=False, rate=lambda w: 0.1 * w.bits()),
    "learned-centers": Control(literal=False, learned=True, rate=lambda w: BETA * w.rate()),
}


def run(name: str, steps: int) -> dict[str, object]:
    """A control's row."""
    control = CONTROLS[name]
    network = pretrained()
    if control.literal:
        row = torch.cat([p.detach().flatten() for p in network.parameters()])
        generator = torch.Generator().manual_seed(SEED)
        centers = kmeans_centers(row[None, :, None], 75, generator=generator)
        quantizer = Quantizer(centers, Blocks(1), Exponential(0.4, 1.001))
        weights = quantize_weights(network, ["*"], quantizer=quantizer, scale=Scale.NONE)
    else:
        weights = quantize_weights(network)
        weights.quantizer.centers.requires_grad = control.learned
    images, labels = cifar.held_out()
    held = images[:2000], labels[:2000]

    def figures() -> tuple[float, float, float]:
        network.eval()
        hard, bits = held_out_accuracy(network, held)[0], weights.hard_entropy()
        with weights.soft_evaluation():
            soft = held_out_accuracy(network, held)[0]
        return round(bits, 4), soft, hard

    found: dict[str, object] = {"control": name, "steps": steps, "remark": ""}
    found["hard_bits_start"], found["soft_start"], found["hard_start"] = figures()
    data = cifar.training()
    try:
        fine_tune(
            network,
            lambda step: cifar.batches(data, BATCH, SEED, step),
            Settings(steps, 0.01, falling=False, precision=PRECISION),
            rate_term=lambda: control.rate(weights),
            after=lambda _: weights.quantizer.annealing.step(),
        )
        found["hard_bits"], found["soft"], found["hard"] = figures()
    except DivergedError as error:
        found["remark"] = str(error).replace(",", ";")
    sigma = float(weights.quantizer.sigma)
    return found | {"sigma": round(sigma, 3) if math.isfinite(sigma) else sigma}


def main() -> None:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=list(CONTROLS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    place = HERE / "controls.csv"
    rows: dict[str, Any] = rows_of(place, "control")
    for name in given.only or CONTROLS:
        rows[name] = run(name, given.steps)
        print(rows[name], flush=True)
        with place.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[n] for n in CONTROLS if n in rows)


if __name__ == "__main__":
    main()
