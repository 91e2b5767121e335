"""Where the weights are that pruning left: distances from one to the next; Han et al. 2015."""

from __future__ import annotations

import numpy as np

from intact.errors import ArgumentError, CorruptDataError
from intact.quantize.checks import whole

Integers = np.ndarray


def to_gaps(symbols: Integers, longest: int = 255) -> tuple[Integers, Integers]:
    """A row of symbols, most of them 0, as gaps and the symbols that are not.

    A gap counts the zeros before a symbol. Where there are ``longest`` or more, the gap
    ``longest`` stands for that many zeros and no symbol follows it.

    Args:
        symbols: integers [n].
        longest: from 1.

    Returns:
        Gaps int32 [g] and symbols [k], k of the gaps being below ``longest``. Zeros at the end
        are not coded: their number follows from n.

    Raises:
        ArgumentError: the shape or ``longest`` is out of range.
    """
    whole(longest, "longest")
    if symbols.ndim != 1:
        raise ArgumentError(f"symbols have shape {list(symbols.shape)}; legal is [n]")
    places = np.flatnonzero(symbols)
    gaps = np.diff(places, prepend=-1) - 1
    times = gaps // longest
    ends = np.cumsum(times + 1)
    found = np.full(int(ends[-1]) if len(ends) else 0, longest, np.int32)
    found[ends - 1] = gaps % longest
    return found, symbols[places]


def from_gaps(gaps: Integers, symbols: Integers, length: int, longest: int = 255) -> Integers:
    """The row of ``length`` symbols that `to_gaps` took apart.

    Raises:
        CorruptDataError: gaps and symbols do not belong together, or reach beyond the row.
    """
    stands = gaps < longest
    if int(stands.sum()) != len(symbols) or (len(gaps) and int(gaps.min()) < 0):
        raise CorruptDataError(f"{int(stands.sum())} gaps are followed by {len(symbols)} symbols")
    places = np.cumsum(np.where(stands, gaps.astype(np.int64) + 1, longest))[stands] - 1
    if len(places) and places[-1] >= length:
        raise CorruptDataError(f"gaps reach to {int(places[-1])}; the row has {length} symbols")
    row = np.zeros(length, symbols.dtype)
    row[places] = symbols
    return row
