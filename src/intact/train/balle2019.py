"""Integer layers as Ballé 2019 trains them, each equation by its number.

Rounding is carried out in the forward pass of float training and replaced by the identity in the
backward pass (§3). A parametrization of an integer network (`intact.train.integer`):

    H = Q(h' / s(h')),   b = Q(2^K b'),   c = Q(2^K r(c'))

Nobody gives the units of its values: what a step stands for is learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from intact.train.entropy import FactorizedPrior
from intact.train.gradients import bounded_square, round_through, saturate
from intact.train.graph import Conv
from intact.train.integer import MAX_DIVISOR, IntegerNetwork, Parameters
from intact.train.reparametrize import Chain, Reparametrization


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


EPSILON = 2.0**-18


def divisor_map(c: Tensor, epsilon: float = EPSILON) -> Tensor:
    """r(c') = max(c', sqrt(1 + epsilon^2))^2 - epsilon^2; Ballé 2019, Eq. 8."""
    return bounded_square(c, epsilon, 1.0)


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
    x = saturate(2**bits * divisor_map(c), 1, MAX_DIVISOR)
    odd = 2 * torch.floor(x / 2) + 1
    return x + (odd - x).detach()


@dataclass(frozen=True)
class Balle2019:
    """The paper's parametrization of a convolution; `intact.train.integer.Parametrization`.

    A coded layer has an ``offset`` [o] in a buffer, o of Eq. 19: see `center`.

    Attributes:
        bits: K, of the kernels; 8 and 4 in the paper.
        kernel: what is trained in the place of h'; several can be chained.
    """

    bits: int = 8
    kernel: Reparametrization = field(default_factory=Chain)

    def register(
        self, network: IntegerNetwork, node: Conv, generator: torch.Generator | None
    ) -> None:
        """h', b' and c', so that outputs begin with a size that suits them (`_wanted`)."""
        i = 1 if node.depthwise else node.c_in
        fan_in = i * node.kernel**2 / (4 if node.transposed else 1)
        h = torch.randn((node.c_out, i, node.kernel, node.kernel), generator=generator)
        h = h / math.sqrt(fan_in)
        # After Eq. 5 filters have a known size.
        norm = integer_kernel(h, self.bits).square().sum((1, 2, 3)).sqrt()
        norm = norm / 2 if node.transposed else norm
        size = network.typical[node.source]
        wanted = _wanted(node, network, size)
        divisor = (norm * (size / wanted) / 2**self.bits).clamp(min=1.01)
        gain = float((norm / divisor).mean()) / 2**self.bits
        network.typical[node.target] = size * gain
        start = {
            "kernel": self.kernel.start(h),
            "bias": torch.zeros(node.c_out),
            "divisor": divisor.sqrt(),
        }
        for name, value in start.items():
            network.register_parameter(network.key(node.target, name), nn.Parameter(value))
        if node.coded:
            zeros = torch.zeros(node.c_out)
            network.register_buffer(network.key(node.target, "offset"), zeros)

    def integers(self, network: IntegerNetwork, node: Conv) -> Parameters:
        """H, b and c of Eq. 5 to 7, and what Eq. 20 takes off b."""
        h = self.kernel.value(network.get(node.target, "kernel"))
        weight = integer_kernel(h, self.bits)
        bias = integer_bias(network.get(node.target, "bias"), self.bits)
        divisor = integer_divisor(network.get(node.target, "divisor"), self.bits)
        center = None
        if node.coded:
            center = torch.round(network.get(node.target, "offset") * divisor.detach())
        return Parameters(weight, bias, None, divisor, center)


CODED_SIZE = 4.0
"""Of representations that nobody has trained yet."""


def _wanted(node: Conv, network: IntegerNetwork, size: float) -> float:
    """The size that a layer's v shall begin with, where that of its inputs is ``size``.

    Too small, and all of a layer's outputs are 0, from which nothing behind it learns; too large,
    and they are saturated.
    """
    if node.activation == "tanh":
        return size  # its domain suits its range: two or three v to a w
    return CODED_SIZE if node.coded else network.graph.largest(node.target) / 4


@torch.no_grad()
def center(network: IntegerNetwork, target: str, prior: FactorizedPrior) -> None:
    """Take o of Eq. 19 for a coded layer from the density its outputs were trained with."""
    network.get(target, "offset").copy_(prior.offsets())
