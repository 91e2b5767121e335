"""How the features of the vector codec are points; frozen models count on this order of numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from intact.train.codecs.vector_graphs import PATCH


@dataclass(frozen=True)
class Slots:
    """A layout: a channel has 4 numbers in a latent, which are 4 / k points of k in a row.

    z [b, 4 c, h, w] <-> [b, c, h, w, 4 / k, k]: all points of a channel share its histogram.
    """

    size: int

    def split(self, z: Tensor) -> Tensor:
        """[b, 4 c, h, w] -> [b, c, h, w, 4 / k, k]."""
        b, m, h, w = z.shape
        parts = z.reshape(b, m // PATCH, PATCH // self.size, self.size, h, w)
        return parts.permute(0, 1, 4, 5, 2, 3)

    def join(self, parts: Tensor) -> Tensor:
        """[b, c, h, w, 4 / k, k] -> [b, 4 c, h, w]."""
        b, c, h, w, points, k = parts.shape
        return parts.permute(0, 1, 4, 5, 2, 3).reshape(b, c * points * k, h, w)
