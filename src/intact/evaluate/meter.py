"""Measures decoded pictures against one original, of which what can be is computed once."""

from __future__ import annotations

import math

import numpy as np

from intact.evaluate import butteraugli, metrics, ssimulacra2
from intact.measure import psnr, ssim
from intact.measure.ssim import SMALLEST, WINDOW, ssim_and_ms_ssim

SIDES = {"ssim": WINDOW, "ms_ssim": SMALLEST, "ssimulacra2": ssimulacra2.SMALLEST,
         "butteraugli": 8}  # fmt: skip
"""Sides of the smallest pictures that metrics are defined for."""
LABELS = {"ssim": "SSIM", "ms_ssim": "MS-SSIM", "ssimulacra2": "SSIMULACRA 2",
          "butteraugli": "Butteraugli"}  # fmt: skip


def too_small(width: int, height: int, names: list[str]) -> list[str]:
    """What cannot be measured of a picture of that size, for people."""
    return [
        f"{LABELS[name]} (needs {side}x{side})"
        for name, side in SIDES.items()
        if name in names and min(width, height) < side
    ]


class Meter:
    """Measures pictures against an original.

    Args:
        original: uint8 [h, w, 3].
        metric_set: as `metrics.metric_set` returns it.
    """

    def __init__(self, original: np.ndarray, metric_set: str) -> None:
        self.original = original
        side = min(original.shape[:2])
        self.names = [n for n in metrics.names_of(metric_set) if side >= SIDES.get(n, 1)]
        has = "ssimulacra2" in self.names
        self._ssimulacra2 = ssimulacra2.Ssimulacra2(original) if has else None

    def __call__(self, decoded: np.ndarray) -> dict[str, float]:
        """Values by column, nan for what was not measured.

        Args:
            decoded: uint8 [h, w, 3].
        """
        values = dict.fromkeys((metric.key for metric in metrics.METRICS), math.nan)
        if "psnr" in self.names:
            values["psnr"] = psnr(self.original, decoded)
        if "ms_ssim" in self.names:
            single, values["ms_ssim"] = ssim_and_ms_ssim(self.original, decoded)
            values["ssim"] = single if "ssim" in self.names else math.nan
        elif "ssim" in self.names:
            values["ssim"] = ssim(self.original, decoded)
        if self._ssimulacra2:
            values["ssimulacra2"] = self._ssimulacra2(decoded)
        if "butteraugli" in self.names:
            found = butteraugli.butteraugli(self.original, decoded)
            values["butteraugli_3"], values["butteraugli_max"] = found
        return values
