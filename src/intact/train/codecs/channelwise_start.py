"""Start image codec 2 from a codec of kind 1, or from a smaller one of its own.

What has been learned stays, what is new is silent at first. The levels may reach further than they
did: biases are affine in t, and t is read anew, so that a step means to the networks what it did.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from intact.bottleneck.channelwise import Channelwise
from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.train.codecs import channelwise_thaw, checkerboard
from intact.train.codecs.channelwise import ChannelwiseNet, ChannelwiseSections
from intact.train.codecs.channelwise_graphs import LOOSE, ChannelwiseConfig, build_graphs
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.codec import Codec
from intact.train.codecs.grow import add_latents, check_growth, grow
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.thaw import thaw
from intact.train.codecs.transforms import (
    LATENT_UNIT,
    STREAM_CHANNELS,
    TransformConfig,
)
from intact.train.data import ImageFolder
from intact.train.graph import Conv
from intact.train.network import Network


def old_sizes(config: ChannelwiseConfig) -> TransformConfig:
    """The sizes of a codec of kind 1 with everything that both kinds have."""
    shared = {f.name for f in dataclasses.fields(TransformConfig)}
    return TransformConfig(**{k: v for k, v in vars(config).items() if k in shared})


def quarter_order() -> Tensor:
    """[192]: the stream's channels as unshuffle(8) has them, in the order of two shuffles, 2 and 4.

    Position n of the new order is (color, row and column in 4x4, row and column in 2x2).
    """
    order = torch.arange(STREAM_CHANNELS).reshape(3, 2, 4, 2, 4)  # color, rows 2 x 4, columns 2 x 4
    return order.permute(0, 2, 4, 1, 3).reshape(-1)


def _reorder_stream(network: Network, order: Tensor) -> None:
    """Rename the channels of a synthesis' stream; its function stays but for their order."""
    for node in network.graph.nodes:
        if not isinstance(node, Conv) or node.target.startswith("r"):
            continue
        for what in ("weight", "bias", "slope"):
            tensor = network.get(node.target, what)
            if node.target == "first":  # each channel fourfold
                fourfold = tensor.reshape(STREAM_CHANNELS, 4, *tensor.shape[1:])
                tensor.copy_(fourfold[order].flatten(0, 1))
            elif node.activation == "stream":
                tensor.copy_(tensor[order])
        if node.source.endswith((".a", ".f")) or node.target == "ends":
            weight = network.get(node.target, "weight")
            weight.copy_(weight[:, order])


def _reading(old: RateConfig, new: RateConfig) -> tuple[float, float]:
    """(a, b) for which a + b t is the old level of the step that level t has now."""

    def line(rates: RateConfig) -> tuple[float, float]:
        low, high = math.log(rates.step_min), math.log(rates.step_max)
        return (low + high) / 2, (high - low) / 2

    (middle, half), (new_middle, new_half) = line(old), line(new)
    return (new_middle - middle) / half, new_half / half


def _read_levels_anew(network: Network, old: RateConfig, new: RateConfig) -> None:
    """Let biases at new levels be those at old levels of the same step."""
    shift, factor = _reading(old, new)
    for node in network.graph.nodes:
        if isinstance(node, Conv):
            bias, slope = network.get(node.target, "bias"), network.get(node.target, "slope")
            bias += slope * shift
            slope *= factor


def _silence(network: Network, blocks: set[str]) -> None:
    """Let blocks add nothing to the stream yet."""
    for node in network.graph.nodes:
        last = isinstance(node, Conv) and node.activation == "stream"
        if last and node.target.split(".")[0] in blocks:
            network.get(node.target, "weight").zero_()


def _new_blocks(net: ChannelwiseNet, old: TransformConfig | ChannelwiseConfig) -> None:
    """Silence the blocks that a smaller codec had not."""
    sizes = net.config
    before = getattr(old, "blocks_renderer", 0)
    _silence(
        net.network("synthesis"),
        {f"b{i}" for i in range(old.blocks_synthesis, sizes.blocks_synthesis)}
        | {f"r{i}" for i in range(before, sizes.blocks_renderer)},
    )
    new = {f"b{i}" for i in range(old.blocks_analysis, sizes.blocks_analysis)}
    _silence(net.network("analysis"), new)
    new = {f"b{i}" for i in range(old.blocks_context, sizes.blocks_context)}
    _silence(net.network("prior_b"), new)
    if sizes.blocks_renderer and not before:
        _reorder_stream(net.network("synthesis"), quarter_order())


def _take(result: Network, source: Network) -> None:
    """Copy what fits; the gains of a last requantization are 1 anyway."""
    state, given = result.state_dict(), source.state_dict()
    fits = {k: v for k, v in given.items() if k in state and state[k].shape == v.shape}
    result.load_state_dict(state | fits)


