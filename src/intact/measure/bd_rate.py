"""Bjontegaard's rate difference between two rate-distortion curves.

Bjontegaard 2001, VCEG-M33, with the piecewise cubic of today's JCT-VC sheets in place of his one
cubic polynomial, which swings on curves of more than four points.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def bd_rate(
    anchor_bpp: npt.ArrayLike,
    anchor_quality: npt.ArrayLike,
    test_bpp: npt.ArrayLike,
    test_quality: npt.ArrayLike,
    *,
    between: tuple[float, float] = (-math.inf, math.inf),
) -> float:
    """Mean rate difference of a test codec against an anchor at equal quality, in percent.

    ``100 * (exp(mean over quality of ln(test bpp) - ln(anchor bpp)) - 1)``, over the range of
    qualities that both curves reach, each ln(bpp) a PCHIP curve of the quality.

    Args:
        anchor_bpp: [n] rates, > 0, in any order.
        anchor_quality: [n] qualities at those rates, such as PSNR in dB.
        test_bpp: [k] rates of the other codec.
        test_quality: [k] qualities, in the same unit.
        between: lowest and highest quality that count; the curves are cut there.

    Returns:
        Percent; negative where the test codec needs fewer bits.

    Raises:
        ValueError: fewer than 2 points, a rate that is not positive, two points of one quality, a
            quality that falls as the rate grows, or curves whose qualities do not overlap (within
            ``between``).

    Example:
        >>> round(bd_rate([1, 2, 4], [30, 33, 36], [0.5, 1, 2], [30, 33, 36]), 6)
        -50.0
    """
    anchor_q, anchor_log = _curve("anchor", anchor_bpp, anchor_quality)
    test_q, test_log = _curve("test", test_bpp, test_quality)
    low = max(anchor_q[0], test_q[0], between[0])
    high = min(anchor_q[-1], test_q[-1], between[1])
    if low >= high:
        raise ValueError(
            f"qualities do not overlap: anchor {anchor_q[0]:g} .. {anchor_q[-1]:g}, "
            f"test {test_q[0]:g} .. {test_q[-1]:g}, counted {between[0]:g} .. {between[1]:g}"
        )
    difference = _integral(test_q, test_log, low, high) - _integral(anchor_q, anchor_log, low, high)
    return float(100 * np.expm1(difference / (high - low)))


def pchip(x: npt.ArrayLike, y: npt.ArrayLike, at: npt.ArrayLike) -> Floats:
    """Evaluate the monotone piecewise cubic through given points.

    Fritsch & Butland 1984 (weighted harmonic mean of the neighboring slopes) with the three-point
    ends of Moler 2004, "Numerical Computing with MATLAB" §3.6; equals scipy's PchipInterpolator.

    Args:
        x: [n] strictly increasing, n >= 2.
        y: [n] values.
        at: [m] places; outside of ``x`` the end pieces go on.

    Returns:
        [m] values.

    Raises:
        ValueError: fewer than 2 points, lengths that differ, or ``x`` not increasing.
    """
    points, values = _checked(x, y)
    where = np.asarray(at, np.float64)
    piece = np.clip(np.searchsorted(points, where, side="right") - 1, 0, len(points) - 2)
    constant, linear, square, cube = _coefficients(points, values)
    t = where - points[piece]
    return constant[piece] + t * (linear[piece] + t * (square[piece] + t * cube[piece]))


def _integral(x: Floats, y: Floats, low: float, high: float) -> float:
    """Exact integral of the PCHIP curve from ``low`` to ``high``, inside the range of ``x``."""
    constant, linear, square, cube = _coefficients(x, y)
    start = np.clip(low, x[:-1], x[1:]) - x[:-1]
    end = np.clip(high, x[:-1], x[1:]) - x[:-1]

    def primitive(t: Floats) -> Floats:
        return t * (constant + t * (linear / 2 + t * (square / 3 + t * cube / 4)))

    return float(np.sum(primitive(end) - primitive(start)))


def _coefficients(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    width = np.diff(x)
    secant = np.diff(y) / width
    slope = _slopes(width, secant)
    square = (3 * secant - 2 * slope[:-1] - slope[1:]) / width
    cube = (slope[:-1] + slope[1:] - 2 * secant) / width**2
    return y[:-1], slope[:-1], square, cube


def _slopes(width: Floats, secant: Floats) -> Floats:
    if len(width) == 1:
        return np.repeat(secant, 2)
    slope = np.zeros(len(width) + 1)
    # Where the secants turn, the slope stays 0: that is what keeps the curve monotone.
    same = secant[:-1] * secant[1:] > 0
    left = (width[:-1] + 2 * width[1:])[same]
    right = (2 * width[:-1] + width[1:])[same]
    slope[1:-1][same] = (left + right) / (left / secant[:-1][same] + right / secant[1:][same])
    slope[0] = _end_slope(width[0], width[1], secant[0], secant[1])
    slope[-1] = _end_slope(width[-1], width[-2], secant[-1], secant[-2])
    return slope


def _end_slope(width: float, next_width: float, secant: float, next_secant: float) -> float:
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope


def _curve(name: str, rates: npt.ArrayLike, qualities: npt.ArrayLike) -> tuple[Floats, Floats]:
    bpp, quality = np.asarray(rates, np.float64), np.asarray(qualities, np.float64)
    if bpp.shape != quality.shape or bpp.ndim != 1:
        raise ValueError(f"{name}: {bpp.shape} rates for {quality.shape} qualities")
    if not (np.isfinite(bpp).all() and np.isfinite(quality).all() and (bpp > 0).all()):
        raise ValueError(f"{name}: rates must be finite and > 0, qualities finite")
    order = np.argsort(bpp, kind="stable")
    try:
        return _checked(quality[order], np.log(bpp[order]))
    except ValueError as error:
        raise ValueError(f"{name}: quality must grow with the rate: {error}") from error


def _checked(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    points, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if points.ndim != 1 or points.shape != values.shape or len(points) < 2:
        raise ValueError(f"shapes {points.shape} and {values.shape}, expected two of [n >= 2]")
    if not (np.diff(points) > 0).all():
        place = int(np.argmin(np.diff(points) > 0))
        raise ValueError(f"{points[place + 1]:g} follows {points[place]:g} at point {place + 1}")
    return points, values
