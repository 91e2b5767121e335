"""Hyper-latents: the coarse latents from which the tables of the others follow. Normative.

One table for each channel; positions that repeat their neighbor are not sent
(`intact.bottleneck.repeats`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intact.bits.tables import TableBank
from intact.bottleneck import repeats
from intact.bottleneck.grid import Shape, Window
from intact.bottleneck.kind import Networks
from intact.bottleneck.repeats import Decode

if TYPE_CHECKING:
    from intact.bits.rans import Part

HYPER_RATIO = 4
"""Latents on a side of the square that a hyper-latent stands for."""
MAX_HYPER_CHANNELS = 256
"""A hyper-latent's table is its channel's number in 8 bits."""


def features(networks: Networks, z: np.ndarray, level: int, window: Window) -> np.ndarray:
    """Run the hyper-synthesis on a window of z and cut the result to ``window`` of latents."""
    f = networks.run("hyper_synthesis", {"z": z}, level)["f"]
    return np.ascontiguousarray(f[: window.shape[0], : window.shape[1]])


def reach(networks: Networks) -> int:
    """How many latents beyond a window its features depend on, at most."""
    return networks.reach("hyper_synthesis")["z"] * HYPER_RATIO


def indexes(positions: int, channels: int, first: int = 0) -> np.ndarray:
    """The table of each hyper-latent of some positions: its channel, from ``first`` on."""
    tables = np.arange(first, first + channels)
    return np.tile(tables.astype(np.uint8 if first + channels <= 256 else np.uint16), positions)


def parts(z: np.ndarray, bank: TableBank, first: int = 0) -> list[Part]:
    """The parts of a tile's message that hold its z; inverse of `read`.

    Args:
        z: int8 [h, w, n].
        bank: of tables.
        first: the table of channel 0; those of the others follow.
    """
    n = z.shape[2]
    symbols = z.reshape(-1, n).astype(np.int32)
    tables = indexes(len(symbols), n, first)
    entries = bank.entries_of(symbols.ravel(), tables.astype(np.uint16))
    costs = bank.encode_costs[entries].reshape(-1, n).sum(axis=1, dtype=np.int64)
    mode, repeating = repeats.find_repeats(z, costs)
    sent = symbols[~repeating]
    return [*repeats.parts(mode, repeating), (sent.ravel(), indexes(len(sent), n, first), bank)]


def read(
    decode: Decode, shape: Shape, bank: TableBank, first: int = 0, channels: int | None = None
) -> np.ndarray:
    """int8 [h, w, n]: the z of a tile; inverse of `parts`.

    Args:
        decode: of the tile's message.
        shape: rows and columns of z.
        bank: of tables.
        first: the table of channel 0; those of the others follow.
        channels: n; as many as there are tables when None.

    Raises:
        CorruptDataError: a repeat mode or flag that does not exist.
    """
    n = bank.num_tables if channels is None else channels
    repeating = repeats.read(decode, shape[0] * shape[1])
    symbols = decode(indexes(int((~repeating).sum()), n, first), bank)
    z = np.zeros((repeating.size, n), np.int8)
    # A damaged file may hold any symbol; the checksums decide, the network needs int8.
    z[~repeating] = np.clip(symbols, -128, 127).reshape(-1, n)
    z = z.reshape(*shape, n)
    repeats.fill(z, repeating)
    return z
