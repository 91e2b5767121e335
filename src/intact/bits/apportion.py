"""From counts to frequencies: how a table's slots are shared out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from intact.bits.tables import TOTAL

if TYPE_CHECKING:
    from jaxtyping import Int, Int32


def apportion(weights: Sequence[int] | Int[np.ndarray, " n"]) -> Int32[np.ndarray, " n"]:
    """Scale weights to frequencies: integers >= 1 that sum to TOTAL.

    Slots whose share is below one get one; the others share the rest in proportion, rounded by
    largest remainder (the earlier slot wins a tie). Integers throughout.

    Args:
        weights: 2 .. TOTAL integers >= 0 of any size, not all zero; the escape's last.

    Returns:
        The frequencies.

    Raises:
        ValueError: wrong number of weights, a negative one, or all are zero.

    Example:
        >>> apportion([3, 1, 0]).tolist()
        [12287, 4096, 1]
    """
    exact = [int(weight) for weight in weights]
    if not 2 <= len(exact) <= TOTAL:
        raise ValueError(f"{len(exact)} weights, wanted 2 .. {TOTAL}")
    if min(exact) < 0 or max(exact) == 0:
        raise ValueError("weights must be >= 0 and not all zero")
    shared = list(range(len(exact)))
    while True:
        room = TOTAL - (len(exact) - len(shared))
        weight = sum(exact[slot] for slot in shared)
        kept = [slot for slot in shared if exact[slot] * room >= weight]
        if len(kept) == len(shared):
            break
        shared = kept
    freqs = [1] * len(exact)
    for slot in shared:
        freqs[slot] = exact[slot] * room // weight
    by_remainder = sorted(shared, key=lambda slot: (-(exact[slot] * room % weight), slot))
    for slot in by_remainder[: TOTAL - sum(freqs)]:
        freqs[slot] += 1
    return np.array(freqs, np.int32)
