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
    """

    latents: int = 448
    blocks_renderer: int = 0
    stream_steps: int = 31


POSITIVE = transforms.POSITIVE
NOT_NEGATIVE = (*transforms.NOT_NEGATIVE, "transform.blocks_renderer")
"""Settings above 0, and settings from 0 on."""
LOOSE = ("stream_steps",)
"""Settings that shape no float weights; see `intact.train.codecs.kind.Kind`."""


def build_graphs(config: ChannelwiseConfig) -> dict[str, Graph]:
    """All transforms by role."""
    graphs = (
        transforms.analysis(config, edge=True, steps=config.stream_steps),
        transforms.hyper_analysis(config, edge=True, wide=True),
        transforms.hyper_synthesis(config, edge=True, wide=True),
        transforms.prior_a(config, edge=True),
        transforms.prior_b(config, edge=True),
        transforms.synthesis(
            config, edge=True, renderer=config.blocks_renderer, steps=config.stream_steps
        ),
    )
    return {graph.name: graph for graph in graphs}
