"""Running segments band by band: what the backends of whole-array libraries have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from intact.intnet.backends.plan import Segment
from intact.intnet.program import Shuffle

A = TypeVar("A")
B = TypeVar("B")
K = TypeVar("K")

Rows = tuple[int, int]
"""First row of a band, and the row behind its last."""


def walk(
    segments: Iterable[tuple[Segment, K]],
    sizes: Mapping[str, tuple[int, int]],
    stored: MutableMapping[str, A],
    make: Callable[[str], A],
    elements: int,
) -> Iterator[tuple[Segment, K, int, list[Rows]]]:
    """Give each segment when its turn comes, its kernels, the width of its grid, and its bands.

    Args:
        segments: with their kernels.
        sizes: of all values.
        stored: values at full size; what a segment stores is made before, what dies freed after.
        make: memory for a value, by its name.
        elements: that a band's widest operation may touch.
    """
    for segment, kernels in segments:
        for name in segment.stores:
            stored[name] = make(name)
        height, width = sizes[segment.grid]
        lines = segment.band_rows(width, elements)
        bands = [(first, min(first + lines, height)) for first in range(0, height, lines)]
        yield segment, kernels, width, bands
        for name in segment.frees:
            del stored[name]


def through(
    band: B,
    segment: Segment,
    kernels: Iterable[Callable[[B, int], Any]],
    level: int,
    keep: Callable[[str], None],
) -> None:
    """Run a segment's operations on a band; ``keep`` stores a value that was made in it."""
    for op, kernel in zip(segment.ops, kernels, strict=True):
        kernel(band, level)
        if op.target in segment.stores and not isinstance(op, Shuffle):
            keep(op.target)
