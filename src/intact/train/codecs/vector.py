"""The image codec of Agustsson et al. 2017, trainable: features become symbols of learned centers.

    pixels --analysis--> z, patches of each channel --quantizer--> symbols --centers--> z^
    z^ --synthesis--> pixels

Training has two stages (§4). In the first nothing is quantized, and channels are let in one by one.
The second starts from a run of the first (``--init``), fits the centers, and trains all jointly
by eq. 8 with soft values that harden as the gap between soft and hard error says. Logits (the
decision "largest") start from a first stage too (``--grow`` adds their layer), or from nothing.
A model has one rate, that of its beta. docs/spec/vector.md has what freezing makes of it.

What hardens and what is counted are buffers: a resumed run is the same bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, cast

import torch
from torch import Tensor

from intact.quantize import (
    Exponential,
    Fixed,
    GapControlled,
    GumbelQuantizer,
    MovingHistogram,
    Positions,
    Quantized,
    Quantizer,
    entropy_of_p_by_q,
    to_points,
)
from intact.train.codecs.codec import Codec, Result, float_networks
from intact.train.codecs.vector_graphs import BUILDERS, PATCH, PIXEL_UNIT, VectorTransform
from intact.train.codecs.vector_layout import Slots
from intact.train.codecs.vector_settings import FORWARDS, VectorConfig
from intact.train.codecs.vector_start import first_centers, start_logits
from intact.train.data import ImageFolder
from intact.train.entropy import ScaleMixture
from intact.train.graph import Conv
from intact.train.network import Observer
from intact.train.noise import Noise


class VectorNet(Codec):
    """The codec of kind "vector".

    Args:
        own: its sections of the configuration.
        seed: of the initial weights.
    """

    KIND: ClassVar[str] = "vector"

    def __init__(self, own: VectorConfig, seed: int = 0) -> None:
        graphs = {name: build(own.transform) for name, build in BUILDERS.items()}
        super().__init__(own, float_networks(graphs, seed))
        self.active: Tensor
        self.register_buffer("active", torch.tensor(own.transform.channels))
        self.quantizer: Quantizer | GumbelQuantizer | None = None
        self.density: ScaleMixture | None = None
        self.histogram: MovingHistogram | None = None
        self.fitted: Tensor
        self.register_buffer("fitted", torch.zeros(()))
        self._seen: tuple[Quantized, float, float | None] | None = None
        self._hard = math.nan
        if own.rate.stage == 2:
            self.add_quantizer(seed)

    @property
    def config(self) -> VectorTransform:
        """Sizes of the networks."""
        return cast(VectorConfig, self.own).transform

    def add_quantizer(self, seed: int) -> None:
        """Give the codec a quantizer and a histogram as its configuration wants them, new ones."""
        own, c = cast(VectorConfig, self.own), self.config.channels
        book, way = own.codebook, own.annealing
        gumbel = self.config.decision == "largest"
        shape = (1 if book.shared else c, self.config.logits if gumbel else book.size, book.values)
        centers = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        sigma = way.sigma or 1.0
        annealing = {
            "gap": lambda: GapControlled(sigma, way.gain, max(1.0, way.halving / way.every)),
            "exponential": lambda: Exponential(sigma, way.factor**way.every),
            "fixed": lambda: Fixed(sigma),
        }[way.method]()
        stage = FORWARDS[own.rate.forward]
        if gumbel:
            self.quantizer = GumbelQuantizer(
                centers, Positions(c), annealing, stage=stage, seed=seed % (1 << 31)
            )
        else:
            self.quantizer = Quantizer(centers, Slots(book.values), annealing, stage=stage)
        self.density = None
        if own.rate.form == "density":
            self.quantizer.centers.requires_grad = False
            self.density = ScaleMixture(torch.zeros(c), torch.ones(c))
        self.histogram = MovingHistogram(c, shape[1], images=book.window, batch=1, every=book.every)
        self.fitted.zero_()

    def step(self, t: Tensor) -> Tensor:
        """1: there is no quantization step."""
        return torch.ones_like(t)

    def before(self, step: int, crops: Callable[[int], Tensor]) -> None:
        """Let channels in, in the first stage; fit the centers, once, in the second."""
        own = cast(VectorConfig, self.own)
        if self.quantizer is None:
            c, ramp = self.config.channels, own.rate.unfreeze
            self.active.fill_(min(c, 1 + step * c // ramp) if ramp else c)
            return
        if not self.fitted:
            self._fit(crops)
        annealing = self.quantizer.annealing
        if isinstance(annealing, GapControlled):
            # Stepped at every so many steps alone, by as much as all of them.
            annealing.gain = own.annealing.gain * own.annealing.every * float(self.fitted)

    def _fit(self, crops: Callable[[int], Tensor]) -> None:
        """Centers and sigma_0 by SGD on the cluster energy of some features (§3.2)."""
        own, quantizer = cast(VectorConfig, self.own), self.quantizer
        assert quantizer is not None
        gumbel = isinstance(quantizer, GumbelQuantizer)
        found: list[Tensor] = []

        def keep(node: Conv, read: Tensor, _: Tensor) -> None:
            if node.target == "y":  # the layer of logits: what it reads are the features
                found.append(read.float())

        with torch.no_grad():
            for i in range(own.codebook.fit_batches):
                z = self._analysis(crops(i), keep if gumbel else None)
                found += [] if gumbel else [z]
        layout = Slots(own.codebook.values)
        points = to_points(layout.split(torch.cat(found).permute(0, 3, 1, 2)))
        fit = first_centers(points, replace(own.codebook, size=quantizer.centers.shape[1]))
        sigma = own.annealing.sigma or (1.0 if gumbel else fit.sigma)
        with torch.no_grad():
            quantizer.centers.copy_(fit.centers)
            if gumbel:
                start_logits(self.network("analysis"), fit)
            else:
                if self.density is not None:
                    unit = (fit.centers[:, 1] - fit.centers[:, 0])[:, 0]
                    begin = ScaleMixture(points.mean((1, 2)) / unit, points.std((1, 2)) / unit)
                    self.density.load_state_dict(begin.state_dict())
                quantizer.annealing.set(sigma)
        self.fitted.fill_(sigma)

    def after(self, step: int) -> None:
        """Count symbols and step the annealing."""
        if self.quantizer is None or self.histogram is None or self._seen is None:
            return
        seen, soft, hard = self._seen
        self.histogram.update(seen.rows)
        annealing, self._seen = self.quantizer.annealing, None
        if hard is None:
            return
        if isinstance(annealing, GapControlled):
            annealing.step(soft, hard)
        else:
            annealing.step()

    def _analysis(self, image: Tensor, observer: Observer | None = None) -> Tensor:
        level = torch.zeros(len(image), device=image.device)
        inputs = {"pixels": (image.float() - 128) * PIXEL_UNIT}
        return self.networks["analysis"](inputs, level, observer)["y"]

    def _synthesis(self, values: Tensor, observer: Observer | None = None) -> Tensor:
        """Gray levels of values [b, h, w, 4 c]."""
        level = torch.zeros(len(values), device=values.device)
        pixels = self.networks["synthesis"]({"y": values}, level, observer)["pixels"]
        return pixels / PIXEL_UNIT + 128

    def forward(
        self,
        image: Tensor,
        t: Tensor,
        noise: Noise | None,
        *,
        hard: bool = False,
        observers: Mapping[str, Observer] | None = None,
    ) -> Result:
        """Code a batch; see `Codec.forward`. Sides of images are multiples of 16."""
        observers = observers or {}
        z = self._analysis(image, observers.get("analysis"))
        area = image.shape[1] * image.shape[2]
        bpp = torch.zeros(len(image), device=image.device)
        seen: Quantized | None = None
        if self.quantizer is None or self.histogram is None:
            channel = torch.arange(z.shape[-1], device=z.device) // PATCH
            values = z * (channel < self.active)
        elif hard:
            symbols = self.quantizer.encode(z.permute(0, 3, 1, 2))
            values = self.quantizer.decode(symbols).permute(0, 2, 3, 1)
            cost = -torch.log2(self.histogram.p())
            rows = symbols.flatten(2)  # [b, g, m]
            bpp = torch.stack([cost.gather(1, row).sum() for row in rows]) / area
        else:
            found: Quantized = self.quantizer(z.permute(0, 3, 1, 2))
            values = found.values.permute(0, 2, 3, 1)
            bits = self._bits(found) if self.density is None else self._density_bits(z, noise)
            bpp, seen = bpp + bits / area, found
        pixels = self._synthesis(values, observers.get("synthesis"))
        pixels = pixels.round().clamp(0, 255) if hard else pixels
        mse = (pixels - image.float()).square().mean((1, 2, 3))
        if seen is not None and self.training:
            self._look(image, seen, mse)
        return Result(bpp, torch.zeros_like(bpp), mse, pixels)

    def _bits(self, seen: Quantized) -> Tensor:
        """Bits of an image, the soft entropy in the form that was asked for."""
        assert self.histogram is not None
        if cast(VectorConfig, self.own).rate.form == "p,q":
            return seen.m * entropy_of_p_by_q(seen.p, seen.q).sum()
        return seen.bits(self.histogram.p())

    def _density_bits(self, z: Tensor, noise: Noise | None) -> Tensor:
        """[b]: bits of z + u under the density, in the grid's unit; of z itself without noise."""
        assert isinstance(self.quantizer, Quantizer)
        assert self.density is not None
        centers = self.quantizer.centers
        parts = self.quantizer.layout.split(z.permute(0, 3, 1, 2)).flatten(2)
        units = parts.float() / (centers[:, 1] - centers[:, 0])
        return self.density.bits(units + noise.like(units) if noise else units).sum((1, 2))

    @torch.no_grad()
    def _look(self, image: Tensor, seen: Quantized, mse: Tensor) -> None:
        """Keep what `after` needs: the symbols, the soft error and, at times, the hard one."""
        assert self.quantizer is not None
        way, hard = cast(VectorConfig, self.own).annealing, None
        if int(self.quantizer_calls) % way.every == 0:
            values = self.quantizer.decode(seen.symbols).permute(0, 2, 3, 1)
            error = (self._synthesis(values) - image.float()).square().mean()
            self._hard = hard = float(error) / 255**2
        self._seen = seen, float(mse.mean()) / 255**2, hard

    @property
    def quantizer_calls(self) -> Tensor:
        """Steps of the second stage so far."""
        assert self.histogram is not None
        return self.histogram.calls

    def watched(self) -> dict[str, Tensor]:
        """The soft error of this step, the hard one last computed, and sigma."""
        if self._seen is None or self.quantizer is None:
            return {"active": self.active.float()}
        _, soft, _ = self._seen
        return {
            "error_soft": torch.tensor(soft),
            "error_hard": torch.tensor(self._hard),
            "sigma": self.quantizer.sigma.detach().float().clone(),
        }

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """The objective divided by beta; see `VectorRate`."""
        rate = cast(VectorConfig, self.own).rate
        error = distortion / (255**2 * rate.beta)
        loss = (error if weight is None else weight * error).mean()
        if self.quantizer is not None and rate.entropy:
            loss = loss + result.bpp.mean()
        if rate.l2:
            squares = [p.square().sum() for p in self.networks.parameters()]
            loss = loss + rate.l2 / rate.beta * torch.stack(squares).sum()
        return loss


def build(own: VectorConfig, seed: int) -> VectorNet:
    """A codec with random weights."""
    return VectorNet(own, seed)


def begin(net: VectorNet, data: ImageFolder, crop: int, seed: int) -> None:
    """A new run starts from random weights."""


def adopt(net: Codec, own: VectorConfig, seed: int) -> None:
    """Go on with the networks of another run: the second stage with a new quantizer."""
    assert isinstance(net, VectorNet)
    net.own = own
    if own.rate.stage == 2:
        net.add_quantizer(seed)
    else:
        net.quantizer = net.histogram = net.density = None
