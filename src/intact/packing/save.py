"""State dicts to `.intactw` files: arrays without loss, and the symbols that training produced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from intact import files
from intact.codec.arguments import flag
from intact.errors import ArgumentError, quoted
from intact.packing.build import SHARED_VALUES, Builder, Kept, Source, groups_of_equals
from intact.packing.coding import METHODS, Method
from intact.packing.dtypes import (
    BY_NAME,
    F32,
    MAX_AXES,
    Array,
    as_float32,
    narrow,
    of_array,
    to_raw,
)
from intact.packing.file import Writer
from intact.packing.index import NOTES, Codebook, Kind, Tensor
from intact.packing.limits import MAX_BLOB_VALUES, MAX_CENTERS, MAX_SYMBOL, MAX_WIDTH, SMALL_VALUES
from intact.packing.parallel import num_threads
from intact.packing.safetensors import has_surrogate, is_name
from intact.packing.state import Raw, Symbols
from intact.packing.tensors import is_tensor, to_array


def save(  # noqa: PLR0913 - keywords with defaults
    tensors: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    method: Method = "rows",
    joint: bool = False,
    narrow_to: str | None = None,
    threads: int = 0,
) -> int:
    """Write a state dict as a `.intactw` file: symbols as they are, everything else without loss.

    Args:
        tensors: by name arrays, tensors of torch, `Symbols` and `Raw`.
        path: of the file, which appears whole or not at all.
        metadata: text to text.
        method: of coding symbols: "best" is smaller and slower than "rows"; "static" and
            "huffman" have one table for a tensor.
        joint: one table for all symbols of a codebook, one for all multiples of steps, and one for
            those of tensors with one axis (biases, say).
        narrow_to: store float32 arrays as "F16" or "BF16", which rounds them; they are float32
            again when they are read.
        threads: to code with; 0 takes all cores.

    Returns:
        Bytes of the file.

    Raises:
        ArgumentError: a tensor, or an option, is not legal; the message names it.
        UnsupportedError: a tensor of torch is of a kind that no file has.
        OSError: the file cannot be written; what was there is still there.
    """
    if method not in METHODS:
        raise ArgumentError(f"method is {quoted(method)}, legal: {', '.join(METHODS)}")
    if narrow_to not in (None, "F16", "BF16"):
        raise ArgumentError(f"narrow_to is {quoted(narrow_to)}, legal: None, 'F16', 'BF16'")
    flag("joint", joint)
    for what, given in (("tensors", tensors), ("metadata", metadata or {})):
        if not isinstance(given, Mapping):
            raise ArgumentError(f"{what} is a {type(given).__name__}; legal is a mapping, by name")
    for name in tensors:
        if not is_name(name):
            raise ArgumentError(f"{quoted(name)} cannot be the name of a tensor")
    for text in (part for pair in (metadata or {}).items() for part in pair):
        if not isinstance(text, str) or has_surrogate(text):
            raise ArgumentError(f"metadata has {quoted(text)}; legal is text to text")
    coded = {name: t for name, t in tensors.items() if isinstance(t, Symbols)}
    plain = {
        name: t if isinstance(t, Raw) else _array(t, f"tensor {quoted(name)}")
        for name, t in tensors.items()
        if name not in coded
    }
    sources = [_source(name, t, narrow_to) for name, t in plain.items()]
    with files.writing(os.fspath(path)) as file:
        writer = Writer(file)
        writer.index.metadata = dict(metadata or {})
        builder = Builder(writer, method, num_threads(threads), lambda _: None)
        first = groups_of_equals((source, 0) for source in sources)
        kept = [Kept(s, NOTES.index("lossless")) for s in sources if first[s.name] == s.name]
        found = {tensor.name: tensor for tensor in builder.keep(kept)}
        found.update(_Coder(builder, joint=joint).code(coded))
        writer.index.tensors = []
        for name in tensors:
            entry = replace(found[first.get(name, name)], name=name)
            was = plain.get(name)
            if narrow_to is not None and isinstance(was, np.ndarray) and of_array(was) == F32:
                entry = replace(entry, dtype=F32)
            writer.index.tensors.append(entry)
        return writer.finish()


def _array(value: Any, what: str) -> Any:
    """An array of whatever was given: of a list, say, or of a tensor of torch (or a `Raw`)."""
    if is_tensor(value):
        return to_array(value, what)
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} is no array: {error}") from error


def _shape(shape: Sequence[int], where: str) -> tuple[int, ...]:
    """A shape that a reader takes."""
    found = tuple(shape)
    if len(found) > MAX_AXES or not all(size >= 0 for size in found):
        raise ArgumentError(f"{where}: shape {found}; legal: up to {MAX_AXES} sizes, from 0")
    return found


def _source(name: str, tensor: Array | Raw, narrow_to: str | None) -> Source:
    """What is kept as it is, or narrowed."""
    where = f"tensor {quoted(name)}"
    if isinstance(tensor, Raw):
        dtype = BY_NAME.get(tensor.dtype)
        shape = _shape(tensor.shape, where)
        if dtype is None:
            raise ArgumentError(f"{where}: dtype {quoted(tensor.dtype)}; legal: {list(BY_NAME)}")
        items = _array(tensor.items, f"{where}: items")
        legal = np.dtype(dtype.raw)
        if items.dtype.newbyteorder("<") != legal:
            raise ArgumentError(f"{where}: items are {items.dtype}; {dtype.name} wants {legal}")
        items = np.ascontiguousarray(items, legal).reshape(-1)
        if items.size != dtype.num_items(shape):
            raise ArgumentError(f"{where}: {items.size} elements do not make the shape {shape}")
        return Source(name, dtype, shape, lambda: items)
    found = of_array(tensor)
    if found is None:
        raise ArgumentError(f"{where} is {tensor.dtype}, which no file has")
    items, shape = to_raw(tensor), tensor.shape
    if narrow_to is not None and found == F32:
        dtype = BY_NAME[narrow_to]
        narrowed = narrow(items.view("<f4"), dtype)
        was, now = np.isfinite(items.view("<f4")), np.isfinite(as_float32(narrowed, dtype))
        if not np.array_equal(was, now):
            raise ArgumentError(f"{where} has a value too large for {narrow_to}")
        return Source(name, dtype, shape, lambda: narrowed)
    return Source(name, found, shape, lambda: items)


class _Coder:
    """Writes `Symbols`, small ones together."""

    def __init__(self, builder: Builder, *, joint: bool) -> None:
        self._builder, self._joint = builder, joint
        self._books: dict[tuple[int, tuple[int, ...]], int] = {}

    def code(self, tensors: Mapping[str, Symbols]) -> dict[str, Tensor]:
        """What the index says of them."""
        everything = {name: self._entry(name, tensor) for name, tensor in tensors.items()}
        first = _first_of_equals(everything)
        entries = {name: everything[name] for name in dict.fromkeys(first.values())}
        limit = MAX_BLOB_VALUES if self._joint else SMALL_VALUES
        alike: dict[tuple[Kind, int, bool], dict[str, Array]] = {}
        for name, (entry, symbols) in entries.items():
            if 0 < symbols.size <= limit:
                together = self._joint and entry.kind is Kind.CODEBOOK
                key = entry.kind, entry.codebook, together or len(entry.shape) > 1
                alike.setdefault(key, {})[name] = symbols
        size = MAX_BLOB_VALUES if self._joint else SHARED_VALUES
        places: dict[str, tuple[int, int]] = {}
        for shared, bundle in ((s, b) for s in alike.values() for b in _bundles(s, size)):
            row = np.concatenate([shared[name] for name in bundle])
            number = self._builder.row(row)
            start = 0
            for name in bundle:
                places[name] = number, start
                start += shared[name].size
        done = {}
        for name, (entry, symbols) in entries.items():
            if symbols.size and name not in places:
                shape = entry.shape if entry.width == 1 else (symbols.size,)
                places[name] = self._builder.symbols(symbols, shape), 0
            blob, start = places.get(name, (-1, 0))
            done[name] = replace(entry, blob=blob, first=start)
        return {name: done[twin] for name, twin in first.items()}

    def _entry(self, name: str, tensor: Symbols) -> tuple[Tensor, Array]:
        where = f"tensor {quoted(name)}"
        dtype = BY_NAME.get(tensor.dtype)
        if dtype is None or not dtype.quantizable:
            raise ArgumentError(f"{where}: dtype {quoted(tensor.dtype)} has no symbols")
        symbols = _array(tensor.symbols, f"{where}: symbols")
        if symbols.dtype.kind not in "iu":
            raise ArgumentError(f"{where}: symbols are {symbols.dtype}, must be integers")
        if (tensor.step is None) == (tensor.centers is None):
            raise ArgumentError(f"{where}: give a step or centers")
        shape = _shape(symbols.shape if tensor.shape is None else tensor.shape, where)
        flat = symbols.reshape(-1)
        low, high = (int(flat.min()), int(flat.max())) if flat.size else (0, 0)
        rows = shape[0] if shape else 1
        scales = () if tensor.scales is None else _bits(tensor.scales, f"{where}: scales")
        if len(scales) not in (0, 1, rows):
            raise ArgumentError(f"{where}: {len(scales)} scales, legal: 1 or {rows}")
        entry = Tensor(name, dtype, shape, Kind.STEP, -1, 0, scales=scales)
        if tensor.step is not None:
            step, *more = _bits(tensor.step, f"{where}: step")
            if more or not 0 < step < 1 << 31:  # the sign is the top bit
                raise ArgumentError(f"{where}: step is {tensor.step}; legal: a float32 above 0")
            if max(-low, high) > MAX_SYMBOL:
                raise ArgumentError(f"{where}: symbols {low} .. {high}; legal: up to {MAX_SYMBOL}")
            entry = Tensor(name, dtype, shape, Kind.STEP, -1, 0, step=step, scales=scales)
        else:
            number, size, width = self._book(tensor.centers, where)
            if not 0 <= low <= high < size:
                raise ArgumentError(f"{where}: symbols {low} .. {high}; legal: 0 .. {size - 1}")
            if not 0 <= tensor.lead < width:
                raise ArgumentError(f"{where}: lead is {tensor.lead}; legal: 0 .. {width - 1}")
            entry = Tensor(
                name, dtype, shape, Kind.CODEBOOK, -1, 0, codebook=number, scales=scales,
                width=width, lead=tensor.lead,
            )  # fmt: skip
        if entry.num_values != flat.size:
            raise ArgumentError(f"{where}: {flat.size} symbols; {entry.num_values} make {shape}")
        return entry, flat.astype(np.int32)

    def _book(self, centers: Any, where: str) -> tuple[int, int, int]:
        """Number, size and width of a codebook, which is stored once."""
        array = _array(centers, f"{where}: centers")
        width = array.shape[1] if array.ndim == 2 else 1
        if array.ndim not in (1, 2) or not (
            0 < len(array) <= MAX_CENTERS and 0 < width <= MAX_WIDTH
        ):
            raise ArgumentError(f"{where}: centers have shape {array.shape}; wanted [L] or [L, k]")
        bits = _bits(array, f"{where}: centers")
        books = self._builder.writer.index.codebooks
        if (width, bits) not in self._books:
            self._books[width, bits] = len(books)
            books.append(Codebook(width, bits))
        return self._books[width, bits], len(array), width


def _first_of_equals(entries: Mapping[str, tuple[Tensor, Array]]) -> dict[str, str]:
    """For each tensor the first with the same symbols that mean the same: tied ones, say."""
    found: dict[tuple[Tensor, bytes], str] = {}
    first = {}
    for name, (entry, symbols) in entries.items():
        key = replace(entry, name=""), hashlib.sha256(symbols.tobytes()).digest()
        first[name] = found.setdefault(key, name)
    return first


def _bits(values: Any, what: str) -> tuple[int, ...]:
    """Bits of finite float32."""
    array = _array(values, what)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{what} are {array.dtype}, must be numbers")
    with np.errstate(over="ignore"):
        found = array.astype(np.float32).reshape(-1)
    if not np.isfinite(found).all():
        raise ArgumentError(f"{what} are not all finite in float32")
    return tuple(found.view(np.uint32).tolist())


def _bundles(symbols: Mapping[str, Array], limit: int) -> Iterator[list[str]]:
    bundle: list[str] = []
    size = 0
    for name, row in symbols.items():
        if bundle and size + row.size > limit:
            yield bundle
            bundle, size = [], 0
        bundle.append(name)
        size += row.size
    if bundle:
        yield bundle
