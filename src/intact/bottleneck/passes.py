"""The coding order of image codec 2, in one place for encoder and decoder. Normative.

    f                      --prior_a--> mean, theta of pass A
    f, latents of pass A   --prior_b--> mean, theta of pass B

The passes are the halves of image codec 1's checkerboard (`intact.bottleneck.order.pass_a_mask`).
What differs is that steps belong to channels, and that the colors are predicted over the whole
image (`intact.bottleneck.anchors`), so that the symbols of a pass are needed further around.
Encoder and decoder walk the same way: one chooses symbols, the other reads them.
docs/spec/image2.md, sections 2 to 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from intact.bits.tables import TableBank
from intact.bottleneck.anchors import REACH, correct_first, correct_second, stages
from intact.bottleneck.grid import Shape, Window
from intact.bottleneck.kind import Networks
from intact.bottleneck.order import pass_a_mask
from intact.bottleneck.scalar import dequantize, quantize, table_indexes
from intact.bottleneck.tiles import Piece, Tiles, sent_places

PIECE = 1 << 19
"""Latents that an encoder works on at a time, so that what it computes with stays small; a decoder
works on a tile."""


@dataclass(frozen=True)
class Windows:
    """Latents of which something must be known for others to be; each holds the one before.

    Attributes:
        inner: those that are wanted, whole tiles: messages are read whole.
        middle: pass A is known, which pass B looks at.
        begun: symbols of pass A, whole tiles: colors are guessed from further away.
        fed: features.
    """

    inner: Window
    middle: Window
    begun: Window
    fed: Window

    @classmethod
    def around(
        cls, window: Window, networks: Networks, shape: Shape, side: int, predicted: int
    ) -> Windows:
        """What a decoder needs for a window, of an image of ``shape`` in tiles of ``side``."""
        inner = window.grow(0, side, shape)
        middle = inner.grow(max(1, *networks.reach("prior_b").values()), 1, shape)
        begun = middle.grow(REACH if predicted else 0, side, shape)
        return cls(inner, middle, begun, begun.grow(networks.reach("prior_a")["f"], 1, shape))

    @classmethod
    def of_all(cls, window: Window) -> Windows:
        """An encoder has the whole image everywhere."""
        return cls(*[window] * 4)


class Source(Protocol):
    """Where the symbols of a walk come from."""

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> None:
        """Get ready to give the symbols of a pass.

        Args:
            window: of latents, where they are wanted.
            index: uint8 [h, w, M], the table of each symbol.
            wanted: bool [h, w, M], the pass.
        """
        ...

    def colors(self, means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """int32 [r, c, k]: those of the colors at some positions of the window begun.

        Args:
            means: int16 [r, c, k], at these positions.
            rows: of the window.
            columns: of the window.
        """
        ...

    def symbols(self, means: np.ndarray) -> Iterator[Piece]:
        """Those of the pass that are sent, in pieces, each of other places; once for each pass.

        At most qualities few are, and the other latents are their means.

        Args:
            means: int16 [h, w, M], final. Those of a piece may be overwritten once it is there.
        """
        ...


class Chosen:
    """An encoder's source: symbols are quantized latents.

    Args:
        y: int16 [h, w, M], of the whole image.
        steps: int32 [M], of quantization.
        skip: tables below it are not sent.

    Attributes:
        found: int32 [h, w, M], the symbols so far.
        index: uint8 [h, w, M], their tables.
    """

    def __init__(self, y: np.ndarray, steps: np.ndarray, skip: int) -> None:
        self.y, self.steps, self.skip = np.ascontiguousarray(y), steps, skip
        self.found, self.index = np.zeros(y.shape, np.int32), np.zeros(y.shape, np.uint8)
        self._wanted = np.zeros((0, 0, 0), bool)

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> None:
        """Keep the tables for the plan."""
        self.index += index * wanted  # no pass has what another has
        self._wanted = wanted

    def colors(self, means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """What is nearest: colors are always sent."""
        k = means.shape[2]
        return self._nearest(self.y[rows, columns, :k], means, self.steps[:k])

    def symbols(self, means: np.ndarray) -> Iterator[Piece]:
        """What is nearest, where something is sent."""
        height, width, channels = self.y.shape
        found, row = self.found.reshape(-1), width * channels
        for top in range(0, height, max(PIECE // row, 1)):
            rows = slice(top, top + max(PIECE // row, 1))
            places = sent_places(self.index[rows], self._wanted[rows], self.skip)
            places += top * row
            steps = self.steps.take(places % channels)
            symbols = self._nearest(self.y.take(places), means.take(places), steps)
            found[places] = symbols
            yield places, symbols

    @staticmethod
    def _nearest(y: np.ndarray, means: np.ndarray, steps: np.ndarray) -> np.ndarray:
        return quantize(y.astype(np.int32) - means, steps, steps // 2)


class Read:
    """A decoder's source: symbols stand in payloads."""

    def __init__(self, tiles: Tiles, bank: TableBank, skip: int, predicted: int) -> None:
        self.tiles, self.bank, self.skip, self.predicted = tiles, bank, skip, predicted
        self._pieces: Iterator[Piece] = iter(())
        self._shape = (0, 0, 0)
        self._colors: np.ndarray | None = None

    def begin(self, window: Window, index: np.ndarray, wanted: np.ndarray) -> None:
        """Tables are all known; what is read is read when it is asked for."""
        self._pieces = self.tiles.sent(window, index, wanted, self.bank, self.skip)
        self._shape, self._colors = index.shape, None

    def colors(self, means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """As they stand there."""
        if self._colors is None:
            pieces = list(self._pieces)
            self._colors = self._colors_of(pieces)
            self._pieces = _taken(pieces)
        return self._colors[rows, columns]

    def symbols(self, means: np.ndarray) -> Iterator[Piece]:
        """As they stand there."""
        return self._pieces

    def _colors_of(self, pieces: list[Piece]) -> np.ndarray:
        """int32 [h, w, k]: those of the pass, and 0 elsewhere."""
        (h, w, m), k = self._shape, self.predicted
        colors = np.zeros((h, w, k), np.int32)
        flat = colors.reshape(-1)
        for places, symbols in pieces:
            chosen = np.flatnonzero(places % m < k)
            position, channel = np.divmod(places[chosen], m)
            flat[position * k + channel] = symbols[chosen]
        return colors


def _taken(pieces: list[Piece]) -> Iterator[Piece]:
    """Each of some pieces once; nobody keeps it afterwards."""
    while pieces:
        yield pieces.pop()


@dataclass(frozen=True)
class Passes:
    """The coding order at a level.

    Attributes:
        networks: the codec's.
        level: index into its levels.
        steps: int32 [M], of quantization.
        shifts: int32 [M], what is subtracted from theta.
        stages: int32 [8, predicted], what is added to that of pass A at the colors, by stage.
        skip: tables below it are not sent, but for the colors.
    """

    networks: Networks
    level: int
    steps: np.ndarray
    shifts: np.ndarray
    stages: np.ndarray
    skip: int

    @property
    def predicted(self) -> int:
        """How many channels are colors."""
        return self.stages.shape[1]

    def walk(self, f: np.ndarray, windows: Windows, source: Source) -> np.ndarray:
        """int16 [h, w, M]: the latents of the inner window.

        Args:
            f: int16 [h, w, C], features of ``windows.fed``.
            windows: what is known where.
            source: of symbols.
        """
        k, begun = self.predicted, windows.begun
        place, start = begun.within(windows.fed), (begun.top, begun.left)
        # Names go as soon as may be: at 24 megapixels each holds 42 or 84 MB.
        mean, theta = self._run("prior_a", place, {"f": np.ascontiguousarray(f)})
        mask = pass_a_mask(begun, mean.shape[2], k)
        raised = self.stages[stages(start, begun.shape)]
        source.begin(begun, self._index(theta, raised), mask)
        del theta

        def colors(means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
            return dequantize(means, source.colors(means, rows, columns), self.steps[:k])

        if k:
            mean[..., :k] = correct_first(mean[..., :k], start, colors)
        first = self._latents(mean, source)
        del mean
        first *= mask

        place = windows.middle.within(begun)
        first, mask = np.ascontiguousarray(first[place]), mask[place]
        f = np.ascontiguousarray(f[windows.middle.within(windows.fed)])
        whole = slice(None), slice(None)
        mean, theta = self._run("prior_b", whole, {"f": f, "y": first})
        if k:
            mean[..., :k] = correct_second(mean[..., :k], first[..., :k])
        place = windows.inner.within(windows.middle)
        mean, theta, first, mask = (array[place] for array in (mean, theta, first, mask))
        source.begin(windows.inner, self._index(theta), ~mask)
        del theta
        latents = self._latents(mean, source)
        np.copyto(latents, first, where=mask)
        return latents

    def _run(
        self, role: str, place: tuple[slice, slice], inputs: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What a prior says of a place in the window of its inputs: means and thetas."""
        found = self.networks.run(role, inputs, self.level)
        return found["mean"][place], found["theta"][place]

    def _index(self, theta: np.ndarray, raised: np.ndarray | None = None) -> np.ndarray:
        """Tables by theta, which is raised at the colors; those of colors are always sent."""
        k, scale = self.predicted, theta.astype(np.int16)
        if raised is not None:
            scale[..., :k] += raised.astype(np.int16)
        index = table_indexes(scale, self.shifts)
        np.maximum(index[..., :k], self.skip, out=index[..., :k])
        return index

    def _latents(self, means: np.ndarray, source: Source) -> np.ndarray:
        """int16 [h, w, M]: the latents of a pass that has begun; beside it they mean nothing.

        Args:
            means: int16 [h, w, M], which are overwritten where they lie in one piece.
            source: of the symbols.
        """
        latents = np.ascontiguousarray(means)
        flat = latents.reshape(-1)
        for places, symbols in source.symbols(latents):
            steps = self.steps.take(places % len(self.steps))
            flat[places] = dequantize(flat.take(places), symbols, steps)
        return latents
