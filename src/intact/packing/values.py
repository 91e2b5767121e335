"""What the values of blobs are to a tensor: itself, multiples of a step, entries of a codebook.

docs/spec/weights.md, "Values", is normative. A center is a float32; the product with a scale is
rounded once, to the nearest float32, ties to even, and that once more to a narrower type. So it is
the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from intact.errors import CorruptDataError, quoted
from intact.packing.blobs import decode_blob, decode_levels, span_of, symbols_of
from intact.packing.dtypes import Array, as_float32, narrow
from intact.packing.index import Blob, Index, Kind, Tensor, runs
from intact.packing.limits import MAX_SYMBOL

MAX_LEVELS: Final = 1 << 16
"""Symbols that may be looked up; of more each is multiplied."""
Bytes = Callable[[Blob], bytes]
Run = tuple[int, int, int]


def part_of(index: Index, tensor: Tensor, run: Run, done: int, get: Bytes) -> Array:
    """Raw elements of a tensor that one blob has.

    Args:
        index: of the file.
        tensor: one of it.
        run: blob, first value and values (`intact.packing.index.runs`).
        done: values of the tensor in blobs before.
        get: the bytes of a blob.

    Raises:
        CorruptDataError: the blob is damaged, or holds what it must not.
    """
    number, first, count = run
    blob, part = index.blobs[number], slice(first, first + count)
    what = f"tensor {quoted(tensor.name)}, blob {number}"
    data = get(blob)
    if tensor.kind is Kind.VALUES:
        found = decode_blob(blob, data, what)[part]
        if blob.dtype == tensor.dtype:
            return found
        return narrow(as_float32(found, blob.dtype), tensor.dtype)
    if tensor.kind is Kind.STEP:
        low, high = span_of(blob, data, what)
        if max(-low, high) > MAX_SYMBOL:
            raise CorruptDataError(f"{what}: symbols {low} .. {high}, legal: up to {MAX_SYMBOL}")
        if high - low >= MAX_LEVELS:
            symbols = symbols_of(blob, data, what)[part]
            return narrow(_scaled(_multiples(symbols, tensor), tensor, done), tensor.dtype)
        centers = _multiples(np.arange(low, high + 1), tensor)
    else:
        book = index.codebooks[tensor.codebook]
        low, centers = 0, floats(book.centers)
        if book.width > 1:
            return _vectors(symbols_of(blob, data, what)[part], centers, tensor, done, what)
    if len(tensor.scales) > 1:  # another for each row
        bits = decode_levels(blob, data, centers.view(np.uint32), low, part, what)
        return narrow(_scaled(bits.view(np.float32), tensor, done), tensor.dtype)
    levels = narrow(_scaled(centers, tensor, 0), tensor.dtype)
    if levels.itemsize > 4:  # the coder has none of 8 bytes
        numbers = np.arange(len(levels), dtype=np.uint32)
        return levels[decode_levels(blob, data, numbers, low, part, what)]
    native = levels.astype(levels.dtype.newbyteorder("="), copy=False)
    return decode_levels(blob, data, native, low, part, what)


def _vectors(symbols: Array, centers: Array, tensor: Tensor, done: int, what: str) -> Array:
    """Raw elements of symbols that stand for several numbers each."""
    rows = centers.reshape(-1, tensor.width)
    if int(symbols.min()) < 0 or int(symbols.max()) >= len(rows):
        raise CorruptDataError(f"{what}: a symbol is outside 0 .. {len(rows) - 1}")
    start = done * tensor.width - tensor.lead
    found = rows[symbols].reshape(-1)[max(-start, 0) : tensor.num_items - start]
    return narrow(_scaled(found, tensor, max(start, 0)), tensor.dtype)


def floats(bits: tuple[int, ...]) -> Array:
    """float32 of their bits."""
    return np.array(bits, np.uint32).view(np.float32)


def _multiples(symbols: Array, tensor: Tensor) -> Array:
    """float32: symbols, which it holds exactly, times the step."""
    with np.errstate(over="ignore"):
        return symbols.astype(np.float32) * floats((tensor.step,))


def _scaled(centers: Array, tensor: Tensor, done: int) -> Array:
    """float32 centers of elements from ``done`` on, times the scales of their rows."""
    if not tensor.scales:
        return centers
    scales = floats(tensor.scales)
    if len(scales) > 1:
        columns = tensor.num_items // len(scales)
        scales = scales[np.arange(done, done + len(centers)) // columns]
    with np.errstate(over="ignore"):
        return centers * scales


def symbols_of_tensor(index: Index, tensor: Tensor, get: Bytes) -> Array:
    """The symbols of a tensor that has some, int32; of its shape where each stands for one element.

    Raises:
        CorruptDataError: a blob is damaged.
    """
    found = [
        symbols_of(index.blobs[number], get(index.blobs[number]), f"tensor {quoted(tensor.name)}")[
            first : first + count
        ]
        for number, first, count in runs(tensor, index.blobs)
    ]
    flat = np.concatenate([*found, np.zeros(0, np.int32)]).astype(np.int32)
    return flat.reshape(tensor.shape) if tensor.width == 1 else flat
