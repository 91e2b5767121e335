"""Latents to payloads and back: two passes over a checkerboard, one rANS message per tile.

    z  ->  f = hyper_synthesis(z)
    pass A (y + x + channel even): mean, theta = prior_a(f)
    pass B (odd):                  mean, theta = prior_b(f, latents of pass A)

Of the leading channels, the colors, pass A has y + x even, and their means are corrected by their
neighbors (`intact.codec.lattice`). A tile's message holds which hyper-latents repeat
(`intact.codec.repeats`), its z, its pass A, and its pass B. A symbol's table follows from theta and
the level; a table below the model's ``skip`` means the symbol is 0 and is not sent. Normative:
docs/spec/image.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intact.bits.fast import Backend, Decoder, encode
from intact.codec import repeats
from intact.codec.lattice import correct_pass_a, correct_pass_b
from intact.codec.model import HYPER_RATIO, NUM_SCALES, THETA_SHIFT, Model
from intact.codec.networks import Networks
from intact.codec.windows import Window, reach

if TYPE_CHECKING:
    from intact.bits.rans import Part

Grid = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where things lie: the grid of latents and its tiles.

    Attributes:
        shape: rows and columns of latents.
        tile_log2: tiles are squares of ``2**tile_log2`` latents.
    """

    shape: Grid
    tile_log2: int

    @property
    def hyper_shape(self) -> Grid:
        """Rows and columns of hyper-latents."""
        return -(-self.shape[0] // HYPER_RATIO), -(-self.shape[1] // HYPER_RATIO)

    @property
    def columns(self) -> int:
        """Tiles in a row of tiles."""
        return -(-self.shape[1] >> self.tile_log2)

    @property
    def whole(self) -> Window:
        """All latents."""
        return Window(0, 0, *self.shape)

    def tile(self, index: int) -> Window:
        """The latents of a tile."""
        side = 1 << self.tile_log2
        top, left = index // self.columns * side, index % self.columns * side
        return Window(top, left, min(top + side, self.shape[0]), min(left + side, self.shape[1]))

    def tiles(self, window: Window) -> list[int]:
        """The tiles that a window touches."""
        cells = window.shrink(1 << self.tile_log2)
        return [
            row * self.columns + column
            for row in range(cells.top, cells.bottom)
            for column in range(cells.left, cells.right)
        ]


def pass_a_mask(window: Window, channels: int, predicted: int = 0) -> np.ndarray:
    """Bool [h, w, c]: the latents of pass A; the parity is that of the whole image's grid.

    Args:
        window: of latents.
        channels: of latents.
        predicted: that many leading ones are all even (`intact.codec.lattice`).
    """
    rows = np.arange(window.top, window.bottom)[:, None]
    columns = np.arange(window.left, window.right)
    parity = np.arange(channels) & 1
    parity[:predicted] = 0
    return (parity == [[0], [1]])[(rows + columns) & 1]


def table_indexes(theta: np.ndarray, shift: int) -> np.ndarray:
    """uint8: the table of each symbol; Ballé 2019, Eq. 15, with the level's shift."""
    half = 1 << (THETA_SHIFT - 1)
    index = (theta.astype(np.int16) + np.int16(half - shift)) >> THETA_SHIFT
    return np.clip(index, 0, NUM_SCALES - 1).astype(np.uint8)


def quantize(residual: np.ndarray, step: int, offset: int) -> np.ndarray:
    """int32: symbols; ``sign(r) * ((|r| + offset) // step)``. Only the encoder does this.

    Args:
        residual: int32, a difference of two int16.
        step: 1..32767.
        offset: 0..step // 2.
    """
    symbols = np.abs(residual)
    symbols += np.int32(offset)
    unsigned = symbols.view(np.uint32)  # NumPy's signed division is seven times as slow
    unsigned //= np.uint32(step)
    sign = residual >> 31
    symbols ^= sign
    symbols -= sign
    return symbols


def dequantize(mean: np.ndarray, symbols: np.ndarray, step: int) -> np.ndarray:
    """int16: ``mean + symbol * step``, saturated. Normative."""
    # Escapes can be any 32-bit number; from 65536 on, any step saturates whatever the mean is, and
    # 65536 * 32767 + 32768 is still an int32.
    value = symbols.clip(-65536, 65536)
    value *= np.int32(step)
    value += mean
    return value.clip(-32768, 32767, out=value).astype(np.int16)


def hyper_indexes(positions: int, channels: int) -> np.ndarray:
    """The table of each hyper-latent of some positions: its channel."""
    return np.tile(np.arange(channels, dtype=np.uint8), positions)


def features(networks: Networks, z: np.ndarray, level: int, window: Window) -> np.ndarray:
    """Run the hyper-synthesis on a window of z and cut the result to ``window`` of latents."""
    f = networks.run("hyper_synthesis", {"z": z}, level)["f"]
    return np.ascontiguousarray(f[: window.shape[0], : window.shape[1]])


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


def plan_latents(networks: Networks, y: np.ndarray, level: int, layout: Layout) -> Plan:
    """Quantize latents.

    Args:
        networks: the model's.
        y: int16 [h, w, m], from the analysis.
        level: index into the model's levels.
        layout: of these latents.
    """
    model = networks.model
    levels = model.levels
    step, shift, offset = (int(a[level]) for a in (levels.steps, levels.shifts, levels.offsets))
    z = networks.run("hyper_analysis", {"y": y}, level)["z"]
    whole, k = layout.whole, model.predicted
    f = features(networks, z, level, whole)
    mask = pass_a_mask(whole, model.latent_channels, k)

    def choose(mean: np.ndarray, y: np.ndarray, index: np.ndarray) -> np.ndarray:
        symbols = quantize(y.astype(np.int32) - mean, step, offset)
        symbols *= index >= model.skip
        return symbols

    def reconstruct(mean: np.ndarray, y: np.ndarray, index: np.ndarray) -> np.ndarray:
        return dequantize(mean, choose(mean, y, index), step)

    params = networks.run("prior_a", {"f": f}, level)
    mean, index_a = params["mean"], table_indexes(params["theta"], shift)
    mean[..., :k] = correct_pass_a(mean[..., :k], reconstruct, y[..., :k], index_a[..., :k])
    symbols_a = choose(mean, y, index_a)
    y_a = dequantize(mean, symbols_a, step) * mask
    params = networks.run("prior_b", {"f": f, "y": y_a}, level)
    mean, index_b = params["mean"], table_indexes(params["theta"], shift)
    mean[..., :k] = correct_pass_b(mean[..., :k], y_a[..., :k])
    symbols_b = choose(mean, y, index_b)
    return Plan(
        z,
        np.where(mask, symbols_a, symbols_b),
        np.where(mask, index_a, index_b),
        np.where(mask, y_a, dequantize(mean, symbols_b, step)),
        mask,
    )


def encode_latents(model: Model, plan: Plan, layout: Layout) -> tuple[bytes, ...]:
    """Code a plan, one payload per tile; inverse of `decode_latents`."""
    payloads = []
    for number in layout.tiles(layout.whole):
        tile = layout.tile(number)
        parts = hyper_parts(model, plan.z[tile.shrink(HYPER_RATIO).slices])
        symbols, index = plan.symbols[tile.slices], plan.index[tile.slices]
        mask = plan.mask[tile.slices]
        for wanted in (mask, ~mask):
            sent = _sent(index, wanted, model.skip)
            parts.append((symbols.take(sent), index.take(sent), model.tables_y))
        payloads.append(encode(parts))
    return tuple(payloads)


def _sent(index: np.ndarray, wanted: np.ndarray, skip: int) -> np.ndarray:
    """Flat places [n] of the symbols of a pass that are sent; a tenth of a boolean mask's time."""
    return np.flatnonzero(wanted & (index >= skip))


def hyper_parts(model: Model, z: np.ndarray) -> list[Part]:
    """The parts of a message that hold the hyper-latents [h, w, n] of a tile."""
    bank, n = model.tables_z, model.hyper_channels
    symbols = z.reshape(-1, n).astype(np.int32)
    entries = bank.entries_of(symbols.ravel(), hyper_indexes(len(symbols), n).astype(np.uint16))
    costs = bank.encode_costs[entries].reshape(-1, n).sum(axis=1, dtype=np.int64)
    mode, repeating = repeats.find_repeats(z, costs)
    sent = symbols[~repeating]
    hyper = (sent.ravel(), hyper_indexes(len(sent), n), bank)
    return [*repeats.parts(mode, repeating), hyper]


class _Tiles:
    """The decoders of the tiles at hand, each somewhere in its message."""

    def __init__(
        self, model: Model, payloads: Sequence[bytes], layout: Layout, coder: Backend | None
    ) -> None:
        self.model, self.payloads, self.layout = model, payloads, layout
        self.coder: Backend | None = coder
        self.decoders: dict[int, Decoder] = {}

    def hyper(self, window: Window) -> np.ndarray:
        """int8 [h, w, n]: decode z of a window of latents that consists of whole tiles."""
        outer = window.shrink(HYPER_RATIO)
        z = np.zeros((*outer.shape, self.model.hyper_channels), np.int8)
        for number in self.layout.tiles(window):
            cells = self.layout.tile(number).shrink(HYPER_RATIO)
            decoder = self.decoders[number] = Decoder(self.payloads[number], backend=self.coder)
            repeating = repeats.read(decoder.decode, cells.shape[0] * cells.shape[1])
            indexes = hyper_indexes(int((~repeating).sum()), self.model.hyper_channels)
            symbols = decoder.decode(indexes, self.model.tables_z)
            part = np.zeros((repeating.size, self.model.hyper_channels), np.int8)
            # A damaged file may hold any symbol; the checksums decide, the network needs int8.
            part[~repeating] = np.clip(symbols, -128, 127).reshape(-1, part.shape[1])
            part = part.reshape(*cells.shape, -1)
            repeats.fill(part, repeating)
            z[cells.within(outer)] = part
        return z

    def symbols(self, outer: Window, index: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """int32 [h, w, m]: decode one pass of a window that consists of whole tiles."""
        symbols = np.zeros(index.shape, np.int32)
        for number in self.layout.tiles(outer):
            place = self.layout.tile(number).within(outer)
            tables = index[place]
            sent = _sent(tables, mask[place], self.model.skip)
            values = self.decoders[number].decode(tables.take(sent), self.model.tables_y)
            within = np.zeros(tables.shape, np.int32)
            within.reshape(-1)[sent] = values
            symbols[place] = within
        return symbols

    def pass_a(self, outer: Window, params: dict[str, np.ndarray], level: int) -> np.ndarray:
        """int16 [h, w, m]: decode the latents of pass A; 0 elsewhere."""
        model, mean, k = self.model, params["mean"], self.model.predicted
        step = int(model.levels.steps[level])
        mask = pass_a_mask(outer, model.latent_channels, k)
        index = table_indexes(params["theta"], int(model.levels.shifts[level]))
        symbols = self.symbols(outer, index, mask)
        mean[..., :k] = correct_pass_a(
            mean[..., :k], lambda m, s: dequantize(m, s, step), symbols[..., :k]
        )
        return dequantize(mean, symbols, step) * mask

    def pass_b(
        self, outer: Window, params: dict[str, np.ndarray], y_a: np.ndarray, level: int
    ) -> np.ndarray:
        """int16 [h, w, m]: decode the latents of pass B and join them to those of pass A."""
        model, mean, k = self.model, params["mean"], self.model.predicted
        mask = pass_a_mask(outer, model.latent_channels, k)
        index = table_indexes(params["theta"], int(model.levels.shifts[level]))
        symbols = self.symbols(outer, index, ~mask)
        mean[..., :k] = correct_pass_b(mean[..., :k], y_a[..., :k])
        return np.where(mask, y_a, dequantize(mean, symbols, int(model.levels.steps[level])))

    def finish(self, window: Window) -> None:
        """Check that the messages of the tiles in a window ended as they began."""
        for number in self.layout.tiles(window):
            self.decoders[number].finish()


def decode_latents(
    networks: Networks,
    payloads: Sequence[bytes],
    level: int,
    layout: Layout,
    window: Window,
    *,
    coder: Backend | None = None,
) -> tuple[np.ndarray, Window]:
    """Decode the latents of a window; inverse of `encode_latents`.

    Args:
        networks: the model's.
        payloads: of all tiles.
        level: index into the model's levels.
        layout: of the image.
        window: of latents that are needed.
        coder: of entropy; the fastest one here when None.

    Returns:
        int16 [h, w, m] and the window they fill: ``window`` widened to whole tiles.

    Raises:
        CorruptDataError: a payload ends early, has bytes left over, does not end as it began, or
            holds a repeat mode or flag that does not exist.
    """
    model = networks.model
    tiles = _Tiles(model, payloads, layout, coder)
    side = 1 << layout.tile_log2
    look = reach(model.programs["prior_b"])
    inner = window.grow(0, side, layout.shape)
    middle = inner.grow(max(look.values()), side, layout.shape)
    look_z = reach(model.programs["hyper_synthesis"])["z"] * HYPER_RATIO
    fed = middle.grow(reach(model.programs["prior_a"])["f"], side, layout.shape)
    outer = fed.grow(look_z, side, layout.shape)

    f = features(networks, tiles.hyper(outer), level, outer)
    f = np.ascontiguousarray(f[fed.within(outer)])
    place = middle.within(fed)
    params = {k: v[place] for k, v in networks.run("prior_a", {"f": f}, level).items()}
    y_a = tiles.pass_a(middle, params, level)
    f = np.ascontiguousarray(f[place])
    params = networks.run("prior_b", {"f": f, "y": y_a}, level)
    place = inner.within(middle)
    params = {k: v[place] for k, v in params.items()}
    y = tiles.pass_b(inner, params, y_a[place], level)
    tiles.finish(inner)
    return np.ascontiguousarray(y), inner
