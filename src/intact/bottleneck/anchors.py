"""Predict the leading latents from their neighbors over the whole image. Normative.

Image codec 2's rule for its mean colors. Positions whose row and column are multiples of `SPACING`,
the *anchors*, stand alone. Then for spacings s = SPACING / 2, ..., 1

    diagonal   rows and columns that are odd multiples of s, from the up to 4 neighbors (+-s, +-s)
    cross      one even, one odd multiple of s, from the up to 4 neighbors (+-s, 0), (0, +-s)

correct the means of pass A by what the means of neighbors have been wrong by; the last cross stage
is pass B, to whose means the mean of the neighbors' latents is added. Image codec 1 does the same
in blocks of 16x16, at whose edges a neighbor is missing and gradients broke. Here no position but
those at the image's edge lacks one, at the price of a margin: what a position depends on lies
within `REACH`. docs/spec/image2.md, section 5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SPACING = 16
REACH = 2 * (SPACING // 2 + SPACING // 4 + SPACING // 8) + 1
"""Positions: each of the stages but the anchors' looks s further."""
NUM_STAGES = 8
"""Anchors, then two each of spacings 8, 4 and 2, and the last diagonal one."""
MAX_PREDICTED = 16
"""Channels predicted from their neighbors. Format."""

DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
CROSS = ((-1, 0), (0, -1), (0, 1), (1, 0))

Reconstruct = Callable[[np.ndarray, slice, slice], np.ndarray]
"""(means [r, c, k] int16, rows and columns of the window) -> latents [r, c, k] int16 there."""


def _lattice(length: int, start: int, spacing: int) -> slice:
    """The positions of 0..length whose coordinates, counted from ``start``, are multiples."""
    return slice(-start % spacing, length, spacing)


def neighbor_mean(values: np.ndarray, offsets: tuple[tuple[int, int], ...]) -> np.ndarray:
    """int64 [h, w, k]: the mean of those of four neighbors that exist, rounded half up; 0 of none.

    Args:
        values: [h, w, k].
        offsets: rows and columns to the neighbors, each -1, 0 or 1.
    """
    h, w = values.shape[:2]
    padded = np.zeros((h + 2, w + 2, values.shape[2]), np.int64)
    padded[1:-1, 1:-1] = values
    exists = np.zeros((h + 2, w + 2, 1), np.int64)
    exists[1:-1, 1:-1] = 1

    def total(array: np.ndarray) -> np.ndarray:
        parts = [array[1 + a : 1 + a + h, 1 + b : 1 + b + w] for a, b in offsets]
        return np.sum(parts, axis=0)

    count = total(exists)
    return (2 * total(padded) + count) // np.maximum(2 * count, 1)


def stages(start: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """uint8 [h, w]: the stage of each position of pass A, and 0 elsewhere.

    Args:
        start: row and column of the first position in the image.
        shape: of the window.
    """
    numbers = np.zeros(shape, np.uint8)
    spacing, number = SPACING, 0
    while spacing > 1:
        spacing, number = spacing // 2, number + 2
        rows, columns = (_lattice(n, s, spacing) for n, s in zip(shape, start, strict=True))
        odd = _odd(start, shape, spacing)
        places = numbers[rows, columns]
        places[odd == 2] = number - 1
        if spacing > 1:
            places[odd == 1] = number
    return numbers


def _odd(start: tuple[int, int], shape: tuple[int, int], spacing: int) -> np.ndarray:
    """[rows, columns] of a lattice: how many of the two coordinates are odd multiples."""
    parts = []
    for n, s in zip(shape, start, strict=True):
        part = _lattice(n, s, spacing)
        parts.append((np.arange(part.start, n, spacing) + s) // spacing % 2)
    return parts[0][:, None] + parts[1]


def correct_first(mean: np.ndarray, start: tuple[int, int], reconstruct: Reconstruct) -> np.ndarray:
    """Correct the means of pass A stage by stage, each by the latents of the stages before.

    Args:
        mean: int16 [h, w, k], from prior_a.
        start: row and column of the first position in the image.
        reconstruct: gives the latents of a stage: those that a decoder has read, or those that an
            encoder chooses.

    Returns:
        int16 [h, w, k]: the means, corrected at pass A. Within `REACH` of an edge of the window
        that is none of the image they mean nothing.
    """
    shape = (mean.shape[0], mean.shape[1])
    corrected, wrong = mean.copy(), np.zeros(mean.shape, np.int64)
    rows, columns = (_lattice(n, s, SPACING) for n, s in zip(shape, start, strict=True))
    anchors = mean[rows, columns]
    wrong[rows, columns] = reconstruct(anchors, rows, columns).astype(np.int64) - anchors
    spacing = SPACING // 2
    while spacing:
        rows, columns = (_lattice(n, s, spacing) for n, s in zip(shape, start, strict=True))
        odd = _odd(start, shape, spacing)
        here = mean[rows, columns].astype(np.int64)
        for count, offsets in ((2, DIAGONAL), (1, CROSS))[: 2 if spacing > 1 else 1]:
            means = np.clip(here + neighbor_mean(wrong[rows, columns], offsets), -32768, 32767)
            means = means.astype(np.int16)
            found = reconstruct(means, rows, columns)
            chosen = (odd == count)[:, :, None]
            np.copyto(corrected[rows, columns], means, where=chosen)
            np.copyto(wrong[rows, columns], found - here, where=chosen)
        spacing //= 2
    return corrected


def correct_second(mean: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Add to the means of pass B what the neighbors in pass A are on average.

    Args:
        mean: int16 [h, w, k], from prior_b.
        latents: int16 [h, w, k] of pass A.

    Returns:
        int16 [h, w, k]; only those of pass B mean something.
    """
    around = neighbor_mean(latents, CROSS)
    return np.clip(mean + around, -32768, 32767).astype(np.int16)
