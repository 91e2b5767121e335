"""What a `.intactw` file says about itself, for `intact info`."""

from __future__ import annotations

import os
import zlib
from typing import Any

from intact.errors import CorruptDataError, quoted
from intact.packing.file import MAJOR, MINOR, WeightsFile
from intact.packing.index import NOTES, Kind, Tensor, runs
from intact.packing.sizes import Share, shares
from intact.packing.values import floats


def facts_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Plain values, for JSON. All checksums are tested, nothing is decoded.

    "coded_bytes" of the tensors, "index_bytes" (with the header) and "unused_bytes" (of values that
    no tensor has) add up to "bytes".

    Raises:
        CorruptDataError: the file is damaged.
        UnsupportedError: it is of a later version.
    """
    file = WeightsFile(path)
    for number, blob in enumerate(file.index.blobs):
        if zlib.crc32(file.bytes_of(blob)) != blob.crc:
            raise CorruptDataError(f"{file.name}: damaged: {_used_by(file, number)}")
    found = shares(file.index)
    blobs_bytes = sum(blob.length for blob in file.index.blobs)
    unpacked = sum(tensor.dtype.num_bytes(tensor.shape) for tensor in file.index.tensors)
    return {
        "bytes": file.size,
        "tensors_bytes": unpacked,
        "ratio": unpacked / file.size,
        "format": f"{MAJOR}.{MINOR}",
        "features": [feature.name for feature in file.index.features],
        "metadata": file.metadata,
        "codebooks": [book.size for book in file.index.codebooks],
        "index_bytes": file.size - blobs_bytes,
        "unused_bytes": blobs_bytes - sum(share.size for share in found),
        "tensors": [
            _tensor(file, tensor, share)
            for tensor, share in zip(file.index.tensors, found, strict=True)
        ],
    }


def _used_by(file: WeightsFile, number: int) -> str:
    """Which tensors cannot be read when that blob cannot."""
    blobs = file.index.blobs
    names = [t.name for t in file.index.tensors if number in (n for n, _, _ in runs(t, blobs))]
    return f"tensors {quoted(names)}" if names else f"blob {number}, of no tensor"


def _tensor(file: WeightsFile, tensor: Tensor, share: Share) -> dict[str, Any]:
    note = NOTES[tensor.note] if tensor.note < len(NOTES) else f"note {tensor.note}"
    blobs = file.index.blobs
    stored = blobs[tensor.blob].dtype if tensor.num_values else tensor.dtype
    if tensor.kind is Kind.STEP:
        how = f"step {float(floats((tensor.step,))[0]):.4g}"
    elif tensor.kind is Kind.CODEBOOK:
        book = file.index.codebooks[tensor.codebook]
        how = f"{book.size} centers" + (f" of {book.width}" if book.width > 1 else "")
    else:
        how = "values" if stored == tensor.dtype else f"values in {stored.name}"
    return {
        "name": tensor.name,
        "dtype": tensor.dtype.name,
        "shape": list(tensor.shape),
        "coded_bytes": share.size,
        "bits": 8 * share.size / max(tensor.num_items, 1),
        "coded_as": how,
        "declined": note or None,
        "same_as": share.same_as,
    }
