"""Mutations of model files: of the tree (packed again under a right id) and of the packing."""

from __future__ import annotations

import re
import zlib
from random import Random
from typing import Any

import numpy as np

from fuzz.mutate import any_bytes, edit_payload, edit_varint, odd_varint
from fuzz.seeds import ModelSeed, build_model
from intact.bits import varint
from intact.container.arrays import pack_array
from intact.container.model_file import MAGIC, unpack_model
from intact.container.tree import DTYPES, IntArray, Tree, model_id, skeleton
from intact.errors import IntactError

Path = tuple[Any, ...]

INTEGERS = (0, 1, -1, 2, 3, 16, 17, 127, 128, 255, 256, 4096, 4097, 16383, 16384, 32767, 32768,
            -32768, -32769, 65536, (1 << 31) - 1, 1 << 31, -(1 << 31), (1 << 63) - 1,
            1 - (1 << 63))  # fmt: skip
TEXTS = ("", "conv", "add", "requantize", "scale", "shuffle", "unshuffle", "pixels", "y", "z", "f",
         "mean", "theta", "s", "a b", "x" * 65, "é", "\0", "image codec 2")  # fmt: skip


def paths(tree: Tree, path: Path = ()) -> list[Path]:
    """Where every value of a tree is, containers included."""
    found = [path]
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        found += paths(value, (*path, key))
    return found


def at(tree: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Any, path: Path, value: Any) -> Any:
    """A tree with another value at a path; what is beside the path is shared."""
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def _edit_int(r: Random, value: int) -> Any:
    if r.random() < 0.1:
        return r.choice(("1", b"1", [], {}, np.array([1], np.int8)))
    number = value + r.choice((-1, 1)) if r.random() < 0.5 else r.choice(INTEGERS)
    return max(1 - (1 << 63), min(number, (1 << 63) - 1))


def _edit_list(r: Random, value: list[Any]) -> Any:
    copy = list(value)
    if not copy:
        return [r.choice(TEXTS)]
    place, other = r.randrange(len(copy)), r.randrange(len(copy))
    match r.randrange(6):
        case 0:
            del copy[place]
        case 1:
            copy.insert(other, copy[place])
        case 2:
            copy[place], copy[other] = copy[other], copy[place]
        case 3:
            return copy[:place]
        case 4:
            return copy * 2 if r.random() < 0.7 else [0] * 4097  # more than a program may have
        case _:
            return dict.fromkeys(map(str, range(3)), copy[place])
    return copy


def _edit_dict(r: Random, value: dict[str, Any]) -> Any:
    copy = dict(value)
    if not copy or r.random() < 0.2:
        copy[r.choice(TEXTS)] = r.choice((0, "text", b"bytes", [], {}))
        return copy
    key, other = r.choice(list(copy)), r.choice(list(copy))
    match r.randrange(4):
        case 0:
            del copy[key]
        case 1:
            copy[key + "x"] = copy.pop(key)
        case 2:
            copy[key], copy[other] = copy[other], copy[key]
        case _:
            return list(copy.values())
    return copy


def _set_elements(r: Random, array: IntArray) -> IntArray:
    """Other elements; two kinds keep a table's sum."""
    copy = array.copy()
    flat = copy.reshape(-1)
    if array.dtype.kind == "f":
        flat[r.randrange(flat.size)] = r.choice((0, -0.0, 1, -1, 1e-40, 3e38, np.inf, np.nan))
        return copy
    limits = np.iinfo(array.dtype)
    place, other = r.randrange(flat.size), r.randrange(flat.size)
    match r.randrange(5):
        case 0:
            flat[place], flat[other] = flat[other], flat[place]
        case 1:
            if flat[place] < limits.max and flat[other] > limits.min:
                flat[place] += 1
                flat[other] -= 1
        case 2:
            flat[place] = min(
                max(int(flat[place]) + r.choice((-2, -1, 1, 2)), limits.min), limits.max
            )
        case 3:
            legal = [number for number in INTEGERS if limits.min <= number <= limits.max]
            flat[place] = r.choice(legal)
        case _:
            flat[:] = r.choice((0, 1, 3, limits.max, limits.min))
    return copy


def _edit_array(r: Random, array: IntArray) -> Any:
    if array.size and r.random() < 0.55:
        return _set_elements(r, array)
    match r.randrange(7):
        case 0:  # another type, values kept where they fit
            return array.astype(r.choice(DTYPES))
        case 1:
            return array[None] if r.random() < 0.5 else array.reshape(-1)
        case 2:
            return np.ascontiguousarray(array.T)
        case 3:
            return array[:-1].copy() if array.ndim else array.reshape(1)
        case 4:
            return np.zeros(r.choice(((0,), (0, 0), (), (1,), (3, 0, 2))), array.dtype)
        case 5:
            return np.concatenate([array, array]) if array.ndim else array.reshape(1, 1)
        case _:
            return r.choice((0, "array", b"array", [], {}))


