"""`Quantizer`: the module that a network calls; soft while training, hard in evaluation."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from intact.errors import ArgumentError, quoted
from intact.quantize.anneal import Fixed
from intact.quantize.checks import (
    check_codebook,
    check_finite,
    check_floats,
    check_kind,
    positive,
)
from intact.quantize.entropy import entropy_of_q_by_p, hard_histogram
from intact.quantize.hard import hard_assign, look_up
from intact.quantize.layout import Blocks, Layout, to_map, to_points
from intact.quantize.soft import Method, check_method, soft_quantize


class Stage(enum.IntEnum):
    """What the training forward of a `Quantizer` does. Evaluation is always hard."""

    OFF = 0
    """z as it is: the first stage of §4."""
    SOFT = 1
    """Q~(z): the paper's."""
    HARD = 2
    """Q^(z), whose gradient reaches the centers alone: after the switch of §5."""
    HARD_SOFT_GRADIENT = 3
    """Q^(z) with the gradient of Q~(z)."""
    HARD_IDENTITY_GRADIENT = 4
    """Q^(z) with the identity as gradient for z, and that of the look-up for the centers."""


class Quantized(NamedTuple):
    """What a quantizer returns.

    Attributes:
        values: the quantized z, of its shape and type.
        symbols: int64 [b, g, *map], 0..L-1: always hard ones.
        q: soft histogram [g, L], differentiable; where nothing soft is computed (evaluation,
            `Stage.OFF`, `Stage.HARD`) the hard one.
        m: symbols of an item and group: the m of eq. 6.
    """

    values: Tensor
    symbols: Tensor
    q: Tensor
    m: int

    @property
    def p(self) -> Tensor:
        """The hard histogram [g, L] of these symbols: eq. 4."""
        return hard_histogram(self.rows, self.q.shape[1])

    @property
    def rows(self) -> Tensor:
        """The symbols of all items by groups, [g, b m]: what histograms are counted from."""
        return self.symbols.transpose(0, 1).flatten(1)

    def bits(self, p: Tensor) -> Tensor:
        """Bits per item, m H(q, p) summed over groups: eq. 8's rate, to be multiplied by beta.

        Args:
            p: [g, L], all above 0; `MovingHistogram.p` is.

        Raises:
            ArgumentError: the shape differs, or p has a 0.
        """
        return self.m * entropy_of_q_by_p(self.q, p).sum()


class Quantizer(nn.Module):
    """z -> soft or hard values, symbols and histogram; Agustsson 2017, §3.2.

    Centers are a parameter; sigma, the stage and what annealing remembers are buffers.

    Args:
        centers: [1, L, k], one codebook for all groups, or [g, L, k]; see
            `intact.quantize.fit_centers`.
        layout: which numbers are a point, and what is a group: `Patches`, `Positions`, `Blocks`.
        annealing: what sigma does; see `intact.quantize.anneal`. `quantizer.annealing.step()`
            after each step of the optimizer.
        stage: of the training forward; to be changed by `enter`.
        method: of `soft_quantize`.
        clip: footnote 2's clipping, in place of the switch to hard assignments: the gradient of a
            point is at most so many times the mean over all points; None does not clip.

    Raises:
        ArgumentError: an argument is out of its range, or two centers are equal.
    """

    def __init__(
        self,
        centers: Tensor,
        layout: Layout | None = None,
        annealing: Fixed | None = None,
        *,
        stage: Stage = Stage.SOFT,
        method: Method = "auto",
        clip: float | None = None,
    ) -> None:
        super().__init__()
        check_codebook(centers, "centers")
        for i, book in enumerate(centers.detach()):
            if len(different := book.unique(dim=0)) < len(book):
                raise ArgumentError(
                    f"codebook {i} has {len(book)} centers, of which {len(different)} differ: the "
                    "others would never be used"
                )
        self.centers = nn.Parameter(centers.detach().clone())
        check_method(method, centers.shape[2])
        self.layout: Layout = layout_of(layout, Blocks(centers.shape[2]))
        self.annealing = annealing_of(annealing)
        self.method: Method = method
        self.clip = None if clip is None else positive(clip, "clip")
        self._stage: Tensor
        self.register_buffer("_stage", torch.tensor(stage_of(stage), dtype=torch.uint8))

    @property
    def stage(self) -> Stage:
        """Of the training forward."""
        return Stage(int(self._stage))

    def enter(self, stage: Stage) -> None:
        """Go on in another stage; the switch to hard assignments is ``enter(Stage.HARD)``.

        Raises:
            ArgumentError: it is no `Stage`.
        """
        self._stage.fill_(stage_of(stage))

    @property
    def sigma(self) -> Tensor:
        """The hardness, float64 []."""
        return self.annealing.sigma

    def forward(self, z: Tensor) -> Quantized:
        """Quantize; soft or hard as the stage says while training, hard in evaluation.

        Args:
            z: as the layout wants it, any floating type.

        Raises:
            ArgumentError: z is empty, no floating point, or of a shape that does not fit.
            DivergedError: z or a center is not finite.
        """
        parts = split_of(z, self.layout, "features")
        points = to_points(parts)
        m = parts[0, 0].numel() // parts.shape[-1]
        stage = self.stage if self.training else Stage.HARD
        if self.clip is not None and stage is not Stage.HARD:
            points = clip_gradient(points, self.clip)
        if stage in (Stage.OFF, Stage.HARD):
            symbols = hard_assign(points, self.centers)
            values = points if stage is Stage.OFF else look_up(symbols, self.centers)
            q = hard_histogram(symbols, self.centers.shape[1])
        else:
            values, q, symbols = soft_quantize(points, self.centers, self.sigma, method=self.method)
            if stage is not Stage.SOFT:
                hard = look_up(symbols, self.centers).to(values.dtype)
                if stage is Stage.HARD_SOFT_GRADIENT:
                    values = values + (hard - values).detach()
                else:
                    values = hard + (points - points.detach())
        joined = self.layout.join(to_map(values.to(z.dtype), parts)).reshape(z.shape)
        return Quantized(joined, to_map(symbols, parts), q, m)

    def encode(self, z: Tensor) -> Tensor:
        """E(z): the symbols [b, g, *map]; errors are those of `forward`."""
        parts = split_of(z, self.layout, "features")
        return to_map(hard_assign(to_points(parts), self.centers), parts)

    def decode(self, symbols: Tensor) -> Tensor:
        """D(e): features from symbols [b, g, *map], shaped as the layout joins them.

        Raises:
            ArgumentError: symbols are out of range, of a shape that does not fit, or have a number
                of groups that has no codebook.
        """
        return decoded(symbols, self.centers, self.layout)


