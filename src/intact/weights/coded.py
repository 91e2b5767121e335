"""What a compressed network is before it is a file: symbols and what they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from intact.errors import ArgumentError


@dataclass(frozen=True)
class Coded:
    """A tensor as symbols: multiples of a step, or entries of a codebook times a scale.

    Attributes:
        symbols: int32, of the tensor's shape.
        step: of multiples; None where there are ``centers``.
        centers: float32 [L]; a symbol is an index into them.
        scale: what centers are multiplied by.
    """

    symbols: Tensor
    step: float | None = None
    centers: Tensor | None = None
    scale: float = 1.0

    @property
    def values(self) -> Tensor:
        """float32 of the tensor's shape: each product is rounded once, as the file's reader does.

        Raises:
            ArgumentError: there is neither a step nor centers.
        """
        if self.step is not None:
            return self.symbols.float() * torch.tensor(self.step, dtype=torch.float32)
        if self.centers is None:
            raise ArgumentError("a coded tensor has a step or centers; this one has neither")
        centers = self.centers.float() * torch.tensor(self.scale, dtype=torch.float32)
        return centers[self.symbols.long()]


def put(model: nn.Module, coded: dict[str, Coded]) -> None:
    """Give a network's parameters (by the names of ``state_dict``) the values of symbols."""
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in coded.items():
            state[name].copy_(tensor.values.reshape(state[name].shape))


def with_tied(model: nn.Module, coded: Mapping[str, Coded]) -> dict[str, Coded]:
    """Also under the other names of parameters that are tied: equal symbols are stored once."""
    first = first_names(model)
    of: dict[str, Coded] = {}
    for name, item in coded.items():
        of.setdefault(first.get(name, name), item)
    return {**coded, **{n: of[f] for n, f in first.items() if f in of and n not in coded}}


def first_names(model: nn.Module) -> dict[str, str]:
    """For the name of each parameter the first that it has: another one if it is tied."""
    found: dict[int, str] = {}
    every = model.named_parameters(remove_duplicate=False)
    return {name: found.setdefault(id(parameter), name) for name, parameter in every}


def counts(tensors: Iterable[Tensor]) -> np.ndarray:
    """How often each symbol occurs in all tensors, from the lowest to the highest; int64 [n]."""
    flat = np.concatenate([np.zeros(0, np.int32), *(t.numpy().reshape(-1) for t in tensors)])
    return np.bincount(flat - flat.min()) if flat.size else np.zeros(0, np.int64)


def entropy_bits(tensors: Iterable[Tensor]) -> float:
    """Bits of all symbols with one histogram: n H(p), what an i.i.d. coder gets down to."""
    found = counts(tensors)
    found = found[found > 0]
    total = int(found.sum())
    return float(-(found * np.log2(found / total)).sum()) if total else 0.0


def side_bits(coded: dict[str, Coded]) -> int:
    """32 bits for each step, each scale and, once a codebook, each center."""
    each = {id(c): c for c in coded.values()}.values()  # tied ones once
    books = {id(c.centers): len(c.centers) for c in each if c.centers is not None}
    return 32 * (len(each) + sum(books.values()))


def numbers(shape: Iterable[int]) -> int:
    """Of a tensor of that shape."""
    return math.prod(shape)
