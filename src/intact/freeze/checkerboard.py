"""A trained codec of kind "image codec 1" to a frozen model: programs, levels, tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.scalar import NUM_SCALES, THETA_SHIFT, Levels
from intact.codec.model import Model
from intact.freeze.count import RADIUS, count_symbols
from intact.freeze.program import to_program
from intact.freeze.tables import hyper_tables, scale_tables
from intact.train.codecs.checkerboard import CodecNet, sigma_of
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import LATENT_UNIT, THETAS_PER_OCTAVE
from intact.train.integer import LEVEL_SCALE, IntegerNetwork

NUM_LEVELS = 64
DEAD_ZONE = 0.5
"""Rounding offset as a share of the step: 0.5 rounds to the nearest. Less makes zeros cheaper, and
was measured to cost more than it saves (docs/decisions/0004)."""
SKIP = 7
"""Tables below it (sigma under 0.22 of a step) are not sent; docs/decisions/0004."""
SIGMAS = [sigma_of(index << THETA_SHIFT) for index in range(NUM_SCALES)]
"""Of the scale tables."""


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


def freeze(
    net: CodecNet,
    name: str,
    images: list[np.ndarray],
    info: dict[str, str] | None = None,
    *,
    dead_zone: float | None = None,
    progress: Callable[[], None] | None = None,
) -> Model:
    """Freeze an integer codec.

    Args:
        net: whose networks are integer (`intact.train.convert` or trained as such).
        name: of the model.
        images: training images to count symbols on; with none the tables are the trained densities.
        info: plain text kept in the model.
        dead_zone: the encoder's rounding offset as a share of the step, 0..0.5 [0.5].
        progress: called after each image.

    Raises:
        ModelError: a bound cannot be proven.
    """
    net = net.cpu()
    programs = {k: to_program(cast(IntegerNetwork, n)) for k, n in net.networks.items()}
    levels = make_levels(net.rates, DEAD_ZONE if dead_zone is None else dead_zone)

    def build(counts_y: np.ndarray | None, counts_z: np.ndarray | None) -> Model:
        tables_y = scale_tables(SIGMAS, counts_y)
        tables_z = hyper_tables(net.prior_z, counts_z)
        bottleneck = Checkerboard(tables_y, tables_z, levels, SKIP, net.config.predicted)
        return Model(name, programs, bottleneck, info or {})

    model = build(None, None)
    if not images:
        return model
    counts = count_symbols(model, images, progress)
    return build(counts["tables_y"], counts["tables_z"][:, RADIUS - 128 : RADIUS + 128])
