"""Functions whose gradient is not their derivative: rounding, clipping, bounds; Ballé 2019, §3."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def round_through(x: Tensor) -> Tensor:
    """Q(x) with the identity as gradient; Ballé 2019, §3."""
    return x + (torch.round(x) - x).detach()


class _LowerBound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, bound: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (x,) = ctx.saved_tensors
        return grad * ((x >= ctx.bound) | (grad < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """``max(x, bound)`` whose gradient still passes where it would move x up."""
    return _LowerBound.apply(x, bound)


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, unit: Tensor, low: int, high: int) -> Tensor:  # noqa: ANN001
        steps = x / unit
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return steps.round_().clamp_(low, high).mul_(unit)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None


def quantize_through(x: Tensor, unit: Tensor, low: int, high: int) -> Tensor:
    """The multiple of ``unit`` nearest to x [..., c] that is within low..high units.

    The gradient is the clip's: 1 within, 0 beyond.
    """
    return _Quantize.apply(x, unit, low, high)


class _BoundedSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, epsilon: float, least: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(x)
        ctx.bound = math.sqrt(least + epsilon**2)
        return x.clamp(min=ctx.bound).square() - epsilon**2

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (x,) = ctx.saved_tensors
        passes = (x >= ctx.bound) | (grad < 0)
        return grad * 2 * x.clamp(min=ctx.bound) * passes, None, None


def bounded_square(x: Tensor, epsilon: float, least: float) -> Tensor:
    """``max(x, sqrt(least + epsilon^2))^2 - epsilon^2``; Ballé 2018, and 2019, Eq. 8.

    At least ``least``; the gradient still passes where it would move x up.
    """
    return _BoundedSquare.apply(x, epsilon, least)


class _DivideRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, m: Tensor, n: Tensor) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(m, n)
        divisor = n.double()
        # With n / 2 itself: the same for integers m, and the nearest for others, too.
        return torch.floor((m.double() + divisor / 2) / divisor).float()

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN001
        (grad,) = grad_outputs
        m, n = ctx.saved_tensors
        share = grad.to(m.dtype) / n
        if not ctx.needs_input_grad[1]:
            return share, None
        return share, -(share * m / n).sum_to_size(n.shape).to(n.dtype)


def divide_round(m: Tensor, n: Tensor) -> Tensor:
    """floor((m + n // 2) / n), exactly; Ballé 2019, Eq. 4. Gradients are the division's.

    Args:
        m: integers below 2^31 in magnitude [..., c].
        n: integers from 1 on [c].

    Returns:
        float32 integers [..., c].
    """
    return _DivideRound.apply(m, n)


class _Saturate(torch.autograd.Function):
    """Clip, whose gradient passes inside, and outside where it leads back."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(x)
        ctx.limits = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (x,) = ctx.saved_tensors
        low, high = ctx.limits
        dead = ((x < low) & (grad > 0)) | ((x > high) & (grad < 0))
        return grad.masked_fill(dead, 0), None, None


def saturate(x: Tensor, low: float, high: float) -> Tensor:
    """clip(x, low, high); units beyond the range still learn their way back."""
    return _Saturate.apply(x, low, high)


class _QReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v: Tensor, bits: int, beta: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(v)
        ctx.bits, ctx.beta = bits, beta
        return v.clamp(0, 2**bits - 1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (v,) = ctx.saved_tensors
        beta = ctx.beta
        if math.isinf(beta):
            return grad * ((v >= 0) & (v <= 2**ctx.bits - 1)), None, None
        alpha = math.gamma(1 / beta) / beta
        z = (2 * v / (2**ctx.bits - 1) - 1).abs()
        return grad * torch.exp(-((alpha * z) ** beta)), None, None


def qrelu(v: Tensor, bits: int = 8, beta: float = 4.0) -> Tensor:
    """g_QReLU(v) = max(min(v, 2**L - 1), 0), with the gradient of Ballé 2019, Eq. 11.

    ``exp(-alpha^beta |2 v / (2^L - 1) - 1|^beta)``, ``alpha = Gamma(1 / beta) / beta``: a
    generalized Gaussian, which tends to the clip's box as beta grows; with infinity it is the box.

    Args:
        v: integers.
        bits: L, 1..16.
        beta: > 0; 4 in the paper.
    """
    return _QReLU.apply(v, bits, beta)


class _QTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v: Tensor, high: int, width: float) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(v)
        ctx.high, ctx.width = high, width
        return torch.round(high * torch.tanh(v.double() / width)).to(v.dtype)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        (grad,) = grad_outputs
        (v,) = ctx.saved_tensors
        t = torch.tanh(v / ctx.width)
        return grad * (ctx.high / ctx.width) * (1 - t * t), None, None


def qtanh(v: Tensor, bits: int = 4, width: float = 15.0) -> Tensor:
    """g_Qtanh(v) = Q((2**(L-1) - 1) tanh(v / width)), gradient of the scaled tanh; §2 and fig. 2.

    Args:
        v: integers.
        bits: L; 4 in the paper, so the range is -7..7.
        width: 15 in the paper.
    """
    return _QTanh.apply(v, 2 ** (bits - 1) - 1, width)


def qtanh_table(bits: int = 4, width: float = 15.0) -> tuple[Tensor, int]:
    """The table of `qtanh` (int16) and the v of its first entry; constant beyond its ends."""
    high = 2 ** (bits - 1) - 1
    # The last entry is the first v that reaches the top value.
    end = math.ceil(width * math.atanh((high - 0.5) / high)) + 1
    v = torch.arange(-end, end + 1)
    return qtanh(v.double(), bits, width).to(torch.int16), -end
