"""Small models with networks as they are trained: transform codes of images. Needs PyTorch."""

from __future__ import annotations

import numpy as np
import torch

from intact.codec.model import Model
from intact.freeze import channelwise, checkerboard
from intact.train.codecs.channelwise_graphs import ChannelwiseConfig
from intact.train.codecs.channelwise_start import from_checkerboard, old_sizes
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.rates import RateConfig
from intact.train.convert import convert_codec
from tiny_model import picture

SIZES = ChannelwiseConfig(
    blocks_analysis=1, blocks_synthesis=1, latents=16, hyper_latents=8, features=16,
    blocks_context=1,
)  # fmt: skip
RATES = RateConfig(0.4, 5.0)


def small_model(kind: int) -> Model:
    """Of image codec 1 or 2: nothing is trained, but rates and errors are a codec's."""
    crops = torch.from_numpy(np.stack([picture(64, 64, 3, seed) for seed in range(4)]))
    net = CodecNet(old_sizes(SIZES), RATES, seed=1)
    patches = crops.reshape(4, 4, 16, 4, 16, 3).permute(0, 1, 3, 2, 4, 5)
    net.start_as_transform_code(patches.reshape(-1, 16, 16, 3))
    observed = [(crops, torch.linspace(-1, 1, 4))]
    if kind == 1:
        return checkerboard.freeze(convert_codec(net, observed), "small", [])
    new = from_checkerboard(net, SIZES, RATES, [])
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        new.step_offset.add_(0.2 * torch.randn(SIZES.latents, generator=generator))
    return channelwise.freeze(convert_codec(new, observed), "small2", [])
