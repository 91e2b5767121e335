"""The alpha plane: filtered, then zlib, without loss. Normative; docs/spec/image.md has it, too."""

from __future__ import annotations

import zlib

import numpy as np

from intact.errors import CorruptDataError

FILTERS = {0: (), 1: (1,), 2: (0,), 3: (0, 1)}
"""Alpha filters by number: the axes along which neighbors are subtracted, modulo 256."""


def pack_alpha(alpha: np.ndarray) -> bytes:
    """Code an alpha plane without loss: a filter's number, then zlib; inverse of `unpack_alpha`."""
    candidates = []
    for number, axes in FILTERS.items():
        plane = alpha
        for axis in axes:
            plane = np.diff(plane, axis=axis, prepend=np.uint8(0))
        candidates.append(bytes([number]) + zlib.compress(plane.tobytes(), 9))
    return min(candidates, key=len)


def unpack_alpha(data: bytes, h: int, w: int) -> np.ndarray:
    """uint8 [h, w]; inverse of `pack_alpha`.

    Raises:
        CorruptDataError: unknown filter, damaged stream, or not exactly h * w samples.
    """
    if not data or data[0] not in FILTERS:
        raise CorruptDataError("alpha plane: unknown filter")
    inflater = zlib.decompressobj()
    try:
        plane = inflater.decompress(data[1:], h * w + 1)
    except zlib.error as error:
        raise CorruptDataError(f"alpha plane: {error}") from error
    if len(plane) != h * w or not inflater.eof or inflater.unused_data:
        raise CorruptDataError(f"alpha plane: {len(plane)} samples for {w}x{h} pixels")
    alpha = np.frombuffer(plane, np.uint8).reshape(h, w)
    for axis in reversed(FILTERS[data[0]]):
        alpha = np.cumsum(alpha, axis=axis, dtype=np.uint8)
    return alpha
