"""A model's skeleton while its arrays are still to come: what `intact.container.model_file` reads.

One reading gives the arrays' types and shapes, the tree to fill, and where in the skeleton each
array's data belongs, so that the id is hashed without the tree being spelled again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from intact.container.tree import ID_PREFIX, IntArray, Tree, read_parts


@dataclass(frozen=True)
class Frame:
    """A skeleton that was read: its arrays are known, but not there yet.

    Attributes:
        data: the skeleton.
        specs: type and shape of each array, in file order.
    """

    data: bytes
    specs: list[tuple[str, tuple[int, ...]]]
    _tree: Tree
    _ends: list[int]

    @classmethod
    def read(cls, data: bytes) -> Frame:
        """As `read_skeleton`.

        Raises:
            CorruptDataError: the bytes are not the canonical spelling of a tree.
        """
        specs: list[tuple[str, tuple[int, ...]]] = []

        def note(dtype: str, shape: tuple[int, ...]) -> IntArray:
            specs.append((dtype, shape))
            return np.zeros(0, np.int8)

        tree, ends = read_parts(data, note)
        return cls(data, specs, tree, ends)

    def fill(self, arrays: list[IntArray]) -> Tree:
        """The tree with the arrays of ``specs``. Call it once."""
        assert len(arrays) == len(self.specs)
        return _filled(self._tree, iter(arrays))

    def id_with(self, arrays: list[IntArray]) -> bytes:
        """`model_id` of the tree with these arrays: data goes where the skeleton leaves it out."""
        digest, start = hashlib.sha256(ID_PREFIX), 0
        for end, array in zip(self._ends, arrays, strict=True):
            digest.update(self.data[start:end])
            digest.update(_little_endian_view(array).data)
            start = end
        digest.update(self.data[start:])
        return digest.digest()[:16]


def _filled(node: Any, arrays: Iterator[IntArray]) -> Any:
    """Put arrays in the places of those that are there, in file order."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict | list | np.ndarray):
                node[key] = _filled(value, arrays)
        return node
    if isinstance(node, list):
        return [_filled(value, arrays) for value in node]
    return next(arrays) if isinstance(node, np.ndarray) else node


def _little_endian_view(array: IntArray) -> IntArray:
    """What `little_endian` spells, without a copy where the machine has it so in memory."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
