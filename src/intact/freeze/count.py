"""How often an encoder emits each symbol: the counts that tables are made of, for any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from intact.bottleneck.grid import Layout
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.pixels import to_network
from intact.container.limits import MAX_TILE_LOG2

RADIUS = 600
"""Symbols beyond it are not counted where nothing else is said; they are escapes anyway."""
LEVELS_BETWEEN = 21
"""Every image is coded at each 21st level, the first ones in turn."""


def count_symbols(
    model: Model,
    images: Iterable[np.ndarray],
    progress: Callable[[], None] | None = None,
    *,
    radius: int = RADIUS,
) -> dict[str, np.ndarray]:
    """Counts by table bank: int64 [tables, 2 * radius + 1], of -radius..radius.

    Args:
        model: with any tables.
        images: uint8 [h, w, 3].
        progress: called after each image.
        radius: symbols beyond it are not counted.
    """
    networks, bottleneck = Networks(model, 1 << 18, "auto", 1), model.bottleneck
    width = 2 * radius + 1
    counts = {
        name: np.zeros((bank.num_tables, width), np.int64)
        for name, bank in bottleneck.banks.items()
    }
    for i, image in enumerate(images):
        pixels = to_network(image, bottleneck.LATENT_PX)
        for level in range(i % 8 % len(model.levels), len(model.levels), LEVELS_BETWEEN):
            y = networks.run("analysis", {"pixels": pixels}, level)["y"]
            layout = Layout((y.shape[0], y.shape[1]), MAX_TILE_LOG2)
            plan = bottleneck.plan(networks, y, level, layout)
            for name, indexes, symbols in bottleneck.counted(plan, layout):
                inside = np.abs(symbols) <= radius
                flat = indexes[inside].astype(np.int64) * width + (symbols[inside] + radius)
                found = np.bincount(flat, minlength=counts[name].size)
                counts[name] += found.reshape(counts[name].shape)
        if progress:
            progress()
    return counts
