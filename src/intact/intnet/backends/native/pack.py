"""Constants of the native kernels: structures shared with native/intnet.h and packed weights.

Weights are packed once into the order in which the kernels read them: blocks of 16 * lanes output
channels (four vector registers of int32 accumulators; lanes are the 128-bit lanes of a register),
within a block 4-byte words of inputs (four bytes, or two 16-bit words, of one pixel).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from intact.errors import UnsupportedError
from intact.intnet.bounds import ConvBounds, conv_bounds, fits_8_bits
from intact.intnet.infer import Info
from intact.intnet.program import Conv

COPY, WIDEN, NARROW, GEMM8, GEMM16, DEPTHWISE8, DEPTHWISE = range(7)
REQUANTIZE, SCALE, ADD, TABLE, SHUFFLE, UNSHUFFLE, IM2COL = range(7, 14)
FLOAT, DOUBLE = range(2)
PORTABLE, AVX2, AVX512, AMX = range(4)
ZEROS = 4096 + 64  # INTNET_ZEROS


class OpStruct(ctypes.Structure):
    """``intnet_op``."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in (
            "kind", "source", "addend", "target", "channels_in", "channels_out", "size", "step",
            "bytes_in", "bytes_out", "zero_in", "zero_out", "low", "high", "divide", "words",
            "edge", "unused",
        )),
        *((name, ctypes.c_void_p) for name in (
            "weights", "bias", "reciprocal", "reciprocal64", "order", "table", "depth",
        )),
    )  # fmt: skip


