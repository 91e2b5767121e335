"""A trained codec of kind "vector" to a frozen model; docs/spec/vector.md.

Centers become int16 in the unit of the synthesis' input, and an encoder takes the nearest of these
rounded ones. Tables are histograms over training images (Agustsson 2017, eq. 4), one for each
channel, with a hundredth of a symbol for what was never seen. Symbols of a channel are sorted by
frequency: the last ones, of which an entry each would cost the others more slots than it saves,
travel as escapes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank
from intact.bottleneck.vector import Vector
from intact.codec.model import Model
from intact.errors import ArgumentError, DivergedError
from intact.freeze.count import count_symbols
from intact.freeze.program import to_program
from intact.freeze.tables import PRECISION
from intact.train.codecs.vector import VectorNet
from intact.train.codecs.vector_graphs import LATENT_UNIT, PATCH
from intact.train.integer import IntegerNetwork

log = logging.getLogger(__name__)

SHARES = (0.25, 0.5, 0.65, 0.8, 0.9, 1.0, 1.15, 1.3, 1.6, 2.0, 4.0)
"""Of the symbols that have a slot's probability: so many are tried to have an entry."""
PRIOR_COUNT = 0.01
"""Of each symbol before it was seen, as in `intact.quantize.MovingHistogram`."""


def freeze(
    net: VectorNet,
    name: str,
    images: list[np.ndarray],
    info: dict[str, str] | None = None,
    *,
    dead_zone: float | None = None,
    progress: Callable[[], None] | None = None,
) -> Model:
    """Freeze a codec whose networks are integer; see `intact.freeze.kinds.Freeze`.

    Raises:
        ModelError: a bound cannot be proven.
        ArgumentError: a dead zone was asked for, or the codec has no codebook yet.
        DivergedError: a center is not finite.
    """
    if dead_zone:
        raise ArgumentError(f"--dead-zone {dead_zone}: a symbol of this kind is no rounded number")
    net = net.cpu()
    if net.quantizer is None:
        raise ArgumentError("a run of rate.stage = 1 has no codebook: start one of stage 2 from it")
    rate = net.own.rate
    beta = f"beta {rate.beta:g}" if rate.entropy else "no entropy term"
    info = {**(info or {}), "rate": f"{beta}, {net.config.channels} channels"}
    programs = {}
    for role in net.networks:
        network = net.networks[role]
        assert isinstance(network, IntegerNetwork)
        programs[role] = to_program(network)
    codebook = rounded(net.quantizer.centers.detach().double().numpy())
    books, size, numbers = codebook.shape
    channels, points = net.config.channels, PATCH // numbers
    if books > 1:
        codebook = np.repeat(codebook, points, axis=0)
    slots = channels * points
    order = np.tile(np.arange(size, dtype=np.int16), (slots, 1))
    even = TableBank.build([0] * slots, [[(1 << 14) - 1, 1]] * slots)
    draft = Model(name, programs, Vector(codebook, order, even, net.config.decision), info)
    counts = count_symbols(draft, images, progress, radius=size)["tables"][:, size : 2 * size]
    # All points of a channel share its histogram.
    counts = counts.reshape(channels, points, size).sum(axis=1)
    order, tables = ranked(counts, points)
    return replace(draft, bottleneck=Vector(codebook, order, tables, net.config.decision))


def rounded(centers: np.ndarray) -> np.ndarray:
    """int16 centers in the unit of latents; those that are worse for it are told in a warning.

    Args:
        centers: float64 [1 or channels, L, k].

    Raises:
        DivergedError: a center is not finite.
    """
    if bad := int((~np.isfinite(centers)).any(axis=2).sum()):
        raise DivergedError(f"{bad} of {centers[..., 0].size} centers are not finite")
    wanted = np.rint(centers / LATENT_UNIT)
    codebook = np.clip(wanted, -32768, 32767).astype(np.int16)
    for number, (book, exact) in enumerate(zip(codebook, wanted, strict=True)):
        of = f"of {len(book)} centers"
        if beyond := int((book != exact).any(axis=1).sum()):
            low, high = -32768 * LATENT_UNIT, 32767 * LATENT_UNIT
            log.warning(
                "codebook %d: %d %s reach beyond %g .. %g and are cut",
                number, beyond, of, low, high,
            )  # fmt: skip
        if same := len(book) - len(np.unique(book, axis=0)):
            log.warning(
                "codebook %d: %d %s equal earlier ones once rounded to %g: they are never used",
                number, same, of, LATENT_UNIT,
            )  # fmt: skip
    return codebook


def ranked(counts: np.ndarray, points: int) -> tuple[np.ndarray, TableBank]:
    """Orders int16 [channels * points, L], frequent symbols first, and the tables that go with it.

    Args:
        counts: int64 [channels, L].
        points: of a channel in a latent.
    """
    order = np.argsort(-counts, axis=1, kind="stable")
    pmf = probabilities(np.take_along_axis(counts, order, axis=1))
    rows = [freqs for freqs in map(cheapest, pmf) for _ in range(points)]
    return np.repeat(order, points, axis=0).astype(np.int16), TableBank.build([0] * len(rows), rows)


def cheapest(pmf: np.ndarray) -> np.ndarray:
    """Frequencies of the first symbols, the escape's last; of so many that files are shortest.

    Args:
        pmf: float64 [L], falling.
    """
    found: list[tuple[float, np.ndarray]] = []
    enough = int((pmf >= 1 / TOTAL).sum())
    for entries in sorted({max(1, min(len(pmf), round(enough * f))) for f in SHARES}):
        rest = float(pmf[entries:].sum())
        weights = np.append(pmf[:entries], max(rest, 1e-7)) * PRECISION
        freqs = apportion(np.maximum(np.rint(weights), 1).astype(np.int64))
        costs = -np.log2(freqs / TOTAL)
        # Escapes are varints of twice the distance: 7 bits in a byte.
        lengths = np.where(2 * np.arange(len(pmf) - entries) < 128, 8, 16)
        bits = float(pmf[:entries] @ costs[:-1] + pmf[entries:] @ (costs[-1] + lengths))
        found.append((bits, freqs))
    return min(found, key=lambda pair: pair[0])[1]


def probabilities(counts: np.ndarray) -> np.ndarray:
    """float64 [channels, L]: the histogram that tables are rounded from."""
    raised = counts + PRIOR_COUNT
    return raised / raised.sum(axis=1, keepdims=True)
