"""What a layer can compute at most: the proofs behind every fast backend.

All numbers are Python integers or int64, exact; docs/spec/intnet.md, "Bounds", has the formulas
and why each arithmetic below gives the integers of `intact.intnet.ops`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intact.errors import ModelError
from intact.intnet.infer import Info, infer
from intact.intnet.program import LEVEL_MAX, MAX_WEIGHT, Conv, Program, Requantize

INT32_LIMIT = 2**31
FLOAT32_LIMIT = 2**24
FLOAT64_LIMIT = 2**53
RECIPROCAL_LIMIT = 2**22
PAIR_WEIGHT = 64  # 255 * (64 + 64) = 32,640 fits in 16 bits


@dataclass(frozen=True, eq=False)
class ConvBounds:
    """Bounds of one convolution, each an int64 array [o] over output channels.

    Attributes:
        total: sum of the weights.
        partial: largest magnitude of any partial sum of products ``weight * u``, in any order.
        bound: B, largest magnitude of any partial sum of products, bias and level term.
        low: smallest accumulator over all inputs and levels (reached if 0 is a legal input).
        high: largest accumulator, likewise.
        quotient: v_max, largest |v| that rounding must get right: beyond the saturation (or the
            table) only the order matters, which every monotone arithmetic keeps.
        input_bits: 8 where the input fits in uint8 or int8, else 16.
        max_weight: largest |weight| of the layer.
        reciprocal: rule 1 holds, ``(v_max + 1) * c <= 2**22`` for every channel.
        float32: every partial sum stays below 2**24.
        u8s8: 8-bit input (shifted to unsigned) and 8-bit weights accumulate in int32.
        pairs: as u8s8, and two adjacent products fit in int16 (maddubs), |w| <= 64.
    """

    total: np.ndarray
    partial: np.ndarray
    bound: np.ndarray
    low: np.ndarray
    high: np.ndarray
    quotient: np.ndarray
    input_bits: int
    max_weight: int
    reciprocal: bool
    float32: bool
    u8s8: bool
    pairs: bool

    @property
    def room_bits(self) -> int:
        """Bits between the largest bound and the 31 of an int32 accumulator."""
        return 31 - int(self.bound.max()).bit_length()

    @property
    def arithmetics(self) -> tuple[str, ...]:
        """Names of the accumulations that are exact for this layer, cheapest first."""
        exact = {
            "int16-pairs": self.pairs,
            "u8s8-int32": self.u8s8,
            "float32": self.float32,
            "int32": int(self.bound.max()) < INT32_LIMIT,
            "float64": int(self.bound.max()) < FLOAT64_LIMIT,
        }
        return tuple(name for name, holds in exact.items() if holds)


def quotient_bound(
    low: np.ndarray, high: np.ndarray, divisor: np.ndarray, clip_low: int, clip_high: int
) -> np.ndarray:
    """v_max of accumulators in ``low..high`` whose quotients are clipped; int64, one per channel.

    ``min(max |divide_round(acc)|, max(|clip_low|, |clip_high|))``.
    """
    ends = np.abs((np.stack([low, high]) + divisor // 2) // divisor).max(axis=0)
    return np.minimum(ends, max(abs(clip_low), abs(clip_high)))


def rule1(quotient: np.ndarray, divisor: np.ndarray) -> bool:
    """Whether a float32 reciprocal rounds right: ``(v_max + 1) * c <= 2**22`` everywhere."""
    return bool(((quotient + 1) * divisor <= RECIPROCAL_LIMIT).all())


def conv_bounds(op: Conv, source: Info) -> ConvBounds:
    """Bounds of a convolution whose input is ``source``; kept with the convolution.

    Signs and the input's range are taken exactly: with u in ``l..h`` (and 0, which padding and
    partial sums bring in) a weight w adds between ``min(w*l, w*h, 0)`` and ``max(w*l, w*h, 0)``.
    """
    known: dict[tuple[int, int], ConvBounds] = op.__dict__.setdefault("_bounds", {})
    key = source.low, source.high
    if key not in known:
        known[key] = _conv_bounds(op, source)
    return known[key]


def _conv_bounds(op: Conv, source: Info) -> ConvBounds:
    weight = op.weight.reshape(op.weight.shape[0], -1)
    # 32 bits are faster, and enough for the largest legal layer.
    kind = np.int32 if weight.shape[1] * MAX_WEIGHT < INT32_LIMIT else np.int64
    above = np.maximum(weight, 0).sum(axis=1, dtype=kind).astype(np.int64)  # of positive weights
    below = above - weight.sum(axis=1, dtype=kind)  # and of the negative ones' magnitudes
    up, down = max(source.high, 0), max(-source.low, 0)
    positive, negative = above * up + below * down, above * down + below * up
    swing = LEVEL_MAX * np.abs(op.slope)
    partial = np.maximum(positive, negative)
    bound = partial + np.abs(op.bias) + swing
    if op.weight.shape[2] == 1 and not source.low <= 0 <= source.high:
        # No padding: every tap sees a real input, so the extremes need no zero.
        low = above * source.low - below * source.high
        high = above * source.high - below * source.low
    else:
        low, high = -negative, positive
    low, high = low + op.bias - swing, high + op.bias + swing
    clip = (op.low, op.high)
    if op.table is not None:
        clip = (op.table_low, op.table_low + op.table.size - 1)
    quotient = quotient_bound(low, high, op.divisor, *clip)
    input_bits = 8 if fits_8_bits(source.low, source.high) else 16
    max_weight = op.max_weight
    # A backend may shift a signed input by 128, so the shifted sum must fit too.
    shifted = 255 * (above + below) + np.abs(op.bias) + swing
    u8s8 = input_bits == 8 and max_weight <= 127 and int(shifted.max()) < INT32_LIMIT
    return ConvBounds(
        total=above - below,
        partial=partial,
        bound=bound,
        low=low,
        high=high,
        quotient=quotient,
        input_bits=input_bits,
        max_weight=max_weight,
        reciprocal=rule1(quotient, op.divisor),
        float32=int(bound.max()) < FLOAT32_LIMIT,
        u8s8=u8s8,
        pairs=u8s8 and max_weight <= PAIR_WEIGHT,
    )


def fits_8_bits(low: int, high: int) -> bool:
    """Whether ``low..high`` fits in uint8 or in int8."""
    return (low >= 0 and high <= 255) or (low >= -128 and high <= 127)


def requantize_reciprocal(op: Requantize, source: Info) -> bool:
    """Rule 1 for a Requantize. True for all legal ones: |x| <= 2**15 and c < 2**14."""
    low = np.full(op.divisor.shape, source.low, dtype=np.int64)
    high = np.full(op.divisor.shape, source.high, dtype=np.int64)
    return rule1(quotient_bound(low, high, op.divisor, op.low, op.high), op.divisor)


def program_bounds(program: Program) -> dict[str, ConvBounds]:
    """Bounds of every convolution by target name.

    Raises:
        ModelError: the program is not valid.
    """
    infos = infer(program)
    return {
        op.target: conv_bounds(op, infos[op.source]) for op in program.ops if isinstance(op, Conv)
    }


def check_bounds(program: Program) -> None:
    """Check that no accumulator can leave 32 bits, whatever the input and the level; done once.

    Raises:
        ModelError: the program is not valid, or a bound reaches 2**31; names the operation, the
            channel and the bound.
    """
    program.once("bounds", lambda: _check_bounds(program))


def _check_bounds(program: Program) -> None:
    for target, found in program_bounds(program).items():
        channel = int(found.bound.argmax())
        bound = int(found.bound[channel])
        if bound >= INT32_LIMIT:
            raise ModelError(
                f"{program.name}: conv {target!r}: bound {bound:,} of channel {channel} "
                "reaches 2^31"
            )
