"""A frozen model of image codec 2 back into a trainable codec (`intact.train.codecs.thaw`).

Steps are integers in the model: what its log2 was as a line over the levels is fitted, and is off
by what rounding took.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from intact.bottleneck.channelwise import Channelwise
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.intnet import program as ir
from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.channelwise_graphs import ChannelwiseConfig
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.thaw import fit_prior, num_blocks, thaw_networks
from intact.train.codecs.transforms import LATENT_UNIT, THETA_UNIT
from intact.train.integer import LEVEL_SCALE


def config_of(model: Model) -> ChannelwiseConfig:
    """The sizes of a frozen model's networks.

    Raises:
        ValueError: the model is of another kind, or its networks are not those of
            `intact.train.codecs.transforms`.
    """
    return ChannelwiseConfig(
        blocks_analysis=num_blocks(model, "analysis"),
        blocks_synthesis=num_blocks(model, "synthesis"),
        blocks_renderer=num_blocks(model, "synthesis", "r"),
        latents=model.channels["M"],
        hyper_latents=model.channels["N"],
        features=model.channels["C"],
        blocks_context=num_blocks(model, "prior_b"),
        predicted=model.bottleneck_of(Channelwise).predicted,
        stream_steps=_stream_steps(model),
        pixel_bits=_pixel_bits(model),
    )


def _stream_steps(model: Model) -> int:
    """By what the synthesis divides its stream in the end."""
    return int(_requantize(model, "synthesis", "patches").divisor[0])


def _pixel_bits(model: Model) -> int:
    """Of what the last layer of the analysis reads."""
    return _requantize(model, "analysis", "last").high.bit_length() + 1


def _requantize(model: Model, name: str, target: str) -> ir.Requantize:
    """A requantization that a program of ours has.

    Raises:
        ArgumentError: it has none.
    """
    for op in model.programs[name].ops:
        if isinstance(op, ir.Requantize) and op.target == target:
            return op
    raise ArgumentError(f"program {name}: not one of this package's transforms")


def _octaves(steps: np.ndarray) -> Tensor:
    """[levels, channels]: log2 of steps in latent units."""
    return torch.from_numpy(np.log2(steps * LATENT_UNIT))


def rates_of(model: Model, rd_weight: float) -> RateConfig:
    """The range of steps of a model, as the geometric mean over its channels."""
    ends = _octaves(model.bottleneck_of(Channelwise).levels.steps[[0, -1]]).mean(1)
    coarse, fine = torch.exp2(ends).tolist()
    return RateConfig(fine, coarse, rd_weight)


def empty(model: Model, rates: RateConfig) -> ChannelwiseNet:
    """A codec with the networks of a frozen model; steps and densities are left to the caller.

    Raises:
        ValueError: its networks are not those of `intact.train.codecs.transforms`.
    """
    net, bottleneck = ChannelwiseNet(config_of(model), rates), model.bottleneck_of(Channelwise)
    thaw_networks(net, model)
    with torch.no_grad():
        net.stage_theta.copy_(torch.from_numpy(bottleneck.stages * THETA_UNIT))
    return net


def thaw(model: Model, rd_weight: float) -> ChannelwiseNet:
    """The float codec whose networks and steps are a frozen model's.

    Args:
        model: frozen by this package.
        rd_weight: of the training to come.

    Raises:
        ValueError: its networks are not those of `intact.train.codecs.transforms`.
    """
    net = empty(model, rates_of(model, rd_weight))
    bottleneck = model.bottleneck_of(Channelwise)
    levels = bottleneck.levels
    t = torch.from_numpy(levels.parameters / LEVEL_SCALE)
    line = torch.stack([torch.ones_like(t), t], 1)
    base = torch.log2(net.step(t))[:, None]
    with torch.no_grad():
        for steps, zero, offset, slope in (
            (levels.steps, base, net.step_offset, net.step_slope),
            (levels.hyper_steps, 0, net.hyper_offset, net.hyper_slope),
        ):
            found = torch.linalg.lstsq(line, _octaves(steps) - zero).solution
            offset.copy_(found[0])
            slope.copy_(found[1])
    middles = [np.flatnonzero(levels.bands == band) for band in range(levels.bands.max() + 1)]
    rows = [levels.hyper_steps[where[len(where) // 2]] for where in middles]
    widths = torch.from_numpy(np.stack(rows) * LATENT_UNIT).float()
    fit_prior(net.prior_z, bottleneck.tables_z, steps=widths)
    return net
