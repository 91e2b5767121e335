"""Start a larger codec from a smaller one: more latents, more blocks, colors that lead.

A larger network that starts as the smaller one keeps what that has learned. New blocks start near
zero. New latents carry what the smaller codec cannot say at its finest level: the leading principal
components of what is left of the pixels, as far as a linear map of the analysis' features predicts
it. docs/decisions/0008 has the reasons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.codecs.checkerboard import LATENT_GAIN, CheckerboardConfig, CodecNet
from intact.train.codecs.codec import Codec
from intact.train.codecs.transforms import (
    PIXEL_UNIT,
    STREAM_CHANNELS,
    TransformConfig,
    check_latents,
)
from intact.train.entropy import SCALE_MIN
from intact.train.graph import Conv
from intact.train.network import unshuffle

RIDGE = 1e-4
"""Weight of the regression's regularization, relative to the mean power of the features."""
C = TypeVar("C", bound=Codec)
LATENT_AXES = {
    "analysis": {"y": 0},
    "hyper_analysis": {"a": 0, "h0": 1},
    "prior_a": {"mean": 0, "theta": 0},
    "prior_b": {"ya": 0, "yb": 1, "mean": 0, "theta": 0},
    "synthesis": {"first": 1},
}
"""Per network and node: which axis of its weight counts latents."""


def check_growth(net: Codec, latents: int) -> None:
    """Refuse what no kind can grow: an integer codec, and more latents than a patch has values.

    Raises:
        ArgumentError: says which.
    """
    if net.is_integer:
        raise ArgumentError("an integer codec cannot grow: its units would not fit any more")
    check_latents(latents)


def _check(old: TransformConfig, new: TransformConfig) -> None:
    for field in dataclasses.fields(TransformConfig):
        before, after = getattr(old, field.name), getattr(new, field.name)
        fixed = field.name in ("hyper_latents", "features")
        if after < before or (fixed and after != before):
            raise ArgumentError(
                f"transform.{field.name} = {after}: the model to start from has {before}, and "
                + ("that cannot change" if fixed else "nothing shrinks")
            )
    if new.predicted != old.predicted and (old.predicted or new.predicted > old.latents):
        raise ArgumentError(
            f"transform.predicted = {new.predicted}: the model to start from has {old.latents} "
            f"latents, of which {old.predicted} are predicted; from 0 only it can become another"
        )


