"""Settings of the vector codec: `intact.train.codecs.vector` trains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from intact.bottleneck.vector import MAX_CENTERS
from intact.errors import ArgumentError
from intact.quantize import Stage
from intact.train.codecs.vector_graphs import PATCH, Decision, Form, VectorTransform

FORWARDS = {
    "soft": Stage.SOFT,
    "hard": Stage.HARD,
    "hard, soft gradient": Stage.HARD_SOFT_GRADIENT,
    "hard, identity gradient": Stage.HARD_IDENTITY_GRADIENT,
}
"""What the second stage's forward pass reads: §4 has soft values, the others are controls."""
STARTS = ("energy", "k-means", "grid")


@dataclass(frozen=True)
class VectorCodebook:
    """The centers.

    Attributes:
        size: L; of the decision "largest" it is ``transform.logits``.
        values: numbers of a point: 4 for patches of 2x2, 2 for rows of 2, 1 for scalars.
        shared: one codebook for all channels, as in the paper, or one for each.
        fit_batches: of crops, whose features the centers are first fitted to.
        fit_steps: of that fit.
        window: counted batches in the moving histogram; the paper's 5,000 images are 334 of 15.
        every: a batch of so many is counted.
        start: the first centers: "energy" (§3.2), "k-means", a control, or "grid": scalars in a
            row that stand still, which is rounding.
        spacing: of the grid, in standard deviations of the features.
    """

    size: int = 1000
    values: int = 4
    shared: bool = True
    fit_batches: int = 8
    fit_steps: int = 1000
    window: int = 334
    every: int = 10
    start: str = "energy"
    spacing: float = 0.5


@dataclass(frozen=True)
class VectorRate:
    """The objective, divided by beta: error + beta * bits per pixel + l2 * |W|^2.

    Attributes:
        stage: 1 or 2.
        unfreeze: steps within which the first stage lets the channels in; 0 lets all in at once.
        beta: of bits per pixel; the error is the mean of squares of values in 0..1.
        entropy: whether the second stage has the rate term.
        form: of the rate: the soft entropy "q,p" (eq. 8) or "p,q", or "density": bits of z + u
            under a scale mixture for each channel (Theis et al. 2017), a control.
        l2: of the networks' weights.
        forward: of the second stage, a key of `FORWARDS`.
    """

    stage: int = 1
    unfreeze: int = 0
    beta: float = 3e-4
    entropy: bool = True
    form: str = "q,p"
    l2: float = 0.0
    forward: str = "soft"


@dataclass(frozen=True)
class VectorAnnealing:
    """How sigma grows in the second stage.

    Attributes:
        method: "gap" (§4), "exponential", or "fixed".
        gain: K_G of the gap, in units of sigma_0 per squared error of values in 0..1.
        halving: T of the gap, in steps.
        factor: of the exponential.
        every: hard error and sigma are computed at every such step; T, K_G and the factor are those
            of steps all the same.
        sigma: sigma_0; 0 takes the one that the centers were fitted with (for logits 1).
    """

    method: str = "gap"
    gain: float = 100.0
    halving: float = 50000.0
    factor: float = 1.001
    every: int = 1
    sigma: float = 0.0


@dataclass(frozen=True)
class VectorConfig:
    """The sections of the configuration that are this kind's own."""

    transform: VectorTransform = field(default_factory=VectorTransform)
    codebook: VectorCodebook = field(default_factory=VectorCodebook)
    rate: VectorRate = field(default_factory=VectorRate)
    annealing: VectorAnnealing = field(default_factory=VectorAnnealing)


POSITIVE = (
    "codebook.fit_batches", "codebook.fit_steps", "codebook.window", "codebook.every",
    "codebook.spacing", "rate.beta",
    "annealing.gain", "annealing.halving", "annealing.factor", "annealing.every",
)  # fmt: skip
SHAPES = (
    "codebook.size", "codebook.values", "codebook.shared", "codebook.window", "codebook.start",
    "rate.stage", "annealing.method",
)  # fmt: skip
NOT_NEGATIVE = ("rate.unfreeze", "rate.l2", "annealing.sigma")


def check(own: VectorConfig) -> None:
    """Refuse what makes no codec.

    Raises:
        ArgumentError: names the setting and what is legal.
    """
    sizes, book, rate = own.transform, own.codebook, own.rate
    gumbel = sizes.decision == "largest"
    legal: dict[tuple[str, object], tuple[object, ...]] = {
        ("transform.decision", sizes.decision): get_args(Decision),
        ("transform.form", sizes.form): get_args(Form),
        ("codebook.values", book.values): (
            (PATCH,) if gumbel else (1,) if book.start == "grid" else (1, 2, PATCH)
        ),
        ("rate.stage", rate.stage): (2,) if gumbel else (1, 2),
        ("rate.form", rate.form): ("density",) if book.start == "grid" else ("q,p", "p,q"),
        ("codebook.start", book.start): ("energy",) if gumbel else STARTS,
        ("rate.forward", rate.forward): (
            ("soft", "hard, soft gradient") if gumbel else tuple(FORWARDS)
        ),
        ("annealing.method", own.annealing.method): ("gap", "exponential", "fixed"),
    }
    for (place, value), values in legal.items():
        if value not in values:
            raise ArgumentError(f"{place} = {value!r}; legal: {', '.join(map(str, values))}")
    for place, value, low, high in (
        ("codebook.size", book.size, 2, MAX_CENTERS),
        ("transform.logits", sizes.logits, 2, MAX_CENTERS),
        ("transform.channels", sizes.channels, 1, 1024),
        ("transform.filters", sizes.filters, 1, 1024),
        ("transform.blocks", sizes.blocks, 0, 30),
    ):
        if not low <= value <= high:
            raise ArgumentError(f"{place} = {value}, must be in {low}..{high}")
