"""`QuantizedWeights`: all chosen parameters of a network as one vector W, quantized at once.

The parameters that the optimizer moves stay where they are (`torch.nn.utils.parametrize` calls
them originals). In a forward pass they are divided by their scales, put in a row, quantized, and
given back in pieces: one pass of the quantizer a step, whatever the number of tensors, and all
symbols at hand for H(p, q), which is no mean over parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from intact.errors import ArgumentError, DivergedError
from intact.quantize import (
    Quantized,
    Quantizer,
    Stage,
    entropy,
    entropy_of_p_by_q,
    entropy_of_q_by_p,
    look_up,
)
from intact.quantize.checks import positive
from intact.weights.coded import Coded
from intact.weights.pieces import Piece, Scale, root_mean_square

_PRIOR = 0.01
"""Of a symbol, for each center: -log p is finite."""


class _Step(NamedTuple):
    key: tuple[object, ...]
    content: list[int]
    tensors: list[Tensor]
    found: Quantized


class QuantizedWeights(nn.Module):
    """The quantized parameters of a network; made by `quantize_weights`.

    Its centers are parameters of the network; sigma, the stage, frozen symbols and scales are
    buffers, so that the network's ``state_dict`` resumes a training bit for bit.

    Attributes:
        quantizer: with the centers and the annealing.
        pieces: the tensors, in their order in W.
    """

    def __init__(self, pieces: Sequence[Piece], quantizer: Quantizer, scale: Scale) -> None:
        super().__init__()
        self.pieces, self.scale, self.quantizer = tuple(pieces), scale, quantizer
        self._step: _Step | None = None
        self._asked: set[int] = set()
        self._soft_evaluation = False
        self.scales: Tensor
        self.frozen: Tensor
        self.symbols: Tensor
        size, k = self.size, quantizer.centers.shape[2]
        device = quantizer.centers.device
        self.register_buffer("scales", torch.ones(len(pieces), device=device))
        self.register_buffer("frozen", torch.zeros((), dtype=torch.bool, device=device))
        symbols = torch.zeros(math.ceil(size / k), dtype=torch.int32, device=device)
        self.register_buffer("symbols", symbols)

    def __getstate__(self) -> dict[str, Any]:
        # Tensors inside a graph cannot be copied, and a copy makes its own.
        return {**self.__dict__, "_step": None}

    @property
    def size(self) -> int:
        """Numbers in W."""
        return sum(piece.shape.numel() for piece in self.pieces)

    def tensor(self, index: int) -> Tensor:
        """The quantized tensor of a piece, as the network uses it now."""
        if index in self._asked:  # another pass: what was written through `.data` has no version
            self._asked.clear()
            if self._step is not None and self._step.content != self._content():
                self.forget()
        self._asked.add(index)
        return self._now().tensors[index]

    def _content(self) -> list[int]:
        """A number for all bits of each original."""
        bits = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        flat = [piece.original.detach() for piece in self.pieces]
        return [int(t.view(bits[t.element_size()]).sum()) for t in flat]

    def forget(self) -> None:
        """Quantize again when a tensor is next asked for."""
        self._step = None

    def entropy(self) -> Tensor:
        """H(p, q), bits per symbol, of what the last forward pass used; in evaluation H(p).

        Differentiable: ``loss + beta * bits()`` is eq. 6 with m, ``loss + beta * entropy()``
        without, to the letter; see `rate`. Ask between the forward and the backward pass.
        """
        found = self._now().found
        return entropy_of_p_by_q(found.p, found.q).sum()

    def rate(self) -> Tensor:
        """H(q, p), bits per symbol: eq. 8's form, the rate term that lowers the rate.

        H(p, q) with p constant, which §3.2 has for weights, is least at q = p: once assignments are
        nearly hard it has no gradient left (a ResNet-32 went from 2.08 to 2.03 bits in 3,128 steps
        with a beta of 5). Here p is constant, too, but each weight is pulled to frequent symbols.
        Differentiable like `entropy`, and equal to it where all is hard.
        """
        found = self._now().found
        p = (found.p.double() * found.m + _PRIOR) / (found.m + _PRIOR * found.p.shape[1])
        return entropy_of_q_by_p(found.q, p.to(found.q.dtype)).sum()

    def bits(self) -> Tensor:
        """Bits of all symbols, m H(p, q)."""
        return self._now().found.m * self.entropy()

    @torch.no_grad()
    def hard_entropy(self) -> float:
        """H(p) of the hard symbols, bits per symbol: what an entropy coder gets down to."""
        found = self._now().found
        return float(entropy(found.p).sum())

    @torch.no_grad()
    def hard_symbols(self) -> Tensor:
        """The symbols that are hard now, int64 [m]: what a histogram is counted from."""
        return self._now().found.symbols.flatten()

    @torch.no_grad()
    def ratio(self) -> float:
        """32 bits for each number over 32 for each center and scale + m H(p), for W alone."""
        return 32 * self.size / (self._side_bits() + len(self.symbols) * self.hard_entropy())

    @torch.no_grad()
    def row(self) -> Tensor:
        """W [m k], divided by scales: what is quantized; zeros fill its last block.

        Raises:
            DivergedError: a weight is not finite.
        """
        return self._row()[0]

    def bits_for(self, ratio: float) -> float:
        """The hard entropy in bits per symbol at which `ratio` is the given one.

        Raises:
            ArgumentError: the ratio is not above 0, or centers and scales alone take more.
        """
        left = 32 * self.size / positive(ratio, "ratio") - self._side_bits()
        if left <= 0:
            raise ArgumentError(
                f"ratio is {ratio}; with {self._side_bits()} bits of centers and scales for "
                f"{self.size} weights, legal is less than {32 * self.size / self._side_bits():.4g}"
            )
        return left / len(self.symbols)

    def _side_bits(self) -> int:
        scales = 0 if self.scale is Scale.NONE else len(self.pieces)
        return 32 * (self.quantizer.centers.numel() + scales)

    @torch.no_grad()
    def harden(self) -> None:
        """The switch of §5: symbols and scales stay as they are; centers and all else learn on.

        Originals keep their values and get no gradient any more.

        Raises:
            DivergedError: a weight is not finite.
        """
        row, scales = self._row()
        self.scales.copy_(scales)
        self.freeze(self.quantizer.encode(row[None]).flatten())

    @torch.no_grad()
    def freeze(self, symbols: Tensor) -> None:
        """Go on with these symbols, which another method chose; as after `harden`.

        Args:
            symbols: [m], integers below the number of centers.

        Raises:
            ArgumentError: their number or their range is another.
        """
        if symbols.shape != self.symbols.shape:
            raise ArgumentError(
                f"symbols have shape {list(symbols.shape)}; legal is {list(self.symbols.shape)}"
            )
        size = self.quantizer.centers.shape[1]
        low, high = (int(x) for x in symbols.aminmax())
        if low < 0 or high >= size:
            raise ArgumentError(f"symbols reach from {low} to {high}; legal is 0..{size - 1}")
        self.symbols.copy_(symbols)
        self.frozen.fill_(1)
        self.forget()

    @torch.no_grad()
    def coded(self) -> dict[str, Coded]:
        """Symbols, centers and scales of all tensors, to be stored; for k = 1.

        Raises:
            ArgumentError: a center is a vector.
            DivergedError: a weight is not finite.
        """
        centers = self.quantizer.centers.detach()[0]
        if centers.shape[1] != 1:
            raise ArgumentError(f"centers have {centers.shape[1]} numbers; scalars can be stored")
        if bool(self.frozen):
            symbols, scales = self.symbols, self.scales
        else:
            row, scales = self._row()
            symbols = self.quantizer.encode(row[None]).flatten()
        book = centers[:, 0].float().cpu().clone()
        sizes = [piece.shape.numel() for piece in self.pieces]
        parts = symbols[: self.size].int().cpu().split(sizes)
        return {
            piece.name: Coded(part.reshape(piece.shape), centers=book, scale=float(scale))
            for piece, part, scale in zip(self.pieces, parts, scales, strict=True)
        }

    @contextmanager
    def soft_evaluation(self) -> Iterator[None]:
        """Within it evaluation is soft, too: for the soft accuracy beside the hard one."""
        self.forget()
        self._soft_evaluation = True
        try:
            yield
        finally:
            self._soft_evaluation = False
            self.forget()

    def _now(self) -> _Step:
        """This step's tensors: computed once for a set of originals, centers and settings."""
        soft = self.training or self._soft_evaluation
        watched = [piece.original for piece in self.pieces] + [self.quantizer.centers]
        state = [self.quantizer.sigma, self.scales, self.symbols, self.frozen]
        versions = tuple((id(t), t._version) for t in watched + state)
        key = (soft, self.quantizer.stage, torch.is_grad_enabled(), versions)
        if self._step is None or self._step.key != key:
            self._step = self._quantize(key, soft=soft)
        return self._step

    def _quantize(self, key: tuple[object, ...], *, soft: bool) -> _Step:
        if bool(self.frozen):
            symbols = self.symbols.long()
            row = look_up(symbols[None], self.quantizer.centers).flatten()
            found = Quantized(row, symbols[None, None], _histogram(symbols, self), len(symbols))
            scales = self.scales
        else:
            row, scales = self._row()
            found = self.quantizer.train(soft)(row[None])
            row = found.values[0]
        if row.requires_grad:
            # The graph is used up by the backward pass; gradients may be accumulated after it.
            row.register_hook(lambda _: self.forget())
        sizes = [piece.shape.numel() for piece in self.pieces]
        parts = row[: self.size].split(sizes)
        tensors = [
            (part * scale).reshape(piece.shape).to(piece.original.dtype)
            for part, scale, piece in zip(parts, scales, self.pieces, strict=True)
        ]
        return _Step(key, self._content(), tensors, found)

    def _row(self) -> tuple[Tensor, Tensor]:
        """W [m k] with zeros at its end, and the scales [pieces] that it was divided by."""
        flat = [piece.original.flatten().float() for piece in self.pieces]
        for part, piece in zip(flat, self.pieces, strict=True):
            if not bool(torch.isfinite(part.detach()).all()):
                raise DivergedError(f"the weights of {piece.name} are not all finite")
        if self.scale is Scale.FORWARD:
            scales = torch.stack([root_mean_square(part) for part in flat])
        else:
            scales = self.scales
        row = torch.cat([part / scale for part, scale in zip(flat, scales, strict=True)])
        k = self.quantizer.centers.shape[2]
        return nn.functional.pad(row, (0, -len(row) % k)), scales


def _histogram(symbols: Tensor, weights: QuantizedWeights) -> Tensor:
    counts = torch.bincount(symbols, minlength=weights.quantizer.centers.shape[1])
    return counts[None] / len(symbols)


def check_stage(quantizer: Quantizer) -> None:
    """All weights are one group with one codebook.

    Raises:
        ArgumentError: the quantizer has several codebooks.
    """
    if len(quantizer.centers) != 1:
        raise ArgumentError(
            f"the quantizer has {len(quantizer.centers)} codebooks; one set of weights takes 1"
        )
    if quantizer.stage is Stage.OFF:
        raise ArgumentError("the quantizer's stage is OFF: it would quantize nothing")
