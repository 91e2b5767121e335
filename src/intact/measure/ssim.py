"""Structural similarity, single and multi-scale.

The definitions of the ``pytorch-msssim`` package (VainF, version 1.0), which the field's learned
codecs publish with: 11-tap Gaussian window of sigma 1.5, "valid" windows only, K1 = 0.01,
K2 = 0.03, peak 255, one value per RGB channel, then their mean. Agrees with it to 1e-5
(it computes in float32; this file in float64).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from intact.measure.psnr import PEAK, checked_pair

WINDOW = 11
SIGMA = 1.5
BAND = 32
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first. Wang et al. 2003, "Multiscale structural similarity
for image quality assessment", Asilomar, §3.2."""
SMALLEST = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""Side of the smallest picture that MS-SSIM is defined for."""


def ssim(reference: npt.ArrayLike, image: npt.ArrayLike) -> float:
    """Mean structural similarity. Wang et al. 2004, IEEE TIP 13(4), Eq. 13.

    Args:
        reference: uint8 [h, w, c] (or [h, w]), each side at least 11 pixels.
        image: uint8, the same shape.

    Returns:
        -1 .. 1, higher is better; 1 for equal pictures.

    Raises:
        ValueError: not two uint8 pictures of one shape, or smaller than the window.
    """
    planes = _planes(reference, image, min_side=WINDOW)
    return float(np.mean([_terms(a, b)[0] for a, b in planes]))


def ms_ssim(reference: npt.ArrayLike, image: npt.ArrayLike) -> float:
    """Structural similarity over five scales: contrast at each, luminance at the last. Wang 2003.

    Negative contrast terms count as 0, so the powers stay real.

    Args:
        reference: uint8 [h, w, c] (or [h, w]), each side at least 161 pixels, so that the coarsest
            of the five scales still holds one window.
        image: uint8, the same shape.

    Returns:
        0 .. 1, higher is better; 1 for equal pictures. In decibels: ``-10 * log10(1 - ms_ssim)``.

    Raises:
        ValueError: not two uint8 pictures of one shape, or too small.
    """
    planes = _planes(reference, image, min_side=SMALLEST)
    return float(np.mean([_multi_scale(a, b)[1] for a, b in planes]))


def ssim_and_ms_ssim(reference: npt.ArrayLike, image: npt.ArrayLike) -> tuple[float, float]:
    """`ssim` and `ms_ssim` for the price of the latter, whose first scale is the former.

    Args:
        reference: uint8 [h, w, c] (or [h, w]), each side at least 161 pixels.
        image: uint8, the same shape.

    Returns:
        What the two functions return.

    Raises:
        ValueError: not two uint8 pictures of one shape, or too small.
    """
    planes = _planes(reference, image, min_side=SMALLEST)
    single, multi = np.mean([_multi_scale(a, b) for a, b in planes], axis=0)
    return float(single), float(multi)


def _planes(
    reference: npt.ArrayLike, image: npt.ArrayLike, min_side: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    a, b = checked_pair(reference, image)
    if a.ndim not in (2, 3) or min(a.shape[:2]) < min_side:
        raise ValueError(f"picture is {a.shape}, expected [h, w, c] with sides >= {min_side}")
    if a.ndim == 2:
        a, b = a[:, :, None], b[:, :, None]
    # One plane at a time: a third of the memory, and it stays in the cache.
    return [
        (a[:, :, i].astype(np.float64), b[:, :, i].astype(np.float64)) for i in range(a.shape[2])
    ]


def _multi_scale(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """SSIM (of the first scale) and MS-SSIM of one plane."""
    single, result = 0.0, 1.0
    last = len(SCALE_WEIGHTS) - 1
    for scale, weight in enumerate(SCALE_WEIGHTS):
        full, contrast = _terms(a, b)
        single = full if scale == 0 else single
        result *= max(full if scale == last else contrast, 0.0) ** weight
        if scale < last:
            a, b = _halve(a), _halve(b)
    return single, result


def _terms(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean of the full similarity and of its contrast-structure factor over all windows."""
    mean_a, mean_b = _blur(a), _blur(b)
    square_a, square_b, product = mean_a * mean_a, mean_b * mean_b, mean_a * mean_b
    variances = _blur(a * a) + _blur(b * b) - square_a - square_b
    covariance = _blur(a * b) - product
    contrast = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * product + C1) / (square_a + square_b + C1)
    return float(np.mean(luminance * contrast)), float(np.mean(contrast))


def _blur(plane: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean of every whole window: [h, w] to [h - 10, w - 10]."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    taps /= taps.sum()
    height, width = plane.shape[0] - WINDOW + 1, plane.shape[1] - WINDOW + 1
    result = np.empty((height, width))
    # Band by band, which the cache holds: the same sums, 2.5 times as fast.
    for top in range(0, height, BAND):
        band = plane[top : min(top + BAND, height) + WINDOW - 1]
        rows = len(band) - WINDOW + 1
        columns = _weighted_sum([band[i : i + rows] for i in range(WINDOW)], taps)
        shifted = [columns[:, i : i + width] for i in range(WINDOW)]
        result[top : top + rows] = _weighted_sum(shifted, taps)
    return result


def _weighted_sum(planes: list[np.ndarray], taps: np.ndarray) -> np.ndarray:
    total, term = np.zeros(planes[0].shape), np.empty(planes[0].shape)
    for plane, tap in zip(planes, taps, strict=True):
        total += np.multiply(plane, tap, out=term)
    return total


def _halve(plane: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels. An odd side gets one line of zeros *before* it, as pytorch-msssim."""
    height, width = plane.shape
    padded = np.pad(plane, ((height % 2, 0), (width % 2, 0)))
    return 0.25 * (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2])
