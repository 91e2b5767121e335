"""The transforms of image codec 2: those of image codec 1 with other options.

Convolutions repeat the edge of their input, hyper-latents have 16 bits, and a renderer at 1/4 may
follow the synthesis (`intact.train.codecs.transforms` has the graphs).
"""

from __future__ import annotations

from dataclasses import dataclass

from intact.train.codecs import transforms
from intact.train.codecs.transforms import TransformConfig
from intact.train.graph import Graph


@dataclass(frozen=True)
class ChannelwiseConfig(TransformConfig):
    """Sizes of the networks.

    Attributes:
        latents: channels M of y; more than of image codec 1, for the top of the scale.
        blocks_renderer: residual blocks at 1/4 resolution behind the synthesis.
        stream_steps: integer steps of the pixel streams per gray level, odd, for the synthesis
            divides by it. Streams have 16 bits: with 63 they reach to 520 gray levels, and where
            text is black on white they want 930. A float network does not know it: where a run
            starts from float weights or a frozen model, it is the run's. 1..255.
        pixel_bits: of the values between the layers of analysis and synthesis, 8..14. With 8 their
            products are of bytes, and twice as fast; with more they are of 16-bit words, and the
            weights finer, too: what integers lose against the float networks is then
            a fraction (docs/decisions/0031). Likewise the run's.
    """

    latents: int = 448
    blocks_renderer: int = 0
    stream_steps: int = 31
    pixel_bits: int = 14


POSITIVE = transforms.POSITIVE
NOT_NEGATIVE = (*transforms.NOT_NEGATIVE, "transform.blocks_renderer")
"""Settings above 0, and settings from 0 on."""
LOOSE = ("stream_steps", "pixel_bits")
"""Settings that shape no float weights; see `intact.train.codecs.kind.Kind`."""
MAX_PIXEL_BITS = 14
"""With 14 bits a filter's sum has room for weights of about 11 (`intact.train.fixed_unit`); each
further bit would be one of the weights' (docs/decisions/0033)."""


def build_graphs(config: ChannelwiseConfig) -> dict[str, Graph]:
    """All transforms by role."""
    integers = {"steps": config.stream_steps, "bits": config.pixel_bits}
    graphs = (
        transforms.analysis(config, edge=True, **integers),
        transforms.hyper_analysis(config, edge=True, wide=True),
        transforms.hyper_synthesis(config, edge=True, wide=True),
        transforms.prior_a(config, edge=True),
        transforms.prior_b(config, edge=True),
        transforms.synthesis(config, edge=True, renderer=config.blocks_renderer, **integers),
    )
    return {graph.name: graph for graph in graphs}
