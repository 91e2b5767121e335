"""The codec of Ballé, Johnston and Minnen (2019), trainable: a scale for each latent.

    pixels --analysis--> y --|.|, hyper_analysis--> z
    z --hyper_synthesis--> theta, the index of a scale (Eq. 15)
    y --synthesis--> pixels

Four layers 5x5 of stride 2, as in Ballé et al. 2018. Its `profile` says which networks are integer
ones: all (exact), what computes the prior (prior), or none (float); integer networks are trained as
such, from the first step, by Eq. 5 to 11. Without a hyperprior each channel of y has one learned
density (Ballé 2018). A model has one rate.

While training, rates see latents with noise (Eq. 17 and 18), and so do float networks that read
them; integer networks read rounded ones. docs/spec/hyperprior.md has what freezing makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast, get_args

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.balle2019 import Balle2019
from intact.train.codecs.codec import Codec, Result, result_of
from intact.train.data import ImageFolder
from intact.train.entropy import FactorizedPrior, gaussian_bits
from intact.train.gradients import lower_bound, round_through
from intact.train.graph import Graph
from intact.train.integer import IntegerNetwork
from intact.train.network import Network, Observer
from intact.train.noise import Noise
from intact.train.reparametrize import Chain, Spectral

Profile = Literal["exact", "prior", "float"]
INTEGER: dict[str, tuple[str, ...]] = {
    "exact": ("analysis", "hyper_analysis", "hyper_synthesis", "synthesis"),
    "prior": ("hyper_synthesis",),
    "float": (),
}
"""Roles whose networks are integer ones, by profile."""
Proxy = Literal["noise", "rounded noise", "rounded"]
"""What stands for a rounded latent in the rate: g(x) + u (Eq. 17, 18), Q(g(x)) + u (Eq. 16), or
Q(g(x)) alone; Q has the identity's gradient."""


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


@dataclass(frozen=True)
class OneRate:
    """The rate of a model.

    Attributes:
        rd_weight: lambda: ``bpp + rd_weight * distortion``, in squared gray levels.
        proxy: see `Proxy`.
    """

    rd_weight: float = 0.01
    proxy: str = "noise"


@dataclass(frozen=True)
class HyperpriorConfig:
    """The sections of the configuration that are this kind's own."""

    transform: HyperpriorTransform = field(default_factory=HyperpriorTransform)
    rate: OneRate = field(default_factory=OneRate)


POSITIVE = (
    "rate.rd_weight", "transform.filters", "transform.latents", "transform.scale_min",
    "transform.scale_max",
)  # fmt: skip

LATENT_BITS = 12
"""Of latents that integer networks read."""
PIXEL_UNIT = 1 / 255
"""Float networks read and give pixels in units of their range; integer ones in gray levels."""


def _pixel_unit(config: HyperpriorTransform) -> float:
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
    x = g.input("pixels", 3, -128, 127, _pixel_unit(config))
    for i in range(3):
        x = _layer(g, x, f"a{i}", config, up=False)
    x = g.conv(x, "y", config.latents, "latent", kernel=5, stride=2, coded=True)
    g.output(x, 1.0)
    return g


def synthesis(config: HyperpriorTransform) -> Graph:
    """Latents to pixels."""
    g = Graph("synthesis", {})
    x = g.input("y", config.latents, -32768, 32767, 1.0)
    if config.profile == "exact":
        # Sums of 16-bit inputs could overflow; no picture has latents beyond these.
        x = g.requantize(x, "clipped", bits=LATENT_BITS)
    for i in range(3):
        x = _layer(g, x, f"s{i}", config, up=True)
    x = g.conv(x, "pixels", 3, "symbol", kernel=5, stride=2, transposed=True)
    g.output(x, _pixel_unit(config))
    return g


def hyper_analysis(config: HyperpriorTransform) -> Graph:
    """Magnitudes of latents to hyper-latents."""
    g = Graph("hyper_analysis", {})
    x = g.abs(g.input("y", config.latents, -32768, 32767, 1.0), "magnitude")
    x = g.conv(x, "h0", config.filters, "relu", kernel=3)
    x = g.conv(x, "h1", config.filters, "relu", kernel=5, stride=2)
    x = g.conv(x, "z", config.filters, "symbol", kernel=5, stride=2, coded=True)
    g.output(x, 1.0)
    return g


def hyper_synthesis(config: HyperpriorTransform) -> Graph:
    """Hyper-latents to indexes of scales."""
    g = Graph("hyper_synthesis", {})
    x = g.input("z", config.filters, -128, 127, 1.0)
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


def _network(config: HyperpriorTransform, role: str, generator: torch.Generator) -> torch.nn.Module:
    graph = BUILDERS[role](config)
    if role not in INTEGER[config.profile]:
        return Network(graph, generator)
    kernel = Chain([Spectral()] if config.kernels == "sadam" else [])
    return IntegerNetwork(graph, Balle2019(config.bits, kernel), generator)


