"""Rectangles of latents, and how far each network looks beyond its own position.

A tile is a rectangle of latents with its own payload, not a small picture: transforms are defined
on the whole image. A window of an image is computed with a margin as wide as the networks look,
so that its values equal those of the whole image, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from intact.intnet.program import Add, Conv, Program, Requantize, Scale, Shuffle, Unshuffle, sources


@dataclass(frozen=True)
class Window:
    """Rows ``top..bottom`` and columns ``left..right`` (ends excluded) of some grid."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
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

    def grow(self, margin: int, multiple: int, shape: tuple[int, int]) -> Window:
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


def reach(program: Program) -> dict[str, int]:
    """How many positions of each input beyond a window its outputs depend on, at most.

    The window is aligned to the coarsest grid of the program.
    """
    far = dict.fromkeys(program.outputs, 0)
    for op in reversed(program.ops):
        distance = far.pop(op.target, 0)
        match op:
            case Conv():
                distance = distance * op.stride + op.weight.shape[2] // 2
            case Shuffle():
                distance = -(-distance // op.factor)
            case Unshuffle():
                distance *= op.factor
            case Requantize() | Scale() | Add():
                pass
        for source in sources(op):
            far[source] = max(far.get(source, 0), distance)
    return {value.name: far.get(value.name, 0) for value in program.inputs}
