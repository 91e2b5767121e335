"""Hyper-latents that repeat their neighbor are not sent: plain areas cost next to nothing.

Normative. In a plain area all channels at a position of z equal those at the position before, which
a table per channel cannot know. A tile's message begins with its *mode*; in modes from 1 on a flag
for each position but the first says whether it repeats the one to the left or, at the start of a
row, the one above. Modes differ in how likely a repeat is; the encoder takes the cheapest. The
tables are part of the format, not of a model. docs/spec/image.md, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from intact.bits.tables import TOTAL, TableBank
from intact.errors import CorruptDataError

if TYPE_CHECKING:
    from intact.bits.rans import Part

SHARES = (TOTAL // 16, TOTAL // 3, TOTAL * 63 // 64)
"""How likely a repeat is in modes 1, 2 and 3, of TOTAL."""
BANK = TableBank.build(
    [0, *(0 for _ in SHARES)],
    [
        [TOTAL * 3 // 8, TOTAL * 3 // 8, TOTAL // 8, TOTAL // 8 - 1, 1],
        *([TOTAL - share - 1, share, 1] for share in SHARES),
    ],
)
"""Table 0 of modes, table i of the flags in mode i; each with an escape, which is never used."""

Decode = Callable[[np.ndarray, TableBank], np.ndarray]
"""Reads the next part of a message: (tables, bank) to symbols."""


def _sources(shape: tuple[int, int]) -> np.ndarray:
    """int64 [h * w - 1]: the flat position that each position but the first may repeat."""
    positions = np.arange(1, shape[0] * shape[1])
    return np.where(positions % shape[1], positions - 1, positions - shape[1])


def find_repeats(z: np.ndarray, costs: np.ndarray) -> tuple[int, np.ndarray]:
    """Choose the mode for the hyper-latents of a tile; the encoder's part.

    Args:
        z: int8 [h, w, n].
        costs: int64 [h * w], of sending a position, in units of 2**-COST_BITS bit.

    Returns:
        The mode, and bool [h * w]: which positions repeat.
    """
    flat = z.reshape(-1, z.shape[2])
    repeats = np.zeros(len(flat), bool)
    repeats[1:] = (flat[1:] == flat[_sources(z.shape[:2])]).all(axis=1)
    candidates = [(int(BANK.costs[0] + costs.sum()), 0, np.zeros_like(repeats))]
    if repeats.any():
        for mode in range(1, len(SHARES) + 1):
            flags = BANK.costs[BANK.starts[mode] + repeats[1:]]
            cost = int(BANK.costs[mode] + flags.sum() + costs[~repeats].sum())
            candidates.append((cost, mode, repeats))
    _, mode, chosen = min(candidates, key=lambda candidate: candidate[:2])
    return mode, chosen


def parts(mode: int, repeats: np.ndarray) -> list[Part]:
    """The parts of a message that hold a mode and its flags; inverse of `read`."""
    found = [(np.array([mode], np.int32), np.zeros(1, np.uint16), BANK)]
    if mode:
        flags = repeats[1:].astype(np.int32)
        found.append((flags, np.full(flags.size, mode, np.uint16), BANK))
    return found


def read(decode: Decode, count: int) -> np.ndarray:
    """Bool [count]: which positions repeat; inverse of `parts`.

    Args:
        decode: of the tile's message.
        count: positions of z in the tile.

    Raises:
        CorruptDataError: a mode or flag that does not exist.
    """
    mode = int(decode(np.zeros(1, np.uint16), BANK)[0])
    if not 0 <= mode <= len(SHARES):
        raise CorruptDataError(f"repeat mode is {mode}, must be 0 .. {len(SHARES)}")
    repeats = np.zeros(count, bool)
    if mode:
        flags = decode(np.full(count - 1, mode, np.uint16), BANK)
        wrong = np.flatnonzero((flags < 0) | (flags > 1))
        if wrong.size:
            place = int(wrong[0])
            raise CorruptDataError(f"repeat flag {place} is {int(flags[place])}, must be 0 or 1")
        repeats[1:] = flags == 1
    return repeats


def fill(z: np.ndarray, repeats: np.ndarray) -> None:
    """Copy to each repeating position of z [h, w, n] what it repeats, in place."""
    flat = z.reshape(-1, z.shape[2])
    sources = _sources(z.shape[:2])
    for position in np.flatnonzero(repeats).tolist():  # in order: repeats repeat repeats
        flat[position] = flat[sources[position - 1]]
