"""Bits by vote: the binary arithmetic coder of the method "best", and how it learns.

Normative, with docs/spec/weights_coding.md. Probabilities are those of a 1, in 65536ths. Votes are
mixed as in Mahoney 2005 (PAQ): each says ln(p / (1 - p)), in 256ths; the weights of the sum follow
the error that it makes. All in integers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from intact.errors import CorruptDataError
from intact.packing.coding.shape import WHAT

SIGMOID: Final = (
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743,
    32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374,
    65438, 65476, 65500, 65514,
)  # fmt: skip
"""65536 / (1 + exp(-(i - 16) / 2)), i = 0 .. 32."""
SURE: Final = 48
"""No bit is taken to be less likely than SURE / 65536."""
RATE: Final = 3
MAX_SEEN: Final = 255
FULL: Final = 0xFFFFFFFF


def _squash() -> list[int]:
    """Probability of a sum of votes -2048 .. 2047, by lines between the points of SIGMOID."""
    table: list[int] = []
    for vote in range(4096):
        place, part = divmod(vote, 128)
        p = (SIGMOID[place] * (128 - part) + SIGMOID[place + 1] * part + 64) >> 7
        table.append(min(max(p, 1), 65535))
    return table


def _stretch() -> list[int]:
    """Its inverse: for p / 16, p in 0 .. 4095, the first vote whose probability is p * 16 + 8."""
    table: list[int] = []
    vote = 0
    for p in range(4096):
        while vote < 4095 and SQUASH[vote] < 16 * p + 8:
            vote += 1
        table.append(vote - 2048)
    return table


SQUASH: Final = _squash()
STRETCH: Final = _stretch()
SQUASH_ARRAY: Final = np.array(SQUASH, np.int32)
STRETCH_ARRAY: Final = np.array(STRETCH, np.int32)
STEPS: Final = [131072 // (2 * seen + 5) for seen in range(MAX_SEEN + 1)]
"""How far a slot goes towards a bit, in 65536ths, by the number of bits that it has seen."""

Slot = list[int]
"""Probability, and bits seen."""


class BitCoder:
    """Writes bits, or reads them; with the same calls, so that a model stands once."""

    def __init__(self, data: bytes | None = None) -> None:
        """To read ``data``, or to write."""
        self.decoding = data is not None
        self._data = data or b""
        self._out = bytearray()
        self._low, self._high, self._code, self._position = 0, FULL, 0, 0
        if self.decoding:
            for _ in range(4):
                self._code = self._code << 8 | self._next()

    def _next(self) -> int:
        """The next byte; three zeros follow the last."""
        at = self._position
        self._position += 1
        if at < len(self._data):
            return self._data[at]
        if at >= len(self._data) + 3:
            raise CorruptDataError(f"{WHAT}, best: the bits end at byte {len(self._data)}")
        return 0

    def bit(self, p: int, bit: int) -> int:
        """Code one bit of probability p / 65536; ``bit`` is ignored when reading."""
        distance = self._high - self._low
        middle = self._low + (distance >> 16) * p + ((distance & 0xFFFF) * p >> 16)
        if self.decoding:
            bit = int(self._code <= middle)
        if bit:
            self._high = middle
        else:
            self._low = middle + 1
        while not (self._low ^ self._high) >> 24:
            if self.decoding:
                self._code = (self._code << 8 & FULL) | self._next()
            else:
                self._out.append(self._high >> 24)
            self._low = self._low << 8 & FULL
            self._high = (self._high << 8 & FULL) | 255
        return bit

    def vote(self, slots: list[Slot], prior: int, weights: list[int], bit: int) -> int:
        """Code one bit with the votes of slots, which learn.

        Args:
            slots: those that have seen no bit say ``prior``.
            prior: a probability; it votes, too, if there is a weight left for it.
            weights: of the votes; updated.
            bit: ignored when reading.
        """
        for slot in slots:
            if not slot[1]:
                slot[0] = prior
        votes = [STRETCH[slot[0] >> 4] for slot in slots]
        if len(weights) > len(slots):
            votes.append(STRETCH[prior >> 4])
        total = sum(weight * vote for weight, vote in zip(weights, votes, strict=True)) >> 16
        p = SQUASH[min(max(total, -2047), 2047) + 2048]
        p = min(max(p, SURE), 65536 - SURE)
        bit = self.bit(p, bit)
        error = (65536 if bit else 0) - p
        for at, vote in enumerate(votes):
            weights[at] += (vote * error * RATE + (1 << 17)) >> 18
        for slot in slots:
            learn(slot, bit)
        return bit

    def slot(self, slot: Slot, bit: int) -> int:
        """Code one bit with one slot, which learns."""
        if not slot[1]:
            slot[0] = 32768
        bit = self.bit(min(max(slot[0], SURE), 65536 - SURE), bit)
        learn(slot, bit)
        return bit

    def finish(self) -> bytes:
        """What was written; when reading, check that all was read.

        Raises:
            CorruptDataError: bytes are left over.
        """
        if self.decoding:
            if self._position != len(self._data) + 3:
                raise CorruptDataError(f"{WHAT}, best: the bits end before byte {len(self._data)}")
            return b""
        return bytes(self._out) + bytes([(self._low >> 24) + 1])


def learn(slot: Slot, bit: int) -> None:
    """Move a slot's probability towards a bit."""
    slot[0] += (65535 * bit - slot[0]) * STEPS[slot[1]] >> 16
    slot[1] += slot[1] < MAX_SEEN
