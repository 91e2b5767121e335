"""The model file (.intactm): a model's canonical content, packed. Bytes in, value out.

Strategy: the content is split into a skeleton (deflated) and the data of its arrays (one blob
each, by the method that is smallest). All sizes are known and checked before an array is made;
at the end the id is computed again from what was unpacked, so a packing can change, or have a
bug, without a model changing unnoticed. docs/spec/container.md is normative.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Final

from intact.bits import varint
from intact.container.arrays import inflate, pack_array, unpack_array
from intact.container.cursor import Cursor
from intact.container.frame import Frame
from intact.container.framing import MODEL_ID_BYTES, MODEL_MAGIC, read_magic
from intact.container.limits import (
    MAX_CONTENT_BYTES,
    MAX_CONTENT_RATIO,
    MAX_MODEL_FILE_BYTES,
    MAX_SKELETON_BYTES,
    MIN_CONTENT_BYTES,
)
from intact.container.tree import ITEM_BYTES, Tree, little_endian, model_id, skeleton
from intact.errors import CorruptDataError

MAGIC: Final = MODEL_MAGIC
MAJOR: Final = 1
MINOR: Final = 0
HEADER_BYTES: Final = 30
"""The longest header; `peek_model` needs no more of a file."""


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says first: its id (16 bytes) and the size of its canonical content."""

    model_id: bytes
    content_bytes: int


def _read_header(cursor: Cursor) -> ModelHeader:
    """Read magic, version, id and content size."""
    read_magic(cursor, MAGIC, MAJOR)
    found = cursor.take(MODEL_ID_BYTES, "model id")
    return ModelHeader(found, cursor.varint(1, MAX_CONTENT_BYTES, "size of the content"))


def peek_model(prefix: bytes) -> ModelHeader:
    """Read the header from the first `HEADER_BYTES` or more bytes of a file, unverified.

    Raises:
        CorruptDataError: it is cut short or illegal.
        UnsupportedError: the file is of a later version.
    """
    return _read_header(Cursor(prefix, "model file"))


def pack_model(tree: Tree) -> bytes:
    """Serialize a model; inverse of `unpack_model`.

    The bytes may differ between versions of zlib; the model id in them does not.

    Args:
        tree: dicts, lists, ints, str, bytes and integer arrays; see `intact.container.tree`.

    Raises:
        ValueError: the tree holds something else, or exceeds a limit.
    """
    bones, arrays = skeleton(tree)
    if len(bones) > MAX_SKELETON_BYTES:
        raise ValueError(f"skeleton has {len(bones)} bytes, at most {MAX_SKELETON_BYTES}")
    content_bytes = len(bones) + sum(array.nbytes for array in arrays)
    packed_bones = zlib.compress(bones, 9)

    def file(blobs: list[tuple[int, bytes]]) -> bytes:
        body = b"".join(
            [
                MAGIC,
                bytes([MAJOR << 4 | MINOR]),
                model_id(tree),
                varint.encode(content_bytes),
                varint.encode(len(bones)),
                varint.encode(len(packed_bones)),
                packed_bones,
                *[bytes([method]) + varint.encode(len(blob)) for method, blob in blobs],
                *[blob for _, blob in blobs],
            ]
        )
        return body + zlib.crc32(body).to_bytes(4, "little")

    data = file([pack_array(array) for array in arrays])
    if content_bytes > _most_content(len(data)):  # no reader would take it: so, raw
        data = file([(0, little_endian(array)) for array in arrays])
    return data


def _most_content(size: int) -> int:
    """Bytes of content that a file of ``size`` bytes may unpack to."""
    return MIN_CONTENT_BYTES + MAX_CONTENT_RATIO * size


def unpack_model(data: bytes) -> Tree:
    """Read and check a model file; inverse of `pack_model`. Its arrays are read-only.

    Raises:
        CorruptDataError: the bytes are damaged, cut short, have a tail, exceed a limit, or are
            not the model that the id says.
        UnsupportedError: the file is of a later version.
    """
    cursor = Cursor(data, "model file")
    header = _read_header(cursor)
    if len(data) > MAX_MODEL_FILE_BYTES:
        raise cursor.corrupt(f"file has {len(data)} bytes, at most {MAX_MODEL_FILE_BYTES}")
    if header.content_bytes > _most_content(len(data)):
        raise cursor.corrupt(
            f"{len(data)} bytes may not hold a content of {header.content_bytes}, "
            f"at most {_most_content(len(data))}"
        )
    bones = _read_bones(cursor, header.content_bytes)

    frame = Frame.read(bones)  # no array is made before the sizes of all are known
    specs = frame.specs
    sizes = [math.prod(shape) * ITEM_BYTES[dtype] for dtype, shape in specs]
    if len(bones) + sum(sizes) != header.content_bytes:
        raise cursor.corrupt(
            f"content has {len(bones) + sum(sizes)} bytes, the header says {header.content_bytes}"
        )
    cursor.need(2 * len(specs), f"index of {len(specs)} arrays")
    index = [
        (cursor.u8("method of an array"), cursor.varint(0, len(data), "size of an array's blob"))
        for _ in specs
    ]
    cursor.need(sum(size for _, size in index), "arrays")
    blobs = [(method, cursor.take(size, "array")) for method, size in index]
    cursor.check_crc(0, "model file")
    cursor.finish()

    arrays = [unpack_array(*blob, *spec) for blob, spec in zip(blobs, specs, strict=True)]
    if (found := frame.id_with(arrays)) != header.model_id:
        raise CorruptDataError(
            f"model file: content has id {found.hex()}, the header says {header.model_id.hex()}"
        )
    return frame.fill(arrays)


def _read_bones(cursor: Cursor, content_bytes: int) -> bytes:
    """Read the deflated skeleton."""
    limit = min(content_bytes, MAX_SKELETON_BYTES)
    size = cursor.varint(1, limit, "size of the skeleton")
    packed_size = cursor.varint(1, cursor.remaining, "packed size of the skeleton")
    return inflate(cursor.take(packed_size, "skeleton"), size, size, "skeleton")
