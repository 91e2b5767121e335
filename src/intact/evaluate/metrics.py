"""Metrics: their columns, what of them can be measured here, and which version that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from intact.errors import ArgumentError
from intact.evaluate import butteraugli, ssimulacra2


def _decibels(value: float) -> float:
    return -10 * math.log10(1 - value) if value < 1 else math.inf


def _fewer(value: float) -> float:
    return -10 * math.log10(value) if value > 0 else math.inf


@dataclass(frozen=True)
class Metric:
    """One column of a table.

    Attributes:
        key: the column.
        label: for people.
        group: which measurement gives it.
        quality: makes it a quantity that grows with quality; what BD-rates integrate over and
            what is averaged over pictures.
        raw: inverse of ``quality``.
        lower_is_better: as the metric itself goes.
        plot_quality: show ``quality`` and not the metric itself.
    """

    key: str
    label: str
    group: str
    quality: Callable[[float], float] = float
    raw: Callable[[float], float] = float
    lower_is_better: bool = False
    plot_quality: bool = False


METRICS = (
    Metric("ssimulacra2", "SSIMULACRA 2", "ssimulacra2"),
    Metric("psnr", "PSNR, dB", "psnr"),
    Metric("ssim", "SSIM, dB", "ssim", _decibels, lambda q: 1 - 10 ** (-q / 10),
           plot_quality=True),
    Metric("ms_ssim", "MS-SSIM, dB", "ms_ssim", _decibels, lambda q: 1 - 10 ** (-q / 10),
           plot_quality=True),
    Metric("butteraugli_3", "Butteraugli 3-norm", "butteraugli", _fewer, lambda q: 10 ** (-q / 10),
           lower_is_better=True),
    Metric("butteraugli_max", "Butteraugli max", "butteraugli", _fewer, lambda q: 10 ** (-q / 10),
           lower_is_better=True),
)  # fmt: skip
GROUPS = ("psnr", "ssim", "ms_ssim", "ssimulacra2", "butteraugli")
"""What can be asked for."""


@lru_cache
def groups() -> tuple[dict[str, str], dict[str, str]]:
    """What can be measured here: {group: version} and {group: why it cannot}."""
    found, missing = {"psnr": "", "ssim": "", "ms_ssim": ""}, {}
    optional = {
        "ssimulacra2": (ssimulacra2.why_missing, lambda: ssimulacra2.VERSION),
        "butteraugli": (butteraugli.why_missing, butteraugli.version),
    }
    for name, (why_missing, version) in optional.items():
        if why := why_missing():
            missing[name] = why
        else:
            found[name] = version()
    return found, missing


def metric_set(wanted: Sequence[str] = GROUPS) -> str:
    """The metrics wanted that are measured here, with their versions, as tables carry them."""
    found = {name: version for name, version in groups()[0].items() if name in wanted}
    return " ".join(f"{name}={version}".rstrip("=") for name, version in found.items())


def names_of(metric_set: str) -> list[str]:
    """The groups of a set."""
    return [item.partition("=")[0] for item in metric_set.split()]


def covers(have: str, wanted: str) -> bool:
    """Whether a set has all metrics of another, in the same versions."""
    return set(wanted.split()) <= set(have.split())


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The groups of some names, in order; all for none.

    Raises:
        ArgumentError: there is no such metric.
    """
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise ArgumentError(f"no metric named {unknown[0]!r}; there are {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in names or not names)


def measured(metric_set: str) -> list[Metric]:
    """The columns that a set fills."""
    return [metric for metric in METRICS if metric.group in names_of(metric_set)]
