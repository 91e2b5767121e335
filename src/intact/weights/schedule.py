"""A soft-to-hard training inside somebody else's loop: what each step and each epoch needs.

`SoftToHard` is for hand-written loops; `intact.weights.callbacks` has it for Lightning and for
Hugging Face's `Trainer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from intact.errors import ArgumentError, quoted
from intact.quantize.checks import check_kind, from_zero, plain, whole as integer
from intact.weights.quantized import QuantizedWeights


class Epoch(NamedTuple):
    """What is logged at the end of an epoch.

    Attributes:
        steps: done so far.
        sigma: of the first group.
        bits: hard entropy in bits per symbol, over all groups.
        hard: what ``evaluate`` says with hard weights; None without it.
        soft: with soft ones; after the switch the same as ``hard``.
    """

    steps: int
    sigma: float
    bits: float
    hard: float | None
    soft: float | None


class SoftToHard:
    """Rate gradient, annealing, the switch, and a log, around the steps of an optimizer.

        plan = SoftToHard([quantize_weights(model)], beta=3.5, switch=3000)
        for step, batch in enumerate(batches):
            loss(model, batch).backward()
            plan.before_step(optimizer)
            optimizer.step()
            plan.after_step(optimizer)
            optimizer.zero_grad()
        plan.epoch(lambda: accuracy(model))

    The rate's gradient comes from a pass of its own, so that scaled, clipped or accumulated
    losses do not change what ``beta`` means.

    Args:
        weights: all groups; they may share one annealing.
        beta: of bits per symbol, constant: a controller winds up (`search_beta`). From 0.
        switch: steps after which weights are hard; None never switches.
        factor: of the learning rates after the switch; §5 has a tenth.

    Raises:
        ArgumentError: an argument is out of its range.
    """

    def __init__(
        self,
        weights: Sequence[QuantizedWeights],
        beta: float,
        *,
        switch: int | None = None,
        factor: float = 0.1,
    ) -> None:
        if not isinstance(weights, Sequence):
            raise ArgumentError(f"weights is {quoted(weights)}; legal is a list of groups")
        if not weights:
            raise ArgumentError("no weights are given: quantize_weights(model) makes them")
        for group in weights:
            check_kind(group, QuantizedWeights, "one of weights", "what quantize_weights() gives")
        beta, factor = from_zero(beta, "beta"), from_zero(factor, "factor")
        if switch is not None:
            integer(switch, "switch")
        self.weights, self.beta, self.switch, self.factor = list(weights), beta, switch, factor
        self.epochs: list[Epoch] = []
        self._rates: list[float] | None = None

    @property
    def steps(self) -> int:
        """Done so far: the annealing counts them, so they are in the network's state."""
        return int(self.weights[0].quantizer.annealing.steps)

    @property
    def hard(self) -> bool:
        """Whether the switch is behind us."""
        return bool(self.weights[0].frozen)

    def before_step(self, optimizer: torch.optim.Optimizer | None = None) -> float:
        """Add the rate's gradient to those of the loss; after the switch lower learning rates.

        Returns:
            The rate term, beta times bits per symbol; 0 after the switch.
        """
        if self.hard:
            if optimizer is not None:
                self._rates = [group["lr"] for group in optimizer.param_groups]
                for group in optimizer.param_groups:
                    group["lr"] = group["lr"] * self.factor
            return 0.0
        total = 0.0
        sizes = [len(whole.symbols) for whole in self.weights]
        for whole, size in zip(self.weights, sizes, strict=True):
            whole.forget()  # the graph of the loss is used up
            with torch.enable_grad():
                term = self.beta * size / sum(sizes) * whole.rate()
            if term.requires_grad:
                term.backward()
            whole.forget()
            total += float(term.detach())
        return total

    def after_step(self, optimizer: torch.optim.Optimizer | None = None) -> bool:
        """Anneal, and switch when it is time; learning rates are again as a scheduler left them.

        Returns:
            Whether this was the step of the switch.
        """
        if self._rates is not None and optimizer is not None:
            for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate
            self._rates = None
        seen = set()
        for whole in self.weights:
            annealing = whole.quantizer.annealing
            if id(annealing) not in seen:
                seen.add(id(annealing))
                annealing.step()
        if self.switch is None or self.hard or self.steps < self.switch:
            return False
        for whole in self.weights:
            whole.harden()
        return True

    def epoch(self, evaluate: Callable[[], float] | None = None) -> Epoch:
        """Log entropy and, with ``evaluate``, hard and soft accuracy.

        Args:
            evaluate: a figure of the network in evaluation, which it puts it into; called twice.
                What of the network is not quantized stays there: ``model.train()`` is for the
                caller.
        """
        bits = sum(w.hard_entropy() * len(w.symbols) for w in self.weights)
        bits /= sum(len(w.symbols) for w in self.weights)
        hard = soft = None
        if evaluate is not None:
            modes = [whole.training for whole in self.weights]
            hard = soft = plain(evaluate(), "what evaluate() gives")
            if not self.hard:
                soft = plain(self._soft(evaluate), "what evaluate() gives")
            for whole, mode in zip(self.weights, modes, strict=True):
                whole.train(mode)
        sigma = float(self.weights[0].quantizer.sigma)
        self.epochs.append(Epoch(self.steps, sigma, bits, hard, soft))
        return self.epochs[-1]

    def _soft(self, evaluate: Callable[[], float]) -> float:
        from contextlib import ExitStack

        with ExitStack() as stack:
            for whole in self.weights:
                stack.enter_context(whole.soft_evaluation())
            return evaluate()
