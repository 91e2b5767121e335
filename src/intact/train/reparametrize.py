"""What is trained in the place of a kernel, where plain Adam would take steps of the wrong shape.

Reparametrizations can be chained (Ballé 2019, §3): the kernel is the first one of the value of the
second one of ... of the parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Reparametrization(Protocol):
    """A differentiable map to what is meant, that has an inverse."""

    def value(self, parameter: Tensor) -> Tensor:
        """What a parameter stands for; inverse of `start`."""
        ...

    def start(self, value: Tensor) -> Tensor:
        """The parameter that stands for a value; inverse of `value`."""
        ...


def real_dft(size: int) -> Tensor:
    """[size, size]: the real Fourier transform as an orthonormal matrix, a frequency to a row."""
    n = torch.arange(size, dtype=torch.float64)
    rows = [torch.full((size,), math.sqrt(1 / size), dtype=torch.float64)]
    for k in range(1, size // 2 + 1):
        angle = 2 * math.pi * k * n / size
        if 2 * k == size:
            rows.append(torch.cos(angle) * math.sqrt(1 / size))
        else:
            rows += [torch.cos(angle) * math.sqrt(2 / size), torch.sin(angle) * math.sqrt(2 / size)]
    return torch.stack(rows).float()


@dataclass(frozen=True)
class Spectral:
    """Kernels [o, i, k, k] by their Fourier coefficients: with Adam, Sadam (Ballé 2018)."""

    def value(self, parameter: Tensor) -> Tensor:
        """Back to positions."""
        basis = real_dft(parameter.shape[-1]).to(parameter)
        return basis.t() @ parameter @ basis

    def start(self, value: Tensor) -> Tensor:
        """To frequencies."""
        basis = real_dft(value.shape[-1]).to(value)
        return basis @ value @ basis.t()


@dataclass(frozen=True)
class Gain:
    """Times a constant: Adam's steps are then larger by it."""

    factor: float

    def value(self, parameter: Tensor) -> Tensor:
        """Times the factor."""
        return parameter * self.factor

    def start(self, value: Tensor) -> Tensor:
        """Divided by it."""
        return value / self.factor


@dataclass(frozen=True)
class Chain:
    """One after the other; the last one is nearest to the parameter."""

    links: Sequence[Reparametrization] = ()

    def value(self, parameter: Tensor) -> Tensor:
        """From the last link to the first."""
        for link in reversed(self.links):
            parameter = link.value(parameter)
        return parameter

    def start(self, value: Tensor) -> Tensor:
        """From the first link to the last."""
        for link in self.links:
            value = link.start(value)
        return value
