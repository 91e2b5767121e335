"""The content of a model: a tree of plain values, and the one spelling that its id hashes.

A tree is a dict (str keys), list, int, str, bytes, or an array of `DTYPES`. Its canonical bytes do
not depend on how a file packs it, on the order in which a dict was filled, or on a machine's byte
order. The skeleton is the same spelling without the data of the arrays; a model file stores the
two apart. docs/spec/container.md, "Canonical content", is normative.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from intact.bits import varint
from intact.container.cursor import Cursor
from intact.container.limits import (
    MAX_ARRAY_AXES,
    MAX_CONTENT_BYTES,
    MAX_TREE_DEPTH,
    MAX_TREE_NODES,
)

IntArray: TypeAlias = NDArray[Any]
Tree: TypeAlias = "dict[str, Any] | list[Any] | int | str | bytes | IntArray"

TAG_INT, TAG_STR, TAG_BYTES, TAG_LIST, TAG_DICT, TAG_ARRAY = range(1, 7)

DTYPES: Final = ("int8", "uint8", "int16", "uint16", "int32", "int64", "float32")
"""Array types; the index is the code in the file. The last one is kept as bits, for the profiles
that are not exact: nothing here computes with it."""

ITEM_BYTES: Final = {name: np.dtype(name).itemsize for name in DTYPES}

ID_PREFIX: Final = b"intact model content 1\0"
"""Hashed before the content, so that a model id is never the hash of anything else."""

MAX_VARINT: Final = (1 << 64) - 1


class _Writer:
    """Collects a tree's spelling; arrays' data goes in line or aside."""

    def __init__(self, maybe_aside: list[IntArray] | None) -> None:
        self.parts: list[bytes] = []
        self.maybe_aside = maybe_aside
        self.nodes = 0

    def text(self, value: str) -> None:
        """A length and UTF-8. Raises ValueError for a lone surrogate (UnicodeEncodeError)."""
        data = value.encode("utf-8")
        self.parts += [varint.encode(len(data)), data]

    def array(self, value: IntArray) -> None:
        """Type, shape, and the data in C order, least significant byte first."""
        if value.dtype.name not in DTYPES:
            raise ValueError(f"array is {value.dtype}, must be one of {DTYPES}")
        if value.ndim > MAX_ARRAY_AXES:
            raise ValueError(f"array has {value.ndim} axes, at most {MAX_ARRAY_AXES}")
        if math.prod(max(size, 1) for size in value.shape) * value.itemsize > MAX_CONTENT_BYTES:
            raise ValueError(f"array of shape {value.shape} exceeds {MAX_CONTENT_BYTES} bytes")
        self.parts.append(bytes([TAG_ARRAY, DTYPES.index(value.dtype.name), value.ndim]))
        self.parts += [varint.encode(size) for size in value.shape]
        if self.maybe_aside is None:
            self.parts.append(little_endian(value))
        else:
            self.maybe_aside.append(value)

    def node(self, value: object, depth: int) -> None:
        """One value and what is in it."""
        self.nodes += 1
        if self.nodes > MAX_TREE_NODES or depth > MAX_TREE_DEPTH:
            raise ValueError(f"over {MAX_TREE_NODES} values or {MAX_TREE_DEPTH} levels")
        match value:
            case bool():
                raise ValueError("bool in a model: write 0 or 1, so that one fact has one spelling")
            case int():
                if not -(1 << 63) < value < 1 << 63:
                    raise ValueError(f"integer {value} must be between -2**63 and 2**63")
                self.parts += [bytes([TAG_INT]), varint.encode(varint.zigzag(value))]
            case str():
                self.parts.append(bytes([TAG_STR]))
                self.text(value)
            case bytes():
                self.parts += [bytes([TAG_BYTES]), varint.encode(len(value)), value]
            case list():
                self.parts += [bytes([TAG_LIST]), varint.encode(len(value))]
                for item in value:
                    self.node(item, depth + 1)
            case dict():
                if not all(isinstance(key, str) for key in value):
                    raise ValueError("dict keys must be str")
                self.parts += [bytes([TAG_DICT]), varint.encode(len(value))]
                for key in sorted(value):  # by code point, which is also the order of the UTF-8
                    self.text(key)
                    self.node(value[key], depth + 1)
            case np.ndarray():
                self.array(value)
            case _:
                raise ValueError(f"{type(value).__name__} in a model; see `Tree` for what may be")


def little_endian(array: IntArray) -> bytes:
    """The data of an array in C order, least significant byte first; inverse of `from_bytes`."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C").tobytes()


def from_bytes(data: bytes, dtype: str, shape: tuple[int, ...]) -> IntArray:
    """An array from exactly its bytes; inverse of `little_endian`."""
    stored = np.frombuffer(data, dtype=np.dtype(dtype).newbyteorder("<"))
    return stored.astype(dtype).reshape(shape)


def canonical(tree: Tree) -> bytes:
    """The canonical bytes of ``tree``: what its id hashes.

    Raises:
        ValueError: the tree holds something a model may not hold, or exceeds a limit.
    """
    return _spell(tree, None)


