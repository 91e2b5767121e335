"""`intact.bottleneck.colors` with gradients: the leading latents predicted from their neighbors.

The same stages over the same positions, in real units and with rounding as the training does it. In
the last digit it differs from the codec: averages are not rounded to integers here.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from intact.bottleneck.colors import BLOCK, Stage, regions, stages
from intact.train.gradients import round_through


@lru_cache(maxsize=BLOCK * BLOCK)
def _tensors(height: int, width: int, device: torch.device) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Per stage: positions [n], neighbors [4 n] and weights [4, n, 1] that average them."""

    def convert(stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
        weights = torch.from_numpy(stage.exists / stage.count.clip(min=1)).float()
        return (
            torch.from_numpy(stage.positions).to(device),
            torch.from_numpy(stage.neighbors.reshape(-1)).to(device),
            weights[:, :, None].to(device),
        )

    pass_a, pass_b = stages(height, width)
    return [convert(stage) for stage in (*pass_a, pass_b)]


def _average(values: Tensor, neighbors: Tensor, weights: Tensor) -> Tensor:
    """[b, n, k]: the mean over neighbors of values [b, h * w, k]."""
    found = values[:, neighbors].reshape(len(values), *weights.shape[:2], values.shape[2])
    return (found * weights).sum(1)


def _to_blocks(x: Tensor, height: int, width: int) -> Tensor:
    """[b, h, w, k] -> [b, blocks, height * width, k], the first two axes joined."""
    b, h, w, k = x.shape
    x = x.reshape(b, h // height, height, w // width, width, k).transpose(2, 3)
    return x.reshape(-1, height * width, k)


def _from_blocks(x: Tensor, shape: torch.Size, height: int, width: int) -> Tensor:
    b, h, w, k = shape
    x = x.reshape(b, h // height, w // width, height, width, k).transpose(2, 3)
    return x.reshape(shape)


def _join(pieces: list[tuple[slice, slice, Tensor]]) -> Tensor:
    """Put regions together again."""
    rows: dict[int, list[Tensor]] = {}
    for row, _, piece in pieces:
        rows.setdefault(row.start, []).append(piece)
    return torch.cat([torch.cat(row, 2) for row in rows.values()], 1)


def correct_means_a(mean: Tensor, y: Tensor, step: Tensor, sent: Tensor | None = None) -> Tensor:
    """Means of pass A, corrected by what those of neighbors have been wrong by.

    Args:
        mean: [b, h, w, k], from prior_a.
        y: [b, h, w, k], the latents before quantization.
        step: [b, 1, 1, 1], of quantization.
        sent: [b, h, w, k], 0 where the symbol is not sent; all are sent when None.

    Returns:
        [b, h, w, k]; at pass B as it was.
    """
    pieces = []
    for rows, columns, height, width in regions(*mean.shape[1:3]):
        region = mean[:, rows, columns]
        flat = _to_blocks(region, height, width)
        target = _to_blocks(y[:, rows, columns], height, width)
        kept = None if sent is None else _to_blocks(sent[:, rows, columns], height, width)
        size = step.reshape(-1, 1, 1).repeat_interleave(len(flat) // len(mean), 0)
        corrected, wrong = flat, torch.zeros_like(flat)
        for positions, neighbors, weights in _tensors(height, width, mean.device)[:-1]:
            here = flat[:, positions]
            means = here + _average(wrong, neighbors, weights)
            symbols = round_through((target[:, positions] - means) / size)
            values = means + size * (symbols if kept is None else symbols * kept[:, positions])
            corrected = corrected.index_copy(1, positions, means)
            wrong = wrong.index_copy(1, positions, values - here)
        pieces.append((rows, columns, _from_blocks(corrected, region.shape, height, width)))
    return _join(pieces)


def correct_means_b(mean: Tensor, latents: Tensor) -> Tensor:
    """Means of pass B [b, h, w, k], with the mean of the neighbors' latents of pass A added."""
    pieces = []
    for rows, columns, height, width in regions(*mean.shape[1:3]):
        region = mean[:, rows, columns]
        positions, neighbors, weights = _tensors(height, width, mean.device)[-1]
        flat = _to_blocks(region, height, width)
        around = _average(_to_blocks(latents[:, rows, columns], height, width), neighbors, weights)
        flat = flat.index_add(1, positions, around)
        pieces.append((rows, columns, _from_blocks(flat, region.shape, height, width)))
    return _join(pieces)