class HyperpriorNet(Codec):
    """The codec of kind "hyperprior".

    Args:
        own: its sections of the configuration.
        seed: of the initial weights.
    """

    KIND: ClassVar[str] = "hyperprior"

    def __init__(self, own: HyperpriorConfig, seed: int = 0) -> None:
        config, generator = own.transform, torch.Generator().manual_seed(seed)
        roles = BUILDERS if config.hyperprior else ("analysis", "synthesis")
        super().__init__(own, {role: _network(config, role, generator) for role in roles})
        self.prior = FactorizedPrior(config.filters if config.hyperprior else config.latents)

    @property
    def config(self) -> HyperpriorTransform:
        """Sizes of the networks."""
        return cast(HyperpriorConfig, self.own).transform

    @property
    def converts(self) -> bool:
        """Integer networks are trained as such, float ones stay float."""
        return False

    def make_integer(self) -> None:
        """Nothing: the profile says which networks are integer ones."""

    def step(self, t: Tensor) -> Tensor:
        """1: latents are rounded to integers."""
        return torch.ones_like(t)

    def forward(
        self,
        image: Tensor,
        t: Tensor,
        noise: Noise | None,
        *,
        hard: bool = False,
        observers: Mapping[str, Observer] | None = None,
    ) -> Result:
        """Code a batch; see `Codec.forward`. Sides of images are multiples of 64."""
        observers, config = observers or {}, self.config

        def run(role: str, **inputs: Tensor) -> Tensor:
            network = self.networks[role]
            real = {"real": True} if isinstance(network, IntegerNetwork) else {}
            (out,) = network(inputs, torch.zeros_like(t), observers.get(role), **real).values()
            return out

        def coded(x: Tensor, reader: str, center: Tensor | None) -> tuple[Tensor, Tensor]:
            """What the rate sees of a latent, and what the network sees that reads it."""
            if hard:
                center = torch.zeros(()) if center is None else center
                rounded = torch.round(x - center) + center
                return rounded, rounded
            assert noise is not None, "a rate that is not hard needs noise"
            rounded, proxy = round_through(x), self.own.rate.proxy
            rate = rounded if proxy == "rounded" else noise.like(x)
            if proxy != "rounded":
                rate = rate + (x if proxy == "noise" else rounded)
            return rate, rounded if reader in INTEGER[config.profile] else rate

        unit = _pixel_unit(config)
        center = self.prior.offsets() if hard else None
        y = run("analysis", pixels=(image.float() - 128) * unit)
        if config.hyperprior:
            z, z_read = coded(run("hyper_analysis", y=y), "hyper_synthesis", center)
            bits_z = self.prior.bits(z)
            theta = run("hyper_synthesis", z=z_read)
            # A plain clamp would have no gradient below 0, and a scale could never come back.
            theta = lower_bound(theta, 0.0).clamp(max=config.scales - 1)
            theta = torch.round(theta) if hard else theta
            rate, y_read = coded(y, "synthesis", None)
            bits_y = gaussian_bits(rate, config.sigma(theta))
        else:
            rate, y_read = coded(y, "synthesis", center)
            bits_y, bits_z = self.prior.bits(rate), torch.zeros_like(y[..., :1])
        pixels = run("synthesis", y=y_read) / unit + 128
        return result_of(image, bits_y, bits_z, pixels.round().clamp(0, 255) if hard else pixels)

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * (bpp + rd_weight * distortion)``."""
        loss = result.bpp + self.own.rate.rd_weight * distortion
        return (loss if weight is None else weight * loss).mean()


def build(own: HyperpriorConfig, seed: int) -> HyperpriorNet:
    """A codec with random weights."""
    return HyperpriorNet(own, seed)


def begin(net: HyperpriorNet, data: ImageFolder, crop: int, seed: int) -> None:
    """A new run starts from random weights."""


def check(own: HyperpriorConfig) -> None:
    """Refuse what makes no codec.

    Raises:
        ArgumentError: names the setting and what is legal.
    """
    sizes = own.transform
    legal = {
        ("transform.profile", sizes.profile): get_args(Profile),
        ("transform.activation", sizes.activation): ("gdn", "relu"),
        ("transform.kernels", sizes.kernels): ("plain", "sadam"),
        ("rate.proxy", own.rate.proxy): get_args(Proxy),
    }
    for (place, value), values in legal.items():
        if value not in values:
            raise ArgumentError(f"{place} = {value!r}; legal: {', '.join(values)}")
    if not sizes.hyperprior and sizes.profile == "float":
        raise ArgumentError("transform.profile = 'float' without a hyperprior is 'prior'")
    if sizes.filters > 256:
        raise ArgumentError(f"transform.filters = {sizes.filters}, at most 256")
    if not 2 <= sizes.bits <= 8:
        raise ArgumentError(f"transform.bits = {sizes.bits}, must be in 2..8")
    if sizes.scales not in (2, 4, 8, 16, 32, 64, 128, 256):
        raise ArgumentError(f"transform.scales = {sizes.scales}, a power of two from 2 to 256")
    if sizes.scale_min >= sizes.scale_max:
        raise ArgumentError(f"transform.scale_min = {sizes.scale_min} is not below scale_max")
