"""Image codec 2 as one trainable module: all scales at once, means in four passes.

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
from intact.bottleneck.fourstep import FourStep
from intact.bottleneck.grid import Window
from intact.bottleneck.passes import NUM_PASSES, pass_numbers
from intact.errors import ArgumentError
from intact.train.codecs import checkerboard
from intact.train.codecs.codec import Codec, Result, float_networks, result_of
from intact.train.codecs.fourstep_colors import correct_first, correct_later
from intact.train.codecs.fourstep_graphs import FourStepConfig, build_graphs
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import PIXEL_UNIT, THETA_MAX
from intact.train.data import ImageFolder
from intact.train.entropy import SCALE_MIN, FactorizedPrior, gaussian_bits
from intact.train.gradients import lower_bound, round_through
from intact.train.graph import Conv
from intact.train.network import Observer
from intact.train.noise import Noise


@dataclass(frozen=True)
class FourStepSections:
    """The sections of the configuration that are this kind's own."""

    transform: FourStepConfig = field(default_factory=FourStepConfig)
    rate: RateConfig = field(default_factory=lambda: RateConfig(step_min=0.15))


class FourStepNet(Codec):
    """The codec of kind "image codec 2", in float or in integers.

    Args:
        config: sizes.
        rates: the range of rates.
        seed: of the initial weights.

    Attributes:
        step_offset, step_slope: [M], log2 of what a channel's step differs by from the level's: at
            t = 0, and per unit of t.
        hyper_offset, hyper_slope: [N], log2 of the steps of the hyper-latents, likewise.
        pass_theta: [2, M], what the scales of passes 1 and 3 differ by from those of the pass
            before, in octaves: the later a pass, the more it knows.
        stage_theta: [7, predicted], the same for the stages of the colors in pass 0
            (`intact.bottleneck.anchors`): the first positions are guessed worst.
    """

    KIND: ClassVar[str] = FourStep.FORMAT

    def __init__(self, config: FourStepConfig, rates: RateConfig, seed: int = 0) -> None:
        graphs = build_graphs(config)
        super().__init__(FourStepSections(config, rates), float_networks(graphs, seed))
        self.prior_z = FactorizedPrior(config.hyper_latents)

        def zeros(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape))

        m, n = config.latents, config.hyper_latents
        self.step_offset, self.step_slope = zeros(m), zeros(m)
        self.hyper_offset, self.hyper_slope = zeros(n), zeros(n)
        self.pass_theta = zeros(2, m)
        self.stage_theta = zeros(NUM_STAGES, config.predicted)

    @property
    def config(self) -> FourStepConfig:
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

        def run(name: str, **inputs: Tensor) -> dict[str, Tensor]:
            return self.networks[name](inputs, t, observers.get(name))

        def noisy(x: Tensor, rounded: Tensor) -> Tensor:
            if hard:
                return rounded
            assert noise is not None, "a rate that is not hard needs noise"
            return x + noise.like(x)

        y = run("analysis", pixels=(image.float() - 128) * PIXEL_UNIT)["y"]
        hyper_step = self.hyper_steps(t)
        z = run("hyper_analysis", y=y)["z"] / hyper_step
        z_hat = round_through(z)
        bits_z = self.prior_z.bits(noisy(z, z_hat), hyper_step)
        f = run("hyper_synthesis", z=hyper_step * z_hat)["f"]

        window = self._window(y, None if hard else noise)
        k, step = self.config.predicted, self.steps(t)
        numbers = torch.from_numpy(pass_numbers(window, y.shape[3], k)).to(y.device)
        known, mean, theta = (torch.zeros_like(y) for _ in range(3))
        for number in range(NUM_PASSES):
            inputs = {"f": f, "y": known} if number else {"f": f}
            found = run(f"prior_{number}", **inputs)
            means = found["mean"]
            if "theta" in found:
                theta = torch.where(numbers // 2 == number // 2, found["theta"], theta)
            if k:
                means = torch.cat([self._colors(number, means, y, known, step, window),
                                   means[..., k:]], 3)  # fmt: skip
            here = numbers == number
            known = torch.where(here, means + step * round_through((y - means) / step), known)
            mean = torch.where(here, means, mean)

        # A plain clamp would have no gradient below 0, and a channel could never come back.
        theta = theta + self._narrowing(numbers, window)
        sigma = SCALE_MIN * torch.exp2(lower_bound(theta, 0.0).clamp(max=THETA_MAX))
        residual = (y - mean) / step
        rounded = round_through(residual)
        # What a color's first position is off by, its neighbors inherit: a residual that stays
        # within half a step and costs nothing. With noise it would seem to leave that often.
        uncertain = noisy(residual, rounded)
        uncertain = torch.cat([rounded[..., :k], uncertain[..., k:]], 3) if k else uncertain
        bits_y = gaussian_bits(uncertain, sigma / step)
        out = run("synthesis", y=mean + step * rounded)["pixels"]
        pixels = out / PIXEL_UNIT + 128
        pixels = pixels.round().clamp(0, 255) if hard else pixels
        return result_of(image, bits_y, bits_z, pixels)

    @staticmethod
    def _window(y: Tensor, noise: Noise | None) -> Window:
        """Where the crops lie in an image: somewhere, as most of a large image does.

        Even, so that the passes' parity is that of the crop; the same for all of a batch.
        """
        top = left = 0
        if noise is not None:
            drawn = noise.uniform(2)[0] * (SPACING // 2)
            top, left = 2 * int(drawn[0]), 2 * int(drawn[1])
        return Window(top, left, top + y.shape[1], left + y.shape[2])

    def _narrowing(self, numbers: Tensor, window: Window) -> Tensor:
        """[h, w, M]: what is added to theta, by pass, channel and stage."""
        k = self.config.predicted
        none = torch.zeros_like(self.pass_theta[:1])
        by_pass = torch.cat([none, self.pass_theta[:1], none, self.pass_theta[1:]])
        channels = torch.arange(numbers.shape[2], device=numbers.device)
        added = by_pass[numbers.long(), channels]
        if not k:
            return added
        number = torch.from_numpy(stages((window.top, window.left), window.shape)).long()
        raised = self.stage_theta[number.to(numbers.device)]
        colors = torch.where(numbers[..., :k] == 0, raised, added[..., :k])
        return torch.cat([colors, added[..., k:]], 2)

    def _colors(
        self, number: int, mean: Tensor, y: Tensor, known: Tensor, step: Tensor, window: Window
    ) -> Tensor:
        """[b, h, w, predicted]: the corrected means of the leading latents in a pass."""
        k = self.config.predicted
        if number:
            return correct_later(mean[..., :k], known[..., :k], diagonal=number == 1)
        start = (window.top, window.left)
        return correct_first(mean[..., :k], y[..., :k], step[..., :k], start)

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * step * (bpp + rd_weight / step^2 * distortion)``."""
        return self.rates.loss(result.bpp, t, distortion, weight)

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights that write into pixels or latents directly; see `CodecNet.slow_parameters`."""
        found = []
        for name in ("analysis", "synthesis"):
            network = self.network(name)
            for node in network.graph.nodes:
                if isinstance(node, Conv) and node.activation in ("stream", "latent"):
                    found += [network.get(node.target, k) for k in ("weight", "bias", "slope")]
        return found


def build(own: FourStepSections, seed: int) -> FourStepNet:
    """A codec with random weights."""
    return FourStepNet(own.transform, own.rate, seed)


def begin(net: FourStepNet, data: ImageFolder, crop: int, seed: int) -> None:
    """Start a new run as a transform code of its images (docs/decisions/0002)."""
    from intact.train.codecs.fourstep_start import from_checkerboard, old_sizes

    old = checkerboard.CodecNet(old_sizes(net.config), net.rates, seed)
    checkerboard.begin(old, data, crop, seed)
    net.load_state_dict(from_checkerboard(old, net.config, net.rates, [], seed).state_dict())


def check(own: FourStepSections) -> None:
    """Refuse sizes and rates that contradict each other.

    Raises:
        ArgumentError: names the setting and what is legal.
    """
    own.rate.check()
    sizes, most = own.transform, min(own.transform.latents, MAX_PREDICTED)
    if not 0 <= sizes.predicted <= most:
        raise ArgumentError(f"transform.predicted = {sizes.predicted}, must be in 0..{most}")
