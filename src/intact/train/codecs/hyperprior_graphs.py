"""The networks of Ballé 2019's codec as graphs; `intact.train.codecs.hyperprior` trains them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from intact.train.balle2019 import CODED_SIZE
from intact.train.graph import Graph

Profile = Literal["exact", "prior", "float"]
FINE = 64
"""Units of y in a symbol, where a float hyper-analysis reads it: it is trained on y as it is."""
CODED = {True: ("hyper_analysis", "z", "hyper_synthesis"), False: ("analysis", "y", "synthesis")}
"""With a hyperprior and without: which network gives the latent that has a density, its name, and
which network reads it."""
INTEGER: dict[str, tuple[str, ...]] = {
    "exact": ("analysis", "hyper_analysis", "hyper_synthesis", "synthesis"),
    "prior": ("hyper_synthesis",),
    "float": (),
}
"""Roles whose networks are integer ones, by profile."""


@dataclass(frozen=True)
class HyperpriorTransform:
    """Sizes of the networks, and what they are made of.

    Attributes:
        profile: "exact", "prior" or "float".
        hyperprior: whether there are z; without, each channel of y has one density.
        activation: of float transforms: "gdn" or "relu".
        filters: N, channels of the layers and of z; 1..256.
        latents: M, channels of y.
        bits: K, of integer kernels.
        kernels: what is trained of integer kernels: "plain", or "sadam" for their spectrum.
        scales: L of Eq. 15, a power of two from 2 to 256.
        scale_min: sigma_min of Eq. 15.
        scale_max: sigma_max of Eq. 15.
    """

    profile: str = "prior"
    hyperprior: bool = True
    activation: str = "gdn"
    filters: int = 128
    latents: int = 192
    bits: int = 8
    kernels: str = "plain"
    scales: int = 64
    scale_min: float = 0.11
    scale_max: float = 256.0

    def sigma(self, theta: Tensor) -> Tensor:
        """Scales of indexes 0..L - 1; Ballé 2019, Eq. 15."""
        low, high = math.log(self.scale_min), math.log(self.scale_max)
        return torch.exp(low + (high - low) / (self.scales - 1) * theta)


LATENT_BITS = 12
"""Of latents that integer networks read."""
PIXEL_UNIT = 1 / 255
"""Float networks read and give pixels in units of their range; integer ones in gray levels."""


def pixel_unit(config: HyperpriorTransform) -> float:
    """What one gray level is in the networks."""
    return 1.0 if config.profile == "exact" else PIXEL_UNIT


def _layer(g: Graph, x: str, name: str, config: HyperpriorTransform, *, up: bool) -> str:
    """One 5x5 of stride 2 of a transform, and what follows it."""
    n, relu = config.filters, config.profile == "exact" or config.activation == "relu"
    activation = "relu" if relu else "linear"
    x = g.conv(x, name, n, activation, kernel=5, stride=2, transposed=up)
    return x if relu else g.gdn(x, f"{name}n", inverse=up)


def analysis(config: HyperpriorTransform) -> Graph:
    """Pixels to latents."""
    g = Graph("analysis", {})
    x = g.input("pixels", 3, -128, 127, pixel_unit(config))
    for i in range(3):
        x = _layer(g, x, f"a{i}", config, up=False)
    x = g.conv(x, "y", config.latents, "latent", kernel=5, stride=2, coded=True)
    g.output(x, 1.0)
    return g


def synthesis(config: HyperpriorTransform) -> Graph:
    """Latents to pixels."""
    g = Graph("synthesis", {})
    x = g.input("y", config.latents, -32768, 32767, 1.0, typical=CODED_SIZE)
    if config.profile == "exact":
        # Sums of 16-bit inputs could overflow; no picture has latents beyond these.
        x = g.requantize(x, "clipped", bits=LATENT_BITS)
    for i in range(3):
        x = _layer(g, x, f"s{i}", config, up=True)
    x = g.conv(x, "pixels", 3, "symbol", kernel=5, stride=2, transposed=True)
    g.output(x, pixel_unit(config))
    return g


def hyper_analysis(config: HyperpriorTransform) -> Graph:
    """Magnitudes of latents to hyper-latents."""
    g = Graph("hyper_analysis", {})
    x = g.abs(g.input("y", config.latents, -32768, 32767, 1.0, typical=CODED_SIZE), "magnitude")
    x = g.conv(x, "h0", config.filters, "relu", kernel=3)
    x = g.conv(x, "h1", config.filters, "relu", kernel=5, stride=2)
    x = g.conv(x, "z", config.filters, "symbol", kernel=5, stride=2, coded=True)
    g.output(x, 1.0)
    return g


def hyper_synthesis(config: HyperpriorTransform) -> Graph:
    """Hyper-latents to indexes of scales."""
    g = Graph("hyper_synthesis", {})
    x = g.input("z", config.filters, -128, 127, 1.0, typical=1.0)
    x = g.conv(x, "h0", config.filters, "relu", kernel=5, stride=2, transposed=True)
    x = g.conv(x, "h1", config.filters, "relu", kernel=5, stride=2, transposed=True)
    bits = (config.scales - 1).bit_length()
    g.output(g.conv(x, "theta", config.latents, "index", kernel=3, bits=bits), 1.0)
    return g


BUILDERS = {
    "analysis": analysis,
    "hyper_analysis": hyper_analysis,
    "hyper_synthesis": hyper_synthesis,
    "synthesis": synthesis,
}
