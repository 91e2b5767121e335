"""Safetensors files, read and written by ourselves: nothing here needs the library or torch.

A header is eight bytes of length, JSON, and the data; every claim of it is checked before anything
is made of it. Names, metadata, dtypes and the order of the data are kept, so that a file that was
packed without loss is written again byte for byte where its writer was an ordinary one.
https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import mmap
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from intact.errors import CorruptDataError, UnsupportedError, quoted
from intact.packing.dtypes import MAX_AXES, MAX_BYTES, Array, Dtype, by_name
from intact.packing.mapped import Mapped

MAX_HEADER_BYTES: Final = 100_000_000
"""As the library has it."""
METADATA: Final = "__metadata__"
SUFFIX: Final = ".safetensors"
ALIGNMENT: Final = 8


@dataclass(frozen=True)
class Entry:
    """A tensor in a file.

    Attributes:
        name: unique in the file.
        dtype: of its elements.
        shape: sizes along its axes; none for a single element.
        start: of its data, in bytes from the beginning of the data.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    start: int

    @property
    def num_bytes(self) -> int:
        """Of its data."""
        return self.dtype.num_bytes(self.shape)


@dataclass(frozen=True)
class Header:
    """What a file says first.

    Attributes:
        entries: in the order of their data.
        metadata: the file's own, text to text.
        num_bytes: of the header with its length.
    """

    entries: tuple[Entry, ...]
    metadata: dict[str, str]
    num_bytes: int


def read_header(data: bytes | mmap.mmap, size: int, name: str) -> Header:
    """Read and check a header.

    Args:
        data: the file, or its beginning with the whole header.
        size: of the file in bytes.
        name: of the file, for messages.

    Raises:
        CorruptDataError: it lies: about sizes, offsets, types, or not even JSON.
        UnsupportedError: a dtype is not known here.
    """
    if size < 8:
        raise CorruptDataError(f"{name}: {size} bytes are no safetensors file")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise CorruptDataError(
            f"{name}: no safetensors file, or a damaged one: header of {length} bytes, legal: "
            f"2 .. {min(MAX_HEADER_BYTES, size - 8)}"
        )
    tree = _parse(data[8 : 8 + length], name)
    metadata = _metadata(tree.pop(METADATA, None), name)
    entries = [_entry(key, value, name) for key, value in tree.items()]
    entries.sort(key=lambda entry: (entry.start, entry.start + entry.num_bytes))
    end = 0
    for entry in entries:
        if entry.start != end:
            what = "overlaps the one before" if entry.start < end else "leaves a gap before it"
            raise CorruptDataError(
                f"{name}: tensor {quoted(entry.name)} begins at {entry.start}, "
                f"must at {end}: {what}"
            )
        end += entry.num_bytes
    if end != size - 8 - length:
        raise CorruptDataError(
            f"{name}: tensors take {end} bytes, {size - 8 - length} are there: it is cut short, "
            f"or has a tail"
        )
    return Header(tuple(entries), metadata, 8 + length)


def _parse(text: bytes, name: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise CorruptDataError(f"{name}: the header has {quoted(twice)} twice")
        return found

    try:
        tree = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:  # of Unicode and JSON, too
        raise CorruptDataError(f"{name}: the header is no JSON: {error}") from error
    if "\\u" in text.decode() and has_surrogate(tree):
        raise CorruptDataError(f"{name}: a name in the header is no Unicode text")
    if not isinstance(tree, dict):
        raise CorruptDataError(f"{name}: the header is a {type(tree).__name__}, must be an object")
    return tree


def is_name(value: object) -> bool:
    """Whether a tensor may be called so: Unicode text, and not the key of the metadata."""
    return isinstance(value, str) and value != METADATA and not has_surrogate(value)


def has_surrogate(tree: Any) -> bool:
    """Whether a text of what came from JSON could not be written again."""
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return True
    return False


def _metadata(value: Any, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise CorruptDataError(f"{name}: {METADATA} must map text to text")
    return value


def _entry(key: str, value: Any, name: str) -> Entry:
    where = f"{name}: tensor {quoted(key)}"
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise CorruptDataError(f"{where}: must have dtype, shape and data_offsets alone")
    if not isinstance(value["dtype"], str):
        raise CorruptDataError(f"{where}: dtype is no text")
    shape, offsets = (_numbers(value[k], f"{where}: {k}") for k in ("shape", "data_offsets"))
    dtype = by_name(value["dtype"], where)
    check_shape(shape, dtype, where)
    if len(offsets) != 2 or offsets[1] - offsets[0] != dtype.num_bytes(shape):
        raise CorruptDataError(
            f"{where}: offsets {quoted(offsets)}, but {dtype.name} of shape {quoted(list(shape))} "
            f"takes {dtype.num_bytes(shape)} bytes"
        )
    return Entry(key, dtype, shape, offsets[0])


def _numbers(value: Any, what: str) -> tuple[int, ...]:
    if isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in value):
        return tuple(value)
    raise CorruptDataError(f"{what} is {quoted(value)}, must be a list of integers >= 0")


def check_shape(shape: Sequence[int], dtype: Dtype, where: str) -> None:
    """Refuse what no array can be.

    Raises:
        CorruptDataError: there are too many axes, or elements; or they do not fill their bytes.
    """
    bits = dtype.bits
    for size in shape:
        bits *= max(size, 1)
    if len(shape) > MAX_AXES or bits > 8 * MAX_BYTES:
        raise CorruptDataError(
            f"{where}: shape {quoted(list(shape))} has over {MAX_AXES} axes or 2**62 bytes"
        )
    if 0 not in shape and bits % 8:
        raise CorruptDataError(
            f"{where}: {dtype.name} of shape {quoted(list(shape))} ends within a byte"
        )


def format_header(entries: Iterable[tuple[str, Dtype, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:  # fmt: skip
    """The header of a file with these tensors, in the order of their data; see `read_header`.

    Raises:
        UnsupportedError: a tensor has the name of the metadata.
    """
    tree: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    start = 0
    for name, dtype, shape in entries:
        if name == METADATA:
            raise UnsupportedError(f"no safetensors file can have a tensor named {quoted(name)}")
        end = start + dtype.num_bytes(shape)
        tree[name] = {"dtype": dtype.name, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


class SafetensorsFile:
    """A file, mapped into memory: nothing of its data is read before it is asked for.

    Args:
        path: of the file.

    Attributes:
        header: what it says.
        size: in bytes.

    Raises:
        CorruptDataError: its header lies.
        UnsupportedError: a dtype is not known here.
        OSError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = Mapped(path)
        self.name, self.size = self._file.name, self._file.size
        self.header = read_header(self._file.data, self.size, self.name)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The tensors, in the order of their data."""
        return self.header.entries

    def raw(self, entry: Entry) -> Array:
        """The raw elements [items] of a tensor: a view of the file, not aligned."""
        count = entry.dtype.num_items(entry.shape)
        start = self.header.num_bytes + entry.start
        if not count:
            return np.zeros(0, entry.dtype.raw)
        self._file.count(entry.num_bytes)
        return np.frombuffer(self._file.data, entry.dtype.raw, count, start)
