"""Code points of ITU-T H.273 (cICP of PNG, nclx of AVIF): what colors they stand for."""

from __future__ import annotations

from typing import Final

from intact.codec.icc import SRGB, Chromaticities, Colors

UNSPECIFIED: Final = 2
SRGB_CURVE: Final = 13

_D65: Final = (0.3127, 0.3290)
_C: Final = (0.310, 0.316)
_DCI: Final = (0.314, 0.351)
_PRIMARIES: Final[dict[int, Chromaticities]] = {
    1: SRGB,
    UNSPECIFIED: SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_GAMMAS: Final = {UNSPECIFIED: None, 4: 2.2, 5: 2.8, 8: 1.0, SRGB_CURVE: None}
"""Transfer characteristics whose meaning as a picture is beyond doubt. Those of video (1, 6, 14,
15) are meant for another display than they say, PQ (16) and HLG (18) are no curve of a profile."""
_NAMES: Final = {9: "BT.2020", 12: "Display P3", 16: "PQ", 18: "HLG"}
"""Of primaries (9, 12) and transfer characteristics (16, 18)."""


def colors_of(primaries: int, transfer: int) -> Colors | None:
    """What two code points mean, None where no profile says the same."""
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        return None
    name = _NAMES.get(primaries, "") if transfer == SRGB_CURVE else ""
    name = name or f"H.273 {primaries}-{transfer}"
    return Colors(name, _PRIMARIES[primaries], _GAMMAS[transfer])


def describe(code_points: bytes) -> str:
    """For people: "BT.2020 PQ (9-16-0-1)"."""
    primaries, transfer = code_points[0], code_points[1]
    names = " ".join(_NAMES[n] for n in (primaries, transfer) if n in _NAMES)
    numbers = "-".join(map(str, code_points))
    return f"{names} ({numbers})" if names else numbers
