"""Logarithms and powers of two in integers, in sixteenths of an octave. Normative."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

OCTAVE: Final = 16
"""Units of a logarithm."""
MANTISSAS: Final = (
    32768, 34219, 35734, 37316, 38968, 40693, 42495, 44376,
    46341, 48393, 50535, 52773, 55109, 57549, 60097, 62757,
)  # fmt: skip
"""2**(15 + i/16), rounded."""
MANTISSA_ARRAY: Final = np.array(MANTISSAS, np.int32)
MAX_LOG_ARGUMENT: Final = 65535
MAX_POWER: Final = 47 * OCTAVE - 1
"""The largest exponent: its power is below 2**47."""


def _logs() -> NDArray[np.int32]:
    """For each x its logarithm: the number of quantized powers from 2**(1/16) on up to x."""
    numbers = np.arange(1, MAX_LOG_ARGUMENT + 1, dtype=np.int64)
    octaves = np.zeros(numbers.size, np.int64)
    for octave in range(1, 16):
        octaves += numbers >> octave > 0
    mantissas = numbers << (15 - octaves)
    within = np.searchsorted(MANTISSA_ARRAY.astype(np.int64), mantissas, side="right") - 1
    return np.concatenate([[0], OCTAVE * octaves + within]).astype(np.int32)


LOG: Final = _logs()
"""LOG[x], x in 1 .. 65535: 16 log2(x), rounded down. LOG[0] is never asked for."""


def power(exponent: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.int64]:
    """2**(exponent / 16), rounded down, for 0 <= exponent <= MAX_POWER."""
    exponents = exponent.astype(np.int64)
    mantissas = MANTISSA_ARRAY.astype(np.int64)[exponents % OCTAVE]
    return (mantissas << (exponents // OCTAVE)) >> 15


def log_of_mean(total: int, count: int) -> int:
    """16 log2(total / count), roughly; at least that of 2**-16. For encoders."""
    ratio = max((total << 16) // count, 1)
    shift = max(0, ratio.bit_length() - 16)
    return int(LOG[ratio >> shift]) + OCTAVE * (shift - 16)
