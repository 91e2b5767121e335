"""Rows 7 and 8, the paper's method: soft-to-hard quantization of all weights while they train.

`python soft_to_hard.py soft` is the paper's annealing, `... hard` what follows the switch.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cifar
import numpy as np
import torch
from common import BATCH, PRECISION, RUNS, Log, held_out_accuracy
from resnet import ResNet32, pretrained

from intact.weights import quantize_weights
from intact.weights.finetune import Settings, fine_tune

SEED = 1
STEPS = 3128  # 4 epochs of 50,000 images at a batch of 64; sigma ends at 9.1
BETA = 5 * math.log(2)  # of bits per weight: 5 of nats, found by trials (networks.md)


def soft(folder: Path) -> ResNet32:
    """The paper's 4 epochs: sigma 0.4 x 1.001^t, 75 centers on a grid, SGD 0.01, momentum 0.9."""
    network = pretrained()
    weights = quantize_weights(network)
    # Learned while sigma is small, centers run away from 0 at no cost to the task and take the
    # rate with them: 0.36 bits at step 120, and nothing is left when sigma grows.
    weights.quantizer.centers.requires_grad = False
    data, held = cifar.training(), cifar.held_out()
    log = Log(folder / "soft.csv", ["step", "sigma", "soft_bits", "hard_bits", "soft", "hard"])
    seen = folder / "histograms.npz"
    histograms = dict(np.load(seen)) if seen.exists() else {}

    def after(step: int) -> None:
        if step == 1 or step % 34 == 0:
            with torch.no_grad(), weights.soft_evaluation():
                network.eval()
                found = weights._now().found
                q = found.q[0].double()
                soft_bits = float(-(q * q.clamp(min=1e-30).log2()).sum())
            row = {"soft_bits": round(soft_bits, 4), "hard_bits": round(weights.hard_entropy(), 4)}
            if step == 1 or step % 170 == 0:
                histograms[f"{step}"] = found.p[0].numpy()
                np.savez(seen, **histograms)
            if step % 782 == 0:
                row["hard"] = held_out_accuracy(network, held)[0]
                with weights.soft_evaluation():
                    row["soft"] = held_out_accuracy(network, held)[0]
            log.add(step=step, sigma=round(float(weights.quantizer.sigma), 4), **row)
        weights.quantizer.annealing.step()

    settings = Settings(STEPS, 0.01, falling=False, precision=PRECISION)
    return fine_tune(
        network,
        lambda step: cifar.batches(data, BATCH, SEED, step),
        settings,
        rate_term=lambda: BETA * weights.entropy(),
        after=after,
        checkpoint=folder / "soft.safetensors",
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = RUNS / "soft_to_hard"
    folder.mkdir(parents=True, exist_ok=True)
    {"soft": soft}[sys.argv[1]](folder)
