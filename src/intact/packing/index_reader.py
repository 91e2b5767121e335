"""Reads and checks the index of a `.intactw` file; docs/spec/weights.md, "Index", is normative.

All its claims are checked against each other here, so that a reader of tensors meets none that
cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from intact.container.cursor import Cursor
from intact.errors import UnsupportedError, quoted
from intact.packing.dtypes import DTYPES, MAX_AXES, Dtype
from intact.packing.index import (
    KNOWN_REQUIRED,
    SYMBOL_TYPES,
    SYMBOLS,
    Blob,
    Codebook,
    Feature,
    Index,
    Kind,
    Method,
    Places,
    Tensor,
    encode_index,
    runs,
)
from intact.packing.limits import (
    MAX_BLOB_VALUES,
    MAX_CENTERS,
    MAX_EXPANSION,
    MAX_INDEX_BYTES,
    MAX_WIDTH,
    MIN_VALUES,
)
from intact.packing.safetensors import check_shape

MAX_LENGTH: Final = (1 << 62) - 1


def decode_index(data: bytes, name: str) -> Index:
    """Read and check an index; inverse of `encode_index`.

    Raises:
        CorruptDataError: it contradicts itself or is cut short.
        UnsupportedError: it needs a feature, a dtype or a method that is not known here.
    """
    cursor = Cursor(data, name)
    index = Index()
    for _ in range(_count(cursor, 3, "number of features")):
        required = cursor.varint(0, 1, "whether a feature is required") == 1
        feature = Feature(_read_text(cursor, "feature"), required, _read_bytes(cursor, "feature"))
        if required and feature.name not in KNOWN_REQUIRED:
            raise UnsupportedError(
                f"{name}: needs the feature {quoted(feature.name)}, which this version lacks"
            )
        index.features.append(feature)
    _unique((feature.name for feature in index.features), cursor, "feature")
    pairs = [
        (_read_text(cursor, "metadata"), _read_text(cursor, "metadata"))
        for _ in range(_count(cursor, 2, "entries of metadata"))
    ]
    _unique((key for key, _ in pairs), cursor, "metadata")
    index.metadata = dict(pairs)
    for _ in range(_count(cursor, 6, "number of codebooks")):
        size = cursor.varint(1, MAX_CENTERS, "centers of a codebook")
        width = cursor.varint(1, MAX_WIDTH, "width of a codebook")
        index.codebooks.append(Codebook(width, _read_floats(cursor, size * width, "codebook")))
    _read_blobs(cursor, index)
    places = Places(index.blobs)
    for _ in range(_count(cursor, 5, "number of tensors")):
        index.tensors.append(_read_tensor(cursor, index, places))
    _unique((tensor.name for tensor in index.tensors), cursor, "tensor")
    cursor.finish()
    if encode_index(index) != data:
        raise cursor.corrupt("the place of a tensor is not in its shortest spelling")
    return index


def _read_blobs(cursor: Cursor, index: Index) -> None:
    start = 0
    for number in range(_count(cursor, 9, "number of blobs")):
        what = f"blob {number}"
        method = cursor.u8(f"{what}: method")
        dtype = _read_dtype(cursor, what)
        if method >= len(Method):
            raise UnsupportedError(f"{cursor.name}: {what} has the unknown method {method}")
        rows = cursor.varint(1, MAX_BLOB_VALUES, f"{what}: rows")
        columns = cursor.varint(1, MAX_BLOB_VALUES, f"{what}: columns")
        length = cursor.varint(1, MAX_LENGTH, f"{what}: length")
        if rows * columns > min(MAX_BLOB_VALUES, MIN_VALUES + MAX_EXPANSION * length):
            raise cursor.corrupt(f"{what}: {length} bytes may not hold {rows} x {columns} values")
        if method == Method.FLOATS and dtype.floats is None:
            raise cursor.corrupt(f"{what}: {dtype.name} is coded as floats")
        if method == Method.SYMBOLS and dtype.name not in SYMBOLS:
            raise cursor.corrupt(f"{what}: {dtype.name} is coded as symbols")
        crc = cursor.u32(f"{what}: CRC-32")
        index.blobs.append(Blob(Method(method), dtype, rows, columns, length, crc, start))
        start += length


def _read_tensor(cursor: Cursor, index: Index, places: Places) -> Tensor:
    name = _read_text(cursor, "name of a tensor")
    what = f"tensor {quoted(name)}"
    dtype = _read_dtype(cursor, what)
    note = cursor.u8(f"{what}: note")
    kind = Kind(cursor.varint(0, len(Kind) - 1, f"{what}: kind"))
    num_axes = cursor.varint(0, MAX_AXES, f"{what}: number of axes")
    shape = tuple(cursor.varint(0, MAX_LENGTH, f"{what}: size") for _ in range(num_axes))
    check_shape(shape, dtype, f"{cursor.name}: {what}")
    step = codebook = lead = 0
    width = 1
    scales: tuple[int, ...] = ()
    if kind is not Kind.VALUES and not dtype.quantizable:
        raise cursor.corrupt(f"{what}: symbols cannot stand for {dtype.name}")
    if kind is Kind.STEP:
        [step] = _read_floats(cursor, 1, f"{what}: step")
    elif kind is Kind.CODEBOOK:
        codebook = cursor.varint(0, len(index.codebooks) - 1, f"{what}: codebook")
        width = index.codebooks[codebook].width
        lead = cursor.varint(0, width - 1, f"{what}: lead") if width > 1 else 0
    if kind is not Kind.VALUES:
        rows = shape[0] if shape else 1
        count = cursor.varint(0, max(rows, 1), f"{what}: number of scales")
        if count not in (0, 1, rows):
            raise cursor.corrupt(f"{what}: {count} scales, legal: 0, 1 or {rows}")
        scales = _read_floats(cursor, count, f"{what}: scales")
    tensor = Tensor(name, dtype, shape, kind, -1, 0, note, step, codebook, scales, width, lead)
    blob, first = places.read(cursor, tensor.num_values, what)
    tensor = replace(tensor, blob=blob, first=first)
    for number, _, _ in runs(tensor, index.blobs):
        _check_type(tensor, index.blobs[number], cursor)
    return tensor


def _check_type(tensor: Tensor, blob: Blob, cursor: Cursor) -> None:
    """Values of such a blob must be able to stand for such a tensor."""
    if tensor.kind is not Kind.VALUES:
        legal = blob.dtype in SYMBOL_TYPES
    else:
        narrower = blob.dtype.quantizable and blob.dtype.bits < tensor.dtype.bits
        legal = blob.dtype == tensor.dtype or (narrower and tensor.dtype.name in ("F32", "F64"))
    if not legal:
        raise cursor.corrupt(
            f"tensor {quoted(tensor.name)}: {blob.dtype.name} in its blob, not {tensor.dtype.name}"
        )


def _count(cursor: Cursor, least: int, what: str) -> int:
    """A number of records, of at least so many bytes each."""
    return cursor.varint(0, cursor.remaining // least, what)


def _read_bytes(cursor: Cursor, what: str) -> bytes:
    return cursor.take(cursor.varint(0, min(cursor.remaining, MAX_INDEX_BYTES), what), what)


def _read_text(cursor: Cursor, what: str) -> str:
    try:
        return _read_bytes(cursor, what).decode("utf-8")
    except UnicodeDecodeError as error:
        raise cursor.corrupt(f"{what} is not UTF-8: {error.reason}") from error


def _read_dtype(cursor: Cursor, what: str) -> Dtype:
    code = cursor.u8(f"{what}: dtype")
    if code >= len(DTYPES):
        raise UnsupportedError(f"{cursor.name}: {what} has the unknown dtype code {code}")
    return DTYPES[code]


def _read_floats(cursor: Cursor, count: int, what: str) -> tuple[int, ...]:
    """Bits of finite float32."""
    data = cursor.take(4 * count, what)
    found = tuple(int.from_bytes(data[at : at + 4], "little") for at in range(0, 4 * count, 4))
    if any(bits >> 23 & 255 == 255 for bits in found):
        raise cursor.corrupt(f"{what}: a value is not finite")
    return found


def _unique(names: Iterable[str], cursor: Cursor, what: str) -> None:
    found = list(names)
    if len(set(found)) < len(found):
        raise cursor.corrupt(f"a name of {what} comes twice")
