"""Image codec 1: latents in two passes over a checkerboard, one rANS message per tile. Normative.

    pixels --analysis--> y --hyper_analysis--> z
    z --hyper_synthesis--> f --prior_a--> mean, theta of pass A
    f, pass A --prior_b--> mean, theta of pass B
    y --synthesis--> pixels

A tile's message holds its z (`intact.bottleneck.hyper`), its pass A, and its pass B
(`intact.bottleneck.order`). A symbol's table follows from theta and the level; a table below
``skip`` means the symbol is 0 and is not sent. docs/spec/image.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from intact.bits.fast import Backend, encode
from intact.bits.tables import TableBank
from intact.bits.tree import bank_from_tree, bank_to_tree
from intact.bottleneck import hyper
from intact.bottleneck.colors import MAX_PREDICTED
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.hyper import HYPER_RATIO, MAX_HYPER_CHANNELS
from intact.bottleneck.kind import Count, Networks
from intact.bottleneck.order import Chosen, Order, Read, Windows
from intact.bottleneck.roles import Role, Signal
from intact.bottleneck.scalar import NUM_SCALES, Levels
from intact.bottleneck.tiles import Tiles, sent_places
from intact.errors import ModelError
from intact.untrusted import integer

LATENT_PX = 16
_INT8, _INT16, _UINT8 = (-128, 127), (-32768, 32767), (0, 255)
_PIXELS = Signal("pixels", 3, *_INT8, px=1, multiple=LATENT_PX)
_Y = Signal("y", "M", *_INT16, px=LATENT_PX)
_Z = Signal("z", "N", *_INT8, px=LATENT_PX * HYPER_RATIO)
_F = Signal("f", "C", *_INT16, px=LATENT_PX)
_MEAN = Signal("mean", "M", *_INT16, px=LATENT_PX)
_THETA = Signal("theta", "M", *_UINT8, px=LATENT_PX)
ROLES = (
    Role("analysis", (_PIXELS,), (_Y,), decoding=False),
    Role("hyper_analysis", (_Y,), (_Z,), decoding=False),
    Role("hyper_synthesis", (_Z,), (_F,)),
    Role("prior_a", (_F,), (_MEAN, _THETA)),
    Role("prior_b", (_F, _Y), (_MEAN, _THETA)),
    Role("synthesis", (_Y,), (_PIXELS,)),
)


@dataclass(frozen=True)
class Plan:
    """What an encoder decided: everything that is sent, before it is coded.

    Attributes:
        z: int8 [h/4, w/4, n].
        symbols: int32 [h, w, m].
        index: uint8 [h, w, m], the table of each symbol.
        latents: int16 [h, w, m], what a decoder will see.
        mask: bool [h, w, m], pass A.
    """

    z: np.ndarray
    symbols: np.ndarray
    index: np.ndarray
    latents: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """The bottleneck of image codec 1; see `intact.bottleneck.kind.Bottleneck`.

    Attributes:
        tables_y: `NUM_SCALES` tables by scale index.
        tables_z: one table per channel of the hyper-latents.
        levels: the qualities.
        skip: latents whose table index is below it are not sent, 0..63; their symbol is 0. So small
            a scale hardly ever gives another, and a coder without C is slow.
        predicted: that many leading channels of y are predicted from neighbors
            (`intact.bottleneck.colors`), 0..min(M, 16).

    Raises:
        ModelError: a number is out of range.
    """

    FORMAT: ClassVar[str] = "image codec 1"
    KEYS: ClassVar[tuple[str, ...]] = ("tables_y", "tables_z", "levels", "skip", "predicted")
    LATENT_PX: ClassVar[int] = LATENT_PX

    tables_y: TableBank
    tables_z: TableBank
    levels: Levels
    skip: int = 0
    predicted: int = 0

    @property
    def profile(self) -> str:
        """All of it is integers."""
        return "exact"

    @property
    def roles(self) -> tuple[Role, ...]:
        """Six programs."""
        return ROLES

    def __post_init__(self) -> None:
        if self.tables_y.num_tables != NUM_SCALES:
            raise ModelError(f"model: {self.tables_y.num_tables} scale tables, not {NUM_SCALES}")
        if not 0 <= self.skip < NUM_SCALES:
            raise ModelError(f"model: skip is {self.skip}, must be in 0..{NUM_SCALES - 1}")
        self._check_predicted(MAX_PREDICTED)

    def _check_predicted(self, most: int) -> None:
        if not 0 <= self.predicted <= most:
            raise ModelError(f"model: predicted is {self.predicted}, must be in 0..{most}")

    @property
    def banks(self) -> dict[str, TableBank]:
        """The tables by name."""
        return {"tables_y": self.tables_y, "tables_z": self.tables_z}

    def check(self, channels: Mapping[str, int]) -> None:
        """Check that the tables fit a model's programs.

        Raises:
            ModelError: they do not.
        """
        n, tables = channels["N"], self.tables_z.num_tables
        if tables != n:
            raise ModelError(f"model: {tables} hyper tables for {n} channels")
        if n > MAX_HYPER_CHANNELS:
            raise ModelError(f"model: {n} hyper-latent channels, at most {MAX_HYPER_CHANNELS}")
        self._check_predicted(min(channels["M"], MAX_PREDICTED))

    def plan(self, networks: Networks, y: np.ndarray, level: int, layout: Layout) -> Plan:
        """Quantize latents; see `Bottleneck.plan`."""
        z = networks.run("hyper_analysis", {"y": y}, level)["z"]
        step, offset = int(self.levels.steps[level]), int(self.levels.offsets[level])
        source = Chosen(z, y, step, offset, self.skip)
        latents = self._order(level).walk(networks, source, Windows(*[layout.whole] * 4))
        (index_a, mask), (index_b, _) = source.passes
        symbols_a, symbols_b = source.found
        symbols = np.where(mask, symbols_a, symbols_b)
        return Plan(z, symbols, np.where(mask, index_a, index_b), latents, mask)

    def encode(self, plan: Plan, layout: Layout) -> tuple[bytes, ...]:
        """Code a plan, one payload per tile; inverse of `decode`."""
        payloads = []
        for number in layout.tiles(layout.whole):
            tile = layout.tile(number)
            parts = hyper.parts(plan.z[tile.shrink(HYPER_RATIO).slices], self.tables_z)
            symbols, index = plan.symbols[tile.slices], plan.index[tile.slices]
            mask = plan.mask[tile.slices]
            for wanted in (mask, ~mask):
                sent = sent_places(index, wanted, self.skip)
                parts.append((symbols.take(sent), index.take(sent), self.tables_y))
            payloads.append(encode(parts))
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
        """Decode the latents of a window; see `Bottleneck.decode`."""
        tiles = Tiles(payloads, layout, coder)
        source = Read(tiles, self.tables_y, self.tables_z, self.skip)
        windows = Windows.around(window, networks, layout)
        y = self._order(level).walk(networks, source, windows)
        tiles.finish(windows.inner)
        return np.ascontiguousarray(y), windows.inner

    def _order(self, level: int) -> Order:
        levels = self.levels
        return Order(level, int(levels.steps[level]), int(levels.shifts[level]), self.predicted)

    def counted(self, plan: Plan, layout: Layout) -> Iterator[Count]:
        """All symbols of a plan, those that are not sent, too; of z those that are sent."""
        yield "tables_y", plan.index.ravel(), plan.symbols.ravel()
        for number in layout.tiles(layout.whole):
            cells = layout.tile(number).shrink(HYPER_RATIO)
            symbols, indexes, _ = hyper.parts(plan.z[cells.slices], self.tables_z)[-1]
            yield "tables_z", indexes, symbols

    def to_tree(self) -> dict[str, Any]:
        """The values of `KEYS`; inverse of `from_tree`."""
        return {
            "tables_y": bank_to_tree(self.tables_y),
            "tables_z": bank_to_tree(self.tables_z),
            "levels": self.levels.to_tree(),
            "skip": self.skip,
            "predicted": self.predicted,
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, object]) -> Checkerboard:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is of a wrong type or out of range.
        """
        return cls(
            tables_y=bank_from_tree(tree["tables_y"], "tables_y"),
            tables_z=bank_from_tree(tree["tables_z"], "tables_z"),
            levels=Levels.from_tree(tree["levels"]),
            skip=integer(tree["skip"], "model: skip"),
            predicted=integer(tree["predicted"], "model: predicted"),
        )
