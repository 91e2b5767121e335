"""Scalar quantization: latents to symbols and back, and which table codes each. Normative.

Latents are fixed point. Level i quantizes them with ``steps[i]`` and moves scale indices by
``shifts[i]``, so that one set of tables serves all levels:

    index = clip((theta - shift + 2) >> 2, 0, NUM_SCALES - 1)
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from intact.errors import ArgumentError, ModelError
from intact.untrusted import mapping

NUM_SCALES = 64
THETA_SHIFT = 2
"""Four theta steps make one table."""
MAX_LEVELS = 64


class LevelRows:
    """What levels of all kinds have: a dataclass of arrays with a row for each, coarsest first."""

    parameters: np.ndarray

    def __len__(self) -> int:
        return len(self.parameters)

    def of_quality(self, quality: float) -> int:
        """The level for a quality of 0..100, linear.

        Raises:
            ArgumentError: the quality is outside 0..100.
        """
        if not 0 <= quality <= 100:
            raise ArgumentError(f"quality is {quality}, must be in 0..100")
        return int(quality * (len(self) - 1) // 100)

    def to_tree(self) -> dict[str, np.ndarray]:
        """The arrays by name; inverse of `from_tree`."""
        return {row.name: getattr(self, row.name) for row in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_tree(cls, tree: object) -> Self:
        """Build and check levels of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is missing, unknown, of a wrong type or out of range.
        """
        names = [row.name for row in fields(cls)]  # type: ignore[arg-type]
        rows = mapping(tree, names, "levels")
        return cls(**{name: np.asarray(row) for name, row in rows.items()})


@dataclass(frozen=True, eq=False)
class Levels(LevelRows):
    """The quality levels, coarsest first; arrays of equal length, 1..64.

    Attributes:
        steps: int32, the quantization step in latent units, 1..32767, falling.
        shifts: int32, what is subtracted from theta, -255..255.
        parameters: int32, what the programs are told of the level, -127..127.
        offsets: int32, what the encoder adds before the division of |residual| by the step: half a
            step rounds to the nearest, less makes zeros cheaper (a dead zone); 0..step // 2.
    """

    steps: np.ndarray
    shifts: np.ndarray
    parameters: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        legal = {"steps": (1, 32767), "shifts": (-255, 255), "parameters": (-127, 127)}
        for name in (row.name for row in fields(self)):
            array = np.array(getattr(self, name))
            if array.dtype.kind not in "iu" or array.ndim != 1:
                raise ModelError(f"levels: {name} is not a row of integers")
            low, high = legal.get(name, (0, 32767))
            if not 1 <= array.size <= MAX_LEVELS or array.min() < low or array.max() > high:
                raise ModelError(f"levels: {name} has not 1..{MAX_LEVELS} values in {low}..{high}")
            array = array.astype(np.int32)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        sizes = {a.size for a in (self.steps, self.shifts, self.parameters, self.offsets)}
        if len(sizes) != 1:
            raise ModelError(f"levels: arrays of different lengths {sorted(sizes)}")
        if (2 * self.offsets > self.steps).any():
            raise ModelError("levels: an offset is above half its step")


def table_indexes(theta: np.ndarray, shift: int | np.ndarray) -> np.ndarray:
    """uint8: the table of each symbol; Ballé 2019, Eq. 15, with the level's shift."""
    half = 1 << (THETA_SHIFT - 1)
    index = theta.astype(np.int16, copy=False) + np.asarray(half - shift, np.int16)
    index >>= THETA_SHIFT
    return index.clip(0, NUM_SCALES - 1, out=index).astype(np.uint8)


def quantize(residual: np.ndarray, step: int | np.ndarray, offset: int | np.ndarray) -> np.ndarray:
    """int32: symbols; ``sign(r) * ((|r| + offset) // step)``. Only the encoder does this.

    Args:
        residual: int32, a difference of two int16.
        step: 1..32767, one or one per channel.
        offset: 0..step // 2.
    """
    symbols = np.abs(residual)
    symbols += np.asarray(offset, np.int32)
    unsigned = symbols.view(np.uint32)  # NumPy's signed division is seven times as slow
    unsigned //= np.asarray(step, np.uint32)
    sign = residual >> 31
    symbols ^= sign
    symbols -= sign
    return symbols


def dequantize(mean: np.ndarray | int, symbols: np.ndarray, step: int | np.ndarray) -> np.ndarray:
    """int16: ``mean + symbol * step``, saturated. Normative."""
    # Escapes can be any 32-bit number; from 65536 on, any step saturates whatever the mean is, and
    # 65536 * 32767 + 32768 is still an int32.
    value = symbols.clip(-65536, 65536)
    value *= np.asarray(step, np.int32)
    value += mean
    return value.clip(-32768, 32767, out=value).astype(np.int16)
