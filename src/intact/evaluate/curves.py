"""Curves from a table of measurements: of single pictures, and of their means.

A curve has the points that no other of the codec's points beats in both rate and quality: an
encoder can always choose them, and it makes every metric a function of the rate. Where a codec is
the better of several variants, the points of one that lie below the curve of another go, too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from intact.evaluate.metrics import Metric, covers
from intact.evaluate.table import Row
from intact.measure import pchip

Point = tuple[float, float]
"""Rate in bits per pixel, quality (higher is better)."""
Curve = list[Point]
Table = Mapping[str, Mapping[str, Mapping[str, Row]]]
"""Rows by codec, digest of the picture, setting. Names will not do: one may be whole or cut."""


def by_codec(
    rows: Iterable[Row],
    digests: Iterable[str] | None = None,
    sources: Mapping[str, tuple[str, str]] | None = None,
) -> Table:
    """Rows by codec, picture and setting; the last measured where there are several.

    Args:
        rows: of a table.
        digests: of the pictures wanted; None takes all.
        sources: which source and metrics to take, by codec (and rows with more metrics). For the
            others the last row's: one name may have stood for several models or libraries.
    """
    wanted = None if digests is None else set(digests)
    rows = [row for row in rows if wanted is None or row.sha256 in wanted]
    source = {row.codec: (row.source, row.metrics) for row in rows} | dict(sources or {})
    found: dict[str, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        wanted_source, wanted_metrics = source[row.codec]
        if row.source == wanted_source and covers(row.metrics, wanted_metrics):
            found[row.codec][row.sha256][row.setting] = row
    return found


def picture_curve(settings: Mapping[str, Row], metric: Metric) -> Curve:
    """The curve of one picture."""
    points = {
        s: (row.bpp, metric.quality(float(getattr(row, metric.key)))) for s, row in settings.items()
    }
    return curve(points)


def mean_curve(
    pictures: Mapping[str, Mapping[str, Row]],
    metric: Metric,
    names: Sequence[str],
    *,
    of_values: bool = False,
) -> Curve:
    """The curve of the means over some pictures, of the settings that all of them have.

    Args:
        pictures: rows by picture and setting.
        metric: by what.
        names: of the pictures that count.
        of_values: take the quality of the mean value, as published curves of MS-SSIM do, not the
            mean of the qualities.
    """
    common = set.intersection(*(set(pictures[name]) for name in names)) if names else set()
    points = {}
    for setting in common:
        rows = [pictures[name][setting] for name in names]
        values = [float(getattr(row, metric.key)) for row in rows]
        if of_values:
            quality = metric.quality(float(np.mean(values)))
        else:
            quality = float(np.mean([metric.quality(value) for value in values]))
        points[setting] = (float(np.mean([r.bpp for r in rows])), quality)
    return curve(points)


def pictures_of(found: Table, codecs: Iterable[str], metric: Metric) -> list[str]:
    """Digests of the pictures that all these codecs coded, and that the metric is defined for."""
    sets = [
        {
            digest
            for digest, settings in found[codec].items()
            if any(not math.isnan(getattr(row, metric.key)) for row in settings.values())
        }
        for codec in codecs
    ]
    return sorted(set.intersection(*sets)) if sets else []


def measured(found: Table, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics that any row has a value of."""
    rows = [row for pictures in found.values() for s in pictures.values() for row in s.values()]
    return [m for m in metrics if any(math.isfinite(getattr(row, m.key)) for row in rows)]


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