def color_latents(net: CodecNet, count: int) -> Tensor:
    """The latents [count] that the synthesis draws with the most constant part, in their order."""
    weight = net.network("synthesis").get("first", "weight")[:, :, 0, 0].detach()
    # Rows are (color, row, column in 8x8) of each of the 2x2 blocks.
    constant = weight.reshape(3, STREAM_CHANNELS // 3 * 4, -1).sum(1).square().sum(0)
    share = constant / weight.square().sum(0).clamp(min=1e-12)
    return share.topk(count).indices.sort().values


@torch.no_grad()
def lead_with_colors(net: CodecNet, predicted: int) -> CodecNet:
    """A codec of the same function whose color latents come first, to be predicted from neighbors.

    The second pass's means of these latents start at zero: their neighbors' average is added now.
    """
    config = dataclasses.replace(net.config, predicted=predicted)
    result = CodecNet(config, net.rates)
    result.load_state_dict(net.state_dict())
    colors = color_latents(net, predicted)
    rest = torch.ones(config.latents, dtype=torch.bool).index_fill(0, colors, value=False)
    order = torch.cat([colors, rest.nonzero()[:, 0]])
    for name, nodes in LATENT_AXES.items():
        network = result.network(name)
        for node, axis in nodes.items():
            for what in ("weight", "bias", "slope", "gain"):
                if hasattr(network, network.key(node, what)):
                    tensor = network.get(node, what)
                    if what == "weight" or axis == 0:
                        axis_here = axis if what == "weight" else 0
                        tensor.copy_(tensor.index_select(axis_here, order))
    for what in ("weight", "bias", "slope"):
        result.network("prior_b").get("mean", what)[:predicted] = 0
    return result


@torch.no_grad()
def _regress(net: Codec, crops: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """How the analysis' last features predict what the codec loses at its finest level.

    Args:
        net: the codec.
        crops: uint8 [b, h, w, 3].

    Returns:
        Weights [features + 1, 768] and covariance [768, 768] of what they predict, in units of
        PIXEL_UNIT; patches in the order of two unshuffles, by 8 and by 2.
    """
    seen: dict[str, Tensor] = {}

    def record(node: Conv, x: Tensor, _: Tensor) -> None:
        seen[node.target] = x

    gram, cross, count = torch.zeros(()), torch.zeros(()), 0
    for image in crops:
        t = torch.full((len(image),), -1.0)
        result = net(image, t, None, hard=True, observers={"analysis": record})
        lost = (image.float() - result.pixels) * PIXEL_UNIT
        lost = unshuffle(unshuffle(lost, 8), 2).flatten(0, 2).double()
        mode = "replicate" if net.network("analysis").graph.edge else "constant"
        features = F.pad(seen["y"].float().permute(0, 3, 1, 2), (1, 1, 1, 1), mode=mode)
        columns = F.unfold(features, 3, stride=2)
        columns = columns.transpose(1, 2).flatten(0, 1).double()
        columns = torch.cat([columns, torch.ones(len(columns), 1, dtype=torch.float64)], 1)
        gram, cross = gram + columns.t() @ columns, cross + columns.t() @ lost
        count += len(lost)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    weights = torch.linalg.solve(gram + ridge, cross)
    return weights, weights.t() @ gram @ weights / count


@torch.no_grad()
def add_latents(net: C, result: C, crops: Iterable[Tensor]) -> C:
    """Fill a codec that differs from another by having more latents.

    Args:
        net: the smaller codec, in float.
        result: the larger one; all its weights are replaced.
        crops: see `grow`.
    """
    old = net.network("analysis").get("y", "bias").shape[0]
    latents = result.network("analysis").get("y", "bias").shape[0]
    weights, covariance = _regress(net, crops)
    values, vectors = torch.linalg.eigh(covariance)
    vectors = vectors.flip(1)[:, : latents - old]
    std = values.flip(0)[: latents - old].clamp(min=1e-9).sqrt().float() * LATENT_GAIN
    rows = (weights @ vectors).float() * LATENT_GAIN

    state = result.state_dict()
    for name, tensor in net.state_dict().items():
        # New latents start without an influence on anything but the pixels.
        padded = torch.zeros_like(state[name])
        padded[tuple(slice(0, size) for size in tensor.shape)] = tensor
        state[name] = padded
    result.load_state_dict(state)
    analysis, first = result.network("analysis"), result.network("synthesis").get("first", "weight")
    analysis.get("y", "weight")[old:] = rows[:-1].t().reshape(latents - old, -1, 3, 3)
    analysis.get("y", "bias")[old:] = rows[-1]
    first[:, old:, 0, 0] = vectors.float() / LATENT_GAIN
    for name, node in (("hyper_analysis", "a"), ("prior_b", "ya")):
        result.network(name).get(node, "gain")[old:] = 1 / std.clamp(min=0.3)
    for name in ("prior_a", "prior_b"):
        bias = result.network(name).get("theta", "bias")
        bias[old:] = torch.log2(std / SCALE_MIN).clamp(min=0)
    return result


@torch.no_grad()
def _add_blocks(net: CodecNet, config: TransformConfig) -> CodecNet:
    result = CodecNet(config, net.rates)
    state = result.state_dict()
    result.load_state_dict(state | net.state_dict())
    return result


def grow(net: CodecNet, config: TransformConfig, crops: Iterable[Tensor]) -> CodecNet:
    """A codec of sizes ``config`` that starts as ``net``.

    Args:
        net: float codec.
        config: its sizes, or larger.
        crops: uint8 [b, h, w, 3] training images, some thousand patches of 16x16 in all; used where
            there are new latents.

    Raises:
        ValueError: ``net`` is integer already, or ``config`` is smaller somewhere, changes
            hyper-latents or features, or has more latents than a patch has values.
    """
    check_growth(net, config.latents)
    _check(net.config, config)
    if config.predicted > net.config.predicted:
        net = lead_with_colors(net, config.predicted)
    if config.latents > net.config.latents:
        larger = dataclasses.replace(net.config, latents=config.latents)
        net = add_latents(net, CodecNet(larger, net.rates), crops)
    return _add_blocks(net, config) if config != net.config else net


def grow_codec(net: CodecNet, own: CheckerboardConfig, crops: Iterable[Tensor]) -> CodecNet:
    """`grow`, to the sizes of a configuration."""
    return grow(net, own.transform, crops)
