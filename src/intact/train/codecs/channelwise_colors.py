"""`intact.bottleneck.anchors` with gradients: image codec 2's rule for the leading latents.

The same stages over the same positions, in real units and with rounding as the training does it. In
the last digit it differs from the codec: averages are not rounded to integers here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from intact.bottleneck.anchors import CROSS, DIAGONAL, NUM_STAGES, SPACING, stages
from intact.train.gradients import round_through

Offsets = tuple[tuple[int, int], ...]
Averages = tuple[Tensor, Tensor, Tensor]
"""Flat positions [n], and neighbors [4 n] and weights [4, n, 1] that average theirs."""


def _averages(shape: tuple[int, int], positions: np.ndarray, offsets: Offsets) -> Averages:
    flat = torch.from_numpy(positions[:, 0] * shape[1] + positions[:, 1])
    places = positions + np.array(offsets)[:, None]  # [4, n, 2]
    inside: np.ndarray = (places >= 0) & (places < shape)
    exists = np.asarray(inside.all(axis=2))
    places = np.where(exists[:, :, None], places, 0)
    weights = torch.from_numpy(exists / exists.sum(axis=0).clip(min=1)).float()
    neighbors = places[..., 0] * shape[1] + places[..., 1]
    return flat, torch.from_numpy(neighbors.reshape(-1)), weights[:, :, None]


@lru_cache(maxsize=256)
def _first(shape: tuple[int, int], start: tuple[int, int]) -> list[Averages]:
    """The stages of pass A in order; anchors are neighbors of themselves, with no weight."""
    numbers = stages(start, shape)
    rows, columns = np.indices(shape)
    even = (rows + columns) % 2 == sum(start) % 2
    found = []
    for number in range(NUM_STAGES):
        spacing = SPACING >> (number + 1) // 2
        around = DIAGONAL if number % 2 else CROSS
        offsets = tuple((a * spacing, b * spacing) for a, b in around)
        positions = np.argwhere(np.logical_and(even, numbers == number))
        if len(positions):  # a small crop lacks some
            chosen = _averages(shape, positions, offsets)
            found.append(chosen if number else (*chosen[:2], torch.zeros_like(chosen[2])))
    return found


@lru_cache(maxsize=64)
def _around(shape: tuple[int, int]) -> Averages:
    return _averages(shape, np.indices(shape).reshape(2, -1).T, CROSS)


def _average(values: Tensor, neighbors: Tensor, weights: Tensor) -> Tensor:
    """[b, n, k]: the mean over neighbors of values [b, h * w, k]."""
    found = values[:, neighbors.to(values.device)].reshape(
        len(values), *weights.shape[:2], values.shape[2]
    )
    return (found * weights.to(values.device)).sum(1)


def correct_first(mean: Tensor, y: Tensor, step: Tensor, start: tuple[int, int]) -> Tensor:
    """Means of pass A, corrected by what those of neighbors have been wrong by.

    Args:
        mean: [b, h, w, k], from prior_a.
        y: [b, h, w, k], the latents before quantization.
        step: [b, 1, 1, k], of quantization.
        start: row and column of the first position in the image, both even.
    """
    b, h, w, k = mean.shape
    flat, target, size = mean.reshape(b, -1, k), y.reshape(b, -1, k), step[:, 0]
    corrected, wrong = flat, torch.zeros_like(flat)
    for positions, neighbors, weights in _first((h, w), start):
        positions = positions.to(mean.device)
        here = flat[:, positions]
        means = here + _average(wrong, neighbors, weights)
        values = means + size * round_through((target[:, positions] - means) / size)
        corrected = corrected.index_copy(1, positions, means)
        wrong = wrong.index_copy(1, positions, values - here)
    return corrected.reshape(mean.shape)


def correct_second(mean: Tensor, latents: Tensor) -> Tensor:
    """Means of pass B [b, h, w, k], with the mean of four neighbors' latents added."""
    b, h, w, k = mean.shape
    _, neighbors, weights = _around((h, w))
    return mean + _average(latents.reshape(b, -1, k), neighbors, weights).reshape(mean.shape)
