"""Image codec 2 as one trainable module.

Quantization while training is that of image codec 1 (`intact.train.codecs.checkerboard`): the rate
sees noise, the transforms that follow see rounded latents. New: steps differ by channel and level,
those of the hyper-latents too (their density is one of real numbers, and a symbol's probability its
integral over a step), and the colors are predicted over the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from intact.bottleneck.anchors import MAX_PREDICTED, NUM_STAGES, SPACING, stages
from intact.bottleneck.channelwise import Channelwise
from intact.bottleneck.grid import Window
from intact.bottleneck.order import pass_a_mask
from intact.errors import ArgumentError
from intact.train.codecs.channelwise_colors import correct_first, correct_second
from intact.train.codecs.channelwise_graphs import (
    MAX_PIXEL_BITS,
    ChannelwiseConfig,
    build_graphs,
)
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
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import PIXEL_UNIT, THETA_MAX, check_latents
from intact.train.entropy import SCALE_MIN, FactorizedPrior, gaussian_bits
from intact.train.gradients import lower_bound, round_through
from intact.train.network import Observer
from intact.train.noise import Noise


@dataclass(frozen=True)
class ChannelwiseSections:
    """The sections of the configuration that are this kind's own."""

    transform: ChannelwiseConfig = field(default_factory=ChannelwiseConfig)
    rate: RateConfig = field(default_factory=lambda: RateConfig(step_min=0.15))


