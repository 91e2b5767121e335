"""Finding the constant beta that gives a wanted rate.

A controller that moves beta while sigma grows winds up: as long as assignments are soft the hard
entropy hardly answers, beta grows, and then all weights fall into one center. A whole (short)
training with a constant beta answers reliably; few of them are enough, since bits fall about
linearly with log beta.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from intact.errors import ArgumentError, DivergedError
from intact.quantize.checks import positive, whole


class Trial(NamedTuple):
    """A training: its beta, and the hard entropy it ended with in bits per symbol."""

    beta: float
    bits: float


def search_beta(
    train: Callable[[float], float],
    bits: float,
    *,
    start: tuple[float, float] = (1.0, 10.0),
    tolerance: float = 0.03,
    trials: int = 8,
) -> tuple[Trial, list[Trial]]:
    """The constant beta after which the hard entropy is ``bits``.

    Both ends of ``start`` are tried; an end that does not bracket the wanted rate is moved out by
    factors of 4; then the rate is interpolated over log beta within the bracket.

    Args:
        train: beta to the hard entropy in bits per symbol after a training from the same start.
        bits: wanted, above 0; `QuantizedWeights.bits_for` says which for a ratio.
        start: a lower and a higher beta.
        tolerance: relative error of the rate that ends the search.
        trials: trainings at most.

    Returns:
        The trial nearest to the wanted rate, and all in their order. It is for the caller to see
        whether it is near enough: trainings are noisy.

    Raises:
        ArgumentError: an argument is out of its range.
        DivergedError: a training ended with no finite entropy.
    """
    positive(bits, "bits")
    positive(tolerance, "tolerance")
    whole(trials, "trials", 2)
    low, high = positive(start[0], "start"), positive(start[1], "start")
    if low >= high:
        raise ArgumentError(f"start is {start}; legal is a lower beta and a higher one")
    done: list[Trial] = []

    def near(trial: Trial) -> float:
        return abs(trial.bits - bits)

    def attempt(beta: float) -> Trial:
        done.append(Trial(beta, float(train(beta))))
        if not math.isfinite(done[-1].bits):
            raise DivergedError(f"a training with beta {beta:.4g} ended at {done[-1].bits} bits")
        return done[-1]

    below, above = attempt(low), attempt(high)  # below in beta, so above in bits
    while len(done) < trials and near(min(done, key=near)) > tolerance * bits:
        if below.bits < bits:
            above, below = below, attempt(below.beta / 4)
        elif above.bits > bits:
            below, above = above, attempt(above.beta * 4)
        else:
            found = attempt(_between(below, above, bits))
            if found.bits >= bits:
                below = found
            else:
                above = found
    return min(done, key=near), done


def _between(below: Trial, above: Trial, bits: float) -> float:
    """Interpolated over log beta, a tenth of the bracket away from its ends at least."""
    fall = below.bits - above.bits
    share = (below.bits - bits) / fall if fall > 0 else 0.5
    share = min(max(share, 0.1), 0.9)
    return below.beta * (above.beta / below.beta) ** share
