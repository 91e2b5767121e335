"""The networks of the vector codec as graphs; `intact.train.codecs.vector` trains them.

A variant of Theis et al. 2017, as Agustsson 2017, §4 says; its appendix A.1 was not at hand. From
memory are: two 5x5 layers of stride 2, three residual blocks, a third layer of stride 2 to c
channels at 1/8; the decoder mirrors them with transposed layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from intact.train.codecs.transforms import STREAM_CHANNELS, STREAM_UNIT
from intact.train.graph import Graph

Form = Literal["strided", "fast"]
Decision = Literal["nearest", "largest"]
PIXEL_UNIT = 1 / 64
"""Float value of one gray level."""
LATENT_UNIT = 1 / 128
"""Float value of one integer step of features, centers and logits, which then reach to 256."""
UNITS = {"stream": 1 / 1024, "latent": LATENT_UNIT, "symbol": PIXEL_UNIT}
FAST_UNITS = {**UNITS, "stream": STREAM_UNIT}
PATCH = 4
"""Numbers of a channel in a latent of 16 x 16 pixels: features are at 1/8."""


@dataclass(frozen=True)
class VectorTransform:
    """Sizes of the networks.

    Attributes:
        form: "strided", the paper's, or "fast".
        filters: n, channels of the layers; a fast form has 192 whatever this says.
        channels: c, of the features; each has a histogram of its own.
        blocks: residual blocks on either side.
        decision: "nearest": a symbol is the center nearest to a patch of features (Agustsson 2017).
            "largest": one more layer of the analysis makes ``logits`` numbers for each symbol of
            all features of its latent, of which the largest decides (Jang et al. 2017).
        logits: L, of the decision "largest".
    """

    form: str = "strided"
    filters: int = 128
    channels: int = 32
    blocks: int = 3
    decision: str = "nearest"
    logits: int = 64


POSITIVE = ("transform.filters", "transform.channels", "transform.logits")
NOT_NEGATIVE = ("transform.blocks",)


def _blocks(g: Graph, x: str, count: int) -> str:
    """Residual blocks: x += 3x3(relu(3x3(x)))."""
    for i in range(count):
        a = g.requantize(x, f"b{i}.a")
        a = g.conv(a, f"b{i}.b", g.channels[x], "relu", kernel=3)
        a = g.conv(a, f"b{i}.c", g.channels[x], "stream", kernel=3)
        x = g.add(x, a, f"b{i}.x")
    return x


def analysis(config: VectorTransform) -> Graph:
    """Pixels to features, or to logits, a latent of 16 x 16 pixels in a position."""
    if config.form == "fast":
        return _fast_analysis(config)
    g, n = Graph("analysis", UNITS), config.filters
    x = g.input("pixels", 3, -128, 127, PIXEL_UNIT)
    x = g.conv(x, "a0", n, "relu", kernel=5, stride=2)
    x = _blocks(g, g.conv(x, "a1", n, "stream", kernel=5, stride=2), config.blocks)
    x = g.requantize(x, "last")
    return _decision(
        g, g.conv(x, "a2", config.channels, "latent", kernel=5, stride=2, fine=True), config
    )


def _decision(g: Graph, features: str, config: VectorTransform) -> Graph:
    """Features at 1/8 as patches, of which the nearest centers count, or with logits for each."""
    if config.decision == "largest":
        x = g.requantize(g.unshuffle(features, "parts", 2), "points")
        x = g.conv(x, "y", config.channels * config.logits, "latent", fine=True)
    else:
        x = g.unshuffle(features, "y", 2)
    g.output(x, LATENT_UNIT)
    return g


def synthesis(config: VectorTransform) -> Graph:
    """Values of symbols to pixels."""
    if config.form == "fast":
        return _fast_synthesis(config)
    g, n = Graph("synthesis", UNITS), config.filters
    x = g.input("y", PATCH * config.channels, -32768, 32767, LATENT_UNIT, typical=1 / LATENT_UNIT)
    x = g.requantize(g.shuffle(x, "features", 2), "first")
    x = g.conv(x, "s0", n, "stream", kernel=5, stride=2, transposed=True, fine=True)
    x = g.requantize(_blocks(g, x, config.blocks), "last")
    x = g.conv(x, "s1", n, "relu", kernel=5, stride=2, transposed=True, fine=True)
    x = g.conv(x, "pixels", 3, "symbol", kernel=5, stride=2, transposed=True, fine=True)
    g.output(x, PIXEL_UNIT)
    return g


def _fast_analysis(config: VectorTransform) -> Graph:
    """Unshuffle(8), residual blocks on the pixels' own stream, a 3x3 to c channels."""
    g = Graph("analysis", FAST_UNITS)
    u = g.unshuffle(g.input("pixels", 3, -128, 127, PIXEL_UNIT), "patches", 8)
    s = g.add(g.scale(u, "s0"), g.conv(u, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    for i in range(config.blocks):
        s = g.block(s, f"b{i}")
    s = g.requantize(s, "last")
    return _decision(g, g.conv(s, "a2", config.channels, "latent", kernel=3, fine=True), config)


def _fast_synthesis(config: VectorTransform) -> Graph:
    """The mirror of `_fast_analysis`."""
    g = Graph("synthesis", FAST_UNITS)
    x = g.input("y", PATCH * config.channels, -32768, 32767, LATENT_UNIT, typical=1 / LATENT_UNIT)
    x = g.requantize(g.shuffle(x, "features", 2), "first")
    s = g.conv(x, "s0", STREAM_CHANNELS, "stream", kernel=3, fine=True)
    for i in range(config.blocks):
        s = g.block(s, f"b{i}", fine=True)
    s = g.add(s, g.conv(s, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    g.output(g.shuffle(g.requantize(s, "patches", PIXEL_UNIT), "pixels", 8), PIXEL_UNIT)
    return g


BUILDERS = {"analysis": analysis, "synthesis": synthesis}
