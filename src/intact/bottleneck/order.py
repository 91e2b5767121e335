"""The coding order of image codec 1, in one place for encoder and decoder. Normative.

    z  ->  f = hyper_synthesis(z)
    pass A (y + x + channel even): mean, theta = prior_a(f)
    pass B (odd):                  mean, theta = prior_b(f, latents of pass A)

Of the leading channels, the colors, pass A has y + x even, and their means are corrected by their
neighbors (`intact.bottleneck.colors`). Encoder and decoder walk the same way with another source of
symbols: one chooses them, the other reads them. docs/spec/image.md, sections 3 to 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from intact.bits.tables import TableBank
from intact.bottleneck import hyper
from intact.bottleneck.colors import correct_pass_a, correct_pass_b
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.kind import Networks
from intact.bottleneck.scalar import dequantize, quantize, table_indexes
from intact.bottleneck.tiles import Tiles


def pass_a_mask(window: Window, channels: int, predicted: int = 0) -> np.ndarray:
    """Bool [h, w, c]: the latents of pass A; the parity is that of the whole image's grid.

    Args:
        window: of latents.
        channels: of latents.
        predicted: that many leading ones are all even (`intact.bottleneck.colors`).
    """
    rows = np.arange(window.top, window.bottom)[:, None]
    columns = np.arange(window.left, window.right)
    parity = np.arange(channels) & 1
    parity[:predicted] = 0
    return (parity == [[0], [1]])[(rows + columns) & 1]


@dataclass(frozen=True)
class Windows:
    """Latents of which something must be known for others to be; each holds the one before.

    Attributes:
        inner: all of it: both passes.
        middle: pass A.
        fed: features.
        outer: hyper-latents.
    """

    inner: Window
    middle: Window
    fed: Window
    outer: Window

    @classmethod
    def around(cls, window: Window, networks: Networks, layout: Layout) -> Windows:
        """What a decoder needs for a window: whole tiles, and as far as the networks look."""
        side = 1 << layout.tile_log2
        inner = window.grow(0, side, layout.shape)
        middle = inner.grow(max(networks.reach("prior_b").values()), side, layout.shape)
        fed = middle.grow(networks.reach("prior_a")["f"], side, layout.shape)
        return cls(inner, middle, fed, fed.grow(hyper.reach(networks), side, layout.shape))


Arrays = tuple[np.ndarray, ...]


class Source(Protocol):
    """Where the symbols of a walk come from."""

    def hyper(self, window: Window) -> np.ndarray:
        """int8 [h, w, n]: z of a window of latents."""
        ...

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> Arrays:
        """What symbols of a pass are made of: arrays [h, w, m] for `symbols`.

        Args:
            window: of latents.
            index: uint8 [h, w, m], the table of each symbol.
            wanted: bool [h, w, m], the pass.
        """
        ...

    def symbols(self, mean: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
        """int32: the symbols at any positions, given their means and arrays of `begin` there."""
        ...

    def end(self, symbols: np.ndarray) -> None:
        """The symbols of the pass, as they are now certain."""
        ...


class Chosen:
    """An encoder's source: symbols are quantized latents."""

    def __init__(self, z: np.ndarray, y: np.ndarray, step: int, offset: int, skip: int) -> None:
        self.z, self.y, self.step, self.offset, self.skip = z, y, step, offset, skip
        self.passes: list[tuple[np.ndarray, np.ndarray]] = []  # indexes, wanted
        self.found: list[np.ndarray] = []

    def hyper(self, window: Window) -> np.ndarray:
        """All z: an encoder has the whole image."""
        return self.z

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> Arrays:
        """Latents and indexes."""
        self.passes.append((index, wanted))
        return self.y, index

    def symbols(self, mean: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
        """What is nearest, and 0 where nothing is sent."""
        y, index = arrays
        symbols = quantize(y.astype(np.int32) - mean, self.step, self.offset)
        symbols *= index >= self.skip
        return symbols

    def end(self, symbols: np.ndarray) -> None:
        """Keep them for the plan."""
        self.found.append(symbols)


class Read:
    """A decoder's source: symbols stand in payloads."""

    def __init__(self, tiles: Tiles, tables_y: TableBank, tables_z: TableBank, skip: int) -> None:
        self.tiles, self.tables_y, self.tables_z, self.skip = tiles, tables_y, tables_z, skip

    def hyper(self, window: Window) -> np.ndarray:
        """From the beginnings of the messages."""
        return self.tiles.hyper(window, self.tables_z)

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> Arrays:
        """The symbols: they are read before their means are known."""
        return (self.tiles.symbols(window, index, wanted, self.tables_y, self.skip),)

    def symbols(self, mean: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
        """As they were read."""
        return arrays[0]

    def end(self, symbols: np.ndarray) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Order:
    """The coding order at a level.

    Attributes:
        level: index into the codec's levels.
        step: of quantization.
        shift: what is subtracted from theta.
        predicted: leading channels that are predicted from neighbors.
    """

    level: int
    step: int
    shift: int
    predicted: int

    def walk(self, networks: Networks, source: Source, windows: Windows) -> np.ndarray:
        """int16 [h, w, m]: the latents of the inner window."""
        middle, inner = windows.middle, windows.inner
        f = hyper.features(networks, source.hyper(windows.outer), self.level, windows.outer)
        f = np.ascontiguousarray(f[windows.fed.within(windows.outer)])

        params = networks.run("prior_a", {"f": f}, self.level)
        place = middle.within(windows.fed)
        mean, theta = params["mean"][place], params["theta"][place]
        mask = pass_a_mask(middle, mean.shape[2], self.predicted)
        # No name for what `begin` returns: a decoder's symbols go before the next network runs.
        y_a = mask * self._pass(
            source, source.begin(middle, self._index(theta), mask), mean, correct_pass_a
        )

        f = np.ascontiguousarray(f[place])
        params = networks.run("prior_b", {"f": f, "y": y_a}, self.level)
        place = inner.within(middle)
        mean, theta = params["mean"][place], params["theta"][place]
        mask, y_a = mask[place], y_a[place]
        colors = y_a[..., : self.predicted]
        y_b = self._pass(
            source,
            source.begin(inner, self._index(theta), ~mask),
            mean,
            lambda means, *_: correct_pass_b(means, colors),
        )
        return np.where(mask, y_a, y_b)

    def _index(self, theta: np.ndarray) -> np.ndarray:
        return table_indexes(theta, self.shift)

    def _pass(
        self,
        source: Source,
        begun: Arrays,
        mean: np.ndarray,
        correct: Callable[..., np.ndarray],
    ) -> np.ndarray:
        """int16 [h, w, m]: the latents of a pass that has begun; beside it they mean nothing."""
        k = self.predicted

        def reconstruct(means: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
            return dequantize(means, source.symbols(means, *arrays), self.step)

        mean[..., :k] = correct(mean[..., :k], reconstruct, *(a[..., :k] for a in begun))
        symbols = source.symbols(mean, *begun)
        source.end(symbols)
        return dequantize(mean, symbols, self.step)
