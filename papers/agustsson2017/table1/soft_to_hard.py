"""Rows 7 and 8, the paper's method: soft-to-hard quantization of all weights while they train.

§5: 75 centers, sigma 0.4 x 1.001^t, 4 epochs, SGD with momentum 0.9, then hard at a tenth of the
learning rate. What the paper does not say, or what failed, is marked (README.md).
"""

from __future__ import annotations

import math
from pathlib import Path

import cifar
import numpy as np
import torch
from faster import compiled
from resnet import ResNet32, pretrained
from table1 import BATCH, PRECISION, SEED, Log, held_out_accuracy, teaching, training

from intact.quantize import Stage
from intact.weights import Coded, QuantizedWeights, Settings, fine_tune, quantize_weights, remove

STEPS = 3128  # 4 epochs of 50,000 images at a batch of 64; sigma ends at 9.1
HARD_STEPS = 350
BETA = 6.8 * math.log(2)  # of bits per weight: 6.8 of nats, found by trials (a constant)
FOLLOWING_BETA = 8 * BETA  # at most: with distillation the annealing ends at 1.66 bits
LEGS = (9800, 0.007, 1.488), (700, 0.002, 1.476)
"""Steps, learning rate and least bits after the switch: what the paper's ratio with Huffman's code
wants."""
RISE = 0.02
"""Bits above the least over which beta rises from 0 to `FOLLOWING_BETA`: nothing is added up over
time, so that it cannot wind up."""


def quantized() -> tuple[ResNet32, QuantizedWeights]:
    """The pretrained network, its weights divided by their root mean square, 75 centers."""
    network = pretrained()
    weights = quantize_weights(network)
    # Learned while sigma is small, centers run away from 0 at no cost to the task and take the
    # rate with them: 0.74 bits at step 250, where soft accuracy is 95 % and hard accuracy 16 %.
    weights.quantizer.centers.requires_grad = False
    return network, weights


def soft(folder: Path) -> tuple[ResNet32, QuantizedWeights]:
    """The annealing."""
    network, weights = quantized()
    data, held = cifar.training(), cifar.held_out()
    log = Log(folder / "soft.csv", ["step", "sigma", "soft_bits", "hard_bits", "soft", "hard"])
    seen = folder / "histograms.npz"
    histograms = dict(np.load(seen)) if seen.exists() else {}

    def after(step: int) -> None:
        if step == 1 or step % 34 == 0:
            network.eval()
            with torch.no_grad(), weights.soft_evaluation():
                soft_bits = float(weights.rate())
                p = torch.bincount(weights.hard_symbols(), minlength=75) / len(weights.symbols)
            row = {"soft_bits": round(soft_bits, 4), "hard_bits": round(weights.hard_entropy(), 4)}
            if step == 1 or step % 170 == 0:
                histograms[f"{step}"] = p.numpy()
                np.savez(seen, **histograms)
            if step % 782 == 0:
                row["hard"] = held_out_accuracy(network, held)[0]
                with weights.soft_evaluation():
                    row["soft"] = held_out_accuracy(network, held)[0]
            log.add(step=step, sigma=round(float(weights.quantizer.sigma), 4), **row)
        weights.quantizer.annealing.step()

    with compiled(network):
        fine_tune(
            network,
            lambda step: cifar.batches(data, BATCH, SEED, step),
            Settings(STEPS, 0.01, falling=False, precision=PRECISION),
            loss=teaching(),
            rate_term=lambda: BETA * weights.rate(),
            after=after,
            checkpoint=folder / "soft.safetensors",
        )
    return network, weights


def follow(network: ResNet32, weights: QuantizedWeights, folder: Path, number: int) -> None:
    """A leg after the switch: weights go on changing their centers, straight through."""
    data, held = cifar.training(), cifar.held_out()
    steps, rate, least = LEGS[number]
    log = Log(folder / "hard.csv", ["step", "bits", "hard"])

    def beta() -> float:
        excess = (weights.hard_entropy() - least) / RISE
        return FOLLOWING_BETA * min(1.0, max(0.0, excess))

    now = [beta()]

    def after(step: int) -> None:
        if step % 10 == 0:
            now[0] = beta()
        if step % 350 == 0:
            bits, hard = weights.hard_entropy(), held_out_accuracy(network, held)[0]
            log.add(step=step, bits=round(bits, 4), hard=hard)

    with compiled(network):
        fine_tune(
            network,
            lambda step: cifar.batches(data, BATCH, SEED + 100 + 50 * number, step),
            training(steps, rate),
            loss=teaching(),
            rate_term=lambda: now[0] * weights.rate(),
            after=after,
            checkpoint=folder / f"following-{number}.safetensors",
        )


def after_the_switch(folder: Path) -> tuple[ResNet32, dict[str, Coded]]:
    """Hard at a tenth of the rate: weights follow straight through, then stand still.

    The paper does not say whether weights go on to change their centers after the switch. They do
    here for 15 epochs, with distillation, then centers and batch norm learn for half an epoch.
    """
    network, weights = soft(folder)
    weights.quantizer.enter(Stage.HARD_IDENTITY_GRADIENT)
    for number in range(len(LEGS)):
        follow(network, weights, folder, number)
    data = cifar.training()
    weights.harden()
    weights.quantizer.centers.requires_grad = True
    fine_tune(
        network,
        lambda step: cifar.batches(data, BATCH, SEED + 200, step),
        training(HARD_STEPS, 0.001),
        loss=teaching(),
        checkpoint=folder / "hard.safetensors",
    )
    coded = weights.coded()
    remove(weights)
    return network, coded
