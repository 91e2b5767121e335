"""How good a decoded picture is: PSNR, MS-SSIM, SSIMULACRA 2, Butteraugli.

A `Meter` holds what can be computed of the original once. Metrics whose package is absent are
left out; `missing` says why.
"""

from __future__ import annotations

import importlib
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from intact.measure import ms_ssim, psnr

MS_SSIM_SIDE = 161
SSIMULACRA2_VERSION = "0.3.0"
"""Of the PyPI package: the cached computation follows this version's steps one by one."""
BUTTERAUGLI = "butteraugli_main"
INTENSITY_NITS = 80
"""butteraugli_main's default intensity target; given explicitly all the same."""


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
    Metric("ms_ssim", "MS-SSIM, dB", "ms_ssim", _decibels, lambda q: 1 - 10 ** (-q / 10),
           plot_quality=True),
    Metric("butteraugli_3", "Butteraugli 3-norm", "butteraugli", _fewer, lambda q: 10 ** (-q / 10),
           lower_is_better=True),
    Metric("butteraugli_max", "Butteraugli max", "butteraugli", _fewer, lambda q: 10 ** (-q / 10),
           lower_is_better=True),
)  # fmt: skip


@lru_cache
def groups() -> tuple[dict[str, str], dict[str, str]]:
    """What can be measured here: {group: version} and {group: why it cannot}."""
    found, missing = {"psnr": "", "ms_ssim": ""}, {}
    try:
        version = importlib.import_module("ssimulacra2").__version__
    except ImportError:
        missing["ssimulacra2"] = "the package ssimulacra2 is not installed"
    else:
        if version == SSIMULACRA2_VERSION:
            found["ssimulacra2"] = version
        else:
            missing["ssimulacra2"] = f"ssimulacra2 is {version}, expected {SSIMULACRA2_VERSION}"
    if shutil.which(BUTTERAUGLI):
        found["butteraugli"] = f"{_debian_version('libjxl-devtools')}@{INTENSITY_NITS}nits"
    else:
        missing["butteraugli"] = f"no program {BUTTERAUGLI} (Debian: libjxl-devtools)"
    return found, missing


def metric_set() -> str:
    """The metrics measured here with their versions, as tables carry them."""
    return " ".join(f"{name}={version}".rstrip("=") for name, version in groups()[0].items())


def measured() -> list[Metric]:
    """The columns that are filled here."""
    return [metric for metric in METRICS if metric.group in groups()[0]]


class Meter:
    """Measures decoded pictures against one original, uint8 [h, w, 3]."""

    def __init__(self, original: np.ndarray) -> None:
        self.original = original
        self.names = groups()[0]
        self.ssimulacra2 = Ssimulacra2(original) if "ssimulacra2" in self.names else None

    def __call__(self, decoded: np.ndarray) -> dict[str, float]:
        """Values by column; MS-SSIM is nan for pictures that are too small for it."""
        values = {"psnr": psnr(self.original, decoded)}
        large = min(decoded.shape[:2]) >= MS_SSIM_SIDE
        values["ms_ssim"] = ms_ssim(self.original, decoded) if large else math.nan
        if self.ssimulacra2:
            values["ssimulacra2"] = self.ssimulacra2(decoded)
        if "butteraugli" in self.names:
            values["butteraugli_3"], values["butteraugli_max"] = butteraugli(self.original, decoded)
        return values


class Ssimulacra2:
    """`ssimulacra2.compute_ssimulacra2` with the original's half computed once; equal results."""

    def __init__(self, original: np.ndarray) -> None:
        self.parts: Any = importlib.import_module("ssimulacra2.ssimulacra2")
        self.scales = [
            (image, self.parts.blur_image(image * image), self.parts.blur_image(image))
            for image in self._scales(original)
        ]

    def __call__(self, decoded: np.ndarray) -> float:
        """100 is identical, 90 visually lossless, 30 low quality; may be negative."""
        parts, result = self.parts, self.parts.Msssim()
        for (one, one_square, one_mean), two in zip(
            self.scales, self._scales(decoded), strict=True
        ):
            square, product = parts.blur_image(two * two), parts.blur_image(one * two)
            mean = parts.blur_image(two)
            scale = parts.MsssimScale()
            scale.avg_ssim = parts.ssim_map(one_mean, mean, one_square, square, product)
            scale.avg_edgediff = parts.edge_diff_map(one, one_mean, two, mean)
            result.scales.append(scale)
        return float(result.score())

    def _scales(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The picture in the metric's colors, halved again and again (in linear light)."""
        parts, images = self.parts, []
        linear = parts.srgb_to_linear(np.array(pixels, np.float64))
        for scale in range(parts.kNumScales):
            if scale:
                linear = parts.downsample(linear, 2, 2)
            image = parts.make_positive_xyb(parts.linear_rgb_to_xyb(linear))
            if min(image.shape[:2]) < 8:
                break
            images.append(image)
        return images


def butteraugli(original: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    """Butteraugli's 3-norm and maximum, both 0 for equal pictures; of libjxl's own program.

    Raises:
        RuntimeError: the program fails or says something else than expected.
    """
    memory = Path("/dev/shm")
    folder = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=folder) as place:
        files = [Path(place, name) for name in ("original.ppm", "decoded.ppm")]
        for file, pixels in zip(files, (original, decoded), strict=True):
            Image.fromarray(pixels).save(file)
        command = [BUTTERAUGLI, *map(str, files), "--intensity_target", str(INTENSITY_NITS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse_butteraugli(done.stdout, done.returncode, done.stderr)


def parse_butteraugli(output: str, status: int = 0, errors: str = "") -> tuple[float, float]:
    """3-norm and maximum from what butteraugli_main prints: the maximum, then ``3-norm: value``.

    Raises:
        RuntimeError: it is something else.
    """
    lines = output.split()
    if status or len(lines) != 3 or lines[1] != "3-norm:":
        raise RuntimeError(f"{BUTTERAUGLI}: status {status}, printed {output!r}, {errors!r}")
    return float(lines[2]), float(lines[0])


def _debian_version(package: str) -> str:
    """Version of an installed Debian package, or "unknown" elsewhere."""
    try:
        command = ["dpkg-query", "-W", "-f", "${Version}", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
