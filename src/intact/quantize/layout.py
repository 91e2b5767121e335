"""How features become points, and back: which d/m numbers one symbol stands for.

A layout splits z into [b, g, *map, k]: b items (images), g groups (each with a histogram, and a
codebook of its own where wanted), a map of symbols, and the k numbers of a point. Quantization
works on points [g, n, k] of the whole batch; symbols come back as maps [b, g, *map].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from intact.errors import ArgumentError
from intact.quantize.checks import check_floats, whole


@runtime_checkable
class Layout(Protocol):
    """What a `intact.quantize.Quantizer` asks of a layout."""

    def split(self, z: Tensor) -> Tensor:
        """Features z to [b, g, *map, k]."""
        ...

    def join(self, parts: Tensor) -> Tensor:
        """[b, g, *map, k] -> z; the inverse of `split`, but for dimensions that it flattened."""
        ...


@dataclass(frozen=True)
class Patches:
    """Channels are groups; a point is a patch of one channel, row by row; Agustsson 2017, §4.

    z [b, c, h, w] <-> [b, c, h / height, w / width, height width]. 1x1 is scalar quantization.

    Args:
        height: p_h, rows of a patch.
        width: p_w, columns of a patch.
    """

    height: int = 1
    width: int = 1

    def __post_init__(self) -> None:
        whole(self.height, "height")
        whole(self.width, "width")

    def split(self, z: Tensor) -> Tensor:
        """[b, c, h, w] -> [b, c, h / height, w / width, k].

        Raises:
            ArgumentError: z is empty, no floating point or has other dimensions, or patches do
                not cover it.
        """
        check_floats(z, "features")
        if z.dim() != 4 or z.shape[2] % self.height or z.shape[3] % self.width:
            raise ArgumentError(
                f"features have shape {list(z.shape)}; legal is [b, c, h, w] with h a multiple of "
                f"{self.height} and w of {self.width}: pad them"
            )
        b, c, h, w = z.shape
        parts = z.reshape(b, c, h // self.height, self.height, w // self.width, self.width)
        return parts.transpose(3, 4).flatten(4)

    def join(self, parts: Tensor) -> Tensor:
        """[b, c, rows, columns, k] -> [b, c, h, w].

        Raises:
            ArgumentError: parts are of another shape.
        """
        size = self.height * self.width
        _check_parts(parts, 5, f"[b, c, rows, columns, {size}]", size)
        b, c, rows, columns, _ = parts.shape
        patches = parts.reshape(b, c, rows, columns, self.height, self.width).transpose(3, 4)
        return patches.reshape(b, c, rows * self.height, columns * self.width)


@dataclass(frozen=True)
class Positions:
    """A point is what all channels hold at one position, as in VQ-VAE, or a part of them.

    z [b, c, *positions] <-> [b, parts, *positions, c / parts].

    Args:
        parts: groups that the channels are split into, in order (product quantization).
    """

    parts: int = 1

    def __post_init__(self) -> None:
        whole(self.parts, "parts")

    def split(self, z: Tensor) -> Tensor:
        """[b, c, *positions] -> [b, parts, *positions, c / parts].

        Raises:
            ArgumentError: z is empty, no floating point or has fewer than 2 dimensions, or
                channels do not split evenly.
        """
        check_floats(z, "features")
        if z.dim() < 2 or z.shape[1] % self.parts:
            raise ArgumentError(
                f"features have shape {list(z.shape)}; legal is [b, c, ...] with c a multiple of "
                f"{self.parts}"
            )
        return z.unflatten(1, (self.parts, -1)).movedim(2, -1)

    def join(self, parts: Tensor) -> Tensor:
        """[b, parts, *positions, k] -> [b, c, *positions].

        Raises:
            ArgumentError: parts are of another shape.
        """
        if parts.dim() < 3:
            _check_parts(parts, 3, "[b, parts, *positions, k]")
        return parts.movedim(-1, 2).flatten(1, 2)


@dataclass(frozen=True)
class Blocks:
    """All of an item is one group, cut into points of so many numbers in a row; §3.2.

    z [b, ...] with d numbers an item <-> [b, 1, d / size, size]. For weights, which are one item
    (N = 1 in eq. 4): `W[None]`.

    Args:
        size: d / m, numbers of a point; 1 is scalar quantization.
    """

    size: int = 1

    def __post_init__(self) -> None:
        whole(self.size, "size")

    def split(self, z: Tensor) -> Tensor:
        """[b, ...] -> [b, 1, d / size, size].

        Raises:
            ArgumentError: z is empty, no floating point or has no dimension of items, or points
                do not cover it.
        """
        check_floats(z, "features")
        if z.dim() < 2 or z[0].numel() % self.size:
            raise ArgumentError(
                f"features have shape {list(z.shape)}; legal is [b, ...] with a multiple of "
                f"{self.size} numbers an item"
            )
        return z.reshape(len(z), 1, -1, self.size)

    def join(self, parts: Tensor) -> Tensor:
        """[b, 1, m, size] -> [b, d].

        Raises:
            ArgumentError: parts are of another shape.
        """
        _check_parts(parts, 4, f"[b, 1, m, {self.size}]", self.size)
        return parts.flatten(1)


def _check_parts(parts: Tensor, dims: int, wanted: str, size: int | None = None) -> None:
    if parts.dim() != dims or parts.shape[-1] != (size or parts.shape[-1]):
        raise ArgumentError(
            f"values of symbols have shape {list(parts.shape)}; this layout joins {wanted}"
        )


def to_points(parts: Tensor) -> Tensor:
    """[b, g, *map, k] -> [g, b m, k], m symbols of an item and group, items in order."""
    return parts.transpose(0, 1).flatten(1, -2)


def to_map(rows: Tensor, parts: Tensor) -> Tensor:
    """[g, b m] or [g, b m, k] -> [b, g, *map] or [b, g, *map, k], as ``parts`` are shaped."""
    shape = (parts.shape[1], parts.shape[0], *parts.shape[2:-1])
    return rows.reshape(*shape, *rows.shape[2:]).transpose(0, 1)
