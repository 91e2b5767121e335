"""The whole codec as one trainable module: six transforms, two entropy models, one loss.

Quantization while training (`CodecNet.forward`): the rate sees latents with uniform noise
(Ballé 2019, Eq. 17-18: floating-point division, no rounding), the transforms that follow see
rounded ones with a straight-through gradient (Eq. 16's variant). At inference both are rounded, and
so are the colors, which are predicted from their neighbors, in the rate already.

Rate: one network serves all levels. Level t in [-1, 1] has the quantization step
``step(t)``; the weight of the distortion goes with 1/step^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from intact.bottleneck.grid import Window
from intact.bottleneck.order import pass_a_mask
from intact.train.entropy import (
    SCALE_MIN,
    THETA_MAX,
    FactorizedPrior,
    gaussian_bits,
    lower_bound,
)
from intact.train.graph import Conv
from intact.train.integer import IntegerNetwork
from intact.train.lattice import correct_means_a, correct_means_b
from intact.train.layers import round_through
from intact.train.network import Network, unshuffle
from intact.train.transforms import BUILDERS, PIXEL_UNIT, THETA_UNIT, TransformConfig

LATENT_GAIN = 12 / 255 / PIXEL_UNIT
"""Initial gain of the transform code: 12 per unit of pixels in [0, 1]."""


@dataclass(frozen=True)
class RateConfig:
    """The range of rates that one model covers.

    Attributes:
        step_min: quantization step of the finest level (t = -1).
        step_max: of the coarsest (t = 1).
        rd_weight: lambda at step 1, per MSE of pixels in 0..255; at other steps divided by step^2.
    """

    step_min: float = 0.42
    step_max: float = 5.0
    rd_weight: float = 0.02

    def step(self, t: Tensor) -> Tensor:
        """Step of level t in [-1, 1]: log-spaced."""
        low, high = math.log(self.step_min), math.log(self.step_max)
        return torch.exp((low + high) / 2 + (high - low) / 2 * t)


def pass_mask(shape: torch.Size, predicted: int, device: torch.device | None = None) -> Tensor:
    """[h, w, c] bool: latents of pass A; see `intact.bottleneck.order.pass_a_mask`."""
    h, w, c = shape
    mask = pass_a_mask(Window(0, 0, h, w), c, predicted)
    return torch.from_numpy(mask).to(device)


def _leading(x: Tensor, k: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the first k channels of x [..., c]."""
    return torch.cat([change(x[..., :k]), x[..., k:]], -1) if k else x


@dataclass
class Result:
    """What a forward pass gives: bits per pixel of y and z, MSE over 0..255, per image [b]."""

    bpp_y: Tensor
    bpp_z: Tensor
    mse: Tensor
    pixels: Tensor

    @property
    def bpp(self) -> Tensor:
        """Total bits per pixel [b]."""
        return self.bpp_y + self.bpp_z


