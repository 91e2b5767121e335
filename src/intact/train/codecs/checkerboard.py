"""The whole codec as one trainable module: six transforms, two entropy models, one loss.

Quantization while training (`CodecNet.forward`): the rate sees latents with uniform noise
(Ballé 2019, Eq. 17-18: floating-point division, no rounding), the transforms that follow see
rounded ones with a straight-through gradient (Eq. 16's variant). At inference both are rounded, and
so are the colors, which are predicted from their neighbors, in the rate already.

Rate: one network serves all levels. Level t in [-1, 1] has the quantization step
``step(t)``; the weight of the distortion goes with 1/step^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.colors import MAX_PREDICTED
from intact.bottleneck.grid import Window
from intact.bottleneck.order import pass_a_mask
from intact.errors import ArgumentError
from intact.train.codecs.codec import (
    Codec,
    Coded,
    Result,
    Rounding,
    direct_parameters,
    float_networks,
    leading,
    result_of,
)
from intact.train.codecs.colors import correct_means_a, correct_means_b
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import (
    BUILDERS,
    PIXEL_UNIT,
    THETA_MAX,
    THETAS_PER_OCTAVE,
    TransformConfig,
    check_latents,
)
from intact.train.data import ImageFolder
from intact.train.entropy import SCALE_MIN, FactorizedPrior, gaussian_bits
from intact.train.gradients import lower_bound, round_through
from intact.train.network import Observer, unshuffle
from intact.train.noise import Noise

LATENT_GAIN = 12 / 255 / PIXEL_UNIT
"""Initial gain of the transform code: 12 per unit of pixels in [0, 1]."""
PATCH_CROPS = 256
"""Crops whose patches a new run's transform code is made of."""


@dataclass(frozen=True)
class CheckerboardConfig:
    """The sections of the configuration that are this kind's own."""

    transform: TransformConfig = field(default_factory=TransformConfig)
    rate: RateConfig = field(default_factory=RateConfig)


def sigma_of(theta: float) -> float:
    """Sigma = SCALE_MIN * 2^(theta / THETAS_PER_OCTAVE), of theta in 0..255; Ballé 2019, Eq. 15."""
    return SCALE_MIN * 2 ** (theta / THETAS_PER_OCTAVE)


def pass_mask(shape: torch.Size, predicted: int, device: torch.device | None = None) -> Tensor:
    """[h, w, c] bool: latents of pass A; see `intact.bottleneck.order.pass_a_mask`."""
    h, w, c = shape
    mask = pass_a_mask(Window(0, 0, h, w), c, predicted)
    return torch.from_numpy(mask).to(device)


