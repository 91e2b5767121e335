"""Quality levels whose steps differ by channel: image codec 2's. Normative."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from intact.bottleneck.scalar import MAX_LEVELS, LevelRows
from intact.errors import ModelError

MAX_BANDS = 16
LIMITS = {
    "parameters": (-127, 127),
    "bands": (0, MAX_BANDS - 1),
    "steps": (1, 32767),
    "shifts": (-1023, 1023),
    "hyper_steps": (1, 32767),
}


@dataclass(frozen=True, eq=False)
class ChannelLevels(LevelRows):
    """The quality levels, coarsest first: 1..64 rows each.

    Attributes:
        parameters: int32 [levels], what the programs are told of each, -127..127.
        bands: int32 [levels], which tables the hyper-latents have, 0..15.
        steps: int32 [levels, M], quantization steps in latent units, 1..32767.
        shifts: int32 [levels, M], what is subtracted from theta, -1023..1023.
        hyper_steps: int32 [levels, N], steps of the hyper-latents, 1..32767.

    Raises:
        ModelError: a number is out of range, or the rows do not match.
    """

    parameters: np.ndarray
    bands: np.ndarray
    steps: np.ndarray
    shifts: np.ndarray
    hyper_steps: np.ndarray

    def __post_init__(self) -> None:
        count = np.asarray(self.parameters).size
        for row in fields(self):
            name, array = row.name, np.array(getattr(self, row.name))
            low, high = LIMITS[name]
            wanted = 1 if name in ("parameters", "bands") else 2
            if array.dtype.kind not in "iu" or array.ndim != wanted or not array.size:
                raise ModelError(f"levels: {name} is no array of integers with {wanted} axes")
            if array.min() < low or array.max() > high:
                raise ModelError(f"levels: {name} has values beyond {low}..{high}")
            if len(array) != count or not 1 <= count <= MAX_LEVELS:
                raise ModelError(f"levels: {name} has {len(array)} rows of 1..{MAX_LEVELS}")
            array = array.astype(np.int32)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.steps.shape != self.shifts.shape:
            raise ModelError(f"levels: steps {self.steps.shape}, shifts {self.shifts.shape}")
