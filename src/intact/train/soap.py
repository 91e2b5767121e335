"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner. Vyas et al. 2024, arXiv:2409.11321v2.

A filter bank [o, i, k, k] is a matrix, with the gradient G [o, i k k]. Running averages of
``G G^T`` and ``G^T G`` have the eigenvectors Q_L, Q_R; Adam runs on ``Q_L^T G Q_R``, and its step
is rotated back. The bases follow their averages by one step of power iteration and a QR
decomposition every few steps (Algorithm 3). A change of bases could make a step of any length: it
is held to what Adam's can be. Vectors, depthwise filters and small matrices get plain
Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

SIDES = ("left", "right")


class Soap(torch.optim.Optimizer):
    """The optimizer.

    Args:
        groups: parameters, or groups of them.
        lr: learning rate, as Adam's.
        betas: decay of the first and second moments.
        decay: of the averages whose eigenvectors are the bases, per step.
        observe: steps between observations for these averages: they need no more to follow, and a
            product of a gradient with itself costs as much as its rotation.
        epsilon: added to the root of the second moment.
        refresh: steps between updates of the bases.
        max_side: sides longer than this are not rotated: their basis would cost more than the rest.
        min_side: matrices with a side up to this get plain Adam.
        precision: of the rotations of a step; bfloat16 where that is faster. Averages and bases are
            float32 all the same.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        groups: Iterable[Any],
        lr: float,
        *,
        betas: tuple[float, float] = (0.95, 0.95),
        decay: float = 0.95,
        observe: int = 4,
        epsilon: float = 1e-8,
        refresh: int = 20,
        max_side: int = 1024,
        min_side: int = 16,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(groups, {"lr": lr})
        self.betas, self.decay, self.epsilon = betas, decay, epsilon
        self.observe = observe
        self.refresh, self.max_side, self.min_side = refresh, max_side, min_side
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have gradients."""
        if closure is not None:
            raise ValueError("a closure is not supported")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"])

    def _update(self, parameter: nn.Parameter, rate: float) -> None:
        gradient = cast(Tensor, parameter.grad).float()
        gradient = gradient.reshape(len(gradient), -1) if gradient.dim() == 4 else gradient
        state = self.state[parameter]
        if not state:
            self._start(state, gradient, is_matrix=parameter.dim() == 4)
            if "left" in state or "right" in state:
                return  # the first gradient makes the bases only, as in the authors' code
        state["step"] += 1
        number = int(state["step"])
        rotated = _rotate(gradient, state, self.precision)
        first, second = self.betas
        state["moment"].lerp_(rotated, 1 - first)
        state["square"].mul_(second).addcmul_(rotated, rotated, value=1 - second)
        correction = (1 - second**number) ** 0.5 / (1 - first**number)
        step = correction * state["moment"] / (state["square"].sqrt() + self.epsilon)
        if first == second:
            step.clamp_(-1, 1)  # as it is by itself until the bases change; see `_follow`
        step = _rotate(step, state, self.precision, back=True)
        parameter.add_(step.reshape(parameter.shape), alpha=-rate)
        for side in SIDES:
            if side in state and number % self.observe == 0:
                # In float32: small eigenvalues drown in the rounding of large ones otherwise.
                state[side].lerp_(_gram(gradient, side), 1 - self.decay**self.observe)
        if number % self.refresh == 0:
            _follow(state)

    def _start(self, state: dict[str, Tensor], gradient: Tensor, *, is_matrix: bool) -> None:
        state["step"] = torch.zeros(())
        state["moment"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        if not is_matrix or min(gradient.shape) <= self.min_side:
            return
        for side, length in zip(SIDES, gradient.shape, strict=True):
            if length <= self.max_side:
                state[side] = _gram(gradient, side)
                state[f"{side}_basis"] = _eigenvectors(state[side]).to(gradient.dtype)


def _eigenvectors(average: Tensor) -> Tensor:
    """[n, n] float64: of the largest eigenvalue first.

    LAPACK gives up on some matrices of low rank, as the gradients of few plain crops give them
    (seen in a rehearsal of docs/training/on_gpu.py). A little of the identity helps it; the bases
    follow their averages from then on, wherever they begin.
    """
    matrix = average.double()
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for damping in (0.0, 1e-9, 1e-6):
        try:
            damped = matrix + damping * matrix.diagonal().mean() * identity
            return torch.linalg.eigh(damped)[1].flip(1).contiguous()
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
            continue
    return identity


def _gram(gradient: Tensor, side: str) -> Tensor:
    return gradient @ gradient.t() if side == "left" else gradient.t() @ gradient


def _rotate(
    x: Tensor, state: dict[str, Tensor], precision: torch.dtype, *, back: bool = False
) -> Tensor:
    """Into the eigenbases, or back; float32 in and out."""
    if "left" in state:
        basis = state["left_basis"].to(precision)
        x = (basis if back else basis.t()) @ x.to(precision)
    if "right" in state:
        basis = state["right_basis"].to(precision)
        x = x.to(precision) @ (basis.t() if back else basis)
    return x.float()


def _follow(state: dict[str, Tensor]) -> None:
    """Let the bases follow their averages, and the moments the bases.

    Second moments are those of the old bases' directions. Where a direction had next to none, of
    channels that hardly matter, say, and a new one has some, a step would be thousands of times
    what Adam's can be: at most 1 where both decays are equal, by the inequality of Cauchy and
    Schwarz. `Soap` holds steps to that; without, trainings of image codec 2 were thrown far off at
    their first change of bases (docs/decisions/0026).
    """
    moment = _rotate(state["moment"], state, torch.float32, back=True)
    for axis, side in enumerate(SIDES):
        if side not in state:
            continue
        average, basis = state[side], state[f"{side}_basis"]
        product = average @ basis
        order = (basis * product).sum(0).argsort(descending=True)
        state[f"{side}_basis"] = torch.linalg.qr(product[:, order])[0].contiguous()
        state["square"] = state["square"].index_select(axis, order)
    state["moment"] = _rotate(moment, state, torch.float32)
