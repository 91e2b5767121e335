"""The meaning of every operation, in 64-bit integers. This file is normative.

docs/spec/intnet.md says the same in prose and holds the proofs. Written to be read and to be
translated: plain loops over the kernel's taps, no floating point, no blocking. The backends under
`intact.intnet.backends` are fast and must agree with this file bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from intact.intnet.infer import infer
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    LEVEL_MAX,
    MAX_DIVISOR,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    dtype_of,
    sources,
)


def divide_round(acc: np.ndarray, divisor: int | np.ndarray) -> np.ndarray:
    """Divide and round to the nearest integer: ``(acc + divisor // 2) // divisor``.

    Ballé 2019, Eq. 4 (the circled slash), with floor division. ``divisor`` is odd, so no quotient
    ends in .5 and every rounding rule gives this result (docs/spec/intnet.md, "divide_round").

    Args:
        acc: int64 accumulators, |acc| < 2**31.
        divisor: c in the paper; odd, 1..16383; broadcast along the last axis.

    Returns:
        The rounded quotients, int64.

    Raises:
        ValueError: a divisor is even or out of range.

    Example:
        >>> divide_round(np.array([-5, -4, 4, 5]), 3).tolist()
        [-2, -1, 1, 2]
    """
    divisor = np.asarray(divisor, dtype=np.int64)
    if (divisor < 1).any() or (divisor > MAX_DIVISOR).any() or (divisor % 2 == 0).any():
        raise ValueError(f"divisor must be odd and in 1..{MAX_DIVISOR}")
    return (np.asarray(acc, dtype=np.int64) + divisor // 2) // divisor


def saturate(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """``min(max(values, low), high)``, elementwise.

    Example:
        >>> saturate(np.array([-1, 7, 300]), 0, 255).tolist()
        [0, 7, 255]
    """
    return np.minimum(np.maximum(values, low), high)


def accumulate(op: Conv, source: np.ndarray, level: int) -> np.ndarray:
    """``acc`` of a convolution, before the division: int64 [ceil(h/stride), ceil(w/stride), o].

    Args:
        op: the convolution.
        source: int64 [h, w, i].
        level: -127..127.
    """
    height, width, _ = source.shape
    outputs, _, taps, _ = op.weight.shape
    margin, stride = taps // 2, op.stride
    rows, columns = -(-height // stride), -(-width // stride)
    around = ((margin, margin), (margin, margin), (0, 0))
    padded = np.pad(source, around, mode="edge" if op.edge else "constant")
    acc = np.zeros((rows, columns, outputs), dtype=np.int64)
    acc += op.bias + op.slope * level
    for dy in range(taps):
        for dx in range(taps):
            tap = op.weight[:, :, dy, dx].astype(np.int64)  # [o, i / groups]
            window = padded[
                dy : dy + stride * (rows - 1) + 1 : stride,
                dx : dx + stride * (columns - 1) + 1 : stride,
            ]
            if op.groups == 1:
                acc += np.einsum("yxi,oi->yxo", window, tap)
            else:
                acc += window * tap[:, 0]
    return acc


def conv(op: Conv, source: np.ndarray, level: int) -> np.ndarray:
    """Accumulate, divide, then saturate or look up; see `Conv`. int64 in and out."""
    quotients = divide_round(accumulate(op, source, level), op.divisor)
    if op.table is None:
        return saturate(quotients, op.low, op.high)
    last = op.table_low + op.table.size - 1
    return op.table.astype(np.int64)[saturate(quotients, op.table_low, last) - op.table_low]


def requantize(op: Requantize, source: np.ndarray) -> np.ndarray:
    """Divide each channel by its divisor, round, saturate."""
    return saturate(divide_round(source, op.divisor), op.low, op.high)


def scale(op: Scale, source: np.ndarray) -> np.ndarray:
    """Multiply each channel by its factor, saturate to 16 bits."""
    return saturate(source * op.factor, INT16_LOW, INT16_HIGH)


def add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Add, saturate to 16 bits.

    Raises:
        ValueError: the shapes differ.
    """
    if left.shape != right.shape:
        raise ValueError(f"cannot add values of shapes {left.shape} and {right.shape}")
    return saturate(left + right, INT16_LOW, INT16_HIGH)


def shuffle(source: np.ndarray, factor: int) -> np.ndarray:
    """Depth to space; inverse of `unshuffle`.

    Example:
        >>> shuffle(np.arange(4).reshape(1, 1, 4), 2)[:, :, 0].tolist()
        [[0, 1], [2, 3]]
    """
    height, width, channels = source.shape
    blocks = source.reshape(height, width, channels // factor**2, factor, factor)
    blocks = blocks.transpose(0, 3, 1, 4, 2)  # y, dy, x, dx, c
    return blocks.reshape(height * factor, width * factor, channels // factor**2)


def unshuffle(source: np.ndarray, factor: int) -> np.ndarray:
    """Space to depth; inverse of `shuffle`.

    Raises:
        ValueError: height or width is no multiple of the factor.
    """
    height, width, channels = source.shape
    if height % factor or width % factor:
        raise ValueError(f"cannot unshuffle {height}x{width} by {factor}")
    blocks = source.reshape(height // factor, factor, width // factor, factor, channels)
    blocks = blocks.transpose(0, 2, 4, 1, 3)  # y, x, c, dy, dx
    return blocks.reshape(height // factor, width // factor, channels * factor**2)


def apply(op: Op, operands: list[np.ndarray], level: int) -> np.ndarray:
    """One operation on int64 operands, in the order of `program.sources`."""
    match op:
        case Conv():
            return conv(op, operands[0], level)
        case Requantize():
            return requantize(op, operands[0])
        case Scale():
            return scale(op, operands[0])
        case Add():
            return add(operands[0], operands[1])
        case Shuffle():
            return shuffle(operands[0], op.factor)
        case Unshuffle():
            return unshuffle(operands[0], op.factor)
        case _:
            assert_never(op)


def check_inputs(program: Program, inputs: Mapping[str, np.ndarray], level: int) -> None:
    """Refuse anything the program's proofs do not cover.

    Raises:
        ValueError: names, dtypes, shapes, ranges or the level are not the program's.
    """
    if isinstance(level, bool) or not isinstance(level, (int, np.integer)):
        raise ValueError(f"level must be an integer, got {type(level).__name__}")
    if not -LEVEL_MAX <= level <= LEVEL_MAX:
        raise ValueError(f"level {level}, legal: -{LEVEL_MAX}..{LEVEL_MAX}")
    names = [value.name for value in program.inputs]
    if set(inputs) != set(names):
        raise ValueError(f"{program.name}: inputs {sorted(inputs)}, expected {sorted(names)}")
    size: tuple[int, ...] | None = None
    for value in program.inputs:
        array = inputs[value.name]
        what = f"{program.name}: input {value.name!r}"
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
            raise ValueError(f"{what}: expected an integer array")
        if array.ndim != 3 or array.shape[2] != value.channels or 0 in array.shape:
            raise ValueError(f"{what}: shape {array.shape}, expected (h, w, {value.channels})")
        if size is not None and array.shape[:2] != size:
            raise ValueError(f"{what}: {array.shape[:2]}, other inputs have {size}")
        size = array.shape[:2]
        # No scan where the dtype alone keeps the promise: the common case is an int8 image.
        legal = np.iinfo(array.dtype)
        if legal.min >= value.low and legal.max <= value.high:
            continue
        low, high = int(array.min()), int(array.max())
        if low < value.low or high > value.high:
            raise ValueError(f"{what}: values {low}..{high}, legal: {value.low}..{value.high}")


def run(
    program: Program, inputs: Mapping[str, np.ndarray], level: int = 0
) -> dict[str, np.ndarray]:
    """Run a program: the normative result every backend must reproduce.

    Args:
        program: a valid program.
        inputs: one integer array [h, w, channels] per input, within its range.
        level: the integer that Conv slopes multiply, -127..127.

    Returns:
        The outputs by name, in the dtype of their static range (`program.dtype_of`).

    Raises:
        ValueError: the inputs or the level are not what the program declares.
        ModelError: the program is not valid.
    """
    infos = infer(program)
    check_inputs(program, inputs, level)
    last: dict[str, int] = {}  # the operation after which a value is dead
    for index, op in enumerate(program.ops):
        last.update(dict.fromkeys((op.target, *sources(op)), index))
    values = dict(inputs)
    outputs: dict[str, np.ndarray] = {}
    for name in program.outputs:
        if name in values:
            outputs[name] = values[name].astype(dtype_of(infos[name].low, infos[name].high))
    for index, op in enumerate(program.ops):
        operands = [np.asarray(values[name], dtype=np.int64) for name in sources(op)]
        result = values[op.target] = apply(op, operands, int(level))
        if op.target in program.outputs:
            info = infos[op.target]
            outputs[op.target] = result.astype(dtype_of(info.low, info.high))
        for name in {op.target, *sources(op)}:
            if last[name] == index:
                del values[name]
        del operands, result  # or they would live on beside the next operation's
    return {name: outputs[name] for name in program.outputs}
