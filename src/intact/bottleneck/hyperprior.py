"""The kind `hyperprior`: Ballé, Johnston, Minnen 2019: a scale for each latent. Normative.

    pixels --analysis--> y --hyper_analysis--> z --hyper_synthesis--> theta, the table of each y
    y --synthesis--> pixels

Without a hyperprior the table of a latent is its channel's. In the profile `exact` all programs are
integer; in `prior` and `float` some are float networks, which are kept here and run above the line
(`intact.inexact`). docs/spec/hyperprior.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from intact.bits.fast import Backend, encode
from intact.bits.tables import TableBank
from intact.bits.tree import bank_from_tree, bank_to_tree
from intact.bottleneck import hyper
from intact.bottleneck.floats import FloatNetwork
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.hyper import HYPER_RATIO, MAX_HYPER_CHANNELS
from intact.bottleneck.kind import Count, Networks
from intact.bottleneck.roles import Role, Signal
from intact.bottleneck.scalar import Levels, dequantize, quantize
from intact.bottleneck.tiles import Tiles
from intact.errors import ModelError
from intact.untrusted import mapping, text

LATENT_PX = 16
MAX_SCALES = 256
"""Theta is a number of 8 bits."""
PROFILES = ("exact", "prior", "float")
_INT8, _INT16, _UINT8 = (-128, 127), (-32768, 32767), (0, 255)
_PIXELS = Signal("pixels", 3, *_INT8, px=1, multiple=LATENT_PX)
_Y = Signal("y", "M", *_INT16, px=LATENT_PX)
_PADDED_Y = Signal("y", "M", *_INT16, px=LATENT_PX, multiple=HYPER_RATIO)
_Z = Signal("z", "N", *_INT8, px=LATENT_PX * HYPER_RATIO)
_THETA = Signal("theta", "M", *_UINT8, px=LATENT_PX)
ROLES = (
    Role("analysis", (_PIXELS,), (_Y,), decoding=False),
    Role("hyper_analysis", (_PADDED_Y,), (_Z,), decoding=False),
    Role("hyper_synthesis", (_Z,), (_THETA,)),
    Role("synthesis", (_Y,), (_PIXELS,)),
)
_HYPER = ("hyper_analysis", "hyper_synthesis")


def roles(profile: str, *, has_hyper: bool) -> tuple[tuple[Role, ...], tuple[Role, ...]]:
    """The roles that programs play in a profile, and those that float networks play."""
    played = [role for role in ROLES if has_hyper or role.name not in _HYPER]
    integer = {
        "exact": [role.name for role in ROLES],
        "prior": ["hyper_synthesis"],
        "float": [],
    }[profile]
    programs = tuple(role for role in played if role.name in integer)
    return programs, tuple(role for role in played if role.name not in integer)


@dataclass(frozen=True)
class Plan:
    """What an encoder decided: everything that is sent, before it is coded.

    Attributes:
        z: int8 [h/4, w/4, n], or None without a hyperprior.
        symbols: int32 [h, w, m].
        index: uint16 [h, w, m], the table of each symbol.
        latents: int16 [h, w, m], what a decoder will see.
    """

    z: np.ndarray | None
    symbols: np.ndarray
    index: np.ndarray
    latents: np.ndarray


@dataclass(frozen=True, eq=False)
class Hyperprior:
    """The bottleneck of the kind `hyperprior`; see `intact.bottleneck.kind.Bottleneck`.

    Attributes:
        tables_y: by scale index, 2..256; without a hyperprior by channel.
        tables_z: one table per channel of the hyper-latents; None without a hyperprior.
        levels: the qualities.
        profile: "exact", "prior" or "float".
        networks: the float networks by role, as the profile wants them.

    Raises:
        ModelError: a number is out of range, or the parts do not make a profile.
    """

    FORMAT: ClassVar[str] = "hyperprior"
    KEYS: ClassVar[tuple[str, ...]] = ("profile", "networks", "tables_y", "tables_z", "levels")
    LATENT_PX: ClassVar[int] = LATENT_PX

    tables_y: TableBank
    tables_z: TableBank | None
    levels: Levels
    profile: str = "exact"
    networks: Mapping[str, FloatNetwork] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ModelError(f"model: profile {self.profile!r:.40}, legal: {PROFILES}")
        if self.profile == "float" and self.tables_z is None:
            raise ModelError(
                "model: profile float needs a hyperprior; other tables are no network's"
            )
        wanted = [role.name for role in self.float_roles]
        if set(self.networks) != set(wanted):
            raise ModelError(f"model: float networks {sorted(self.networks)}, wanted {wanted}")
        tables = self.tables_y.num_tables
        if self.tables_z is not None and not 2 <= tables <= MAX_SCALES:
            raise ModelError(f"model: {tables} scale tables, must be 2..{MAX_SCALES}")

    @property
    def roles(self) -> tuple[Role, ...]:
        """Those that programs play."""
        return roles(self.profile, has_hyper=self.tables_z is not None)[0]

    @property
    def float_roles(self) -> tuple[Role, ...]:
        """Those that float networks play."""
        return roles(self.profile, has_hyper=self.tables_z is not None)[1]

    @property
    def banks(self) -> dict[str, TableBank]:
        """The tables by name."""
        hyper_tables = {} if self.tables_z is None else {"tables_z": self.tables_z}
        return {"tables_y": self.tables_y, **hyper_tables}

    def check(self, channels: Mapping[str, int]) -> None:
        """Check that tables and float networks fit a model's programs.

        Raises:
            ModelError: they do not.
        """
        known = dict(channels)
        for role in self.float_roles:
            self.networks[role.name].check(role, known)
        tables = self.tables_y.num_tables
        if self.tables_z is None:
            if tables != known["M"]:
                raise ModelError(f"model: {tables} tables for {known['M']} channels of latents")
            return
        n, tables = known["N"], self.tables_z.num_tables
        if tables != n:
            raise ModelError(f"model: {tables} hyper tables for {n} channels")
        if n > MAX_HYPER_CHANNELS:
            raise ModelError(f"model: {n} hyper-latent channels, at most {MAX_HYPER_CHANNELS}")

    def plan(self, networks: Networks, y: np.ndarray, level: int, layout: Layout) -> Plan:
        """Quantize latents; see `Bottleneck.plan`."""
        z = None
        if self.tables_z is None:
            index = self._by_channel(layout.whole)
        else:
            rows, columns = (-size % HYPER_RATIO for size in layout.shape)
            padded = np.pad(y, ((0, rows), (0, columns), (0, 0)), mode="edge")
            z = networks.run("hyper_analysis", {"y": padded}, level)["z"]
            index = self._by_scale(networks, z, level, layout.whole)
        step, offset = int(self.levels.steps[level]), int(self.levels.offsets[level])
        symbols = quantize(y.astype(np.int32), step, offset)
        return Plan(z, symbols, index, _latents(symbols, step))

    def encode(self, plan: Plan, layout: Layout) -> tuple[bytes, ...]:
        """Code a plan, one payload per tile; inverse of `decode`."""
        payloads = []
        for number in layout.tiles(layout.whole):
            tile = layout.tile(number)
            parts = []
            if plan.z is not None and self.tables_z is not None:
                parts = hyper.parts(plan.z[tile.shrink(HYPER_RATIO).slices], self.tables_z)
            symbols, index = plan.symbols[tile.slices], plan.index[tile.slices]
            payloads.append(encode([*parts, (symbols.ravel(), index.ravel(), self.tables_y)]))
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
        side = 1 << layout.tile_log2
        inner = window.grow(0, side, layout.shape)
        if self.tables_z is None:
            tiles.begin(inner)
            index = self._by_channel(inner)
        else:
            outer = inner.grow(hyper.reach(networks), side, layout.shape)
            z = tiles.hyper(outer, self.tables_z)
            index = self._by_scale(networks, z, level, outer)[inner.within(outer)]
        symbols = tiles.all_symbols(inner, index, self.tables_y)
        tiles.finish(inner)
        return _latents(symbols, int(self.levels.steps[level])), inner

    def _by_channel(self, window: Window) -> np.ndarray:
        """uint16 [h, w, m]: the table of each latent is its channel."""
        channels = np.arange(self.tables_y.num_tables, dtype=np.uint16)
        return np.broadcast_to(channels, (*window.shape, channels.size))

    def _by_scale(
        self, networks: Networks, z: np.ndarray, level: int, window: Window
    ) -> np.ndarray:
        """uint16 [h, w, m]: the table of each latent of a window, whose hyper-latents are z."""
        theta = networks.run("hyper_synthesis", {"z": z}, level)["theta"]
        theta = theta[: window.shape[0], : window.shape[1]].astype(np.int32)
        index = theta - int(self.levels.shifts[level])
        return np.clip(index, 0, self.tables_y.num_tables - 1).astype(np.uint16)

    def counted(self, plan: Plan, layout: Layout) -> Iterator[Count]:
        """All symbols of y; of z those that are sent."""
        yield "tables_y", plan.index.ravel(), plan.symbols.ravel()
        if plan.z is None or self.tables_z is None:
            return
        for number in layout.tiles(layout.whole):
            cells = layout.tile(number).shrink(HYPER_RATIO)
            symbols, indexes, _ = hyper.parts(plan.z[cells.slices], self.tables_z)[-1]
            yield "tables_z", indexes, symbols

    def to_tree(self) -> dict[str, Any]:
        """The values of `KEYS`; inverse of `from_tree`."""
        return {
            "profile": self.profile,
            "networks": {name: network.to_tree() for name, network in self.networks.items()},
            "tables_y": bank_to_tree(self.tables_y),
            "tables_z": {} if self.tables_z is None else bank_to_tree(self.tables_z),
            "levels": self.levels.to_tree(),
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, object]) -> Hyperprior:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is of a wrong type or out of range.
        """
        profile, bank = text(tree["profile"], "model: profile"), tree["tables_z"]
        if profile not in PROFILES:
            raise ModelError(f"model: profile {profile!r:.40}, legal: {PROFILES}")
        has_hyper = not (isinstance(bank, dict) and not bank)
        names = [role.name for role in roles(profile, has_hyper=has_hyper)[1]]
        networks = mapping(tree["networks"], names, "networks")
        return cls(
            tables_y=bank_from_tree(tree["tables_y"], "tables_y"),
            tables_z=bank_from_tree(bank, "tables_z") if has_hyper else None,
            levels=Levels.from_tree(tree["levels"]),
            profile=profile,
            networks={k: FloatNetwork.from_tree(v, f"networks: {k}") for k, v in networks.items()},
        )


def _latents(symbols: np.ndarray, step: int) -> np.ndarray:
    """int16: symbols times the step, saturated."""
    return dequantize(np.zeros(1, np.int16), symbols, step)