class CodecNet(nn.Module):
    """The float codec.

    Args:
        config: sizes.
        rates: the range of rates.
        seed: of the initial weights.
    """

    def __init__(self, config: TransformConfig, rates: RateConfig, seed: int = 0) -> None:
        super().__init__()
        self.config, self.rates = config, rates
        generator = torch.Generator().manual_seed(seed)
        self.networks = nn.ModuleDict(
            {name: Network(build(config), generator) for name, build in BUILDERS.items()}
        )
        self.prior_z = FactorizedPrior(config.hyper_latents)

    def make_integer(self) -> None:
        """Replace the networks by integer ones of the same graphs, all zero, to be filled."""
        for name, build in BUILDERS.items():
            self.networks[name] = IntegerNetwork(build(self.config))

    def network(self, name: str) -> Network:
        """A float transform by name."""
        return cast(Network, self.networks[name])

    @property
    def is_integer(self) -> bool:
        """Whether the networks compute in integers."""
        return all(isinstance(n, IntegerNetwork) for n in self.networks.values())

    def set_compute_dtype(self, dtype: torch.dtype) -> None:
        """Choose the precision of the branches."""
        for name in self.networks:
            self.network(name).compute_dtype = dtype

    def forward(
        self, image: Tensor, t: Tensor, generator: torch.Generator | None, *, hard: bool = False
    ) -> Result:
        """Code a batch.

        Args:
            image: uint8 [b, h, w, 3], sides multiples of 64.
            t: level per image [b], in [-1, 1].
            generator: of the noise.
            hard: round everything, as at inference, instead of adding noise to the rate.
        """
        nets, step = self.networks, self.rates.step(t)[:, None, None, None]
        x = (image.float() - 128) * PIXEL_UNIT
        y = nets["analysis"]({"pixels": x}, t)["y"]
        z = nets["hyper_analysis"]({"y": y}, t)["z"]
        z_hat = round_through(z)
        bits_z = self.prior_z.bits(z_hat if hard else z + self._noise(z, generator))
        f = nets["hyper_synthesis"]({"z": z_hat}, t)["f"]
        k = self.config.predicted
        mask = pass_mask(y.shape[1:], k, y.device)

        a = nets["prior_a"]({"f": f}, t)
        mean_a = _leading(a["mean"], k, lambda m: correct_means_a(m, y[..., :k], step))
        y_a = (mean_a + step * round_through((y - mean_a) / step)) * mask
        b = nets["prior_b"]({"f": f, "y": y_a}, t)
        mean_b = _leading(b["mean"], k, lambda m: correct_means_b(m, y_a[..., :k]))
        mean = torch.where(mask, mean_a, mean_b)
        theta = torch.where(mask, a["theta"], b["theta"])
        # A plain clamp would have no gradient below 0, and a channel could never come back.
        theta = lower_bound(theta, 0.0).clamp(max=THETA_MAX * THETA_UNIT)
        sigma = SCALE_MIN * torch.exp2(theta)

        residual = (y - mean) / step
        rounded = round_through(residual)
        noisy = rounded if hard else residual + self._noise(residual, generator)
        if k and not hard:
            # What a color's first position is off by, its neighbors inherit: a residual that stays
            # within half a step and costs nothing. With noise it would seem to leave that often.
            noisy = torch.cat([rounded[..., :k], noisy[..., k:]], 3)
        bits_y = gaussian_bits(noisy, sigma / step)
        out = nets["synthesis"]({"y": mean + step * rounded}, t)["pixels"]
        pixels = out / PIXEL_UNIT + 128
        error = pixels - image.float()
        if hard:
            pixels = pixels.round().clamp(0, 255)
            error = pixels - image.float()
        area = image.shape[1] * image.shape[2]
        dims = (1, 2, 3)
        return Result(
            bits_y.sum(dims) / area, bits_z.sum(dims) / area, error.square().mean(dims), pixels
        )

    @staticmethod
    def _noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
        noise = torch.rand(like.shape, generator=generator, device=like.device)
        return noise - 0.5

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of ``weight * step * (bpp + rd_weight / step^2 * distortion)``.

        Args:
            result: of a forward pass.
            t: level per image [b].
            distortion: per image [b], in squared gray levels (`intact.train.losses.distortion`).
            weight: of each image [b]; all 1 by default.
        """
        step = self.rates.step(t)
        loss = step * result.bpp + self.rates.rd_weight / step * distortion
        return (loss if weight is None else weight * loss).mean()

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights that write into pixels or latents directly.

        Neighboring pixels are correlated, so a step of Adam (the same size for every weight) in
        these adds up over hundreds of inputs to gray levels: they want a smaller rate.
        """
        found = []
        for name in ("analysis", "synthesis"):
            network = self.network(name)
            for node in network.graph.nodes:
                if isinstance(node, Conv) and node.activation in ("stream", "latent"):
                    found += [network.get(node.target, k) for k in ("weight", "bias", "slope")]
        return found

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
