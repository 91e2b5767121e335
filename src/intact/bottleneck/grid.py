"""Where things lie: rectangles of latents, and the tiles of an image.

A tile is a rectangle of latents with its own payload, not a small picture: transforms are defined
on the whole image. A window of an image is computed with a margin as wide as the networks look,
so that its values equal those of the whole image, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, int]
"""Rows and columns."""


@dataclass(frozen=True)
class Window:
    """Rows ``top..bottom`` and columns ``left..right`` (ends excluded) of some grid."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an array of the whole grid."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """For indexing an array that holds ``outer``."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )

    def grow(self, margin: int, multiple: int, shape: Shape) -> Window:
        """Widen by ``margin``, then outwards to a multiple, then clip to a grid of ``shape``."""
        return Window(
            max(0, (self.top - margin) // multiple * multiple),
            max(0, (self.left - margin) // multiple * multiple),
            min(shape[0], -((-self.bottom - margin) // multiple) * multiple),
            min(shape[1], -((-self.right - margin) // multiple) * multiple),
        )

    def shrink(self, factor: int) -> Window:
        """The window on a grid that is coarser by ``factor``, widened to whole cells."""
        return Window(
            self.top // factor,
            self.left // factor,
            -(-self.bottom // factor),
            -(-self.right // factor),
        )


@dataclass(frozen=True)
class Layout:
    """Where things lie: the grid of latents and its tiles.

    Attributes:
        shape: rows and columns of latents.
        tile_log2: tiles are squares of ``2**tile_log2`` latents.
    """

    shape: Shape
    tile_log2: int

    @property
    def columns(self) -> int:
        """Tiles in a row of tiles."""
        return -(-self.shape[1] >> self.tile_log2)

    @property
    def whole(self) -> Window:
        """All latents."""
        return Window(0, 0, *self.shape)

    def tile(self, index: int) -> Window:
        """The latents of a tile."""
        side = 1 << self.tile_log2
        top, left = index // self.columns * side, index % self.columns * side
        return Window(top, left, min(top + side, self.shape[0]), min(left + side, self.shape[1]))

    def tiles(self, window: Window) -> list[int]:
        """The tiles that a window touches."""
        cells = window.shrink(1 << self.tile_log2)
        return [
            row * self.columns + column
            for row in range(cells.top, cells.bottom)
            for column in range(cells.left, cells.right)
        ]
