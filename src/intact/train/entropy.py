"""Entropy models: what a symbol costs in bits while training, and the distributions that freeze.

Gaussian with log-spaced scales (Ballé 2019, Eq. 14-15) for latents, the nonparametric factorized
prior (Ballé et al. 2018, arXiv:1802.01436v2, appendix 6.1) for hyper-latents, and a scale mixture
(Theis et al. 2017), a control.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intact.train.gradients import lower_bound

SCALE_MIN = 0.1
"""sigma_min of Eq. 15, in units of the quantization step."""
LIKELIHOOD_MIN = 1e-9


def gaussian_bits(residual: Tensor, sigma: Tensor) -> Tensor:
    """Bits of ``residual`` under N(0, sigma^2) convolved with a unit box; Eq. 14.

    Args:
        residual: (latent - mean) / step, noisy or rounded.
        sigma: in units of the step; bounded below by SCALE_MIN.
    """
    sigma = lower_bound(sigma, SCALE_MIN)
    v = residual.abs()
    k = 1 / math.sqrt(2)
    upper = torch.erfc((v - 0.5) / sigma * k)
    lower = torch.erfc((v + 0.5) / sigma * k)
    return -torch.log2(lower_bound(0.5 * (upper - lower), LIKELIHOOD_MIN))


class FactorizedPrior(nn.Module):
    """A learned density per channel: a monotone network gives its cumulative distribution.

    ``c(x) = sigmoid(f_K(...f_1(x)))``, ``f_k(x) = g_k(softplus(H_k) x + b_k)``,
    ``g_k(x) = x + tanh(a_k) * tanh(x)``.

    Args:
        channels: number of densities.
        filters: widths of the hidden layers.
        init_scale: initial width of the densities, in symbols.
    """

    def __init__(
        self, channels: int, filters: tuple[int, ...] = (3, 3, 3), init_scale: float = 4.0
    ) -> None:
        super().__init__()
        widths = (1, *filters, 1)
        scale = init_scale ** (1 / (len(filters) + 1))
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for i in range(len(filters) + 1):
            init = math.log(math.expm1(1 / scale / widths[i + 1]))
            shape = (channels, widths[i + 1], widths[i])
            self.matrices.append(nn.Parameter(torch.full(shape, init)))
            offsets = torch.linspace(-0.5, 0.5, widths[i + 1] + 2)[1:-1]
            self.biases.append(nn.Parameter(offsets.expand(channels, -1)[:, :, None].clone()))
            if i < len(filters):
                self.factors.append(nn.Parameter(torch.zeros(channels, widths[i + 1], 1)))

    def logits(self, x: Tensor) -> Tensor:
        """Logits of the cumulative distribution at x [channels, 1, n]."""
        for i, matrix in enumerate(self.matrices):
            x = F.softplus(matrix) @ x + self.biases[i]
            if i < len(self.factors):
                x = x + torch.tanh(self.factors[i]) * torch.tanh(x)
        return x

    def probability(self, x: Tensor, width: Tensor | float = 1.0) -> Tensor:
        """Mass of the interval of a width around x; [channels, n] -> [channels, n]."""
        lower = self.logits((x - width / 2)[:, None])
        upper = self.logits((x + width / 2)[:, None])
        # Evaluate in the tail where the sigmoids do not cancel.
        # Not torch.sign: at a symmetric density's center the sum is 0, and 0 would be no sign.
        sign = torch.where(lower + upper > 0, -1.0, 1.0)
        return (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()[:, 0]

    def bits(self, z: Tensor, step: Tensor | None = None) -> Tensor:
        """Bits of z [b, h, w, channels], in units of ``step`` [b, 1, 1, channels] or of 1."""
        b, h, w, c = z.shape
        if step is None:
            p = self.probability(z.reshape(-1, c).t())
        else:
            width = step.expand(z.shape).reshape(-1, c).t()
            p = self.probability(z.reshape(-1, c).t() * width, width)
        return -torch.log2(lower_bound(p, LIKELIHOOD_MIN)).t().reshape(b, h, w, c)

    @torch.no_grad()
    def offsets(self, resolution: int = 32) -> Tensor:
        """[channels]: o of Ballé 2019, Eq. 19: where the mode lies off an integer, -0.5..0.5.

        Args:
            resolution: steps per integer in which the mode is looked for, around the likeliest
                integer: a density of one mode has it there.
        """
        channels, device = len(self.matrices[0]), self.matrices[0].device
        whole = torch.arange(-128.0, 128.0, device=device)
        near = whole[self.probability(whole.expand(channels, -1)).argmax(1)]
        around = torch.arange(-resolution, resolution + 1, device=device) / resolution
        grid = near[:, None] + around
        mode = grid.gather(1, self.probability(grid).argmax(1, keepdim=True))[:, 0]
        return mode - mode.round()


class ScaleMixture(nn.Module):
    """A density per channel: Gaussians of one mean and several scales; Theis et al. 2017, §3.3.

    Args:
        mean: float [channels]: where the densities begin.
        spread: float [channels]: their standard deviations there, above 0, in units of a symbol.
        scales: Gaussians of a channel.
    """

    def __init__(self, mean: Tensor, spread: Tensor, scales: int = 6) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean.detach().clone())
        reach = torch.linspace(-1.5, 1.5, scales)  # a factor of 4 to both sides
        self.log_scales = nn.Parameter(spread.clamp(min=SCALE_MIN).log()[:, None] + reach)
        self.logits = nn.Parameter(torch.zeros(len(mean), scales))

    def bits(self, x: Tensor) -> Tensor:
        """Bits of x [b, channels, n] under the density convolved with a unit box: [b, channels, n].

        x is noisy while training (z + u) and whole when counted.
        """
        v = (x - self.mean[:, None])[..., None].abs()
        sigma = lower_bound(self.log_scales.exp(), SCALE_MIN)[:, None]
        k = 1 / math.sqrt(2)
        mass = 0.5 * (torch.erfc((v - 0.5) / sigma * k) - torch.erfc((v + 0.5) / sigma * k))
        p = (mass * self.logits.softmax(-1)[:, None]).sum(-1)
        return -torch.log2(lower_bound(p, LIKELIHOOD_MIN))
