"""Frozen models as float codecs at one level, with the tables that they really code with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from intact.bits.tables import TOTAL, TableBank
from intact.bottleneck.channelwise import Channelwise
from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.model import Model
from intact.errors import ArgumentError, UnsupportedError
from intact.train.codecs import channelwise_thaw, thaw
from intact.train.codecs.channelwise import ChannelwiseNet
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.codec import Codec
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import LATENT_UNIT
from intact.train.integer import LEVEL_SCALE

SYMBOLS = 128
"""Symbols of hyper-latents are -128..127."""
ESCAPE_BITS = 8.0
"""What an escaped symbol takes beside the escape, about."""


class TablePrior(nn.Module):
    """What hyper-latents cost by a model's tables, in the place of a `FactorizedPrior`.

    Args:
        bank: tables of hyper-latents.
        first: the table of the first channel.
        channels: tables from there on.
    """

    def __init__(self, bank: TableBank, first: int, channels: int) -> None:
        super().__init__()
        costs = np.zeros((channels, 2 * SYMBOLS), np.float32)
        for row, number in zip(costs, range(first, first + channels), strict=True):
            begin, size = int(bank.starts[number]), int(bank.sizes[number])
            bits = -np.log2(bank.freqs[begin : begin + size] / TOTAL)
            row[:] = bits[-1] + ESCAPE_BITS
            low = int(bank.minimums[number]) + SYMBOLS
            row[low : low + size - 1] = bits[:-1]
        self.register_buffer("costs", torch.from_numpy(costs))

    def bits(self, z: Tensor, _: Tensor | None = None) -> Tensor:
        """Bits of rounded symbols z [b, h, w, channels]; the gradient is the tables' mean slope."""
        costs = self.costs
        assert isinstance(costs, Tensor)
        places = (z.detach().round().long() + SYMBOLS).clamp(1, 2 * SYMBOLS - 2)
        flat = places.flatten(0, 2).t()

        def at(offset: int) -> Tensor:
            return costs.gather(1, flat + offset).t().reshape(z.shape)

        slope = (at(1) - at(-1)) / 2
        return at(0) + slope * (z - z.detach())


def _thawed_checkerboard(model: Model) -> CodecNet:
    net = CodecNet(thaw.config_of(model), RateConfig())
    thaw.thaw_networks(net, model)
    return net


def check(model: Model) -> None:
    """Refuse models whose latents cannot be refined.

    Raises:
        UnsupportedError: of another kind, or with networks that this package did not train.
    """
    _thawed(model)


@lru_cache(maxsize=2)
def _thawed(model: Model) -> Codec:
    """The networks of a model in float; kept, since a folder asks for them again and again."""
    try:
        match model.bottleneck:
            case Checkerboard():
                net: Codec = _thawed_checkerboard(model)
            case Channelwise():
                net = channelwise_thaw.empty(model, RateConfig())
            case other:
                raise ArgumentError(f"it is of kind {other.FORMAT!r}")
    except ArgumentError as error:
        raise UnsupportedError(
            f"the latents of model {model.name!r} cannot be refined: {error}; encode without an "
            "effort, or with 1"
        ) from error
    for parameter in net.parameters():
        parameter.requires_grad = False
    return net.eval()


@dataclass(frozen=True)
class AtLevel:
    """A float codec whose steps and tables are a model's at one level.

    Attributes:
        net: the codec. There is one for each model: the next level that is asked for changes it.
        t: [1], the level.
        steps: [1, 1, 1, 1 or M], of quantization, in real units.
    """

    net: Codec
    t: Tensor
    steps: Tensor


def step_at(model: Model, level: int) -> float:
    """The quantization step of a level in real units; the geometric mean of its channels' steps.

    Raises:
        UnsupportedError: the model is of another kind than 1 and 2.
    """
    bottleneck = model.bottleneck
    if not isinstance(bottleneck, Checkerboard | Channelwise):
        raise UnsupportedError(f"model {model.name!r} is of kind {bottleneck.FORMAT!r}")
    return float(2 ** np.log2(bottleneck.levels.steps[level] * LATENT_UNIT).mean())


def codec_at(model: Model, level: int) -> AtLevel:
    """A model in float at an index into its levels.

    Raises:
        UnsupportedError: its latents cannot be refined.
    """
    net, bottleneck, step = _thawed(model), model.bottleneck, step_at(model, level)
    t = torch.tensor([int(model.levels.parameters[level]) / LEVEL_SCALE])
    if isinstance(net, ChannelwiseNet):
        assert isinstance(bottleneck, Channelwise)
        levels = bottleneck.levels
        net.step_offset.copy_(torch.from_numpy(np.log2(levels.steps[level] * LATENT_UNIT / step)))
        net.hyper_offset.copy_(torch.from_numpy(np.log2(levels.hyper_steps[level] * LATENT_UNIT)))
        channels = levels.hyper_steps.shape[1]
        first = int(levels.bands[level]) * channels
    else:
        assert isinstance(net, CodecNet)
        assert isinstance(bottleneck, Checkerboard)
        first, channels = 0, bottleneck.tables_z.num_tables
    # One step for all t: that of the level.
    net.own = type(net.own)(net.own.transform, RateConfig(step, step))
    net.prior_z = TablePrior(bottleneck.tables_z, first, channels)  # type: ignore[assignment]
    steps = torch.from_numpy(np.atleast_1d(bottleneck.levels.steps[level] * LATENT_UNIT)).float()
    return AtLevel(net, t, steps[None, None, None])
