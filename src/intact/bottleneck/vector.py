"""The kind `vector`, Agustsson et al. 2017: symbols stand for numbers of a channel. Normative.

    pixels --analysis--> y; the nearest center of each slot of y --> symbols
    symbols --table of the slot--> payload; symbols --codebook--> y^ --synthesis--> pixels

A latent of 16 x 16 pixels has S slots of k channels each. All slots look up one codebook, or each
its own. The text of the format and of all its parts is docs/spec/vector.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from intact.bits.fast import Backend, encode
from intact.bits.tables import TableBank
from intact.bits.tree import bank_from_tree, bank_to_tree
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.kind import Count, Networks
from intact.bottleneck.roles import Role, Signal
from intact.bottleneck.scalar import LevelRows
from intact.bottleneck.tiles import Tiles
from intact.errors import CorruptDataError, ModelError
from intact.untrusted import text

LATENT_PX = 16
MAX_CENTERS, MAX_NUMBERS = 4096, 64
"""L and k, at most."""
DECISIONS = ("nearest", "largest")
_INT8, _INT16 = (-128, 127), (-32768, 32767)
_PIXELS = Signal("pixels", 3, *_INT8, px=1, multiple=LATENT_PX)
_Y = Signal("y", "M", *_INT16, px=LATENT_PX)
_LOGITS = Signal("y", "A", *_INT16, px=LATENT_PX)
_SYNTHESIS = Role("synthesis", (_Y,), (_PIXELS,))
ROLES = (Role("analysis", (_PIXELS,), (_Y,), decoding=False), _SYNTHESIS)
LOGIT_ROLES = (Role("analysis", (_PIXELS,), (_LOGITS,), decoding=False), _SYNTHESIS)
"""Those of the decision "largest": the analysis gives a logit for each center of each slot."""
_PIECE = 1 << 20
"""Distances that are computed at a time."""


@dataclass(frozen=True)
class OneLevel(LevelRows):
    """The one level of a model of one rate."""

    parameters: np.ndarray


@dataclass(frozen=True)
class Plan:
    """What an encoder decided: everything that is sent, before it is coded.

    Attributes:
        symbols: int32 [h, w, S].
        latents: int16 [h, w, S k], what a decoder will see.
    """

    symbols: np.ndarray
    latents: np.ndarray


@dataclass(frozen=True, eq=False)
class Vector:
    """The bottleneck of the kind `vector`; see `intact.bottleneck.kind.Bottleneck`.

    Attributes:
        codebook: int16 [1 or S, L, k], the centers.
        order: int16 [S, L]: symbol s of a slot stands for center ``order[slot, s]``; a permutation
            of the centers, so that frequent symbols can be small.
        tables: one for each slot.
        decision: how an encoder finds a symbol: "nearest" center, or "largest" logit.

    Raises:
        ModelError: a number is out of range.
    """

    FORMAT: ClassVar[str] = "vector"
    KEYS: ClassVar[tuple[str, ...]] = ("codebook", "order", "tables", "decision")
    LATENT_PX: ClassVar[int] = LATENT_PX

    codebook: np.ndarray
    order: np.ndarray
    tables: TableBank
    decision: str = "nearest"

    def __post_init__(self) -> None:
        if self.decision not in DECISIONS:
            raise ModelError(f"model: decision {self.decision!r:.40}, legal: {DECISIONS}")
        for name, axes in (("codebook", 3), ("order", 2)):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
                raise ModelError(f"model: {name} is no array of integers")
            if array.ndim != axes or array.size == 0:
                raise ModelError(f"model: {name} has the shape {array.shape}, wanted {axes} axes")
            if array.min() < _INT16[0] or array.max() > _INT16[1]:
                raise ModelError(f"model: {name} has values beyond int16")
            array = array.astype(np.int16)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        (books, size, numbers), (slots, ranks) = self.codebook.shape, self.order.shape
        if not 2 <= size <= MAX_CENTERS or numbers > MAX_NUMBERS:
            raise ModelError(
                f"model: {size} centers of {numbers} numbers; legal: 2..{MAX_CENTERS} of "
                f"1..{MAX_NUMBERS}"
            )
        if books not in (1, slots) or ranks != size:
            raise ModelError(f"model: order {self.order.shape}, codebook {self.codebook.shape}")
        if (np.sort(self.order, axis=1) != np.arange(size)).any():
            raise ModelError(f"model: a row of order is no permutation of 0..{size - 1}")
        if self.tables.num_tables != slots:
            raise ModelError(f"model: {self.tables.num_tables} tables for {slots} slots")

    @property
    def profile(self) -> str:
        """Everything is the same everywhere."""
        return "exact"

    @property
    def roles(self) -> tuple[Role, ...]:
        """Those of the decision."""
        return LOGIT_ROLES if self.decision == "largest" else ROLES

    @property
    def levels(self) -> OneLevel:
        """One: a model has one rate."""
        return OneLevel(np.zeros(1, np.int32))

    @property
    def banks(self) -> dict[str, TableBank]:
        """The tables by name."""
        return {"tables": self.tables}

    @property
    def num_slots(self) -> int:
        """S, symbols of a latent."""
        return self.order.shape[0]

    def check(self, channels: Mapping[str, int]) -> None:
        """Check that codebook and order fit a model's programs.

        Raises:
            ModelError: they do not.
        """
        _, size, numbers = self.codebook.shape
        wanted = {"M": self.num_slots * numbers}
        if self.decision == "largest":
            wanted["A"] = self.num_slots * size
        for letter, number in wanted.items():
            if channels[letter] != number:
                raise ModelError(
                    f"model: {channels[letter]} channels, but {self.num_slots} slots of {numbers} "
                    f"numbers and {size} centers want {number}"
                )

    def plan(self, networks: Networks, y: np.ndarray, level: int, layout: Layout) -> Plan:
        """Decide on symbols; see `Bottleneck.plan`."""
        points = y.reshape(-1, self.num_slots, y.shape[2] // self.num_slots)
        centers = np.empty(points.shape[:2], np.int32)
        for slot in range(self.num_slots):
            rows = points[:, slot]
            if self.decision == "largest":
                centers[:, slot] = rows.argmax(axis=1)
            else:
                centers[:, slot] = nearest(rows, self._book(slot))
        ranks = np.argsort(self.order, axis=1).astype(np.int32)  # the inverse permutations
        symbols = ranks[np.arange(self.num_slots), centers].reshape(*y.shape[:2], -1)
        return Plan(symbols, self._latents(symbols))

    def encode(self, plan: Plan, layout: Layout) -> tuple[bytes, ...]:
        """Code a plan, one payload per tile; inverse of `decode`."""
        index, payloads = self._index(layout.whole), []
        for number in layout.tiles(layout.whole):
            place = layout.tile(number).slices
            payloads.append(
                encode([(plan.symbols[place].ravel(), index[place].ravel(), self.tables)])
            )
        return tuple(payloads)

    def decode(
        self,
        networks: Networks,
        payloads: Sequence[bytes],
        level: int,
        layout: Layout,
        window: Window,
        coder: Backend | None = None,
    ) -> tuple[np.ndarray, Window]:
        """Decode the latents of a window; see `Bottleneck.decode`.

        Raises:
            CorruptDataError: likewise, or a symbol has no center.
        """
        tiles = Tiles(payloads, layout, coder)
        inner = window.grow(0, 1 << layout.tile_log2, layout.shape)
        tiles.begin(inner)
        symbols = tiles.all_symbols(inner, self._index(inner), self.tables)
        tiles.finish(inner)
        size = self.order.shape[1]
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < size:
            raise CorruptDataError(f"a symbol is not in 0..{size - 1}: it has no center")
        return self._latents(symbols), inner

    def _index(self, window: Window) -> np.ndarray:
        """uint16 [h, w, S]: the table of each symbol is its slot."""
        slots = np.arange(self.num_slots, dtype=np.uint16)
        return np.broadcast_to(slots, (*window.shape, slots.size))

    def _book(self, slot: int) -> np.ndarray:
        """int16 [L, k]: the centers of a slot."""
        return self.codebook[slot if len(self.codebook) > 1 else 0]

    def _latents(self, symbols: np.ndarray) -> np.ndarray:
        """int16 [h, w, S k]: look symbols up. Normative."""
        slots = np.arange(self.num_slots)
        centers = self.order[slots, symbols]
        books = slots if len(self.codebook) > 1 else np.zeros_like(slots)
        return self.codebook[books, centers].reshape(*symbols.shape[:2], -1)

    def counted(self, plan: Plan, layout: Layout) -> Iterator[Count]:
        """All symbols."""
        yield "tables", self._index(layout.whole).ravel(), plan.symbols.ravel()

    def to_tree(self) -> dict[str, Any]:
        """The values of `KEYS`; inverse of `from_tree`."""
        return {
            "codebook": self.codebook,
            "order": self.order,
            "tables": bank_to_tree(self.tables),
            "decision": self.decision,
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, object]) -> Vector:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is of a wrong type or out of range.
        """
        arrays: dict[str, Any] = {name: tree[name] for name in ("codebook", "order")}
        return cls(
            **arrays,
            tables=bank_from_tree(tree["tables"], "tables"),
            decision=text(tree["decision"], "model: decision"),
        )


def nearest(points: np.ndarray, book: np.ndarray) -> np.ndarray:
    """The number [n] of the center that is nearest to each point; of equals the lowest.

    Only an encoder does this.

    Args:
        points: int16 [n, k].
        book: int16 [L, k].
    """
    # |p - c|^2 = |p|^2 + (|c|^2 - 2 p c): the first term decides nothing. int64: 2 p c has 33 bits.
    book = book.astype(np.int64)
    squares = np.square(book).sum(axis=1)
    step, found = max(1, _PIECE // len(book)), np.empty(len(points), np.int32)
    for start in range(0, len(points), step):
        part = points[start : start + step].astype(np.int64)
        distances = np.broadcast_to(squares, (len(part), len(book))).copy()
        for column in range(book.shape[1]):
            distances -= np.multiply.outer(2 * part[:, column], book[:, column])
        found[start : start + step] = distances.argmin(axis=1)
    return found
