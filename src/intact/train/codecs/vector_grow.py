"""Vector codecs that take more than their own kind's transforms.

The fast form's pixel streams are the shipped codec's, so blocks are taken as they are; only the
layers that meet the bottleneck are new: a first stage trains them in few steps. A codec that
decides by logits is one by distances and a layer more, so it starts from a first stage, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.codec import Codec
from intact.train.codecs.vector import VectorNet
from intact.train.codecs.vector_settings import VectorConfig


@torch.no_grad()
def grow_codec(net: Codec, own: VectorConfig, crops: Iterable[Tensor]) -> VectorNet:
    """A codec of the configuration's sizes, with all weights that both have.

    Args:
        net: of image codec 1, in float, or a vector codec without logits, which gets them.
        own: of the fast form, in its first stage; or with logits, of the codec's own sizes.
        crops: not used.

    Raises:
        ArgumentError: the two have no transforms in common.
    """
    del crops
    if isinstance(net, VectorNet):
        return _with_logits(net, own)
    if own.transform.form != "fast" or own.rate.stage != 1:
        raise ArgumentError(
            f"transform.form = {own.transform.form!r}, rate.stage = {own.rate.stage}: transforms "
            "of image codec 1 are those of the form 'fast', and a codebook needs rate.stage = 1 "
            "before it"
        )
    if not isinstance(net, CodecNet) or net.is_integer:
        raise ArgumentError(f"a float codec of kind {CodecNet.KIND!r} can lend its transforms")
    grown = VectorNet(own)
    target = grown.state_dict()
    source = net.state_dict()
    taken = {k: v for k, v in source.items() if k in target and v.shape == target[k].shape}
    blocks = {k for k in target if "networks." in k and ".b" in k}
    if missing := sorted(blocks - set(taken)):
        raise ArgumentError(
            f"transform.blocks = {own.transform.blocks}: the codec to start from lacks "
            f"{missing[0].split('__', maxsplit=1)[0].removeprefix('networks.')}"
        )
    grown.load_state_dict({**target, **taken})
    return grown


def _with_logits(net: VectorNet, own: VectorConfig) -> VectorNet:
    """The codec with a layer of logits, whose start its first step fits to the features."""
    wanted = replace(own.transform, decision=net.config.decision, logits=net.config.logits)
    if own.transform.decision != "largest" or net.config != wanted:
        raise ArgumentError(
            f"transform = {own.transform}: a vector codec grows by logits alone "
            f"(transform.decision = 'largest'); all else must be as it is: {net.config}"
        )
    grown = VectorNet(own)
    source = {k: v for k, v in net.state_dict().items() if k.startswith("networks.")}
    grown.load_state_dict({**grown.state_dict(), **source})
    return grown