def decoded(symbols: Tensor, centers: Tensor, layout: Layout) -> Tensor:
    """Features from symbols [b, g, *map]; see `Quantizer.decode`."""
    if isinstance(symbols, Tensor) and symbols.dim() < 2:
        raise ArgumentError(f"symbols have shape {list(symbols.shape)}; legal is [b, g, *map]")
    rows = symbols.transpose(0, 1).flatten(1) if isinstance(symbols, Tensor) else symbols
    values = look_up(rows, centers)
    return layout.join(to_map(values, symbols[..., None]))


def split_of(z: Tensor, layout: Layout, name: str) -> Tensor:
    """Features as a layout splits them, finite ones; errors are those of `Quantizer.forward`."""
    check_floats(z, name)
    check_finite(z, name)
    return layout.split(z)


def layout_of(layout: Layout | None, default: Layout) -> Layout:
    """A layout, or the default."""
    if layout is None:
        return default
    there = None if isinstance(layout, str) else layout  # a str has a split and a join, too
    if not isinstance(there, Layout):
        raise ArgumentError(
            f"layout is {quoted(layout)}; legal is an object with split and join, as Patches(2, 2)"
        )
    return layout


def annealing_of(annealing: Fixed | None) -> Fixed:
    """An annealing, or a sigma that stays 1."""
    if annealing is None:
        return Fixed()
    check_kind(annealing, Fixed, "annealing", "an object, as Fixed(1.0)")
    return annealing


def stage_of(stage: int) -> Stage:
    """A stage of a `Quantizer`."""
    try:
        return Stage(stage)
    except ValueError:
        legal = ", ".join(f"Stage.{s.name}" for s in Stage)
        raise ArgumentError(f"stage is {quoted(stage)}; legal are {legal}") from None


def clip_gradient(points: Tensor, limit: float) -> Tensor:
    """The points; in the backward pass none has a gradient longer than ``limit`` times the mean.

    Footnote 2: as sigma grows, points between two centers get large gradients. Relative to the
    mean, so that the limit needs no knowledge of the loss.

    Args:
        points: [..., k]; the mean is over all of them.
        limit: above 0.

    Raises:
        ArgumentError: limit is not above 0.
    """
    return _Clip.apply(points, positive(limit, "limit"))


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return points.view_as(points)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - of the decorator
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, None]:
        (grad,) = grads
        length = torch.linalg.vector_norm(grad, dim=-1, keepdim=True)
        most = ctx.limit * length.mean()
        return grad * torch.where(length > most, most / length, torch.ones_like(length)), None
