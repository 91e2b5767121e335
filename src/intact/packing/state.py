"""State dicts out of `.intactw` files, and what a state dict may hold that NumPy has not.

`intact.weights` is the public door; torch is there, not here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intact.codec.arguments import flag
from intact.errors import ArgumentError, UnsupportedError, quoted
from intact.packing.dtypes import Array, from_raw, widen, widens
from intact.packing.file import WeightsFile
from intact.packing.parallel import num_threads


@dataclass(frozen=True)
class Symbols:
    """A quantized tensor: what the file keeps exactly.

    The tensor is ``step * symbols``, or ``centers[symbols]``, times ``scales`` if there are any: in
    float32, rounded once more to a narrower dtype.

    Attributes:
        symbols: integers of the tensor's shape. With vectors [n]: all that it takes part of.
        step: above 0; or
        centers: float32 [L], or [L, k] where a symbol stands for k consecutive elements.
        scales: a number, or one for each index of the first axis, [rows].
        dtype: of the tensor: F32, F16, BF16 or F64.
        shape: of the tensor where centers are vectors; else that of the symbols.
        lead: with vectors, elements of the first symbol that are not the tensor's.
    """

    symbols: Array
    step: float | None = None
    centers: Any = None
    scales: Any = None
    dtype: str = "F32"
    shape: Sequence[int] | None = None
    lead: int = 0


@dataclass(frozen=True)
class Raw:
    """A tensor of a type that NumPy has not: bfloat16, float8.

    Attributes:
        items: its raw elements: uint16, uint8.
        dtype: its name in safetensors files.
        shape: of the tensor.
    """

    items: Array
    dtype: str
    shape: Sequence[int]


def load(
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    raw: bool = False,
    max_bytes: int | None = None,
    threads: int = 0,
) -> dict[str, Array]:
    """Read the tensors of a `.intactw` file. Needs NumPy alone.

    Args:
        path: of the file.
        names: of the tensors that are wanted, only these are decoded; None for all.
        raw: bfloat16 and float8, which NumPy has not, as the unsigned integers of their bits; else
            as float32, exactly.
        max_bytes: refuse a file whose wanted tensors take more as the arrays that are returned; a
            small file from a stranger may hold huge ones, many times over.
        threads: to decode with; 0 takes all cores.

    Returns:
        Arrays by name, in the order of the file. Tied tensors are arrays of their own.

    Raises:
        CorruptDataError: the file is damaged.
        ArgumentError: it has no tensor of a name, or an argument is not legal.
        UnsupportedError: it is of a later version, or exceeds ``max_bytes``.
        OSError: it cannot be read.
    """
    if isinstance(names, str):
        raise ArgumentError(f"names is {quoted(names)}; legal is a list of names, or None")
    flag("raw", raw)
    num_threads(threads)
    file = WeightsFile(path)
    wanted = list(file.tensors) if names is None else list(names)
    tensors = [file.tensor(name) for name in wanted]
    if max_bytes is not None and not (
        isinstance(max_bytes, int | float) and max_bytes >= 0  # NaN would let everything through
    ):
        raise ArgumentError(f"max_bytes is {quoted(max_bytes)}; legal is a number from 0, or None")
    total = sum(
        4 * tensor.num_items
        if widens(tensor.dtype) and not raw
        else tensor.dtype.num_bytes(tensor.shape)
        for tensor in tensors
    )
    if max_bytes is not None and total > max_bytes:
        raise UnsupportedError(f"{file.name}: {total} bytes unpacked, max_bytes is {max_bytes}")
    return {name: array_of(file, name, raw=raw, threads=threads) for name in wanted}


def array_of(file: WeightsFile, name: str, *, raw: bool = False, threads: int = 0) -> Array:
    """One tensor of a file that is open; see `load`."""
    tensor = file.tensor(name)
    items = file.raw(tensor, num_threads(threads))
    wide = None if raw else widen(items, tensor.dtype)
    if wide is not None:
        return wide.reshape(tensor.shape)
    return from_raw(items, tensor.dtype, tensor.shape)