@torch.no_grad()
def from_checkerboard(
    net: CodecNet,
    config: ChannelwiseConfig,
    rates: RateConfig,
    crops: Iterable[Tensor],
    seed: int = 0,
) -> ChannelwiseNet:
    """A codec of kind 2 that starts as one of kind 1.

    Args:
        net: float codec.
        config: the new sizes, nowhere smaller.
        rates: the new range of rates.
        crops: see `intact.train.codecs.grow.grow`.
        seed: of the weights that are new.

    Raises:
        ArgumentError: see `intact.train.codecs.grow.grow`.
    """
    old = net.config
    net = grow(net, old_sizes(config), crops)
    result = ChannelwiseNet(config, rates, seed)
    result.prior_z.load_state_dict(net.prior_z.state_dict())
    for name in result.networks:
        network = result.network(name)
        _take(network, net.network(name))
        _read_levels_anew(network, net.rates, rates)
    _new_blocks(result, old)
    return result


@torch.no_grad()
def _larger(
    net: ChannelwiseNet, own: ChannelwiseSections, crops: Iterable[Tensor]
) -> ChannelwiseNet:
    """The same codec with more latents and blocks."""
    old, new = net.config, own.transform
    check_growth(net, new.latents)
    for field in dataclasses.fields(ChannelwiseConfig):
        if field.name in LOOSE:
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        grows = field.name == "latents" or field.name.startswith("blocks_")
        if after < before or (after > before and not grows):
            raise ArgumentError(
                f"transform.{field.name} = {after}: the codec to start from has {before}, and of "
                "image codec 2 only latents and blocks grow"
            )
    if new.latents > old.latents:
        wider = ChannelwiseNet(dataclasses.replace(old, latents=new.latents), net.rates)
        net = add_latents(net, wider, crops)
    result = ChannelwiseNet(new, net.rates)
    state = result.state_dict()
    fits = {k: v for k, v in net.state_dict().items() if state[k].shape == v.shape}
    result.load_state_dict(state | fits)
    _new_blocks(result, old)
    adopt(result, own, 0)
    return result


def begin(net: ChannelwiseNet, data: ImageFolder, crop: int, seed: int) -> None:
    """Start a new run as a transform code of its images (docs/decisions/0002)."""
    old = CodecNet(old_sizes(net.config), net.rates, seed)
    checkerboard.begin(old, data, crop, seed)
    net.load_state_dict(from_checkerboard(old, net.config, net.rates, [], seed).state_dict())


def thaw_codec(model: Model, own: ChannelwiseSections) -> Codec:
    """A frozen model as a start: of kind 2, or of kind 1, of which `grow_codec` makes one.

    Raises:
        ArgumentError: the model is of another kind.
    """
    if isinstance(model.bottleneck, Channelwise):
        net = channelwise_thaw.thaw(model, own.rate.rd_weight)
        loose = {name: getattr(own.transform, name) for name in LOOSE}
        sizes = dataclasses.replace(net.config, **loose)
        adopt(net, dataclasses.replace(own, transform=sizes), 0)
        return net
    if not isinstance(model.bottleneck, Checkerboard):
        raise ArgumentError(
            f"model {model.name!r} is of kind {model.bottleneck.FORMAT!r}, which is no start for "
            "image codec 2"
        )
    steps = model.bottleneck.levels.steps * LATENT_UNIT
    rates = RateConfig(float(steps[-1]), float(steps[0]), own.rate.rd_weight)
    return thaw(model, rates)


@torch.no_grad()
def adopt(net: Codec, own: ChannelwiseSections, seed: int) -> None:
    """Go on with a codec's weights under other settings: its levels are read anew.

    Args:
        net: the codec, which is changed.
        own: the settings, of its sizes but for those that float networks do not know (`LOOSE`).
        seed: of nothing here.
    """
    del seed
    assert isinstance(net, ChannelwiseNet)
    if own.transform != net.config:
        for name, graph in build_graphs(own.transform).items():
            net.network(name).graph = graph
    for name in net.networks:
        _read_levels_anew(net.network(name), net.rates, own.rate)
    shift, factor = _reading(net.rates, own.rate)
    for offset, slope in (
        (net.step_offset, net.step_slope),
        (net.hyper_offset, net.hyper_slope),
    ):
        offset += slope * shift
        slope *= factor
    net.own = own


def grow_codec(net: Codec, own: ChannelwiseSections, crops: Iterable[Tensor]) -> ChannelwiseNet:
    """A codec of kind 2 of the sizes of a configuration.

    Raises:
        ArgumentError: the sizes are smaller, or grow in something else than latents and
            blocks.
    """
    if isinstance(net, CodecNet):
        return from_checkerboard(net, own.transform, own.rate, crops)
    assert isinstance(net, ChannelwiseNet)
    return _larger(net, own, crops)
