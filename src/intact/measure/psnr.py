"""Mean squared error and peak signal-to-noise ratio of 8-bit pictures."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

PEAK = 255
SLAB = 64
"""Rows at a time: whole pictures of 32-bit integers would be most of an encoder's memory."""


def checked_pair(reference: npt.ArrayLike, image: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both pictures as uint8 arrays, or refuse them.

    Args:
        reference: uint8 [h, w] or [h, w, c].
        image: uint8, the same shape.

    Returns:
        The two arrays, not copied.

    Raises:
        ValueError: other than 8-bit integers, shapes that differ, or no pixels. Floats are refused
            on purpose: a measure of unrounded pixels flatters a codec.
    """
    a, b = np.asarray(reference), np.asarray(image)
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"pictures are {a.dtype} and {b.dtype}, expected uint8")
    if a.shape != b.shape:
        raise ValueError(f"picture shapes differ: {a.shape} and {b.shape}")
    if a.size == 0:
        raise ValueError(f"picture of shape {a.shape} has no pixels")
    return a, b


def mse(reference: npt.ArrayLike, image: npt.ArrayLike) -> float:
    """Mean squared difference over all pixels and channels jointly.

    Args:
        reference: uint8 [h, w, c] (or [h, w]).
        image: uint8, the same shape.

    Returns:
        0 .. 65025.

    Raises:
        ValueError: not two uint8 pictures of one shape.

    Example:
        >>> mse(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 3, np.uint8))
        9.0
    """
    a, b = checked_pair(reference, image)
    total = 0  # an integer: exact, so the figure does not depend on the order of summation
    a, b = np.atleast_1d(a), np.atleast_1d(b)
    for top in range(0, len(a), SLAB):
        rows = slice(top, top + SLAB)
        difference = np.subtract(a[rows], b[rows], dtype=np.int32)
        difference *= difference
        total += int(difference.sum(dtype=np.int64))
    return total / a.size


def psnr(reference: npt.ArrayLike, image: npt.ArrayLike) -> float:
    """Peak signal-to-noise ratio, ``10 * log10(255**2 / mse)``, over RGB jointly.

    The field's usual "PSNR (RGB)": one MSE over all channels, then the logarithm; not a mean of
    three per-channel PSNRs and not luma. Averages over images are means of these decibels.

    Args:
        reference: uint8 [h, w, c] (or [h, w]).
        image: uint8, the same shape.

    Returns:
        Decibels; ``inf`` for equal pictures.

    Raises:
        ValueError: not two uint8 pictures of one shape.

    Example:
        >>> round(psnr(np.zeros((4, 4), np.uint8), np.full((4, 4), 1, np.uint8)), 4)
        48.1308
    """
    error = mse(reference, image)
    return math.inf if error == 0 else 10 * math.log10(PEAK * PEAK / error)
