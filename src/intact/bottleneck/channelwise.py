"""Image codec 2: a checkerboard whose steps differ by channel and level. Normative.

    pixels --analysis--> y --hyper_analysis--> z
    z --hyper_synthesis--> f --prior_a--> mean, theta of pass A
    f, pass A --prior_b--> mean, theta of pass B
    y --synthesis--> pixels

A tile's message holds its z (`intact.bottleneck.hyper`), its pass A, and its pass B
(`intact.bottleneck.passes`). The table of a symbol follows from theta and its channel's step at the
level. docs/spec/image2.md.
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
from intact.bottleneck.anchors import MAX_PREDICTED, NUM_STAGES
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.hyper import HYPER_RATIO, MAX_HYPER_CHANNELS
from intact.bottleneck.kind import Count, Networks
from intact.bottleneck.leveled import ChannelLevels
from intact.bottleneck.order import pass_a_mask
from intact.bottleneck.passes import Chosen, Passes, Read, Windows
from intact.bottleneck.roles import Role, Signal
from intact.bottleneck.scalar import NUM_SCALES, dequantize, quantize
from intact.bottleneck.tiles import Tiles, sent_places
from intact.errors import ModelError
from intact.untrusted import integer

LATENT_PX = 16
_INT8, _INT16, _UINT8 = (-128, 127), (-32768, 32767), (0, 255)
_PIXELS = Signal("pixels", 3, *_INT8, px=1, multiple=LATENT_PX)
_Y = Signal("y", "M", *_INT16, px=LATENT_PX)
_Z = Signal("z", "N", *_INT16, px=LATENT_PX * HYPER_RATIO)
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
        z: int8 [h/4, w/4, n], symbols.
        symbols: int32 [h, w, m].
        index: uint8 [h, w, m], the table of each symbol.
        latents: int16 [h, w, m], what a decoder will see.
        level: index into the levels.
    """

    z: np.ndarray
    symbols: np.ndarray
    index: np.ndarray
    latents: np.ndarray
    level: int


