"""Predict the leading latents from their neighbors, coarse to fine. Normative.

The first `predicted` channels of a model are its mean colors: what a neighbor says of them is far
more than hyper-latents of 8 bits can. Their means are corrected, position by position, by what the
means of neighbors have been wrong by. That happens within blocks of `BLOCK` x `BLOCK` latents, cut
at the edges of the image, so that it does not depend on tiles. Order within a block: (0, 0), then
for spacings s = BLOCK / 2, ..., 2, 1

    diagonal   rows and columns that are odd multiples of s, from the up to 4 neighbors (+-s, +-s)
    cross      one even, one odd multiple of s, from the up to 4 neighbors (+-s, 0), (0, +-s)

Each stage's positions depend on earlier stages only, so a stage is one operation on arrays. The
last diagonal stage ends pass A; the last cross stage is pass B. docs/spec/image.md, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BLOCK = 16
"""Latents on a side: the smallest tile, so that tiles consist of whole blocks."""
MAX_PREDICTED = 16
"""Channels predicted from their neighbors; each takes some 40 bytes per latent. Format."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Positions that are predicted at the same time, as flat indexes into a block.

    Attributes:
        positions: intp [n].
        neighbors: intp [4, n]; any position where there is no neighbor.
        exists: bool [4, n].
        count: int64 [n], how many neighbors there are, 0 for the first position only.
    """

    positions: np.ndarray
    neighbors: np.ndarray
    exists: np.ndarray
    count: np.ndarray

    def blend(self, values: np.ndarray) -> np.ndarray:
        """int64 [b, n, k]: the neighbors' mean of values [b, h * w, k], rounded half up."""
        found = np.where(self.exists[:, :, None], values[:, self.neighbors], 0)
        total, count = found.sum(axis=1, dtype=np.int64), np.maximum(self.count, 1)[:, None]
        return (2 * total + count) // (2 * count)


def _stage(shape: tuple[int, int], positions: np.ndarray, offsets: np.ndarray) -> Stage:
    places = positions + offsets[:, None]  # [4, n, 2]
    inside: np.ndarray = (places >= 0) & (places < shape)
    exists = inside[:, :, 0] & inside[:, :, 1]
    places = np.where(exists[:, :, None], places, 0)
    return Stage(
        positions[:, 0] * shape[1] + positions[:, 1],
        places[:, :, 0] * shape[1] + places[:, :, 1],
        exists,
        exists.sum(axis=0),
    )


@lru_cache(maxsize=BLOCK * BLOCK)
def stages(height: int, width: int) -> tuple[tuple[Stage, ...], Stage]:
    """The stages of pass A in order, and that of pass B, for a block of 1..`BLOCK` on each side."""
    shape = height, width
    diagonal = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    cross = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
    grid = np.indices(shape).reshape(2, -1).T
    found = [_stage(shape, grid[:1], diagonal * BLOCK)]
    spacing = BLOCK // 2
    while spacing:
        on_grid = (grid % spacing == 0).all(axis=1)
        odd = grid // spacing % 2
        for chosen, offsets in ((odd.all(axis=1), diagonal), (odd.sum(axis=1) == 1, cross)):
            found.append(_stage(shape, grid[on_grid & chosen], offsets * spacing))
        spacing //= 2
    return tuple(stage for stage in found[:-1] if stage.positions.size), found[-1]


def regions(height: int, width: int) -> Iterator[tuple[slice, slice, int, int]]:
    """Cut a grid into at most four regions of equal blocks: (rows, columns, block's sides)."""

    def parts(length: int) -> list[tuple[slice, int]]:
        whole = length // BLOCK * BLOCK
        found = [(slice(0, whole), BLOCK), (slice(whole, length), length - whole)]
        return [(part, side) for part, side in found if part.stop > part.start]

    for rows, block_height in parts(height):
        for columns, block_width in parts(width):
            yield rows, columns, block_height, block_width


def to_blocks(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """[h, w, k] -> [blocks, height * width, k]; inverse of `from_blocks`."""
    rows, columns, k = array.shape[0] // height, array.shape[1] // width, array.shape[2]
    array = array.reshape(rows, height, columns, width, k).swapaxes(1, 2)
    return array.reshape(rows * columns, height * width, k)


def from_blocks(blocks: np.ndarray, height: int, width: int, columns: int) -> np.ndarray:
    """[blocks, height * width, k] -> [h, w, k], ``columns`` blocks wide; inverse of `to_blocks`."""
    rows, k = len(blocks) // columns, blocks.shape[2]
    array = blocks.reshape(rows, columns, height, width, k).swapaxes(1, 2)
    return array.reshape(rows * height, columns * width, k)


Reconstruct = Callable[..., np.ndarray]
"""(means [b, n, k] int16, arrays at the same positions...) -> latents [b, n, k] int16."""


def correct_pass_a(mean: np.ndarray, reconstruct: Reconstruct, *arrays: np.ndarray) -> np.ndarray:
    """Correct the means of pass A stage by stage, each by the latents of the stages before.

    Args:
        mean: int16 [h, w, k], from prior_a; a window whose top and left are multiples of `BLOCK`.
        reconstruct: gives the latents of a stage: what a decoder reads, or what an encoder chooses.
        *arrays: [h, w, k], handed on to ``reconstruct``.

    Returns:
        int16 [h, w, k]: the means, corrected at pass A.
    """
    result = mean.copy()
    for rows, columns, height, width in regions(*mean.shape[:2]):
        flat, *others = (to_blocks(a[rows, columns], height, width) for a in (mean, *arrays))
        corrected, wrong = flat.copy(), np.zeros(flat.shape, np.int64)
        for stage in stages(height, width)[0]:
            here = flat[:, stage.positions].astype(np.int64)
            means = np.clip(here + stage.blend(wrong), -32768, 32767).astype(np.int16)
            values = reconstruct(means, *(other[:, stage.positions] for other in others))
            corrected[:, stage.positions] = means
            wrong[:, stage.positions] = values - here
        wide = (columns.stop - columns.start) // width
        result[rows, columns] = from_blocks(corrected, height, width, wide)
    return result


def correct_pass_b(mean: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """Add to the means of pass B what the neighbors in pass A are on average.

    Args:
        mean: int16 [h, w, k], from prior_b; a window as in `correct_pass_a`.
        latents: int16 [h, w, k] of pass A.

    Returns:
        int16 [h, w, k]: the means, corrected at pass B.
    """
    result = mean.copy()
    for rows, columns, height, width in regions(*mean.shape[:2]):
        stage = stages(height, width)[1]
        flat = to_blocks(mean[rows, columns], height, width).astype(np.int64)
        flat[:, stage.positions] += stage.blend(to_blocks(latents[rows, columns], height, width))
        flat = np.clip(flat, -32768, 32767).astype(np.int16)
        wide = (columns.stop - columns.start) // width
        result[rows, columns] = from_blocks(flat, height, width, wide)
    return result
