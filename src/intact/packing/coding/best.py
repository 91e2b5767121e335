"""Method "best": weight after weight, each bit of it by the vote of a few contexts. The smallest.

Normative, with docs/spec/weights_coding.md; native/weights.c does the same, a thousand times as
fast. A weight is coded as a magnitude in unary (is it above 0, above 1, ...), its sign after the
first of these bits. Contexts are what `contexts` knows, without levels that are sent, and the
neighbors of the weight in its kernel, its row and the rows before.
"""

from __future__ import annotations

import ctypes

import numpy as np

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.packing.coding import kernels
from intact.packing.coding.best_model import (
    EXPONENTS,
    INPUTS,
    SIGNS,
    SLOTS,
    UNARY,
    Model,
    first_weights,
)
from intact.packing.coding.binary import SQUASH_ARRAY, STRETCH_ARRAY, BitCoder
from intact.packing.coding.contexts import MAX_MAGNITUDE, MAX_MEAN, mean_of, side_of
from intact.packing.coding.logs import LOG, MANTISSA_ARRAY, log_of_mean
from intact.packing.coding.rows import MAX_CENTER, table_center
from intact.packing.coding.shape import WHAT, Backend, Shape, Symbols

NO_SPACE = 4
NUM_SLOTS = INPUTS * UNARY * SLOTS + SIGNS * SLOTS + 4 * EXPONENTS


def encode(symbols: Symbols, shape: Shape, backend: Backend | None) -> bytes:
    """Two numbers, then the bits of all weights."""
    center, _ = table_center(symbols, shape)
    values = symbols - np.int32(center)
    sizes = np.minimum(np.abs(values), MAX_MAGNITUDE)
    mean = mean_of(log_of_mean(int(sizes.sum(dtype=np.int64)), values.size))
    head = varint.encode(varint.zigzag(center)) + varint.encode(mean)
    native = kernels.functions(backend)
    if native is not None:
        return head + _encode_native(native, values, shape, mean, center)
    model = Model(shape, mean, values.tolist())
    coder = BitCoder()
    model.run(coder, shape.low - center, shape.high - center)
    return head + coder.finish()


def decode(data: bytes, shape: Shape, backend: Backend | None) -> Symbols:
    """Inverse of `encode`.

    Raises:
        CorruptDataError: a field is out of its range, or the bits end early or late.
    """
    cursor = Cursor(data, f"{WHAT}, best")
    center = varint.unzigzag(cursor.varint(0, 2 * MAX_CENTER, "center"))
    mean = cursor.varint(0, MAX_MEAN, "mean of the magnitudes")
    payload = cursor.take(cursor.remaining, "bits")
    native = kernels.functions(backend)
    if native is not None:
        values = np.zeros(shape.size, np.int32)
        buffer = np.frombuffer(payload, np.uint8)
        error, place = _call(native, buffer, values, shape, mean, center, decoding=True)
        kernels.check(error, place, f"{WHAT}, best")
        if int(place[0]) != len(payload) + 3:
            raise cursor.corrupt("the bits end before the data")
        return values + np.int32(center)
    model = Model(shape, mean, [0] * shape.size)
    coder = BitCoder(payload)
    model.run(coder, shape.low - center, shape.high - center)
    coder.finish()
    return np.array(model.values, np.int32) + np.int32(center)


def _encode_native(
    native: ctypes.CDLL, values: Symbols, shape: Shape, mean: int, center: int
) -> bytes:
    """The bits, in C; with ever more room for them."""
    room = values.size + 1024
    while True:
        buffer = np.empty(room, np.uint8)
        error, place = _call(native, buffer, values, shape, mean, center, decoding=False)
        if error != NO_SPACE:
            kernels.check(error, place, f"{WHAT}, best")
            return buffer[: int(place[0])].tobytes()
        room *= 4


def _call(  # noqa: PLR0913 - one place for the arguments of a function in C
    native: ctypes.CDLL,
    buffer: np.ndarray,
    values: Symbols,
    shape: Shape,
    mean: int,
    center: int,
    *,
    decoding: bool,
) -> tuple[int, np.ndarray]:
    """Result and cursor of `intact_weights_best`."""
    channels = shape.columns // shape.kernel
    sizes = [shape.rows, channels, shape.kernel, side_of(shape.kernel), mean]
    sizes += [shape.low - center, shape.high - center, buffer.size]
    work = np.zeros(channels + shape.kernel + shape.columns, np.int64)
    slots = np.zeros(2 * NUM_SLOTS, np.uint16)
    weights = np.array([weight for chosen in first_weights() for weight in chosen], np.int32)
    place = np.zeros(2, np.int64)
    described = np.array(sizes, np.int64)
    error = native.intact_weights_best(
        buffer.ctypes.data, place.ctypes.data, int(decoding), described.ctypes.data,
        values.ctypes.data, work.ctypes.data, slots.ctypes.data, weights.ctypes.data,
        MANTISSA_ARRAY.ctypes.data, LOG.ctypes.data, SQUASH_ARRAY.ctypes.data,
        STRETCH_ARRAY.ctypes.data,
    )  # fmt: skip
    return error, place