class CodecNet(Codec):
    """The codec of kind "image codec 1", in float or in integers.

    Args:
        config: sizes.
        rates: the range of rates.
        seed: of the initial weights.
    """

    KIND: ClassVar[str] = Checkerboard.FORMAT
    # What is drawn hangs on the means, but their gradient is 0: what they add, rounding takes.
    UNDRAWN: ClassVar[frozenset[str]] = frozenset(
        {"hyper_analysis", "hyper_synthesis", "prior_a", "prior_b", "prior_z"}
    )
    CAN_ROUND: ClassVar[bool] = True

    def __init__(self, config: TransformConfig, rates: RateConfig, seed: int = 0) -> None:
        graphs = {name: build(config) for name, build in BUILDERS.items()}
        super().__init__(CheckerboardConfig(config, rates), float_networks(graphs, seed))
        self.prior_z = FactorizedPrior(config.hyper_latents)

    @property
    def config(self) -> TransformConfig:
        """Sizes of the networks."""
        return self.own.transform

    @property
    def rates(self) -> RateConfig:
        """The range of rates."""
        return self.own.rate

    def step(self, t: Tensor) -> Tensor:
        """Quantization step [b] of levels [b] in [-1, 1]."""
        return self.rates.step(t)

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
        observers, pixels = observers or {}, (image.float() - 128) * PIXEL_UNIT
        y = self.networks["analysis"]({"pixels": pixels}, t, observers.get("analysis"))["y"]
        assert hard or noise is not None, "a rate that is not hard needs noise"
        coded = self.code(y, t, None if hard else noise, observers=observers)
        pixels = coded.pixels.round().clamp(0, 255) if hard else coded.pixels
        return result_of(image, coded.bits_y, coded.bits_z, pixels)

    def code(
        self,
        y: Tensor,
        t: Tensor,
        noise: Noise | None = None,
        *,
        rounding: Rounding = round_through,
        place: tuple[int, int] = (0, 0),  # blocks of colors begin with the latents, wherever
        observers: Mapping[str, Observer] | None = None,
    ) -> Coded:
        """Code latents; see `Codec.code`."""
        observers = observers or {}

        def run(name: str, **inputs: Tensor) -> dict[str, Tensor]:
            return self.networks[name](inputs, t, observers.get(name))

        def noisy(x: Tensor, rounded: Tensor) -> Tensor:
            return rounded if noise is None or self.rounded else x + noise.like(x)

        step = self.step(t)[:, None, None, None]
        z = run("hyper_analysis", y=y)["z"]
        z_hat = round_through(z)
        bits_z = self.prior_z.bits(noisy(z, z_hat))
        f = run("hyper_synthesis", z=z_hat)["f"][:, : y.shape[1], : y.shape[2]]
        k = self.config.predicted
        mask = pass_mask(y.shape[1:], k, y.device)

        a = run("prior_a", f=f)
        mean_a = leading(a["mean"], k, lambda m: correct_means_a(m, y[..., :k], step))
        rounded_a = rounding((y - mean_a) / step)
        y_a = (mean_a + step * rounded_a) * mask
        b = run("prior_b", f=f, y=y_a)
        mean_b = leading(b["mean"], k, lambda m: correct_means_b(m, y_a[..., :k]))
        mean = torch.where(mask, mean_a, mean_b)
        theta = torch.where(mask, a["theta"], b["theta"])
        # A plain clamp would have no gradient below 0, and a channel could never come back.
        theta = lower_bound(theta, 0.0).clamp(max=THETA_MAX)
        sigma = SCALE_MIN * torch.exp2(theta)

        residual = (y - mean) / step
        rounded = torch.where(mask, rounded_a, rounding(residual))
        # What a color's first position is off by, its neighbors inherit: a residual that stays
        # within half a step and costs nothing. With noise it would seem to leave that often.
        uncertain = noisy(residual, rounded)
        uncertain = torch.cat([rounded[..., :k], uncertain[..., k:]], 3) if k else uncertain
        bits_y = gaussian_bits(uncertain, sigma / step)
        out = run("synthesis", y=mean + step * rounded)["pixels"]
        return Coded(bits_y, bits_z, out / PIXEL_UNIT + 128)

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * step * (bpp + rd_weight / step^2 * distortion)``."""
        return self.rates.loss(result.bpp, t, distortion, weight)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights that write into pixels or latents directly."""
        return direct_parameters(self)

    @torch.no_grad()
    def start_as_transform_code(self, patches: Tensor) -> None:
        """Start as the Karhunen-Loeve transform of 16x16 patches (docs/decisions/0002).

        Args:
            patches: uint8 [n, 16, 16, 3], some ten thousand of them.
        """
        m = self.config.latents
        s = unshuffle((patches.float() - 128) * PIXEL_UNIT, 8)  # [n, 2, 2, 192]
        vectors = s.reshape(len(s), -1).double()
        values, basis = torch.linalg.eigh(vectors.t() @ vectors / len(vectors))
        basis, variance = basis.flip(1)[:, :m], values.flip(0)[:m]
        # The mean colors lead: vectors with the most constant part within a patch.
        constant = basis.reshape(4, 3, 64, m).sum((0, 2)).square().sum(0)
        leading = constant.topk(self.config.predicted).indices.sort().values
        others = torch.ones(m, dtype=torch.bool).index_fill(0, leading, value=False)
        order = torch.cat([leading, others.nonzero()[:, 0]])
        basis, variance = basis[:, order], variance[order]
        basis = basis.t().reshape(m, 2, 2, -1).float()  # [m, dy, dx, c]
        std = (variance.clamp(min=1e-12).sqrt() * LATENT_GAIN).float()

        weight = self.network("analysis").get("y", "weight")
        weight.zero_()
        weight[:, :, 1:, 1:] = basis.permute(0, 3, 1, 2) * LATENT_GAIN
        weight = self.network("synthesis").get("first", "weight")
        weight[:, :, 0, 0] = basis.permute(3, 1, 2, 0).reshape(-1, m) / LATENT_GAIN

        gain = 1 / std.clamp(min=0.3)
        self.network("hyper_analysis").get("a", "gain").copy_(gain)
        self.network("prior_b").get("ya", "gain").copy_(gain)
        for name in ("prior_a", "prior_b"):
            bias = self.network(name).get("theta", "bias")
            bias.copy_(torch.log2(std / SCALE_MIN).clamp(min=0.0))


def build(own: CheckerboardConfig, seed: int) -> CodecNet:
    """A codec with random weights."""
    return CodecNet(own.transform, own.rate, seed)


def begin(net: CodecNet, data: ImageFolder, crop: int, seed: int) -> None:
    """Start a new run as a transform code of its images."""
    k = crop // 16
    crops = data.crops(range(PATCH_CROPS), crop, seed, 2**31 - 1)
    patches = crops.reshape(-1, k, 16, k, 16, 3).transpose(0, 1, 3, 2, 4, 5)
    net.start_as_transform_code(torch.from_numpy(patches.reshape(-1, 16, 16, 3)))


def check(own: CheckerboardConfig) -> None:
    """Refuse sizes and rates that contradict each other.

    Raises:
        ArgumentError: names the setting and what is legal.
    """
    own.rate.check()
    check_latents(own.transform.latents)
    sizes, most = own.transform, min(own.transform.latents, MAX_PREDICTED)
    if not 0 <= sizes.predicted <= most:
        raise ArgumentError(f"transform.predicted = {sizes.predicted}, must be in 0..{most}")
