"""The transforms of the shipped codec, each as a `Graph`.

Most work happens at 1/8 of the resolution (docs/decisions/0002): a plain strided 3x3 synthesis
needs 53 kMAC per pixel and learns slowly, these need about 21 for the whole decoder.

    pixels --analysis--> y (1/16) --hyper_analysis--> z (1/64)
    z --hyper_synthesis--> features f --prior_a--> (mean, theta) of pass A
                               f, y of pass A --prior_b--> (mean, theta) of pass B
    y --synthesis--> pixels

Units: pixels are ``p - 128``; the pixel stream counts 1/63 of a gray level (of image codec 2 what
its configuration says, 1/31), latents 1/64 of a step of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from intact.errors import ArgumentError
from intact.train.graph import UINT8, Graph

PIXEL_UNIT = 1 / 64
"""Float value of one gray level: the stream then has a standard deviation near 1."""
PIXEL_FACTOR = 63
"""Stream steps per gray level of image codec 1; odd, because the synthesis divides by it."""
STREAM_UNIT = PIXEL_UNIT / PIXEL_FACTOR
FEATURE_UNIT = 1 / 1024
"""Float value of one step of the prior networks' streams, which then reach to 32."""
THETAS_PER_OCTAVE = 24
"""theta steps per doubling of sigma; 256 of them reach from SCALE_MIN to 1,579 times that."""
THETA_UNIT = 1 / THETAS_PER_OCTAVE
"""Float value of one theta: networks predict log2(sigma / SCALE_MIN)."""
THETA_MAX = UINT8[1] * THETA_UNIT
LATENT_UNIT = 1 / 64
"""Float value of one integer step of latents and means."""
_UNITS = {"latent": LATENT_UNIT, "symbol": 1.0, "index": THETA_UNIT}
FEATURE_STREAM = {"stream": FEATURE_UNIT, **_UNITS}
"""Units of the activations of the prior networks."""


def pixel_units(steps: int = PIXEL_FACTOR) -> dict[str, float]:
    """Units of the activations of networks of pixels, with so many stream steps per gray level."""
    return {"stream": PIXEL_UNIT / steps, **_UNITS}


@dataclass(frozen=True)
class TransformConfig:
    """Sizes of the networks.

    Attributes:
        blocks_analysis: residual blocks at 1/8 resolution in the analysis.
        blocks_synthesis: the same in the synthesis.
        latents: channels M of y.
        hyper_latents: channels N of z.
        features: channels of the prior networks.
        blocks_context: residual blocks of the second pass's prior.
        predicted: leading latents, the mean colors, that are predicted from their neighbors
            (`intact.bottleneck.colors`).
    """

    blocks_analysis: int = 4
    blocks_synthesis: int = 4
    latents: int = 320
    hyper_latents: int = 128
    features: int = 192
    blocks_context: int = 2
    predicted: int = 3


POSITIVE = ("transform.latents", "transform.hyper_latents", "transform.features")
NOT_NEGATIVE = (
    "transform.blocks_analysis", "transform.blocks_synthesis", "transform.blocks_context",
)  # fmt: skip
"""Settings above 0, and settings from 0 on."""

PATCH_VALUES = 768
"""Samples that a latent stands for, 16 x 16 x 3: there are no more principal components."""


def check_latents(latents: int) -> None:
    """Refuse more latents than the transform code that a run starts as can have.

    Raises:
        ArgumentError: says what is legal.
    """
    if latents > PATCH_VALUES:
        raise ArgumentError(
            f"transform.latents = {latents}, must be in 1..{PATCH_VALUES}: "
            "16x16 pixels of 3 colors are so many values"
        )


FINE_BLOCKS = 2
"""Last blocks of the synthesis whose weights into the stream are fine; docs/decisions/0007."""
STREAM_CHANNELS = 192
"""8 x 8 x 3: the stream *is* the scaled pixels, so it has as many channels as an 8x8 patch."""


