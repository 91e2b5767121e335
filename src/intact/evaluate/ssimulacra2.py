"""SSIMULACRA 2 of the PyPI package, with what belongs to the original computed once."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

VERSION = "0.3.0"
"""Of the PyPI package: the cached computation follows this version's steps one by one."""
SMALLEST = 8
"""Side of the smallest picture that it is defined for."""


def why_missing() -> str:
    """Why it cannot be computed here, or ""."""
    try:
        version = importlib.import_module("ssimulacra2").__version__
    except ImportError:
        return "the package ssimulacra2 is not installed (it is in the extra bench)"
    return "" if version == VERSION else f"ssimulacra2 is {version}, expected {VERSION}"


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