@dataclass(frozen=True, eq=False)
class Channelwise:
    """The bottleneck of image codec 2; see `intact.bottleneck.kind.Bottleneck`.

    Attributes:
        tables_y: `NUM_SCALES` tables by scale index.
        tables_z: of the hyper-latents: N tables for each band of levels.
        levels: the qualities.
        stages: int32 [8, predicted], what is added to the theta of pass A by the stage of the
            position (`intact.bottleneck.anchors`), -255..255.
        skip: latents whose table index is below it are not sent, 0..63; their symbol is 0. The
            colors are always sent: what a mean of theirs is off by would stand in plain areas.
        predicted: that many leading channels of y are predicted from neighbors, 0..min(M, 16).

    Raises:
        ModelError: a number is out of range.
    """

    FORMAT: ClassVar[str] = "image codec 2"
    KEYS: ClassVar[tuple[str, ...]] = (
        "tables_y", "tables_z", "levels", "stages", "skip", "predicted",
    )  # fmt: skip
    LATENT_PX: ClassVar[int] = LATENT_PX

    tables_y: TableBank
    tables_z: TableBank
    levels: ChannelLevels
    stages: np.ndarray
    skip: int = 0
    predicted: int = 0

    def __post_init__(self) -> None:
        if self.tables_y.num_tables != NUM_SCALES:
            raise ModelError(f"model: {self.tables_y.num_tables} scale tables, not {NUM_SCALES}")
        if not 0 <= self.skip < NUM_SCALES:
            raise ModelError(f"model: skip is {self.skip}, must be in 0..{NUM_SCALES - 1}")
        channels = self.levels.steps.shape[1]
        most = min(channels, MAX_PREDICTED)
        if not 0 <= self.predicted <= most:
            raise ModelError(f"model: predicted is {self.predicted}, must be in 0..{most}")
        array, shape = np.array(self.stages), (NUM_STAGES, self.predicted)
        if array.dtype.kind not in "iu" or array.shape != shape:
            raise ModelError(f"model: stages is no array of integers of shape {shape}")
        if array.size and np.abs(array.astype(np.int64)).max() > 255:
            raise ModelError("model: stages has values beyond -255..255")
        array = array.astype(np.int32)
        array.flags.writeable = False
        object.__setattr__(self, "stages", array)

    @property
    def profile(self) -> str:
        """All of it is integers."""
        return "exact"

    @property
    def roles(self) -> tuple[Role, ...]:
        """Six programs."""
        return ROLES

    @property
    def banks(self) -> dict[str, TableBank]:
        """The tables by name."""
        return {"tables_y": self.tables_y, "tables_z": self.tables_z}

    def check(self, channels: Mapping[str, int]) -> None:
        """Check that tables and levels fit a model's programs.

        Raises:
            ModelError: they do not.
        """
        m, n = self.levels.steps.shape[1], self.levels.hyper_steps.shape[1]
        if (m, n) != (channels["M"], channels["N"]):
            raise ModelError(
                f"model: levels of {m} latents and {n} hyper-latents for programs of "
                f"{channels['M']} and {channels['N']}"
            )
        if n > MAX_HYPER_CHANNELS:
            raise ModelError(f"model: {n} hyper-latent channels, at most {MAX_HYPER_CHANNELS}")
        bands, tables = int(self.levels.bands.max()) + 1, self.tables_z.num_tables
        if tables != bands * n:
            raise ModelError(f"model: {tables} hyper tables for {bands} bands of {n} channels")

    def plan(self, networks: Networks, y: np.ndarray, level: int, layout: Layout) -> Plan:
        """Quantize latents; see `Bottleneck.plan`."""
        fine = networks.run("hyper_analysis", {"y": y}, level)["z"]
        steps = self.levels.hyper_steps[level]
        z = quantize(fine.astype(np.int32), steps, steps // 2).clip(-128, 127).astype(np.int8)
        source = Chosen(y, self.levels.steps[level], self.skip)
        f = self._features(networks, z, level, layout.whole)
        latents = self._passes(networks, level).walk(f, Windows.of_all(layout.whole), source)
        return Plan(z, source.found, source.index, latents, level)

    def encode(self, plan: Plan, layout: Layout) -> tuple[bytes, ...]:
        """Code a plan, one payload per tile; inverse of `decode`."""
        payloads = []
        for number in layout.tiles(layout.whole):
            tile = layout.tile(number)
            cells = tile.shrink(HYPER_RATIO)
            parts = hyper.parts(plan.z[cells.slices], self.tables_z, self._first(plan.level))
            symbols, index = plan.symbols[tile.slices], plan.index[tile.slices]
            mask = pass_a_mask(tile, index.shape[2], self.predicted)
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
        side, shape = 1 << layout.tile_log2, layout.shape
        windows = Windows.around(window, networks, shape, side, self.predicted)
        outer = windows.fed.grow(hyper.reach(networks), side, shape)
        tiles = Tiles(payloads, layout, coder)
        n = self.levels.hyper_steps.shape[1]
        z = tiles.hyper(outer, self.tables_z, self._first(level), n)
        f = self._features(networks, z, level, outer)[windows.fed.within(outer)]
        source = Read(tiles, self.tables_y, self.skip, self.predicted)
        latents = self._passes(networks, level).walk(f, windows, source)
        tiles.finish(windows.inner)
        return np.ascontiguousarray(latents), windows.inner

    def _passes(self, networks: Networks, level: int) -> Passes:
        levels = self.levels
        steps, shifts = levels.steps[level], levels.shifts[level]
        return Passes(networks, level, steps, shifts, self.stages, self.skip)

    def _features(
        self, networks: Networks, z: np.ndarray, level: int, window: Window
    ) -> np.ndarray:
        """int16 [h, w, C]: the features of a window of latents, from symbols z."""
        steps = self.levels.hyper_steps[level]
        fine = dequantize(0, z.astype(np.int32), steps)
        return hyper.features(networks, fine, level, window)

    def _first(self, level: int) -> int:
        """The table of the first hyper-latent's channel."""
        return int(self.levels.bands[level]) * self.levels.hyper_steps.shape[1]

    def counted(self, plan: Plan, layout: Layout) -> Iterator[Count]:
        """All symbols of a plan, those that are not sent, too; of z those that are sent."""
        yield "tables_y", plan.index.ravel(), plan.symbols.ravel()
        for number in layout.tiles(layout.whole):
            cells = layout.tile(number).shrink(HYPER_RATIO)
            first = self._first(plan.level)
            symbols, indexes, _ = hyper.parts(plan.z[cells.slices], self.tables_z, first)[-1]
            yield "tables_z", indexes, symbols

    def to_tree(self) -> dict[str, Any]:
        """The values of `KEYS`; inverse of `from_tree`."""
        return {
            "tables_y": bank_to_tree(self.tables_y),
            "tables_z": bank_to_tree(self.tables_z),
            "levels": self.levels.to_tree(),
            "stages": self.stages,
            "skip": self.skip,
            "predicted": self.predicted,
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, object]) -> Channelwise:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is of a wrong type or out of range.
        """
        return cls(
            tables_y=bank_from_tree(tree["tables_y"], "tables_y"),
            tables_z=bank_from_tree(tree["tables_z"], "tables_z"),
            levels=ChannelLevels.from_tree(tree["levels"]),
            stages=np.asarray(tree["stages"]),
            skip=integer(tree["skip"], "model: skip"),
            predicted=integer(tree["predicted"], "model: predicted"),
        )
