"""Curves from a table, and BD-rates between them: of single pictures and of mean curves.

A curve has the points that no other of the codec's points beats in both rate and quality: an
encoder can always choose them, and it makes every metric a function of the rate. Where a codec is
the better of several variants, the points of one that lie below the curve of another go, too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from intact.measure import bd_rate, pchip
from rd_eyes.metrics import Metric
from rd_eyes.table import Row

Point = tuple[float, float]
"""Rate in bits per pixel, quality (higher is better)."""
Curve = list[Point]
Span = tuple[float, float]
EVERYTHING: Span = (-math.inf, math.inf)
Table = Mapping[str, Mapping[str, Mapping[str, Row]]]
"""Rows by codec, digest of the picture, setting. Names will not do: one may be whole or cut."""


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


def by_codec(
    rows: Iterable[Row],
    digests: Iterable[str] | None = None,
    sources: Mapping[str, tuple[str, str]] | None = None,
) -> Table:
    """Rows by codec, picture and setting; the last measured where there are several.

    Args:
        rows: of a table.
        digests: of the pictures wanted; None takes all.
        sources: which source and metrics to take, by codec. For the others the last row's: one
            name may have stood for several models or libraries.
    """
    wanted = None if digests is None else set(digests)
    rows = [row for row in rows if wanted is None or row.sha256 in wanted]
    source = {row.codec: (row.source, row.metrics) for row in rows} | dict(sources or {})
    found: dict[str, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if (row.source, row.metrics) == source[row.codec]:
            found[row.codec][row.sha256][row.setting] = row
    return found


def picture_curve(settings: Mapping[str, Row], metric: Metric) -> Curve:
    """The curve of one picture."""
    points = {
        s: (row.bpp, metric.quality(float(getattr(row, metric.key)))) for s, row in settings.items()
    }
    return curve(points)


def mean_curve(
    pictures: Mapping[str, Mapping[str, Row]], metric: Metric, names: Sequence[str]
) -> Curve:
    """The curve of the means over some pictures, of the settings that all of them have."""
    common = set.intersection(*(set(pictures[name]) for name in names)) if names else set()
    points = {}
    for setting in common:
        rows = [pictures[name][setting] for name in names]
        qualities = [metric.quality(float(getattr(row, metric.key))) for row in rows]
        points[setting] = (float(np.mean([r.bpp for r in rows])), float(np.mean(qualities)))
    return curve(points)


def curve(points: Mapping[str, Point]) -> Curve:
    """The points worth choosing, by rate; variants are what stands before "/" in a setting."""
    variants: dict[str, Curve] = defaultdict(list)
    for setting, point in points.items():
        if math.isfinite(point[1]):
            variants[setting.rpartition("/")[0]].append(point)
    fronts = {name: front(found) for name, found in variants.items()}
    return front(
        point
        for name, found in fronts.items()
        for point in found
        if all(point[1] >= _at(point[0], fronts[n]) for n in fronts if n != name)
    )


def front(points: Iterable[Point]) -> Curve:
    """The points that no other beats in rate and quality, by rate."""
    kept: Curve = []
    for rate, quality in sorted(points, key=lambda p: (p[0], -p[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return kept


def _at(rate: float, points: Curve) -> float:
    """Quality of a curve at a rate; minus infinity where it does not reach."""
    if len(points) < 2 or not points[0][0] <= rate <= points[-1][0]:
        return -math.inf
    return float(pchip(np.log([p[0] for p in points]), [p[1] for p in points], math.log(rate)))


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
    names = sorted(set(found[test]) & set(found[anchor]))
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
        len(singles), len(names),
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
) -> list[Comparison]:
    """Every test codec against every other codec by every metric; see `compare`."""
    return [
        compare(found, test, anchor, metric, (between or {}).get(metric.key))
        for test in tests
        for anchor in found
        if anchor != test
        for metric in measured(found, metrics)
    ]


def measured(found: Table, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that any row has a value of."""
    rows = [row for pictures in found.values() for s in pictures.values() for row in s.values()]
    return [m for m in metrics if any(math.isfinite(getattr(row, m.key)) for row in rows)]