def skeleton(tree: Tree) -> tuple[bytes, list[IntArray]]:
    """The canonical bytes without arrays' data, and the arrays; inverse of `read_skeleton`.

    Raises:
        ValueError: the tree holds something a model may not hold, or exceeds a limit.
    """
    aside: list[IntArray] = []
    return _spell(tree, aside), aside


def _spell(tree: Tree, maybe_aside: list[IntArray] | None) -> bytes:
    """Write the whole tree."""
    writer = _Writer(maybe_aside)
    writer.node(tree, 0)
    size = sum(map(len, writer.parts))
    if size > MAX_CONTENT_BYTES:
        raise ValueError(f"model content has {size} bytes, at most {MAX_CONTENT_BYTES}")
    return b"".join(writer.parts)


def model_id(tree: Tree) -> bytes:
    """The first 16 bytes of the SHA-256 of `ID_PREFIX` and the canonical content.

    Raises:
        ValueError: the tree holds something a model may not hold, or exceeds a limit.
    """
    return hashlib.sha256(ID_PREFIX + canonical(tree)).digest()[:16]


Supply: TypeAlias = Callable[[str, tuple[int, ...]], IntArray]


class _Reader:
    """Reads a skeleton, asking ``supply`` for the array of each type and shape, in order."""

    def __init__(self, cursor: Cursor, supply: Supply) -> None:
        self.cursor = cursor
        self.supply = supply
        self.nodes = 0
        self.ends: list[int] = []

    def text(self, what: str) -> str:
        """A length and UTF-8."""
        cursor = self.cursor
        begin = cursor.position + 1
        if begin <= len(cursor.data) and (size := cursor.data[begin - 1]) < 128:  # nearly always
            raw = cursor.data[begin : begin + size]
            if len(raw) == size and raw.isascii():
                cursor.position = begin + size
                return raw.decode("ascii")
        size = self.cursor.varint(0, MAX_VARINT, f"length of {what}")
        try:
            return self.cursor.take(size, what).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.cursor.corrupt(f"{what} is not UTF-8") from error

    def array(self) -> IntArray:
        """Type and shape; the data is elsewhere."""
        code, axes = self.cursor.take(2, "type and axes of an array")
        if code >= len(DTYPES) or axes > MAX_ARRAY_AXES:
            raise self.cursor.corrupt(f"array of type {code} with {axes} axes")
        dtype = DTYPES[code]
        shape = tuple([self.cursor.varint(0, MAX_CONTENT_BYTES, "array size") for _ in range(axes)])
        size = math.prod([max(size, 1) for size in shape]) * ITEM_BYTES[dtype]
        if size > MAX_CONTENT_BYTES:
            raise self.cursor.corrupt(f"array of shape {shape} exceeds {MAX_CONTENT_BYTES} bytes")
        self.ends.append(self.cursor.position)
        return self.supply(dtype, shape)

    def count(self, bytes_each: int, what: str) -> int:
        """Number of values in a container; each needs some bytes."""
        count = self.cursor.varint(0, MAX_TREE_NODES, f"size of a {what}")
        self.cursor.need(count * bytes_each, f"{what} of {count} values")
        return count

    def mapping(self, depth: int) -> dict[str, Any]:
        """Keys ascend strictly: one spelling, and no key twice."""
        result: dict[str, Any] = {}
        previous: str | None = None
        for _ in range(self.count(3, "dict")):
            key = self.text("key")
            if previous is not None and key <= previous:
                raise self.cursor.corrupt(f"key {key!r} after {previous!r}: keys must ascend")
            result[key] = self.node(depth + 1)
            previous = key
        return result

    def node(self, depth: int) -> Tree:
        """One value and what is in it."""
        self.nodes += 1
        if self.nodes > MAX_TREE_NODES or depth > MAX_TREE_DEPTH:
            raise self.cursor.corrupt(f"over {MAX_TREE_NODES} values or {MAX_TREE_DEPTH} levels")
        match self.cursor.u8("tag"):
            case 1:
                return varint.unzigzag(self.cursor.varint(0, MAX_VARINT - 1, "integer"))
            case 2:
                return self.text("text")
            case 3:
                return self.cursor.take(
                    self.cursor.varint(0, MAX_VARINT, "length of bytes"), "bytes"
                )
            case 4:
                return [self.node(depth + 1) for _ in range(self.count(2, "list"))]
            case 5:
                return self.mapping(depth)
            case 6:
                return self.array()
            case tag:
                raise self.cursor.corrupt(f"tag is {tag}, must be 1 .. 6")


def read_skeleton(data: bytes, supply: Supply) -> Tree:
    """Read a tree from its skeleton; inverse of `skeleton`.

    Args:
        data: the skeleton, whole.
        supply: gives the array for a type (one of `DTYPES`) and a shape; called in file order.

    Raises:
        CorruptDataError: the bytes are not the canonical spelling of a tree.
    """
    return read_parts(data, supply)[0]


def read_parts(data: bytes, supply: Supply) -> tuple[Tree, list[int]]:
    """A tree, and for each array the byte behind what the skeleton says of it."""
    cursor = Cursor(data, "model skeleton")
    reader = _Reader(cursor, supply)
    tree = reader.node(0)
    cursor.finish()
    return tree, reader.ends