def edit_value(r: Random, value: Any) -> Any:
    """Another value for one of the tree's."""
    match value:
        case int():
            return _edit_int(r, value)
        case str():
            return r.choice((*TEXTS, value + "x", value[:-1], 0))
        case list():
            return _edit_list(r, value)
        case dict():
            return _edit_dict(r, value)
        case np.ndarray():
            return _edit_array(r, value)
        case _:
            return 0


class TreeMutator:
    """Mutates one seed's tree; knows its paths, and the blobs of its arrays."""

    def __init__(self, seed: ModelSeed) -> None:
        self.seed = seed
        self.paths = paths(seed.tree)
        self.arrays = [path for path in self.paths if isinstance(at(seed.tree, path), np.ndarray)]
        self.blobs = {id(array): blob for array, blob in zip(seed.specs, seed.blobs, strict=True)}

    def tree(self, r: Random) -> Tree:
        """The seed's tree with one to three changes."""
        tree: Any = self.seed.tree
        for _ in range(r.choice((1, 1, 1, 2, 3))):
            path = r.choice(self.arrays if r.random() < 0.4 else self.paths)
            try:
                value = at(tree, path)
                if r.random() < 0.1:  # another part of the tree
                    tree = put(tree, path, at(self.seed.tree, r.choice(self.paths[1:])))
                else:
                    tree = put(tree, path, edit_value(r, value))
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change removed this place
        return tree

    def pack(self, r: Random, tree: Tree) -> bytes:
        """A model file of any tree, with a right id; known arrays keep their blobs."""
        bones, arrays = skeleton(tree)
        blobs = tuple(self.blobs.get(id(array)) or _quick_blob(r, array) for array in arrays)
        content_bytes = len(bones) + sum(array.nbytes for array in arrays)
        return build_model(model_id(tree), bones, blobs, content_bytes)

    def packing(self, r: Random) -> bytes:
        """The seed with a damaged packing under a right CRC, and often a right id."""
        seed = self.seed
        bones, blobs, size = seed.bones, list(seed.blobs), seed.content_bytes
        place = r.randrange(len(blobs))
        method, blob = blobs[place]
        match r.randrange(8):
            case 0:
                bones = any_bytes(r, bones)
                size += len(bones) - len(seed.bones)
            case 1:
                bones = edit_varint(r, bones)
                size += len(bones) - len(seed.bones)
            case 2:
                size = max(0, size + r.choice((-9, -1, 1, 9, 1 << 20)))
            case 3:
                blobs[place] = (r.choice((0, 1, 2, 3, 4, 255)), blob)
            case 4:
                blobs[place] = blobs[r.randrange(len(blobs))]
            case 5:
                blobs = blobs[:-1] if r.random() < 0.5 else [*blobs, blobs[place]]
            case _:
                blobs[place] = (method, edit_blob(r, method, blob))
        return repair_id(build_model(seed.model.id, bones, tuple(blobs), size))


def edit_blob(r: Random, method: int, blob: bytes) -> bytes:
    """The data of an array: bytes, what a zlib stream holds, or the parts of an rANS blob."""
    if not blob or r.random() < 0.2:
        return any_bytes(r, blob)
    if method in (1, 2):
        return zlib.compress(any_bytes(r, zlib.decompress(blob)), 1)
    if method != 3:
        return any_bytes(r, blob)
    _, head = varint.decode(blob, 0)
    for _ in range(2 * blob[0]):
        _, head = varint.decode(blob, head)
    if r.random() < 0.6:
        return blob[:head] + edit_payload(r, blob[head:])
    place = r.randrange(head)
    return blob[:place] + odd_varint(r, blob[place]) + blob[place + 1 :]


def _quick_blob(r: Random, array: IntArray) -> tuple[int, bytes]:
    """Any method; the best one is slow to find, so it is rare."""
    raw = np.ascontiguousarray(array).tobytes()
    if r.random() < 0.02 and array.size < 4000:
        return pack_array(array)
    return (0, raw) if r.random() < 0.7 else (1, zlib.compress(raw, 1))


def with_crc(data: bytes) -> bytes:
    """The same bytes with a right CRC at the end."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def repair_id(data: bytes) -> bytes:
    """With the id of what is in it, if it can be unpacked at all."""
    if len(data) < 29:
        return data
    data = with_crc(data)
    try:
        unpack_model(data)
    except IntactError as error:
        found = re.search(r"content has id ([0-9a-f]{32})", str(error))
        if found:
            start = len(MAGIC) + 1
            return with_crc(data[:start] + bytes.fromhex(found[1]) + data[start + 16 :])
    except Exception:  # the fuzzer's own run of this file will report it
        return data
    return data
