"""The index of a `.intactw` file: which tensors there are, what stands for them, and where.

Everything is integers and texts; docs/spec/weights.md, "Index", is normative. This file has what an
index is made of and writes it; `intact.packing.index_reader` reads and checks.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.errors import CorruptDataError
from intact.packing.dtypes import BY_NAME, DTYPES, Dtype
from intact.packing.limits import MAX_BLOB_VALUES

NOTES: Final = (
    "", "lossless", "integer", "boolean", "8-bit float or less", "one axis", "small", "excluded",
    "not finite", "mask", "constant", "out of range of its step", "complex",
)  # fmt: skip
"""Why a tensor was kept as it is; later versions may have others."""


class Method(enum.IntEnum):
    """How the values of a blob became bytes."""

    RAW = 0
    DEFLATE = 1
    PLANES = 2
    SYMBOLS = 3
    FLOATS = 4


class Kind(enum.IntEnum):
    """What the values of a blob are to a tensor."""

    VALUES = 0
    STEP = 1
    CODEBOOK = 2


@dataclass(frozen=True)
class Blob:
    """Coded values [rows, columns].

    Attributes:
        method: how they are coded.
        dtype: of the values.
        rows: and ``columns``: as coders see them.
        length: in bytes.
        crc: CRC-32 of the bytes.
        start: of the bytes in the file; it follows from the lengths of the others.
    """

    method: Method
    dtype: Dtype
    rows: int
    columns: int
    length: int
    crc: int
    start: int = 0

    @property
    def count(self) -> int:
        """Values."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Tensor:
    """A tensor, and where what stands for it is.

    Attributes:
        name: unique in the file.
        dtype: of its elements.
        shape: sizes along its axes.
        kind: what the values of its blobs are.
        blob: the first one's number; -1 for a tensor without elements.
        first: its first value in that blob.
        note: why it was kept as it is, an index into `NOTES`.
        step: bits of a float32, with `Kind.STEP`.
        codebook: number, with `Kind.CODEBOOK`.
        scales: bits of float32: none, one, or one for each index of the first axis.
        width: elements that a value stands for: the dimension of the codebook, or 1.
        lead: elements of the first value that belong to what comes before, below ``width``.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    kind: Kind
    blob: int
    first: int
    note: int = 0
    step: int = 0
    codebook: int = 0
    scales: tuple[int, ...] = ()
    width: int = 1
    lead: int = 0

    @property
    def num_items(self) -> int:
        """Of its raw form: elements, or bytes where these are shared."""
        return self.dtype.num_items(self.shape)

    @property
    def num_values(self) -> int:
        """Values of blobs that it takes."""
        items = self.num_items
        return -(-(self.lead + items) // self.width) if items else 0


@dataclass(frozen=True)
class Codebook:
    """What symbols from 0 on stand for.

    Attributes:
        width: numbers that one symbol stands for.
        centers: bits of float32, symbol after symbol.
    """

    width: int
    centers: tuple[int, ...]

    @property
    def size(self) -> int:
        """Symbols that there are."""
        return len(self.centers) // self.width


def runs(tensor: Tensor, blobs: Sequence[Blob]) -> list[tuple[int, int, int]]:
    """Number of each blob of a tensor, first value and values in it."""
    left, number, first = tensor.num_values, tensor.blob, tensor.first
    found = []
    while left:
        taken = min(left, blobs[number].count - first)
        found.append((number, first, taken))
        left, number, first = left - taken, number + 1, 0
    return found


@dataclass(frozen=True)
class Feature:
    """Something a later version may add.

    Attributes:
        name: of the feature.
        required: a reader that does not know it must refuse the file.
        data: its own.
    """

    name: str
    required: bool
    data: bytes


@dataclass
class Index:
    """All of it."""

    features: list[Feature] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    codebooks: list[Codebook] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)


SYMBOLS: Final = ("I8", "U8", "I16", "U16", "I32")
"""Types of values that the coder of symbols takes."""
SYMBOL_TYPES: Final = tuple(BY_NAME[name] for name in ("I8", "I16", "I32"))
"""Types of values that stand for others."""

KNOWN_REQUIRED: Final[frozenset[str]] = frozenset()
"""Required features that this version knows; so far there are none."""


def encode_index(index: Index) -> bytes:
    """Serialize an index; inverse of `intact.packing.index_reader.decode_index`."""
    out = [varint.encode(len(index.features))]
    for feature in index.features:
        out += [bytes([feature.required]), _text(feature.name), _bytes(feature.data)]
    out.append(varint.encode(len(index.metadata)))
    out += [_text(text) for pair in index.metadata.items() for text in pair]
    out.append(varint.encode(len(index.codebooks)))
    for book in index.codebooks:
        out += [varint.encode(book.size), varint.encode(book.width), _words(book.centers)]
    out.append(varint.encode(len(index.blobs)))
    for blob in index.blobs:
        out.append(bytes([blob.method, DTYPES.index(blob.dtype)]))
        out += [varint.encode(value) for value in (blob.rows, blob.columns, blob.length)]
        out.append(_words([blob.crc]))
    out.append(varint.encode(len(index.tensors)))
    places = Places(index.blobs)
    for tensor in index.tensors:
        out += [_text(tensor.name), bytes([DTYPES.index(tensor.dtype), tensor.note, tensor.kind])]
        out += [varint.encode(value) for value in (len(tensor.shape), *tensor.shape)]
        if tensor.kind is Kind.STEP:
            out.append(_words([tensor.step]))
        elif tensor.kind is Kind.CODEBOOK:
            out.append(varint.encode(tensor.codebook))
            out += [varint.encode(tensor.lead)] if tensor.width > 1 else []
        if tensor.kind is not Kind.VALUES:
            out += [varint.encode(len(tensor.scales)), _words(tensor.scales)]
        out += [varint.encode(value) for value in places.spell(tensor)]
    return b"".join(out)


def _bytes(data: bytes) -> bytes:
    return varint.encode(len(data)) + data


def _text(text: str) -> bytes:
    return _bytes(text.encode("utf-8"))


def _words(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


class Places:
    """The short spelling of where tensors begin: usually one number says all."""

    def __init__(self, blobs: Sequence[Blob]) -> None:
        self.blobs = blobs
        self.used = [0] * len(blobs)
        self.begun = 0

    def spell(self, tensor: Tensor) -> list[int]:
        """Numbers that `read` understands."""
        if not tensor.num_values:
            return []
        if tensor.first == 0 and tensor.blob == self.begun:
            place = [0]
        elif tensor.first == self.used[tensor.blob]:
            place = [1 + 2 * tensor.blob]
        else:
            place = [2 + 2 * tensor.blob, tensor.first]
        self.take(tensor.blob, tensor.first, tensor.num_values, tensor.name)
        return place

    def read(self, cursor: Cursor, values: int, what: str) -> tuple[int, int]:
        """Blob and first value of a tensor that takes so many; -1 for none."""
        if not values:
            return -1, 0
        code = cursor.varint(0, 2 * len(self.blobs), f"{what}: place")
        if code == 0:
            blob, first = self.begun, 0
            if blob == len(self.blobs):
                raise cursor.corrupt(f"{what}: begins behind the last blob")
        else:
            blob = (code - 1) // 2
            first = self.used[blob]
            if code % 2 == 0:
                first = cursor.varint(0, MAX_BLOB_VALUES, f"{what}: first value")
        self.take(blob, first, values, what)
        return blob, first

    def take(self, blob: int, first: int, values: int, what: str) -> None:
        """Mark values as used, and check that they are there.

        Raises:
            CorruptDataError: they are not in one blob, nor do they fill several.
        """
        behind = first + values
        self.begun = max(self.begun, blob + 1)
        if behind <= self.blobs[blob].count:
            self.used[blob] = max(self.used[blob], behind)
            return
        while first == 0 and values > 0 and blob < len(self.blobs):
            values -= self.blobs[blob].count
            self.used[blob] = self.blobs[blob].count
            blob += 1
            self.begun = max(self.begun, blob)
        if values:
            raise CorruptDataError(f"{what}: its values are neither in one blob nor fill several")
