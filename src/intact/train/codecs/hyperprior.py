"""The codec of Ballé, Johnston and Minnen (2019), trainable: a scale for each latent.

    pixels --analysis--> y --|.|, hyper_analysis--> z
    z --hyper_synthesis--> theta, the index of a scale (Eq. 15)
    y --synthesis--> pixels

Four layers 5x5 of stride 2, as in Ballé et al. 2018. Its `profile` says which networks are integer
ones: all (exact), what computes the prior (prior), or none (float); integer networks are trained as
such, from the first step, by Eq. 5 to 11. Without a hyperprior each channel of y has one learned
density (Ballé 2018). A model has one rate.

While training, latents have noise in the place of rounding (Eq. 17 and 18), for their rates and for
the networks that read them. docs/spec/hyperprior.md has what freezing makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast, get_args

import torch
from torch import Tensor

from intact.errors import ArgumentError
from intact.train.balle2019 import Balle2019
from intact.train.codecs.codec import Codec, Result, result_of
from intact.train.codecs.hyperprior_graphs import (
    BUILDERS,
    CODED,
    INTEGER,
    HyperpriorTransform,
    Profile,
    pixel_unit,
)
from intact.train.data import ImageFolder
from intact.train.entropy import FactorizedPrior, gaussian_bits
from intact.train.gradients import lower_bound, round_through
from intact.train.integer import IntegerNetwork
from intact.train.network import Network, Observer
from intact.train.noise import Noise
from intact.train.reparametrize import Chain, Spectral

Proxy = Literal["noise", "rounded noise", "rounded"]
"""What stands for a rounded latent in the rate: g(x) + u (Eq. 17, 18), Q(g(x)) + u (Eq. 16), or
Q(g(x)) alone; Q has the identity's gradient."""


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

    def center(self) -> Tensor:
        """[channels]: o of Ballé 2019, Eq. 19; an integer network that reads it is told."""
        offsets = self.prior.offsets()
        reader = self.networks[CODED[self.config.hyperprior][2]]
        if isinstance(reader, IntegerNetwork):
            reader.moved = offsets
        return offsets

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

        def coded(x: Tensor, center: Tensor | None) -> Tensor:
            """What stands for a latent that is sent."""
            if hard:
                center = torch.zeros(()) if center is None else center
                return torch.round(x - center) + center
            assert noise is not None, "a rate that is not hard needs noise"
            proxy = self.own.rate.proxy
            x = x if proxy == "noise" else round_through(x)
            return x if proxy == "rounded" else x + noise.like(x)

        unit, offsets = pixel_unit(config), self.center()
        center = offsets if hard else None
        y = run("analysis", pixels=(image.float() - 128) * unit)
        if config.hyperprior:
            integer = "hyper_analysis" in INTEGER[config.profile]
            z = coded(run("hyper_analysis", y=round_through(y) if integer else y), center)
            bits_z = self.prior.bits(z)
            # A plain clamp would have no gradient below 0, and a scale could never come back.
            theta = lower_bound(run("hyper_synthesis", z=z), 0.0).clamp(max=config.scales - 1)
            y = coded(y, None)
            bits_y = gaussian_bits(y, config.sigma(torch.round(theta) if hard else theta))
        else:
            y = coded(y, center)
            bits_y, bits_z = self.prior.bits(y), torch.zeros_like(y[..., :1])
        pixels = run("synthesis", y=y) / unit + 128
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
        raise ArgumentError(
            f"transform.scale_min = {sizes.scale_min} is not below "
            f"transform.scale_max = {sizes.scale_max}"
        )
