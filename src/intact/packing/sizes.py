"""What of a `.intactw` file's bytes is whose: shares that add up to the file.

Every byte of a blob is counted once, whoever reads it: several tensors may have parts of one blob,
tied ones have the same.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from intact.packing.index import Index, Tensor


@dataclass(frozen=True)
class Share:
    """What a tensor has of the file.

    Attributes:
        size: bytes of its values in blobs, that no tensor before it has.
        same_as: the first tensor that is stored in the very same place; None where it is the first.
    """

    size: int
    same_as: str | None = None


def shares(index: Index) -> list[Share]:
    """The share of each tensor, in order.

    They add up to the bytes of all blobs, but those of values that no tensor has.
    """
    begins = [0]  # of blobs, were all values in one row: there a tensor is one stretch
    for blob in index.blobs:
        begins.append(begins[-1] + blob.count)

    def bytes_before(value: int) -> int:
        number = min(bisect_right(begins, value), len(index.blobs)) - 1
        blob = index.blobs[number]
        return blob.start + blob.length * (value - begins[number]) // blob.count

    def stretch(tensor: Tensor) -> tuple[int, int]:
        first = begins[tensor.blob] + tensor.first if tensor.num_values else 0
        return first, first + tensor.num_values

    sizes, done = [0] * len(index.tensors), 0
    stretches = [stretch(tensor) for tensor in index.tensors]
    for first, number in sorted((first, number) for number, (first, _) in enumerate(stretches)):
        behind = stretches[number][1]
        if behind > max(first, done):
            sizes[number] = bytes_before(behind) - bytes_before(max(first, done))
            done = behind
    found, owners = [], dict[tuple[int, int], str]()
    for tensor, place, size in zip(index.tensors, stretches, sizes, strict=True):
        owner = owners.setdefault(place, tensor.name) if tensor.num_values else tensor.name
        found.append(Share(size, None if owner == tensor.name else owner))
    return found
