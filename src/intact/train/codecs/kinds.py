"""Which kinds of codec can be trained, by what ``codec.kind`` says in a configuration.

A new kind is a line here, one in `intact.freeze.kinds`, and one in `intact.bottleneck.kinds`.
"""

from __future__ import annotations

from intact.errors import ArgumentError
from intact.train.codecs import (
    channelwise,
    channelwise_graphs,
    channelwise_start,
    checkerboard,
    grow,
    hyperprior,
    hyperprior_thaw,
    thaw,
    transforms,
    vector,
    vector_graphs,
    vector_grow,
    vector_settings,
)
from intact.train.codecs.kind import Kind
from intact.train.codecs.rates import POSITIVE as RATES

CHECKERBOARD = Kind(
    name=checkerboard.CodecNet.KIND,
    config=checkerboard.CheckerboardConfig,
    sizes="transform",
    multiple=64,
    build=checkerboard.build,
    begin=checkerboard.begin,
    check=checkerboard.check,
    positive=(*RATES, *transforms.POSITIVE),
    not_negative=transforms.NOT_NEGATIVE,
    thaw=thaw.thaw_codec,
    grow=grow.grow_codec,
)
CHANNELWISE = Kind(
    name=channelwise.ChannelwiseNet.KIND,
    config=channelwise.ChannelwiseSections,
    sizes="transform",
    multiple=64,
    build=channelwise.build,
    begin=channelwise_start.begin,
    check=channelwise.check,
    positive=(*RATES, *channelwise_graphs.POSITIVE),
    not_negative=channelwise_graphs.NOT_NEGATIVE,
    thaw=channelwise_start.thaw_codec,
    grow=channelwise_start.grow_codec,
    grows_from=(CHECKERBOARD.name,),
    loose=channelwise_graphs.LOOSE,
    before={"stream_steps": transforms.PIXEL_FACTOR, "pixel_bits": 8},
    adopt=channelwise_start.adopt,
)
HYPERPRIOR = Kind(
    name=hyperprior.HyperpriorNet.KIND,
    config=hyperprior.HyperpriorConfig,
    sizes="transform",
    multiple=64,
    build=hyperprior.build,
    begin=hyperprior.begin,
    check=hyperprior.check,
    positive=hyperprior.POSITIVE,
    thaw=hyperprior_thaw.thaw_codec,
)
VECTOR = Kind(
    name=vector.VectorNet.KIND,
    config=vector_settings.VectorConfig,
    sizes="transform",
    multiple=16,
    build=vector.build,
    begin=vector.begin,
    check=vector_settings.check,
    positive=(*vector_settings.POSITIVE, *vector_graphs.POSITIVE),
    not_negative=(*vector_settings.NOT_NEGATIVE, *vector_graphs.NOT_NEGATIVE),
    grow=vector_grow.grow_codec,
    grows_from=(CHECKERBOARD.name,),
    shapes=vector_settings.SHAPES,
    adopt=vector.adopt,
)
KINDS = {kind.name: kind for kind in (CHECKERBOARD, CHANNELWISE, HYPERPRIOR, VECTOR)}
DEFAULT = CHECKERBOARD.name
"""Of configurations, checkpoints and float weights that name no kind."""


def kind_of(name: str) -> Kind:
    """A kind by its name.

    Raises:
        ArgumentError: there is none; the legal names are listed.
    """
    if name not in KINDS:
        raise ArgumentError(f"codec.kind = {name!r}; legal: {', '.join(KINDS)}")
    return KINDS[name]
