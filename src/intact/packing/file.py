"""The `.intactw` file: header, blobs, index; docs/spec/weights.md, "File", is normative.

The header, at the beginning, says where the index is, and the index where everything else: one
tensor is read alone, out of a memory map. A writer needs no more memory than a blob.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from intact.container.arrays import inflate
from intact.container.cursor import Cursor
from intact.container.framing import WEIGHTS_MAGIC, read_magic
from intact.errors import ArgumentError, CorruptDataError, UnsupportedError, quoted
from intact.packing.blobs import Coded
from intact.packing.dtypes import Array
from intact.packing.index import Blob, Index, Kind, Tensor, encode_index, runs
from intact.packing.index_reader import decode_index
from intact.packing.limits import MAX_INDEX_BYTES
from intact.packing.mapped import Mapped
from intact.packing.parallel import in_order
from intact.packing.values import part_of, symbols_of_tensor

MAGIC: Final = WEIGHTS_MAGIC
MAJOR: Final = 1
MINOR: Final = 0
HEADER_BYTES: Final = 29
SUFFIX: Final = ".intactw"
NAME: Final = "weight file"


class Mark(NamedTuple):
    """A state of a `Writer`."""

    num_blobs: int
    position: int


class Writer:
    """Writes a file: blobs as they come, then the index.

    Args:
        file: to write and seek in, empty.

    Attributes:
        index: what the file will say; codebooks, features, metadata and tensors are its user's.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.index = Index()
        file.write(bytes(HEADER_BYTES))
        self._position = HEADER_BYTES

    def add_blob(self, coded: Coded, rows: int, columns: int) -> int:
        """Write a blob; its number."""
        method, dtype, data = coded
        self._file.write(data)
        start = self._position - HEADER_BYTES
        blob = Blob(method, dtype, rows, columns, len(data), zlib.crc32(data), start)
        self.index.blobs.append(blob)
        self._position += len(data)
        return len(self.index.blobs) - 1

    def mark(self) -> Mark:
        """The blobs up to here, to `rewind` to."""
        return Mark(len(self.index.blobs), self._position)

    def rewind(self, mark: Mark) -> None:
        """Forget the blobs written since."""
        del self.index.blobs[mark.num_blobs :]
        self._position = mark.position
        self._file.seek(mark.position)
        self._file.truncate()

    def size(self) -> int:
        """Bytes of the file if it ended here."""
        return self._position + len(self._packed()[1])

    def _packed(self) -> tuple[int, bytes]:
        plain = encode_index(self.index)
        if len(plain) > MAX_INDEX_BYTES:
            raise ArgumentError(f"the index has {len(plain)} bytes, at most {MAX_INDEX_BYTES}")
        return len(plain), zlib.compress(plain, 9)

    def finish(self) -> int:
        """Write the index and the header; bytes of the file."""
        plain_bytes, packed = self._packed()
        head = b"".join(
            [
                MAGIC,
                bytes([MAJOR << 4 | MINOR]),
                self._position.to_bytes(8, "little"),
                len(packed).to_bytes(4, "little"),
                plain_bytes.to_bytes(4, "little"),
            ]
        )
        self._file.write(packed)
        self._file.seek(0)
        self._file.write(head + zlib.crc32(packed, zlib.crc32(head)).to_bytes(4, "little"))
        return self._position + len(packed)


