"""A trained codec of kind "image codec 2" to a frozen model: programs, levels, tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from intact.bottleneck.channelwise import Channelwise
from intact.bottleneck.leveled import ChannelLevels
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.freeze.checkerboard import NUM_LEVELS, SIGMAS, SKIP
from intact.freeze.count import RADIUS, count_symbols
from intact.freeze.program import to_program
from intact.freeze.tables import hyper_tables, scale_tables
from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.transforms import LATENT_UNIT, THETAS_PER_OCTAVE
from intact.train.integer import LEVEL_SCALE, IntegerNetwork

NUM_BANDS = 8
"""Of levels that share the tables of the hyper-latents."""


def make_levels(net: ChannelwiseNet) -> ChannelLevels:
    """The quality levels of a trained codec, coarsest first."""
    t = torch.linspace(1, -1, NUM_LEVELS)
    with torch.no_grad():
        steps, hyper_steps = (_steps(s[:, 0, 0]) for s in (net.steps(t), net.hyper_steps(t)))
    return ChannelLevels(
        parameters=np.rint(t.numpy() * LEVEL_SCALE).astype(np.int64),
        bands=np.arange(NUM_LEVELS) * NUM_BANDS // NUM_LEVELS,
        steps=steps,
        shifts=np.rint(THETAS_PER_OCTAVE * np.log2(steps * LATENT_UNIT)).astype(np.int64),
        hyper_steps=hyper_steps,
    )


def _steps(exact: torch.Tensor) -> np.ndarray:
    return np.rint((exact / LATENT_UNIT).double().numpy()).astype(np.int64).clip(1, 32767)


def freeze(
    net: ChannelwiseNet,
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
        dead_zone: of no meaning here: encoders of this kind round to the nearest.
        progress: called after each image.

    Raises:
        ModelError: a bound cannot be proven.
        ArgumentError: a dead zone is asked for.
    """
    if dead_zone is not None:
        raise ArgumentError(f"dead zone {dead_zone}: image codec 2 rounds to the nearest")
    net = net.cpu()
    programs = {k: to_program(cast(IntegerNetwork, n)) for k, n in net.networks.items()}
    levels, config = make_levels(net), net.config
    middles = [np.flatnonzero(levels.bands == band) for band in range(NUM_BANDS)]
    widths = torch.tensor(
        np.stack([levels.hyper_steps[rows[len(rows) // 2]] for rows in middles]) * LATENT_UNIT
    )

    def thetas(octaves: torch.Tensor) -> np.ndarray:
        exact = octaves.detach().double().numpy() * THETAS_PER_OCTAVE
        return np.rint(exact).astype(np.int64).clip(-255, 255)

    def build(counts_y: np.ndarray | None, counts_z: np.ndarray | None) -> Model:
        bottleneck = Channelwise(
            tables_y=scale_tables(SIGMAS, counts_y),
            tables_z=hyper_tables(net.prior_z, counts_z, widths),
            levels=levels,
            stages=thetas(net.stage_theta),
            skip=SKIP,
            predicted=config.predicted,
        )
        return Model(name, programs, bottleneck, info or {})

    model = build(None, None)
    if not images:
        return model
    counts = count_symbols(model, images, progress)
    return build(counts["tables_y"], counts["tables_z"][:, RADIUS - 128 : RADIUS + 128])
