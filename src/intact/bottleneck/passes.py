"""The four passes of image codec 2, in one place for encoder and decoder. Normative.

    f                      --prior_0--> theta of passes 0 and 1, mean of pass 0
    f, latents of pass 0   --prior_1--> mean of pass 1
    f, latents of 0 and 1  --prior_2--> theta of passes 2 and 3, mean of pass 2
    f, latents of 0 to 2   --prior_3--> mean of pass 3

A latent in row r, column c, channel k is of pass ``2 ((r + c + k) % 2) + r % 2``; of the leading
channels, the colors, k counts as 0. So passes 0 and 1, and 2 and 3, are the two halves of a
checkerboard; the symbols of a half are read before its first mean is known. Encoder and decoder
walk the same way: one chooses symbols, the other reads them. docs/spec/image2.md, sections 2 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from intact.bottleneck.anchors import REACH, correct_first, correct_later, stages
from intact.bottleneck.grid import Shape, Window
from intact.bottleneck.kind import Networks
from intact.bottleneck.scalar import dequantize, table_indexes

NUM_PASSES = 4


def pass_numbers(window: Window, channels: int, predicted: int) -> np.ndarray:
    """uint8 [h, w, channels]: the pass of each latent; the parity is that of the image's grid.

    Args:
        window: of latents.
        channels: of latents.
        predicted: that many leading ones count as channel 0.
    """
    rows = np.arange(window.top, window.bottom)[:, None, None]
    columns = np.arange(window.left, window.right)[:, None]
    parity = np.arange(channels) & 1
    parity[:predicted] = 0
    return (2 * ((rows + columns + parity) & 1) + (rows & 1)).astype(np.uint8)


@dataclass(frozen=True)
class Windows:
    """Latents of which something must be known for others to be; each holds the one before.

    Attributes:
        inner: those that are wanted.
        third: passes 2 and 3: where pass 3 looks; whole tiles, since messages are read whole.
        second: passes 0 and 1 are known, which pass 2 looks at.
        first: pass 0 is known, which pass 1 looks at.
        begun: symbols of passes 0 and 1, whole tiles: colors are guessed from further away.
        fed: features.
    """

    inner: Window
    third: Window
    second: Window
    first: Window
    begun: Window
    fed: Window

    @classmethod
    def around(
        cls, window: Window, networks: Networks, shape: Shape, side: int, predicted: int
    ) -> Windows:
        """What a decoder needs for a window, of an image of ``shape`` in tiles of ``side``."""

        def look(number: int) -> int:
            return max(1, *networks.reach(f"prior_{number}").values())

        third = window.grow(look(3), side, shape)
        second = third.grow(look(2), 1, shape)
        first = second.grow(look(1), 1, shape)
        begun = first.grow(REACH if predicted else 0, side, shape)
        fed = begun.grow(networks.reach("prior_0")["f"], 1, shape)
        return cls(window, third, second, first, begun, fed)

    @classmethod
    def of_all(cls, window: Window) -> Windows:
        """An encoder has the whole image everywhere."""
        return cls(*[window] * 6)


class Source(Protocol):
    """Where the symbols of a walk come from."""

    def begin(self, half: int, window: Window, index: np.ndarray, wanted: np.ndarray) -> None:
        """Get ready to give the symbols of a half of the checkerboard.

        Args:
            half: 0 or 1.
            window: of latents, where they are wanted.
            index: uint8 [h, w, M], the table of each symbol.
            wanted: bool [h, w, M], the half.
        """
        ...

    def symbols(self, means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """int32 [r, c, k]: those of the leading k channels at some positions of the window begun.

        Args:
            means: int16 [r, c, k], at these positions.
            rows: of the window.
            columns: of the window.
        """
        ...


@dataclass(frozen=True)
class Passes:
    """The coding order at a level.

    Attributes:
        networks: the codec's.
        level: index into its levels.
        steps: int32 [M], of quantization.
        shifts: int32 [M], what is subtracted from theta.
        narrowing: int32 [2, M], what the theta of passes 1 and 3 is lowered by.
        stages: int32 [7, predicted], what is added to that of pass 0 at the colors, by stage.
        skip: tables below it are not sent, but for the colors.
    """

    networks: Networks
    level: int
    steps: np.ndarray
    shifts: np.ndarray
    narrowing: np.ndarray
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
        found = self._run(0, f, None)
        place = windows.begun.within(windows.fed)
        mean, theta = found["mean"][place], found["theta"][place]
        self._begin(source, 0, windows.begun, theta)
        k = self.predicted
        if k:
            mean[..., :k] = self._first_colors(mean[..., :k], windows.begun, source)
        latents = np.zeros(mean.shape, np.int16)
        self._take(0, mean, latents, windows.begun, windows.begun, source)

        latents = latents[windows.first.within(windows.begun)]
        f = f[windows.first.within(windows.fed)]
        mean = self._run(1, f, latents)["mean"]
        self._take(1, mean, latents, windows.first, windows.begun, source)

        place = windows.second.within(windows.first)
        latents, f = latents[place], f[place]
        found = self._run(2, f, latents)
        place = windows.third.within(windows.second)
        mean, theta, latents, f = (
            found["mean"][place],
            found["theta"][place],
            latents[place],
            f[place],
        )
        self._begin(source, 1, windows.third, theta)
        latents = np.ascontiguousarray(latents)
        self._take(2, mean, latents, windows.third, windows.third, source)
        mean = self._run(3, f, latents)["mean"]
        self._take(3, mean, latents, windows.third, windows.third, source)
        return latents[windows.inner.within(windows.third)]

    def _run(self, number: int, f: np.ndarray, latents: np.ndarray | None) -> dict[str, np.ndarray]:
        inputs = {"f": np.ascontiguousarray(f)}
        if latents is not None:
            inputs["y"] = np.ascontiguousarray(latents)
        return self.networks.run(f"prior_{number}", inputs, self.level)

    def _begin(self, source: Source, half: int, window: Window, theta: np.ndarray) -> None:
        """Find the tables of a half: theta, lowered in its second pass, raised by stage."""
        k = self.predicted
        numbers = pass_numbers(window, theta.shape[2], k)
        scale = theta.astype(np.int16)
        scale -= np.where(numbers & 1, self.narrowing[half], 0).astype(np.int16)
        if k and not half:
            raised = self.stages[stages((window.top, window.left), window.shape)]
            scale[..., :k] += np.where(numbers[..., :k] == 0, raised, 0).astype(np.int16)
        index = table_indexes(scale, self.shifts)
        np.maximum(index[..., :k], self.skip, out=index[..., :k])
        source.begin(half, window, index, numbers >> 1 == half)

    def _first_colors(self, mean: np.ndarray, window: Window, source: Source) -> np.ndarray:
        steps = self.steps[: self.predicted]

        def reconstruct(means: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
            return dequantize(means, source.symbols(means, rows, columns), steps)

        return correct_first(mean, (window.top, window.left), reconstruct)

    def _take(
        self,
        number: int,
        mean: np.ndarray,
        latents: np.ndarray,
        window: Window,
        begun: Window,
        source: Source,
    ) -> None:
        """Write the latents of a pass into those of the passes before, in place.

        Args:
            number: of the pass.
            mean: int16 [h, w, M], from its prior.
            latents: int16 [h, w, M], of the passes before, 0 elsewhere.
            window: of both.
            begun: that of the half's symbols.
            source: of symbols.
        """
        k = self.predicted
        if k and number:
            mean[..., :k] = correct_later(mean[..., :k], latents[..., :k], diagonal=number == 1)
        rows = slice((number - window.top) % 2, None, 2)  # a pass has every other row
        top, left = window.top - begun.top, window.left - begun.left
        there = slice(top + rows.start, top + mean.shape[0], 2)
        symbols = source.symbols(mean[rows], there, slice(left, left + mean.shape[1]))
        chosen = (pass_numbers(window, mean.shape[2], k) == number)[rows]
        np.copyto(latents[rows], dequantize(mean[rows], symbols, self.steps), where=chosen)
