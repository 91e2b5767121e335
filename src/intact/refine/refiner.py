"""Latents by gradient descent: what a level's rate and distortion would rather have.

The networks of the frozen model, thawed to float, and the tables and priors of the level give rate
and distortion; Adam moves the latents that the analysis found (Campos et al. 2019,
arXiv:1906.03034; Yang et al. 2020, arXiv:2006.04240). Windows are refined one after the other, each
with a margin of what its neighbors have become, so that memory does not grow with the image.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from intact.bottleneck.checkerboard import LATENT_PX  # of image codec 2, too
from intact.bottleneck.grid import Window
from intact.codec.coding import Coded, size_of
from intact.codec.model import Model
from intact.locks import Lock
from intact.refine.frozen import AtLevel, codec_at, step_at
from intact.refine.gumbel import Annealed
from intact.refine.judge import Judge, loss_of
from intact.train.codecs.transforms import LATENT_UNIT

SIDE = 32
"""Latents on a side of a window at most, 512 pixels."""
MARGIN = 4
"""Latents around it that are seen but stay: one hyper-latent, and what the synthesis looks at."""
HOT, COLD = 0.5, 0.1
"""Temperatures of the annealing, at the first and at the last step."""


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Attributes:
        steps: of Adam on each window.
        rate: its learning rate, in quantization steps.
    """

    steps: int
    rate: float


EFFORTS = {2: Effort(50, 0.009), 3: Effort(120, 0.006)}
_LOCK = Lock()


class Refiner:
    """Refines the latents of an image at one level.

    Args:
        model: of a kind that can be refined.
        level: index into its levels.
        effort: 2 or 3; below, nothing is refined.
        threads: of PyTorch.
        enter: called with what is being done, for people.

    Raises:
        UnsupportedError: the model is of another kind.
    """

    def __init__(
        self,
        model: Model,
        level: int,
        effort: int,
        threads: int = 1,
        enter: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model, self.level, self.step = model, level, step_at(model, level)
        self.judge = Judge(loss_of(model), self.step)
        self.effort, self.threads, self.enter = EFFORTS[effort], threads, enter

    def refine(self, pixels: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """int16 [h, w, M]: better latents.

        Args:
            pixels: int8 [16 h, 16 w, 3], as the analysis saw them.
            y: int16 [h, w, M], what it found.
            shape: rows and columns of pixels that count; what is beyond is padding.
        """
        found, whole = y.copy(), (y.shape[0], y.shape[1])
        places = windows(whole)
        # PyTorch's threads are the process's, and so is the codec: one at a time.
        with _LOCK, _torch_threads(self.threads):
            codec = codec_at(self.model, self.level)
            for number, inner in enumerate(places):
                self.enter(f"refining {number + 1} of {len(places)}")
                outer = inner.grow(MARGIN, 1, whole)
                found[inner.slices] = self._window(codec, pixels, found, inner, outer, shape)
        return found

    def calibrate(self, colors: np.ndarray, coarser: Coded, finer: Coded) -> None:
        """Let errors be worth what they cost between two levels about this one (`Judge.calibrate`).

        Args:
            colors: uint8 [h, w, c], what is to be coded.
            coarser: coded at a level below, or at this one.
            finer: coded at a level above, or at this one.
        """
        bits = 8 * (size_of(finer) - size_of(coarser))
        self.judge.calibrate(bits, self._worth(colors, coarser) - self._worth(colors, finer))

    def cost(self, colors: np.ndarray, coded: Coded) -> float:
        """Rate and distortion of a file, in bits per pixel.

        Args:
            colors: uint8 [h, w, c], what was to be coded.
            coded: what became of it.
        """
        total = 8 * size_of(coded) + self._worth(colors, coded)
        return total / (colors.shape[0] * colors.shape[1])

    def _worth(self, colors: np.ndarray, coded: Coded) -> float:
        """Bits that the errors are worth."""
        cells = (-(-colors.shape[0] // LATENT_PX), -(-colors.shape[1] // LATENT_PX))
        total = 0.0
        with _LOCK, _torch_threads(self.threads), torch.no_grad():
            for inner in windows(cells):
                rows, columns = _pixels(inner)
                a, b = (
                    torch.from_numpy(x[rows, columns].astype(np.float32))[None]
                    for x in (colors, coded[1])
                )
                a, b = (x.expand(-1, -1, -1, 3) for x in (a, b))
                total += float(self.judge.bits(a, b))
        return total

    def _window(
        self,
        codec: AtLevel,
        pixels: np.ndarray,
        y: np.ndarray,
        inner: Window,
        outer: Window,
        shape: tuple[int, int],
    ) -> np.ndarray:
        """int16: the latents of ``inner``, seen within ``outer``."""
        rows, columns = _pixels(outer)
        target = torch.from_numpy(pixels[rows, columns].astype(np.float32) + 128)[None]
        counts = torch.zeros((*target.shape[1:3], 1), dtype=torch.bool)
        counts[: max(shape[0] - rows.start, 0), : max(shape[1] - columns.start, 0)] = True
        around = torch.from_numpy(y[outer.slices].astype(np.float32) * LATENT_UNIT)[None]
        place, step = (outer.top, outer.left), codec.steps
        at = (slice(None), *inner.within(outer))
        units = (around[at] / step).requires_grad_()
        rounding = Annealed(torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam([units], self.effort.rate)
        for number in range(self.effort.steps):
            share = number / max(self.effort.steps - 1, 1)
            rounding.temperature = HOT * (COLD / HOT) ** share
            latents = around.clone()
            latents[at] = units * step
            coded = codec.net.code(latents, codec.t, rounding=rounding, place=place)
            bits = coded.bits_y.sum() + coded.bits_z.sum()
            decoded = torch.where(counts, coded.pixels, target)  # padding is no error
            optimizer.zero_grad()
            (bits + self.judge.bits(target, decoded)).backward()
            optimizer.step()
        found = (units.detach() * step / LATENT_UNIT).round().clamp(-32768, 32767)
        return found[0].numpy().astype(np.int16)


def windows(shape: tuple[int, int]) -> list[Window]:
    """Windows of about equal sides, at most `SIDE`, that fill a grid of latents.

    Their corners are even, as the passes of the codecs want, but for the last ones.
    """

    def cuts(length: int) -> list[int]:
        count = -(-length // SIDE)
        return [*(2 * round(i * length / count / 2) for i in range(count)), length]

    rows, columns = (list(itertools.pairwise(cuts(length))) for length in shape)
    return [Window(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _pixels(window: Window) -> tuple[slice, slice]:
    """Rows and columns of pixels of a window of latents."""
    rows, columns = (slice(LATENT_PX * s.start, LATENT_PX * s.stop) for s in window.slices)
    return rows, columns


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
