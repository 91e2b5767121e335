"""Integer layers as Ballé 2019 trains them, each equation by its number.

Rounding is carried out in the forward pass of float training and replaced by the identity in the
backward pass (§3). `IntegerConv2d` is the paper's plain layer; the residual networks of the
shipped codec use these functions with another parametrization (`intact.train.integer`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intact.train.entropy import FactorizedPrior
from intact.train.gradients import qrelu, qtanh, round_through, saturate


def kernel_scale(h: Tensor, bits: int, epsilon: float = 1e-20) -> Tensor:
    """s(h') per filter, Eq. 9: one extreme coefficient hits the range -2^(K-1) .. 2^(K-1) - 1.

    Args:
        h: h' [o, ...].
        bits: K.
        epsilon: the least s.
    """
    flat = h.reshape(h.shape[0], -1)
    low, high = flat.amin(1), flat.amax(1)
    s = torch.maximum(low / -(2 ** (bits - 1)), high / (2 ** (bits - 1) - 1))
    return s.clamp(min=epsilon)


class _LowerBoundSquare(torch.autograd.Function):
    """r(c') of Eq. 8 with the replacement gradient of Ballé 2018: a bound still lets c' grow."""

    @staticmethod
    def forward(ctx, c: Tensor, epsilon: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(c)
        ctx.bound = math.sqrt(1 + epsilon**2)
        return c.clamp(min=ctx.bound).square() - epsilon**2

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (c,) = ctx.saved_tensors
        passes = (c >= ctx.bound) | (grad < 0)
        return grad * 2 * c.clamp(min=ctx.bound) * passes, None


EPSILON = 2.0**-18


def divisor_map(c: Tensor, epsilon: float = EPSILON) -> Tensor:
    """r(c') = max(c', sqrt(1 + epsilon^2))^2 - epsilon^2; Ballé 2019, Eq. 8."""
    return _LowerBoundSquare.apply(c, epsilon)


class _RescaledKernel(torch.autograd.Function):
    """Q(h' / s(h')) with dh/dh' := 1 / s(h'); Eq. 5 and 10."""

    @staticmethod
    def forward(ctx, h: Tensor, bits: int) -> Tensor:  # noqa: ANN001
        s = kernel_scale(h, bits).reshape(-1, *[1] * (h.dim() - 1))
        ctx.save_for_backward(s)
        # h' / s can leave the range by a rounding error of the division.
        return torch.round(h / s).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (s,) = ctx.saved_tensors
        return grad / s, None


def integer_kernel(h: Tensor, bits: int) -> Tensor:
    """H = Q(h' / s(h')) per filter, gradient 1 / s; Ballé 2019, Eq. 5, 9, 10."""
    return _RescaledKernel.apply(h, bits)


def integer_bias(b: Tensor, bits: int) -> Tensor:
    """Return b = Q(2^K b'), gradient 2^K; Eq. 6 and 10."""
    return round_through(2**bits * b)


def integer_divisor(c: Tensor, bits: int) -> Tensor:
    """Return c = Q(2^K r(c')), made odd inside the forward pass; Eq. 7, 8, 10.

    Odd, because then no quotient ends in .5 and every way of rounding agrees
    (docs/spec/intnet.md). Capped at 2^14 - 1 for the same page's rule 1.
    """
    x = saturate(2**bits * divisor_map(c), 1, 2**14 - 1)
    odd = 2 * torch.floor(x / 2) + 1
    return x + (odd - x).detach()


class IntegerConv2d(nn.Module):
    """The paper's layer: ``w = g((H u + b) / c rounded)`` on integers [b, c, h, w]; Eq. 2-3.

    Args:
        c_in: input channels.
        c_out: output channels.
        kernel: odd size.
        stride: of the output.
        bits: K, of the kernel; 8 and 4 in the paper, 7 by our rule 2.
        activation: "qrelu", "qtanh", or "none": the last layer of an analysis transform, whose
            division stays in floating point while training (Eq. 18).
        activation_bits: L, of the outputs.
        generator: for the initial filters.
    """

    def __init__(  # noqa: PLR0913 - the paper's layer has these many properties
        self,
        c_in: int,
        c_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        bits: int = 7,
        activation: str = "qrelu",
        activation_bits: int = 8,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if activation not in ("qrelu", "qtanh", "none"):
            raise ValueError(f"activation {activation!r} is not one of qrelu, qtanh, none")
        self.stride, self.bits, self.activation = stride, bits, activation
        self.activation_bits = activation_bits
        h = torch.randn((c_out, c_in, kernel, kernel), generator=generator)
        self.h = nn.Parameter(h / math.sqrt(c_in * kernel * kernel))
        self.b = nn.Parameter(torch.zeros(c_out))
        self.offset = nn.Parameter(torch.zeros(c_out), requires_grad=False)
        # After Eq. 5 filters have a known size; c' starts where outputs keep the inputs' size.
        norm = integer_kernel(self.h.detach(), bits).square().sum((1, 2, 3)).sqrt()
        self.c = nn.Parameter((norm / 2**bits).clamp(min=1.01).sqrt())

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """H, b and c."""
        k = self.bits
        return integer_kernel(self.h, k), integer_bias(self.b, k), integer_divisor(self.c, k)

    def forward(self, u: Tensor) -> Tensor:
        """Integers in, integers out; with activation "none", real numbers (Eq. 18)."""
        weight, bias, divisor = self.integers()
        acc = F.conv2d(u, weight, bias, self.stride, self.h.shape[2] // 2)
        quotient = acc / divisor[:, None, None]
        if self.activation == "none":
            return quotient
        v = round_through(quotient)
        if self.activation == "qtanh":
            return qtanh(v, self.activation_bits)
        return qrelu(v, self.activation_bits)

    @torch.no_grad()
    def center(self, prior: FactorizedPrior) -> None:
        """Take o of Eq. 19 from the density [o] that the outputs were trained with."""
        self.offset.copy_(prior.offsets())

    def represent(self, u: Tensor) -> Tensor:
        """Return y = (H u + b - Q(o c)) / c rounded, the last layer in integers; Eq. 19-20."""
        weight, bias, divisor = self.integers()
        folded = bias - torch.round(self.offset * divisor)
        acc = F.conv2d(u, weight, folded, self.stride, self.h.shape[2] // 2)
        return torch.round(acc / divisor[:, None, None])