class SlotStruct(ctypes.Structure):
    """``intnet_slot``."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
    )


def fill(struct: OpStruct | SlotStruct, **numbers: int) -> None:
    """Set fields of a structure; ctypes alone would cut off what does not fit.

    Raises:
        UnsupportedError: a number does not fit its field.
    """
    for name, number in numbers.items():
        setattr(struct, name, number)
        if getattr(struct, name) != number:
            raise UnsupportedError(f"native code: {name} is {number}, which its field cannot hold")


@dataclass(eq=False)
class Step:
    """One operation of a segment as the kernels run it.

    Attributes:
        kind: which kernel.
        source: name of a slot.
        target: name of a slot.
        addend: name of a slot, or None.
        numbers: the int32 fields of `OpStruct` that are not 0.
        arrays: its pointer fields.
        bias: int64, in the order of the accumulators, or None.
        slope: int64 of the same shape; the run's level times this is added to the bias.
    """

    kind: int
    source: str
    target: str
    addend: str | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    bias: np.ndarray | None = None
    slope: np.ndarray | None = None


@cache
def accumulator_order(lanes: int, result_bytes: int) -> np.ndarray:
    """Channel within a block for each place of the accumulators: register j, lane i, element e.

    Packing 32 to 16 (to 8) bits works within lanes; with this order the packed channels come out
    in sequence.

    Example:
        >>> accumulator_order(1, 1).tolist() == list(range(16))
        True
        >>> accumulator_order(2, 1)[:12].tolist()
        [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7]
    """
    j, i, e = np.meshgrid(np.arange(4), np.arange(lanes), np.arange(4), indexing="ij")
    if result_bytes == 1:
        order = 16 * i + 4 * j + e
    else:
        order = 8 * lanes * (j // 2) + 8 * i + 4 * (j % 2) + e
    order = order.ravel()
    order.flags.writeable = False
    return order


def by_blocks(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Pad the first axis to whole blocks with zeros, each block in order: [blocks, n, ...]."""
    block = order.size
    count = -(-values.shape[0] // block)
    padded = np.zeros((count * block, *values.shape[1:]), dtype=values.dtype)
    padded[: values.shape[0]] = values
    return padded.reshape(count, block, *values.shape[1:])[:, order]


def pack_gemm(weight: np.ndarray, order: np.ndarray, dtype: type) -> np.ndarray:
    """Weights [o, k] as [blocks, words, n, inputs per word] of int8 or int16."""
    per_word = 4 // np.dtype(dtype).itemsize
    outputs, inputs = weight.shape
    blocks, words = -(-outputs // order.size), -(-inputs // per_word)
    padded = np.zeros((blocks * order.size, words * per_word), dtype=dtype)
    padded[:outputs, :inputs] = weight
    moved = padded.view(np.int32).reshape(blocks, order.size, words)  # whole words are faster
    packed = np.ascontiguousarray(moved[:, order].transpose(0, 2, 1))
    return packed.view(dtype).reshape(blocks, words, order.size, per_word)


def pack_tiles(weight: np.ndarray) -> np.ndarray:
    """Weights [o, k] as int8 [blocks of 64 o, steps of 64 k, columns of 16 o, 16, 16, 4]."""
    outputs, inputs = weight.shape
    blocks, steps = -(-outputs // 64), -(-inputs // 64)
    padded = np.zeros((blocks * 64, steps * 64), dtype=np.int8)
    padded[:outputs, :inputs] = weight
    words = padded.view(np.int32).reshape(blocks, 4, 16, steps, 16)
    tiles = np.ascontiguousarray(words.transpose(0, 3, 1, 4, 2))
    return tiles.view(np.int8).reshape(*tiles.shape, 4)


def _lanes(isa: int) -> int:
    """128-bit lanes of a vector register."""
    return 1 << min(isa, AVX512)


def pair_depths(packed: np.ndarray, largest: int) -> np.ndarray:
    """Words of each block that may be added in 16 bits, uint8 [blocks]: 4, 2, 1, or 0 for none.

    ``pmaddubsw`` adds the products of bytes 0, 1 and of bytes 2, 3 of a word. All partial sums lie
    between the sum of the negative and that of the positive products, which is what is bounded.

    Args:
        packed: int8 [blocks, words, n, 4].
        largest: the largest input byte, 0..255.
    """
    # int16: at most 4 * 2 * 128. Slices, because sums over axes of length two are slow.
    left, right = packed[..., 0::2].astype(np.int16), packed[..., 1::2].astype(np.int16)
    positive = np.maximum(left, 0) + np.maximum(right, 0)
    negative = np.minimum(left, 0) + np.minimum(right, 0)
    most, least = 32767 // max(largest, 1), -(32768 // max(largest, 1))
    depths = np.zeros(packed.shape[0], dtype=np.uint8)
    for depth in (1, 2, 4):
        whole = packed.shape[1] // depth * depth
        high = sum(positive[:, word:whole:depth] for word in range(depth))
        low = sum(negative[:, word:whole:depth] for word in range(depth))
        fits = np.all((high <= most) & (low >= least), axis=(1, 2, 3))
        # A deeper sum only counts where every shallower one fits: the rest of the words use it.
        depths[fits & (depths == depth // 2)] = depth
    return depths


def division(bounds: ConvBounds, divisor: np.ndarray) -> int:
    """FLOAT where rule 1 holds and no quotient, saturated or not, leaves 22 bits; else DOUBLE."""
    small = int((bounds.bound // divisor).max()) < 2**22 - 1
    return FLOAT if bounds.reciprocal and small else DOUBLE


def reciprocals(divisor: np.ndarray) -> dict[str, np.ndarray]:
    """``1 / c`` as float32 and float64, each correctly rounded; 0 in the padding."""
    exact = np.divide(1.0, divisor, out=np.zeros(divisor.shape), where=divisor > 0)
    single = np.float32(1) / np.maximum(divisor, 1).astype(np.float32)
    return {
        "reciprocal": np.where(divisor > 0, single, np.float32(0)).astype(np.float32),
        "reciprocal64": exact,
    }


def conv_constants(
    step: Step, op: Conv, bounds: ConvBounds, order: np.ndarray | None, zero: int
) -> None:
    """Fill in bias, slope and divisors; without an order the channels stay in sequence.

    Args:
        step: the layer's step.
        op: the convolution.
        bounds: its bounds.
        order: of the accumulators.
        zero: zero point of the input bytes, which the bias makes up for.
    """
    bias = op.bias - zero * bounds.total
    if order is None:
        order = np.arange(64)  # only the padding matters
    step.bias, step.slope, divisor = (
        by_blocks(values, order).ravel() for values in (bias, op.slope, op.divisor)
    )
    step.arrays.update(reciprocals(divisor))
    step.numbers["divide"] = division(bounds, op.divisor)
    step.numbers["channels_out"] = op.weight.shape[0]


def gemm_step(op: Conv, source: Info, isa: int, result_bytes: int) -> Step:
    """A 1x1 convolution, or a larger one over columns of taps (dy, dx, channel).

    The step is GEMM8 where the input fits in 8 bits, the weights do, and on AVX2 no pair of
    products overflows; else GEMM16. Slots and what follows the division are for the caller.
    """
    order = accumulator_order(_lanes(isa), result_bytes)
    matrix = op.weight.transpose(0, 2, 3, 1).reshape(op.weight.shape[0], -1)
    bounds = conv_bounds(op, source)
    step = Step(GEMM16, "", "")
    zero = 0
    fits = fits_8_bits(source.low, source.high) and _are_bytes(matrix, bounds)
    if isa > PORTABLE and fits:
        zero = zero_point(source)
        if isa == AMX:
            order = np.arange(64)
        packed = pack_tiles(matrix) if isa == AMX else pack_gemm(matrix, order, np.int8)
        step.kind = GEMM8
        step.arrays["weights"] = packed
        if isa == AVX2:
            step.arrays["depth"] = depths = pair_depths(packed, source.high + zero)
            if depths.min() == 0:
                step = Step(GEMM16, "", "")
    if step.kind == GEMM16:
        zero = 0
        step.arrays["weights"] = pack_gemm(matrix, order, np.int16)
    words = step.arrays["weights"].shape[1]
    if isa == AMX and step.kind == GEMM8:
        words *= 16
    step.numbers |= {"words": words, "zero_in": zero}
    conv_constants(step, op, bounds, order, zero)
    return step


def _are_bytes(weights: np.ndarray, bounds: ConvBounds) -> bool:
    """Whether weights fit in int8."""
    return bounds.max_weight <= 127 or (bounds.max_weight == 128 and int(weights.max()) < 128)


def depthwise_step(op: Conv, source: Info, isa: int, *, bytes_in: int, bytes_out: int) -> Step:
    """A depthwise convolution: DEPTHWISE8 for the layer that networks have, else DEPTHWISE."""
    taps = op.weight[:, 0]  # [o, dy, dx]
    size = taps.shape[1]
    zero = zero_point(source) if bytes_in == 1 else 0
    step = Step(DEPTHWISE, "", "")
    step.numbers |= {"channels_in": taps.shape[0], "size": size, "step": op.stride,
                     "bytes_in": bytes_in, "zero_in": zero, "edge": int(op.edge)}  # fmt: skip
    fast = isa > PORTABLE and bytes_in == bytes_out == 1 and size == 3 and op.stride == 1
    fast = fast and op.table is None and _are_bytes(taps, conv_bounds(op, source))
    if fast:
        order = accumulator_order(_lanes(isa), 1)
        words = np.zeros((taps.shape[0], 3, 4), dtype=np.int8)  # [o, dx, dy and a zero]
        words[:, :, :3] = taps.transpose(0, 2, 1)
        packed = np.ascontiguousarray(by_blocks(words, order).transpose(0, 2, 1, 3))
        if isa >= AVX512 or pair_depths(packed, source.high + zero).min() > 0:
            step.kind = DEPTHWISE8
            step.arrays["weights"] = packed
            conv_constants(step, op, conv_bounds(op, source), order, zero)
            return step
    step.arrays["weights"] = np.ascontiguousarray(taps.transpose(1, 2, 0), dtype=np.int32)
    conv_constants(step, op, conv_bounds(op, source), None, 0)
    return step


def zero_point(info: Info) -> int:
    """Zero point of a value stored as bytes: 0 if it fits in uint8, 128 if only in int8."""
    return 0 if info.low >= 0 else 128


def channel_order(channels: int, factor: int) -> np.ndarray:
    """int32: channel of the deep side for each (dy, dx, c) of the wide side, as in PyTorch.

    Args:
        channels: of the wide side.
        factor: r of Shuffle and Unshuffle.

    Example:
        >>> channel_order(2, 2).tolist()
        [0, 4, 1, 5, 2, 6, 3, 7]
    """
    deep = np.arange(channels * factor**2, dtype=np.int32).reshape(channels, factor, factor)
    return np.ascontiguousarray(deep.transpose(1, 2, 0)).ravel()