class ChannelwiseNet(Codec):
    """The codec of kind "image codec 2", in float or in integers.

    Args:
        config: sizes.
        rates: the range of rates.
        seed: of the initial weights.

    Attributes:
        step_offset, step_slope: [M], log2 of what a channel's step differs by from the level's: at
            t = 0, and per unit of t.
        hyper_offset, hyper_slope: [N], log2 of the steps of the hyper-latents, likewise.
        stage_theta: [8, predicted], by how many octaves the scales of the colors in pass A are
            above those that prior_a gives, by stage (`intact.bottleneck.anchors`): the first
            positions are guessed worst.
    """

    KIND: ClassVar[str] = Channelwise.FORMAT
    # What is drawn hangs on the means, but their gradient is 0: what they add, rounding takes.
    UNDRAWN: ClassVar[frozenset[str]] = frozenset(
        {
            "hyper_analysis", "hyper_synthesis", "prior_a", "prior_b", "prior_z", "hyper_offset",
            "hyper_slope", "stage_theta",
        }
    )  # fmt: skip
    CAN_ROUND: ClassVar[bool] = True

    def __init__(self, config: ChannelwiseConfig, rates: RateConfig, seed: int = 0) -> None:
        graphs = build_graphs(config)
        super().__init__(ChannelwiseSections(config, rates), float_networks(graphs, seed))
        self.prior_z = FactorizedPrior(config.hyper_latents)

        def zeros(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape))

        m, n = config.latents, config.hyper_latents
        self.step_offset, self.step_slope = zeros(m), zeros(m)
        self.hyper_offset, self.hyper_slope = zeros(n), zeros(n)
        self.stage_theta = zeros(NUM_STAGES, config.predicted)

    @property
    def config(self) -> ChannelwiseConfig:
        """Sizes of the networks."""
        return self.own.transform

    @property
    def rates(self) -> RateConfig:
        """The range of rates."""
        return self.own.rate

    def step(self, t: Tensor) -> Tensor:
        """The level's quantization step [b] of levels [b] in [-1, 1]."""
        return self.rates.step(t)

    def steps(self, t: Tensor) -> Tensor:
        """[b, 1, 1, M]: the quantization step of each channel at levels t [b]."""
        t = t[:, None, None, None]
        return self.rates.step(t) * torch.exp2(self.step_offset + self.step_slope * t)

    def hyper_steps(self, t: Tensor) -> Tensor:
        """[b, 1, 1, N]: the quantization step of each hyper-latent's channel at levels t [b]."""
        return torch.exp2(self.hyper_offset + self.hyper_slope * t[:, None, None, None])

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
        observers = observers or {}
        y = self._analyzed(image, t, observers.get("analysis"))
        assert hard or noise is not None, "a rate that is not hard needs noise"
        noise = None if hard else noise
        coded = self.code(y, t, noise, place=self._place(noise), observers=observers)
        pixels = coded.pixels.round().clamp(0, 255) if hard else coded.pixels
        return result_of(image, coded.bits_y, coded.bits_z, pixels)

    def rate(self, image: Tensor, t: Tensor, noise: Noise) -> Result:
        """The rate alone; see `Codec.rate`."""
        y = self._analyzed(image, t, None)
        bits_y, bits_z, _ = self._predict(y, t, noise, round_through, self._place(noise), {})
        area, dims = image.shape[1] * image.shape[2], (1, 2, 3)
        unknown = torch.full_like(t, torch.nan)
        return Result(bits_y.sum(dims) / area, bits_z.sum(dims) / area, unknown, image.float())

    def _analyzed(self, image: Tensor, t: Tensor, observer: Observer | None) -> Tensor:
        pixels = (image.float() - 128) * PIXEL_UNIT
        return self.networks["analysis"]({"pixels": pixels}, t, observer)["y"]

    def code(
        self,
        y: Tensor,
        t: Tensor,
        noise: Noise | None = None,
        *,
        rounding: Rounding = round_through,
        place: tuple[int, int] = (0, 0),
        observers: Mapping[str, Observer] | None = None,
    ) -> Coded:
        """Code latents; see `Codec.code`."""
        observers = observers or {}
        bits_y, bits_z, y_hat = self._predict(y, t, noise, rounding, place, observers)
        observer = observers.get("synthesis")
        out = self.networks["synthesis"]({"y": y_hat}, t, observer)["pixels"]
        return Coded(bits_y, bits_z, out / PIXEL_UNIT + 128)

    def _predict(
        self,
        y: Tensor,
        t: Tensor,
        noise: Noise | None,
        rounding: Rounding,
        place: tuple[int, int],
        observers: Mapping[str, Observer],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bits of latents and of hyper-latents, and the latents as they are decoded."""

        def run(name: str, **inputs: Tensor) -> dict[str, Tensor]:
            return self.networks[name](inputs, t, observers.get(name))

        def noisy(x: Tensor, rounded: Tensor) -> Tensor:
            return rounded if noise is None or self.rounded else x + noise.like(x)

        hyper_step = self.hyper_steps(t)
        z = run("hyper_analysis", y=y)["z"] / hyper_step
        z_hat = round_through(z)
        bits_z = self.prior_z.bits(noisy(z, z_hat), hyper_step)
        f = run("hyper_synthesis", z=hyper_step * z_hat)["f"][:, : y.shape[1], : y.shape[2]]

        window = Window(*place, place[0] + y.shape[1], place[1] + y.shape[2])
        k, step = self.config.predicted, self.steps(t)
        mask = torch.from_numpy(pass_a_mask(window, y.shape[3], k)).to(y.device)
        a = run("prior_a", f=f)
        mean_a = leading(a["mean"], k, lambda m: self._first(m, y, step, window))
        rounded_a = rounding((y - mean_a) / step)
        y_a = (mean_a + step * rounded_a) * mask
        b = run("prior_b", f=f, y=y_a)
        mean_b = leading(b["mean"], k, lambda m: correct_second(m, y_a[..., :k]))
        mean = torch.where(mask, mean_a, mean_b)
        number = torch.from_numpy(stages((window.top, window.left), window.shape)).long()
        raised = self.stage_theta[number.to(y.device)]
        theta_a = leading(a["theta"], k, lambda theta: theta + raised)
        theta = torch.where(mask, theta_a, b["theta"])

        # A plain clamp would have no gradient below 0, and a channel could never come back.
        sigma = SCALE_MIN * torch.exp2(lower_bound(theta, 0.0).clamp(max=THETA_MAX))
        residual = (y - mean) / step
        rounded = torch.where(mask, rounded_a, rounding(residual))
        # What a color's first position is off by, its neighbors inherit: a residual that stays
        # within half a step and costs nothing. With noise it would seem to leave that often.
        uncertain = noisy(residual, rounded)
        uncertain = torch.cat([rounded[..., :k], uncertain[..., k:]], 3) if k else uncertain
        bits_y = gaussian_bits(uncertain, sigma / step)
        return bits_y, bits_z, mean + step * rounded

    @staticmethod
    def _place(noise: Noise | None) -> tuple[int, int]:
        """Where the crops lie in an image: somewhere, as most of a large image does.

        Even, so that the passes' parity is that of the crop; the same for all of a batch.
        """
        if noise is None:
            return 0, 0
        drawn = noise.uniform(2)[0] * (SPACING // 2)
        return 2 * int(drawn[0]), 2 * int(drawn[1])

    def _first(self, mean: Tensor, y: Tensor, step: Tensor, window: Window) -> Tensor:
        """[b, h, w, predicted]: the corrected means of the colors in pass A."""
        k, start = self.config.predicted, (window.top, window.left)
        return correct_first(mean, y[..., :k], step[..., :k], start)

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * step * (bpp + rd_weight / step^2 * distortion)``."""
        return self.rates.loss(result.bpp, t, distortion, weight)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights that write into pixels or latents directly."""
        return direct_parameters(self)


def build(own: ChannelwiseSections, seed: int) -> ChannelwiseNet:
    """A codec with random weights."""
    return ChannelwiseNet(own.transform, own.rate, seed)


def check(own: ChannelwiseSections) -> None:
    """Refuse sizes and rates that contradict each other.

    Raises:
        ArgumentError: names the setting and what is legal.
    """
    own.rate.check()
    check_latents(own.transform.latents)
    sizes, most = own.transform, min(own.transform.latents, MAX_PREDICTED)
    if not 0 <= sizes.predicted <= most:
        raise ArgumentError(f"transform.predicted = {sizes.predicted}, must be in 0..{most}")
    steps, most = sizes.stream_steps, 255  # with more the picture itself would not fit int16
    if not 1 <= steps <= most or steps % 2 == 0:
        raise ArgumentError(f"transform.stream_steps = {steps}, must be odd, in 1..{most}")
    if not 8 <= sizes.pixel_bits <= MAX_PIXEL_BITS:
        raise ArgumentError(
            f"transform.pixel_bits = {sizes.pixel_bits}, must be in 8..{MAX_PIXEL_BITS}"
        )