class WeightsFile:
    """A file, mapped into memory: a tensor is read when it is asked for, alone.

    Args:
        path: of the file.

    Attributes:
        index: what the file says.
        tensors: by name.
        size: in bytes.

    Raises:
        CorruptDataError: header or index are damaged, or the file was cut short.
        UnsupportedError: it needs a feature of a later version, which is named.
        OSError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = Mapped(path)
        self.name, self.size = self._file.name, self._file.size
        with _naming(self.name):
            self.index = _read_index(self._file.data, self.size)
        self.tensors = {tensor.name: tensor for tensor in self.index.tensors}

    @property
    def metadata(self) -> dict[str, str]:
        """Text to text, as in the safetensors file."""
        return self.index.metadata

    def tensor(self, name: str) -> Tensor:
        """What the index says of a tensor.

        Raises:
            ArgumentError: there is none of that name.
        """
        if name not in self.tensors:
            raise ArgumentError(f"{self.name} has no tensor {quoted(name)}")
        return self.tensors[name]

    def bytes_of(self, blob: Blob) -> bytes:
        """Of the file."""
        start = HEADER_BYTES + blob.start
        self._file.count(blob.length)
        return self._file.data[start : start + blob.length]

    def parts(self, tensor: Tensor, threads: int = 1) -> Iterator[Array]:
        """The raw elements of a tensor, blob by blob, of either byte order; `raw`'s is the file's.

        Raises:
            CorruptDataError: a blob is damaged.
        """
        jobs, done = [], 0
        for run in runs(tensor, self.index.blobs):
            jobs.append((run, done))
            done += run[2]

        def decoded(job: tuple[tuple[int, int, int], int]) -> Array:
            with _naming(self.name):
                return part_of(self.index, tensor, *job, self.bytes_of)

        for _, part in in_order(decoded, jobs, min(threads, max(len(jobs), 1))):
            yield part

    def raw(self, tensor: Tensor, threads: int = 1) -> Array:
        """The raw elements [items] of a tensor, writable.

        Raises:
            CorruptDataError: a blob is damaged.
        """
        found = np.empty(tensor.num_items, tensor.dtype.raw)
        done = 0
        for part in self.parts(tensor, threads):
            found[done : done + len(part)] = part
            done += len(part)
        return found

    def symbols(self, name: str) -> Array:
        """The symbols of a quantized tensor, int32; of its shape where each stands for one element.

        Raises:
            ArgumentError: it has none.
            CorruptDataError: a blob is damaged.
        """
        tensor = self.tensor(name)
        if tensor.kind is Kind.VALUES:
            raise ArgumentError(f"tensor {quoted(name)} has no symbols: it was kept as it is")
        with _naming(self.name):
            return symbols_of_tensor(self.index, tensor, self.bytes_of)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors of what a file holds say which file it is."""
    try:
        yield
    except (CorruptDataError, UnsupportedError) as error:
        raise type(error)(f"{name}: {error}") from error


def _read_index(data: mmap.mmap, size: int) -> Index:
    head = Cursor(data[:HEADER_BYTES], NAME)
    read_magic(head, MAGIC, MAJOR)
    start = int.from_bytes(head.take(8, "place of the index"), "little")
    packed_bytes, plain_bytes = head.u32("size of the index"), head.u32("size of the index")
    stored = head.u32("CRC-32 of the index")
    if not HEADER_BYTES <= start <= size or start + packed_bytes != size:
        raise head.corrupt(
            f"the index is at {start} and has {packed_bytes} bytes, the file has {size}: it is cut "
            f"short, or has a tail"
        )
    if plain_bytes > MAX_INDEX_BYTES:
        raise head.corrupt(f"the index has {plain_bytes} bytes, at most {MAX_INDEX_BYTES}")
    packed = data[start:]
    computed = zlib.crc32(packed, zlib.crc32(head.data[: HEADER_BYTES - 4]))
    if computed != stored:
        raise head.corrupt(
            f"damaged: CRC-32 of header and index is {computed:08x}, the file says {stored:08x}"
        )
    index = decode_index(inflate(packed, plain_bytes, plain_bytes, "index"), f"{NAME}, index")
    blobs_end = index.blobs[-1].start + index.blobs[-1].length if index.blobs else 0
    if HEADER_BYTES + blobs_end != start:
        raise head.corrupt(f"blobs end at {HEADER_BYTES + blobs_end}, the index begins at {start}")
    return index
