"""What a method knows before it reads: how many symbols, in which shape, and their range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Backend = Literal["native", "python"]
Symbols = NDArray[np.int32]
Levels = NDArray[np.uint16 | np.uint32]
WHAT: Final = "coded weights"


@dataclass(frozen=True)
class Shape:
    """A part of an array, and the symbols that it may hold.

    Attributes:
        rows: at least 1.
        columns: at least 1.
        kernel: positions of a kernel; it divides the columns.
        low: the smallest symbol, without its low bits.
        high: the largest.
    """

    rows: int
    columns: int
    kernel: int
    low: int
    high: int

    @property
    def size(self) -> int:
        """Symbols."""
        return self.rows * self.columns


class Coder(Protocol):
    """A method: a module with these functions."""

    def encode(self, symbols: Symbols, shape: Shape, backend: Backend | None) -> bytes:
        """The bytes of int32[size], all within the shape's range."""
        ...

    def decode(self, data: bytes, shape: Shape, backend: Backend | None) -> Symbols:
        """int32[size], or a `CorruptDataError`; the caller checks their range."""
        ...
