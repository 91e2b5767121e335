"""A trained codec to a frozen model: programs, levels, tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import cast

import numpy as np
import torch

from intact.codec import latents as coding
from intact.codec.model import HYPER_RATIO, LATENT_PX, Levels, Model
from intact.codec.networks import Networks
from intact.codec.pixels import to_network
from intact.freeze.program import to_program
from intact.freeze.tables import hyper_tables, scale_tables
from intact.train.codec_net import CodecNet, RateConfig
from intact.train.integer import LEVEL_SCALE, IntegerNetwork
from intact.train.transforms import LATENT_UNIT, THETAS_PER_OCTAVE

NUM_LEVELS = 64
DEAD_ZONE = 0.5
"""Rounding offset as a share of the step: 0.5 rounds to the nearest. Less makes zeros cheaper, and
was measured to cost more than it saves (docs/decisions/0004)."""
SKIP = 7
"""Tables below it (sigma under 0.22 of a step) are not sent; docs/decisions/0004."""
RADIUS = 600
"""Symbols beyond it are not counted; they are escapes anyway."""


def make_levels(rates: RateConfig, dead_zone: float = DEAD_ZONE) -> Levels:
    """The quality levels of a range of rates, coarsest first."""
    t = torch.linspace(1, -1, NUM_LEVELS, dtype=torch.float64)
    steps = np.rint((rates.step(t) / LATENT_UNIT).numpy()).astype(np.int64)
    shifts = [round(THETAS_PER_OCTAVE * math.log2(s * LATENT_UNIT)) for s in steps]
    return Levels(
        steps=steps,
        shifts=np.array(shifts),
        parameters=np.rint(t.numpy() * LEVEL_SCALE).astype(np.int64),
        offsets=np.floor(steps * dead_zone).astype(np.int64),
    )


def count_symbols(
    model: Model, images: Iterable[np.ndarray], progress: Callable[[], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """How often the encoder emits each symbol: ([scales, 2r+1] of latents, [channels, 256] of z).

    Args:
        model: with any tables.
        images: uint8 [h, w, 3]; each is coded at three levels.
        progress: called after each image.
    """
    networks = Networks(model, 1 << 18, "auto", 1)
    counts_y = np.zeros((model.tables_y.num_tables, 2 * RADIUS + 1), np.int64)
    counts_z = np.zeros((model.hyper_channels, 256), np.int64)
    for i, image in enumerate(images):
        pixels = to_network(image, LATENT_PX)
        for level in range(i % 8, len(model.levels), 21):
            y = networks.run("analysis", {"pixels": pixels}, level)["y"]
            layout = coding.Layout((y.shape[0], y.shape[1]), 6)
            plan = coding.plan_latents(networks, y, level, layout)
            inside = np.abs(plan.symbols) <= RADIUS
            flat = plan.index[inside].astype(np.int64) * (2 * RADIUS + 1)
            flat += plan.symbols[inside] + RADIUS
            counts_y += np.bincount(flat, minlength=counts_y.size).reshape(counts_y.shape)
            for tile in layout.tiles(layout.whole):
                cells = layout.tile(tile).shrink(HYPER_RATIO)
                z, channels, _ = coding.hyper_parts(model, plan.z[cells.slices])[-1]
                flat = z.astype(np.int64) + 128 + 256 * channels.astype(np.int64)
                counts_z += np.bincount(flat, minlength=counts_z.size).reshape(counts_z.shape)
        if progress:
            progress()
    return counts_y, counts_z


def freeze(
    net: CodecNet,
    name: str,
    images: list[np.ndarray],
    info: dict[str, str] | None = None,
    *,
    dead_zone: float = DEAD_ZONE,
    progress: Callable[[], None] | None = None,
) -> Model:
    """Freeze an integer codec.

    Args:
        net: whose networks are integer (`intact.train.convert` or trained as such).
        name: of the model.
        images: training images to count symbols on; with none the tables are the trained densities.
        info: plain text kept in the model.
        dead_zone: the encoder's rounding offset as a share of the step, 0..0.5.
        progress: called after each image.

    Raises:
        ModelError: a bound cannot be proven.
    """
    net = net.cpu()
    programs = {k: to_program(cast(IntegerNetwork, n)) for k, n in net.networks.items()}
    levels = make_levels(net.rates, dead_zone)

    def build(counts: tuple[np.ndarray, np.ndarray] | tuple[None, None]) -> Model:
        tables_y, tables_z = scale_tables(counts[0]), hyper_tables(net.prior_z, counts[1])
        return Model(
            name, programs, tables_y, tables_z, levels, info or {}, SKIP, net.config.predicted
        )

    model = build((None, None))
    if not images:
        return model
    return build(count_symbols(model, images, progress))
