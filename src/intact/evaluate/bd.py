"""BD-rates between codecs: of the curves of single pictures, and of mean curves.

The two may differ much: a codec that is told a rate and one that is told a quality spread their
bits differently over the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from intact.evaluate.curves import (
    Curve,
    Table,
    front,
    mean_curve,
    measured,
    picture_curve,
    pictures_of,
)
from intact.evaluate.metrics import Metric
from intact.evaluate.table import Row
from intact.measure import bd_rate

Span = tuple[float, float]
EVERYTHING: Span = (-math.inf, math.inf)


@dataclass(frozen=True)
class Comparison:
    """BD-rates of a test codec against an anchor by one metric, in percent; nan where none.

    Attributes:
        mean_of_pictures: mean of the BD-rates of single pictures.
        worst, worst_picture, best, median: of the single pictures.
        pictures: how many have one; their curves overlap.
        all_pictures: how many both codecs coded.
        of_mean_curves: BD-rate between the mean curves.
        low, high: what the mean curves have in common, in the metric's own unit.
        overlap: that range's share of what either covers (of the transformed quality).
    """

    test: str
    anchor: str
    metric: str
    mean_of_pictures: float
    worst: float
    worst_picture: str
    best: float
    median: float
    pictures: int
    all_pictures: int
    of_mean_curves: float
    low: float
    high: float
    overlap: float


def rate_difference(anchor: Curve, test: Curve, between: Span = EVERYTHING) -> float:
    """BD-rate in percent, nan where the curves do not overlap (in the qualities that count)."""
    try:
        return bd_rate(*_columns(anchor), *_columns(test), between=between)
    except ValueError:
        return math.nan


def _columns(points: Curve) -> tuple[list[float], list[float]]:
    return [p[0] for p in points], [p[1] for p in points]


def compare(
    found: Table, test: str, anchor: str, metric: Metric, between: Span | None = None
) -> Comparison:
    """BD-rates of one codec against another.

    Args:
        found: the rows.
        test: the codec that is asked about.
        anchor: the codec it is compared with.
        metric: by what.
        between: the values of the metric that count; None for all.
    """
    span = EVERYTHING
    if between:
        ends = sorted((metric.quality(between[0]), metric.quality(between[1])))
        span = ends[0], ends[1]
    names = pictures_of(found, (test, anchor), metric)
    singles = {
        name: rate_difference(
            picture_curve(found[anchor][name], metric),
            picture_curve(found[test][name], metric),
            span,
        )
        for name in names
    }
    singles = {name: value for name, value in singles.items() if math.isfinite(value)}
    worst = max(singles, key=singles.__getitem__, default="")
    curves = [mean_curve(found[codec], metric, names) for codec in (anchor, test)]
    low, high, overlap = _common(curves, span)
    ends = sorted((metric.raw(low), metric.raw(high)))
    return Comparison(
        test, anchor, metric.key,
        float(np.mean(list(singles.values()))) if singles else math.nan,
        singles.get(worst, math.nan), _name(found[test], worst),
        min(singles.values(), default=math.nan),
        float(np.median(list(singles.values()))) if singles else math.nan,
        len(singles), len(set(found[test]) & set(found[anchor])),
        rate_difference(curves[0], curves[1], span), ends[0], ends[1], overlap,
    )  # fmt: skip


def _name(pictures: Mapping[str, Mapping[str, Row]], digest: str) -> str:
    """What the file of a picture is called, "" of none."""
    return next((row.image for row in pictures.get(digest, {}).values()), "")


def _common(curves: Sequence[Curve], span: Span) -> tuple[float, float, float]:
    """Lowest and highest quality that counts and all reach, its share of what any reaches."""
    if not all(len(points) > 1 for points in curves):
        return math.nan, math.nan, 0.0
    lows, highs = [points[0][1] for points in curves], [points[-1][1] for points in curves]
    low, high = max(*lows, span[0]), min(*highs, span[1])
    if low >= high:
        return math.nan, math.nan, 0.0
    return low, high, (high - low) / (max(highs) - min(lows))


def compare_all(
    found: Table,
    tests: Sequence[str],
    metrics: Sequence[Metric],
    between: Mapping[str, Span] | None = None,
    anchors: Sequence[str] = (),
) -> list[Comparison]:
    """Every test codec against every other codec (or some) by every metric; see `compare`."""
    return [
        compare(found, test, anchor, metric, (between or {}).get(metric.key))
        for test in tests
        for anchor in anchors or found
        if anchor != test
        for metric in measured(found, metrics)
    ]


def compare_published(
    found: Table, test: str, name: str, points: Curve, metric: Metric
) -> Comparison:
    """BD-rate of a codec against a published curve, of mean curves alone.

    Args:
        found: the rows.
        test: the codec that is asked about.
        name: of the curve.
        points: rates and means of values over the same pictures.
        metric: by what.
    """
    names = pictures_of(found, (test,), metric)
    curve = mean_curve(found[test], metric, names, of_values=True)
    anchor = front((rate, metric.quality(value)) for rate, value in points)
    low, high, overlap = _common([anchor, curve], EVERYTHING)
    ends = sorted((metric.raw(low), metric.raw(high)))
    nothing = math.nan
    return Comparison(
        test, name, metric.key, nothing, nothing, "", nothing, nothing, 0, len(names),
        rate_difference(anchor, curve), ends[0], ends[1], overlap,
    )  # fmt: skip
