"""Gumbel-softmax: the network itself says how much it wants each symbol; Jang et al. 2017.

In place of distances the network puts out L logits per symbol. Training takes a sample of the
Gumbel-softmax distribution, evaluation the argmax; the decoder reads a row of an embedding. The
interface is that of `intact.quantize.Quantizer`: the same histogram, entropies and annealing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from intact.errors import ArgumentError
from intact.quantize.anneal import Fixed
from intact.quantize.checks import (
    check_codebook,
    check_finite,
    check_floats,
    whole,
    without_autocast,
)
from intact.quantize.entropy import hard_histogram
from intact.quantize.hard import look_up
from intact.quantize.layout import Layout, Positions, to_map, to_points
from intact.quantize.quantizer import (
    Quantized,
    Stage,
    annealing_of,
    decoded,
    layout_of,
)


class GumbelQuantizer(nn.Module):
    """Logits -> sampled or hard values, symbols and histogram; Jang et al. 2017, eq. 1 and 2.

    y_j = softmax((logits_j + g_j) / tau), g_j = -log(-log(uniform)); the value is the sum of
    y_j times row j of the embedding. sigma of the annealing is 1 / tau: it grows as tau falls.
    Noise is drawn from (seed, step), both in buffers: a resumed training draws the same.

    Args:
        embedding: [1, L, k] or [g, L, k], what the decoder reads.
        layout: how values become features; `Positions(g)` by default.
        annealing: what 1 / tau does.
        stage: `Stage.SOFT`, or `Stage.HARD_SOFT_GRADIENT`: the straight-through estimator of §2.2.
        seed: of the noise, 0..2^31 - 1.

    Raises:
        ArgumentError: an argument is out of its range.
    """

    def __init__(
        self,
        embedding: Tensor,
        layout: Layout | None = None,
        annealing: Fixed | None = None,
        *,
        stage: Stage = Stage.SOFT,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_codebook(embedding, "rows of the embedding")
        if whole(seed, "seed", 0) >= 1 << 31:
            raise ArgumentError(f"seed is {seed}; legal is 0..{(1 << 31) - 1}")
        self.centers = nn.Parameter(embedding.detach().clone())
        self.layout: Layout = layout_of(layout, Positions(len(embedding)))
        self.annealing = annealing_of(annealing)
        self._stage: Tensor
        self.draw: Tensor
        self.register_buffer("_stage", torch.zeros((), dtype=torch.uint8))
        self.register_buffer("draw", torch.tensor([seed, 0], dtype=torch.int64))
        self.enter(stage)

    @property
    def stage(self) -> Stage:
        """Of the training forward."""
        return Stage(int(self._stage))

    def enter(self, stage: Stage) -> None:
        """Go on in another stage.

        Raises:
            ArgumentError: it is not SOFT, HARD or HARD_SOFT_GRADIENT: logits have no other.
        """
        if stage not in (Stage.SOFT, Stage.HARD, Stage.HARD_SOFT_GRADIENT):
            raise ArgumentError(
                f"stage is {stage!r}; legal for logits are SOFT, HARD and HARD_SOFT_GRADIENT"
            )
        self._stage.fill_(int(stage))

    @property
    def sigma(self) -> Tensor:
        """1 / tau, float64 []."""
        return self.annealing.sigma

    @without_autocast
    def forward(self, logits: Tensor) -> Quantized:
        """Quantize; a sample while training, the argmax (of ties the lowest) in evaluation.

        Args:
            logits: [b, g L, *map]; those of one symbol are L channels in a row. g is that of the
                embedding, or any number if it has one codebook.

        Returns:
            `Quantized`; values are shaped as the layout joins them; q is the mean of
            softmax(logits), the histogram that samples have.

        Raises:
            ArgumentError: they are none, no floating point, or of a shape that does not fit.
            DivergedError: a logit is not finite.
        """
        rows, parts = self._rows(logits)
        symbols = rows.detach().argmax(2)
        stage = self.stage if self.training else Stage.HARD
        if stage is Stage.HARD:
            values = look_up(symbols, self.centers)
            q = hard_histogram(symbols, rows.shape[2])
        else:
            y = torch.softmax((rows + self._noise(rows)) * self.sigma.to(rows.dtype), 2)
            if stage is Stage.HARD_SOFT_GRADIENT:
                # The symbols are those of the sample: what the value stands for.
                symbols = y.detach().argmax(2)
                y = y + (nn.functional.one_hot(symbols, rows.shape[2]) - y).detach()
            values = y @ self.centers.to(y.dtype)
            q = torch.softmax(rows, 2).mean(1)
        maps = to_map(symbols, parts)
        joined = self.layout.join(to_map(values, maps[..., None]))
        return Quantized(joined, maps, q, maps[0, 0].numel())

    def encode(self, logits: Tensor) -> Tensor:
        """The symbols [b, g, *map]: argmax, of ties the lowest index."""
        rows, parts = self._rows(logits)
        return to_map(rows.argmax(2), parts)

    def decode(self, symbols: Tensor) -> Tensor:
        """Features from symbols [b, g, *map].

        Raises:
            ArgumentError: as of `Quantizer.decode`.
        """
        return decoded(symbols, self.centers, self.layout)

    def _rows(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [g, n, L] in float32 or wider, and as [b, g, *map, L]."""
        check_floats(logits, "logits")
        size, books = self.centers.shape[1], len(self.centers)
        groups = logits.shape[1] // size if logits.dim() > 1 else 0
        if not groups or logits.shape[1] % size or (books > 1 and groups != books):
            wanted = f"{books * size}" if books > 1 else f"a multiple of {size}"
            raise ArgumentError(
                f"logits have shape {list(logits.shape)}; legal is [b, c, ...] with c {wanted}"
            )
        check_finite(logits, "logits")
        parts = Positions(groups).split(logits)
        rows = to_points(parts)
        return (rows if rows.dtype == torch.float64 else rows.float()), parts

    def _noise(self, rows: Tensor) -> Tensor:
        seed, step = (int(x) for x in self.draw)
        generator = torch.Generator(rows.device).manual_seed((seed << 32) + step)
        self.draw[1] += 1
        uniform = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=rows.dtype)
        tiny = torch.finfo(rows.dtype).tiny
        exponential = -torch.log(uniform.clamp(min=tiny))
        return -torch.log(exponential.clamp(min=tiny))
