"""Frequency tables that learn: one for each context, all over the same symbols.

Normative, with docs/spec/weights_coding.md. Counts start as those of a Laplace distribution with
the mean magnitude and the middle that the context stands for, as if `PRIOR` symbols of it had been
seen, and grow with every symbol; the tables are made anew when an eighth more have been seen.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intact.bits.tables import TOTAL, TableBank
from intact.packing.coding.contexts import UNIT

SEEN: Final = 32
"""What one symbol adds to its count."""
PRIOR: Final = 50
"""Symbols that the initial counts of a context are worth."""


def prior_counts(mean: int, middle: int, reach: int) -> NDArray[np.int64]:
    """Counts of symbols ``-reach .. reach`` by a Laplace distribution, rounded to integers.

    With u = exp(-1 / 2b): P(0) = 1 - u, P(k) = u (1 - u^2) / 2 u^(2 |k| - 2), and the mean of |k|
    is u / (1 - u^2); hence u = 2m / (1 + sqrt(1 + 4 m^2)).

    Args:
        mean: mean magnitude m in units of 2**-12, 1 .. 2**28.
        middle: where the middle of the distribution is, in 16ths of a symbol, at least 0.
        reach: the last symbol.
    """
    one = 1 << UNIT
    u = (2 * mean << 16) // (one + isqrt(one * one + 4 * mean * mean))
    ratio = u * u >> 16
    weights = [65536 - u, u * (65536 - ratio) >> 17]
    whole, part = divmod(middle, 16)
    farthest = reach + whole + 1
    while len(weights) <= farthest and weights[-1]:
        weights.append(weights[-1] * ratio >> 16)
    by_magnitude = np.zeros(farthest + 2, np.int64)
    by_magnitude[: len(weights)] = weights[: farthest + 2]
    symbols = np.arange(-reach, reach + 1) - whole
    shifted = (16 - part) * by_magnitude[np.abs(symbols)] + part * by_magnitude[np.abs(symbols - 1)]
    return shifted * (PRIOR * SEEN) >> 20


class Tables:
    """Counts of each context, and the tables that were last made from them.

    Attributes:
        counts: int64[contexts, symbols].
        bank: a table for each context.
        minimum: their first symbol.
        size: their symbols, without the escape.
    """

    def __init__(self, moments: list[tuple[int, int]], reach: int) -> None:
        """Initial counts.

        Args:
            moments: of each context the mean and the middle, as `prior_counts` takes them.
            reach: the tables' symbols are -reach .. reach.
        """
        self.minimum = -reach
        self.size = 2 * reach + 1
        self.counts = np.stack([prior_counts(*moment, reach) for moment in moments])
        self._seen = self._fresh = 0
        self.bank = self._make()

    def _make(self) -> TableBank:
        """Tables in proportion to the counts; what rounding leaves is the largest count's."""
        contexts, size = self.counts.shape
        totals = np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        freqs = np.ones((contexts, size + 1), np.int64)  # the last is the escape's
        freqs[:, :-1] += self.counts * (TOTAL - size - 1) // totals
        largest = np.argmax(self.counts, axis=1)
        freqs[np.arange(contexts), largest] += TOTAL - freqs.sum(axis=1)
        sizes = np.full(contexts, size + 1)
        return TableBank(
            np.full(contexts, self.minimum), sizes, np.cumsum(sizes) - sizes, freqs.reshape(-1)
        )

    def update(self, contexts: NDArray[np.uint16], symbols: NDArray[np.int32]) -> bool:
        """Count symbols in their contexts; whether `bank` is a new one."""
        places = symbols.astype(np.int64) - self.minimum
        inside = (places >= 0) & (places < self.size)
        at = contexts.astype(np.int64) * self.size + places
        if not inside.all():
            at = at[inside]
        found = np.bincount(at, minlength=self.counts.size)
        self.counts += SEEN * found.reshape(self.counts.shape)
        self._seen += symbols.size
        if self._seen - self._fresh < self._seen >> 3:
            return False
        self._fresh = self._seen
        self.bank = self._make()
        return True
