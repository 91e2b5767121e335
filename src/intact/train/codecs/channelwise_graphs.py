"""The transforms of image codec 2, each as a `Graph`.

As in image codec 1 most work happens at 1/8 of the resolution, and the stream there *is* the scaled
pixels. New: convolutions repeat the edge of their input, hyper-latents have 16 bits, and a renderer
at 1/4 may follow the synthesis.

    pixels --analysis--> y (1/16) --hyper_analysis--> z (1/64)
    z --hyper_synthesis--> features f --prior_a--> (mean, theta) of pass A
                               f, y of pass A --prior_b--> (mean, theta) of pass B
    y --synthesis--> pixels
"""

from __future__ import annotations

from dataclasses import dataclass

from intact.train.codecs.transforms import (
    FEATURE_STREAM,
    FEATURE_UNIT,
    FINE_BLOCKS,
    LATENT_UNIT,
    PIXEL_STREAM,
    PIXEL_UNIT,
    STREAM_CHANNELS,
    THETA_UNIT,
)
from intact.train.graph import Graph


@dataclass(frozen=True)
class ChannelwiseConfig:
    """Sizes of the networks.

    Attributes:
        blocks_analysis: residual blocks at 1/8 resolution in the analysis.
        blocks_synthesis: the same in the synthesis.
        blocks_renderer: residual blocks at 1/4 resolution behind it.
        latents: channels M of y.
        hyper_latents: channels N of z.
        features: channels of the prior networks.
        blocks_context: residual blocks of the second pass's prior.
        predicted: leading latents, the mean colors, that are predicted from their neighbors.
    """

    blocks_analysis: int = 4
    blocks_synthesis: int = 4
    blocks_renderer: int = 0
    latents: int = 448
    hyper_latents: int = 128
    features: int = 192
    blocks_context: int = 2
    predicted: int = 3


POSITIVE = ("transform.latents", "transform.hyper_latents", "transform.features")
NOT_NEGATIVE = (
    "transform.blocks_analysis", "transform.blocks_synthesis", "transform.blocks_renderer",
    "transform.blocks_context",
)  # fmt: skip
"""Settings above 0, and settings from 0 on."""


def analysis(config: ChannelwiseConfig) -> Graph:
    """Pixels to latents: unshuffle(8), a residual 1x1, blocks, 3x3 stride 2."""
    g = Graph("analysis", PIXEL_STREAM, edge=True)
    p = g.input("pixels", 3, -128, 127, PIXEL_UNIT)
    u = g.unshuffle(p, "patches", 8)
    s = g.scale(u, "s0")
    s = g.add(s, g.conv(u, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    for i in range(config.blocks_analysis):
        s = g.block(s, f"b{i}")
    a = g.requantize(s, "last")
    y = g.conv(a, "y", config.latents, "latent", kernel=3, stride=2, fine=True)
    g.output(y, LATENT_UNIT)
    return g


def synthesis(config: ChannelwiseConfig) -> Graph:
    """Latents to pixels: the mirror of `analysis`, then the renderer."""
    g = Graph("synthesis", PIXEL_STREAM, edge=True)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    s = g.shuffle(g.conv(y, "first", 4 * STREAM_CHANNELS, "stream", fine=True), "s0", 2)
    for i in range(config.blocks_synthesis):
        s = g.block(s, f"b{i}", fine=i >= config.blocks_synthesis - FINE_BLOCKS)
    # The stream itself, not 8 bits of it: what is lost here is seen.
    s = g.add(s, g.conv(s, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    side = 8
    if config.blocks_renderer:
        s, side = g.shuffle(s, "quarter", 2), 4
    for i in range(config.blocks_renderer):
        s = g.block(s, f"r{i}", fine=True, width=2)
    g.output(g.shuffle(g.requantize(s, "patches", PIXEL_UNIT), "pixels", side), PIXEL_UNIT)
    return g


def hyper_analysis(config: ChannelwiseConfig) -> Graph:
    """Latents to hyper-latents: two 3x3 with stride 2."""
    g = Graph("hyper_analysis", FEATURE_STREAM, edge=True)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    h = g.conv(g.requantize(y, "a"), "h0", config.features, "relu")
    h = g.conv(h, "h1", config.features, "relu", kernel=3, stride=2)
    g.output(g.conv(h, "z", config.hyper_latents, "latent", kernel=3, stride=2), LATENT_UNIT)
    return g


def hyper_synthesis(config: ChannelwiseConfig) -> Graph:
    """Hyper-latents to features at the resolution of the latents."""
    c = config.features
    g = Graph("hyper_synthesis", FEATURE_STREAM, edge=True)
    z = g.input("z", config.hyper_latents, -32768, 32767, LATENT_UNIT)
    s = g.shuffle(g.conv(g.requantize(z, "za"), "h0", 4 * c, "stream"), "s0", 2)
    s = g.block(s, "b0")
    s = g.shuffle(g.conv(g.requantize(s, "a"), "h1", 4 * c, "stream"), "s1", 2)
    g.output(g.block(s, "b1", "f"), FEATURE_UNIT)
    return g


def _heads(g: Graph, features: str, config: ChannelwiseConfig) -> Graph:
    h = g.conv(g.requantize(features, "a"), "h", 2 * config.features, "relu")
    g.output(g.conv(h, "mean", config.latents, "latent"), LATENT_UNIT)
    g.output(g.conv(h, "theta", config.latents, "index"), THETA_UNIT)
    return g


def prior_a(config: ChannelwiseConfig) -> Graph:
    """Features to the means and scale indices of pass A."""
    g = Graph("prior_a", FEATURE_STREAM, edge=True)
    return _heads(g, g.input("f", config.features, -32768, 32767, FEATURE_UNIT), config)


def prior_b(config: ChannelwiseConfig) -> Graph:
    """Features and the latents of pass A to the means and scale indices of pass B."""
    g = Graph("prior_b", FEATURE_STREAM, edge=True)
    f = g.input("f", config.features, -32768, 32767, FEATURE_UNIT)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    f = g.add(f, g.conv(g.requantize(y, "ya"), "yb", config.features, "stream"), "s0")
    for i in range(config.blocks_context):
        f = g.block(f, f"b{i}")
    return _heads(g, f, config)


def build_graphs(config: ChannelwiseConfig) -> dict[str, Graph]:
    """All transforms by role."""
    builders = (analysis, hyper_analysis, hyper_synthesis, prior_a, prior_b, synthesis)
    return {graph.name: graph for graph in (build(config) for build in builders)}