def analysis(
    config: TransformConfig, *, edge: bool = False, steps: int = PIXEL_FACTOR, bits: int = 8
) -> Graph:
    """Pixels to latents: unshuffle(8), a residual 1x1, blocks, 3x3 stride 2.

    Args:
        config: sizes.
        edge: see `Graph`.
        steps: of the stream per gray level, odd.
        bits: of the values between the layers.
    """
    g = Graph("analysis", pixel_units(steps), edge=edge)
    p = g.input("pixels", 3, -128, 127, PIXEL_UNIT)
    u = g.unshuffle(p, "patches", 8)
    s = g.scale(u, "s0")
    s = g.add(s, g.conv(u, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    for i in range(config.blocks_analysis):
        s = g.block(s, f"b{i}", bits=bits)
    a = g.requantize(s, "last", bits=bits)
    y = g.conv(a, "y", config.latents, "latent", kernel=3, stride=2, fine=True)
    g.output(y, LATENT_UNIT)
    return g


def synthesis(
    config: TransformConfig,
    *,
    edge: bool = False,
    renderer: int = 0,
    steps: int = PIXEL_FACTOR,
    bits: int = 8,
) -> Graph:
    """Latents to pixels: the mirror of `analysis`, then blocks of a renderer at 1/4 resolution.

    Args:
        config: sizes.
        edge: see `Graph`.
        renderer: how many blocks.
        steps: see `analysis`.
        bits: likewise.
    """
    g = Graph("synthesis", pixel_units(steps), edge=edge)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    s = g.shuffle(g.conv(y, "first", 4 * STREAM_CHANNELS, "stream", fine=True), "s0", 2)
    for i in range(config.blocks_synthesis):
        s = g.block(s, f"b{i}", fine=i >= config.blocks_synthesis - FINE_BLOCKS, bits=bits)
    # The stream itself, not 8 bits of it: what is lost here is seen.
    s = g.add(s, g.conv(s, "ends", STREAM_CHANNELS, "stream", fine=True), "s1")
    side = 8
    if renderer:
        s, side = g.shuffle(s, "quarter", 2), 4
    for i in range(renderer):
        s = g.block(s, f"r{i}", fine=True, width=2, bits=bits)
    g.output(g.shuffle(g.requantize(s, "patches", PIXEL_UNIT), "pixels", side), PIXEL_UNIT)
    return g


def hyper_analysis(config: TransformConfig, *, edge: bool = False, wide: bool = False) -> Graph:
    """Latents to hyper-latents: two 3x3 with stride 2. ``wide`` ones have 16 bits, as latents."""
    g = Graph("hyper_analysis", FEATURE_STREAM, edge=edge)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    h = g.conv(g.requantize(y, "a"), "h0", config.features, "relu")
    h = g.conv(h, "h1", config.features, "relu", kernel=3, stride=2)
    kind = "latent" if wide else "symbol"
    z = g.conv(h, "z", config.hyper_latents, kind, kernel=3, stride=2)
    g.output(z, LATENT_UNIT if wide else 1.0)
    return g


def hyper_synthesis(config: TransformConfig, *, edge: bool = False, wide: bool = False) -> Graph:
    """Hyper-latents to features at the resolution of the latents."""
    c = config.features
    g = Graph("hyper_synthesis", FEATURE_STREAM, edge=edge)
    if wide:
        z = g.requantize(g.input("z", config.hyper_latents, -32768, 32767, LATENT_UNIT), "za")
    else:
        z = g.input("z", config.hyper_latents, -128, 127, 1.0)
    s = g.shuffle(g.conv(z, "h0", 4 * c, "stream"), "s0", 2)
    s = g.block(s, "b0")
    s = g.shuffle(g.conv(g.requantize(s, "a"), "h1", 4 * c, "stream"), "s1", 2)
    g.output(g.block(s, "b1", "f"), FEATURE_UNIT)
    return g


def _heads(g: Graph, features: str, config: TransformConfig) -> None:
    h = g.conv(g.requantize(features, "a"), "h", 2 * config.features, "relu")
    g.output(g.conv(h, "mean", config.latents, "latent"), LATENT_UNIT)
    g.output(g.conv(h, "theta", config.latents, "index"), THETA_UNIT)


def prior_a(config: TransformConfig, *, edge: bool = False) -> Graph:
    """Features to the means and scale indices of the first pass."""
    g = Graph("prior_a", FEATURE_STREAM, edge=edge)
    _heads(g, g.input("f", config.features, -32768, 32767, FEATURE_UNIT), config)
    return g


def prior_b(config: TransformConfig, *, edge: bool = False) -> Graph:
    """Features and the latents of the first pass to the means and scale indices of the second."""
    g = Graph("prior_b", FEATURE_STREAM, edge=edge)
    f = g.input("f", config.features, -32768, 32767, FEATURE_UNIT)
    y = g.input("y", config.latents, -32768, 32767, LATENT_UNIT)
    f = g.add(f, g.conv(g.requantize(y, "ya"), "yb", config.features, "stream"), "s0")
    for i in range(config.blocks_context):
        f = g.block(f, f"b{i}")
    _heads(g, f, config)
    return g


BUILDERS = {
    "analysis": analysis,
    "hyper_analysis": hyper_analysis,
    "hyper_synthesis": hyper_synthesis,
    "prior_a": prior_a,
    "prior_b": prior_b,
    "synthesis": synthesis,
}
