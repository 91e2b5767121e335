"""ICC profiles from a few numbers: three primaries, a white point, a curve. ICC.1:2010 (v4.3).

Files that say their colors in another way (gAMA and cHRM of PNG, code points of H.273) come out as
a profile, which every format of pictures can hold and every viewer can read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue, in CIE 1931."""

SRGB: Final[Chromaticities] = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE: Final[Chromaticities] = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_D50: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = (
    (0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296),
)  # fmt: skip
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""g, a, b, c, d: light is (a v + b)^g from d on, c v below."""

_DATE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""The same for all: the same colors give the same bytes."""

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Colors:
    """What samples mean.

    Attributes:
        name: for people who look into the profile.
        primaries: x and y of white, red, green, blue.
        gamma: light is sample^gamma; None is the curve of sRGB.
    """

    name: str
    primaries: Chromaticities = SRGB
    gamma: float | None = None

    @property
    def is_srgb(self) -> bool:
        """Whether this is what is taken for granted anyway."""
        return self.gamma is None and all(
            abs(one - other) < 2e-4 for one, other in zip(self.primaries, SRGB, strict=True)
        )


ADOBE_RGB: Final = Colors("Adobe RGB (1998)", _ADOBE, 2.19921875)


def profile(colors: Colors, *, gray: bool) -> bytes:
    """An ICC profile.

    Args:
        colors: what samples mean.
        gray: whether there is one channel, or three.

    Raises:
        ValueError: there are no such colors: primaries on one line, a white of no brightness, a
            number that no profile can hold.
    """
    x, y = colors.primaries[:2]
    adapt = _adaptation(_xyz(x, y))
    tags = {
        b"desc": _text(colors.name),
        b"cprt": _text("CC0"),
        b"wtpt": _numbers(b"XYZ ", _D50),
        b"chad": _numbers(b"sf32", [value for row in adapt for value in row]),
    }
    curve = (colors.gamma,) if colors.gamma is not None else _SRGB_CURVE
    data = struct.pack(">4s4xHxx", b"para", 0 if len(curve) == 1 else 3)
    shape = data + b"".join(map(_fixed, curve))
    if gray:
        return _assemble(b"GRAY", {**tags, b"kTRC": shape})
    columns = _columns(colors.primaries)
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
        tags[name] = _numbers(b"XYZ ", _times(adapt, column))
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = shape
    return _assemble(b"RGB ", tags)


def _xyz(x: float, y: float) -> tuple[float, ...]:
    if y <= 0:
        raise ValueError(f"chromaticity ({x:g}, {y:g}) has no brightness")
    return (x / y, 1.0, (1 - x - y) / y)


def _times(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _inverse(m: Matrix) -> Matrix:
    """Of three by three."""
    (a, b, c), (d, e, f), (g, h, i) = m
    det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(det) < 1e-9:
        raise ValueError("primaries lie on one line")
    return (
        ((e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det),
        ((f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det),
        ((d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det),
    )


def _columns(primaries: Chromaticities) -> list[tuple[float, ...]]:
    """XYZ of the three primaries, such that together they are white."""
    colors = [_xyz(primaries[i], primaries[i + 1]) for i in (2, 4, 6)]
    mixture = tuple(zip(*colors, strict=True))
    shares = _times(_inverse(mixture), _xyz(primaries[0], primaries[1]))
    return [
        tuple(share * part for part in color) for share, color in zip(shares, colors, strict=True)
    ]


def _adaptation(white: tuple[float, ...]) -> Matrix:
    """Bradford's matrix from a white point to D50, as profiles have it (annex E)."""
    cones, wanted = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    if min(map(abs, cones)) < 1e-9:
        raise ValueError("white has no brightness")
    scaled = tuple(
        tuple(part * to / by for part in row)
        for row, to, by in zip(_BRADFORD, wanted, cones, strict=True)
    )
    back = _inverse(_BRADFORD)
    columns = list(zip(*scaled, strict=True))
    return tuple(
        tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns)
        for row in back
    )


def _fixed(value: float) -> bytes:
    """s15Fixed16Number."""
    number = round(value * 65536)
    if not -(1 << 31) <= number < 1 << 31:
        raise ValueError(f"{value:g} is beyond what a profile can hold")
    return struct.pack(">i", number)


def _numbers(kind: bytes, values: list[float] | tuple[float, ...]) -> bytes:
    return struct.pack(">4s4x", kind) + b"".join(map(_fixed, values))


def _text(text: str) -> bytes:
    """One text, as multiLocalizedUnicodeType."""
    data = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(data), 28) + data


def _assemble(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, places = b"", b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        if data not in places:  # tags may share their data
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    header = struct.pack(
        ">I4x4s4s4s4s12s4s28x12s48x",
        start + len(body), bytes([4, 0x30, 0, 0]), b"mntr", space, b"XYZ ", _DATE, b"acsp",
        b"".join(map(_fixed, _D50)),
    )  # fmt: skip
    return header + struct.pack(">I", len(tags)) + table + body
