"""What every trainable codec is: networks by role, a forward pass with a rate, a loss.

A kind is one subclass; its registry is `intact.train.codecs.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from intact.train.fixed_unit import FixedUnit
from intact.train.gradients import round_through
from intact.train.graph import Conv, Graph
from intact.train.integer import IntegerNetwork
from intact.train.network import Network, Observer
from intact.train.noise import Noise

Rounding = Callable[[Tensor], Tensor]
"""What stands in the place of rounding, with a gradient."""


@dataclass
class Result:
    """What a forward pass gives: bits per pixel of y and z, MSE over 0..255, per image [b]."""

    bpp_y: Tensor
    bpp_z: Tensor
    mse: Tensor
    pixels: Tensor

    @property
    def bpp(self) -> Tensor:
        """Total bits per pixel [b]."""
        return self.bpp_y + self.bpp_z


@dataclass
class Coded:
    """What coding latents gives.

    Attributes:
        bits_y: of each latent, [b, h, w, M].
        bits_z: of each hyper-latent, [b, h / 4, w / 4, N], rounded up.
        pixels: that are decoded, float [b, 16 h, 16 w, 3], not rounded, about 0..255.
    """

    bits_y: Tensor
    bits_z: Tensor
    pixels: Tensor


def result_of(image: Tensor, bits_y: Tensor, bits_z: Tensor, pixels: Tensor) -> Result:
    """A result of bits per element, and of pixels [b, h, w, 3] as they were decoded."""
    area, dims = image.shape[1] * image.shape[2], (1, 2, 3)
    mse = (pixels - image.float()).square().mean(dims)
    return Result(bits_y.sum(dims) / area, bits_z.sum(dims) / area, mse, pixels)


def float_networks(graphs: Mapping[str, Graph], seed: int) -> dict[str, nn.Module]:
    """Float networks with random weights, by role."""
    generator = torch.Generator().manual_seed(seed)
    return {name: Network(graph, generator) for name, graph in graphs.items()}


def leading(x: Tensor, k: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the first k channels of x [..., c]."""
    return torch.cat([change(x[..., :k]), x[..., k:]], -1) if k else x


class Codec(nn.Module):
    """A codec in training.

    Args:
        own: the sections of the configuration that are its kind's own.
        networks: by role; `Network` or `IntegerNetwork` each.

    Attributes:
        KIND: what ``codec.kind`` calls it.
        UNDRAWN: parts (`intact.train.codecs.task.parts_of`) whose gradients do not come from the
            picture: where these alone are trained, it need not be drawn.
        CAN_ROUND: it heeds ``rounded``.
        rounded: the rate is that of latents as they are rounded, noise or not.
    """

    KIND: ClassVar[str]
    UNDRAWN: ClassVar[frozenset[str]] = frozenset()
    CAN_ROUND: ClassVar[bool] = False
    rounded: bool = False

    def __init__(self, own: Any, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.own = own
        self.networks = nn.ModuleDict(dict(networks))

    def network(self, name: str) -> Network:
        """A transform by name; an integer one has the same methods."""
        return cast(Network, self.networks[name])

    @property
    def is_integer(self) -> bool:
        """Whether the networks compute in integers."""
        return all(isinstance(n, IntegerNetwork) for n in self.networks.values())

    @property
    def converts(self) -> bool:
        """Whether freezing first makes float networks integer (`intact.train.convert`)."""
        return not self.is_integer

    def make_integer(self) -> None:
        """Replace the networks by integer ones of the same graphs, all zero, to be filled."""
        for name in self.networks:
            self.networks[name] = IntegerNetwork(self.network(name).graph, FixedUnit())

    def set_compute_dtype(self, dtype: torch.dtype) -> None:
        """Choose the precision of the branches."""
        for name in self.networks:
            self.network(name).compute_dtype = dtype

    def slow_parameters(self) -> list[nn.Parameter]:
        """Weights that want a smaller learning rate."""
        return []

    def before(self, step: int, crops: Callable[[int], Tensor]) -> None:
        """Change buffers before a step.

        Args:
            step: its number.
            crops: gives batch number i of some that no step trains on, uint8 [b, h, w, 3].
        """

    def after(self, step: int) -> None:
        """Change buffers after a step's weights were updated."""

    def watched(self) -> dict[str, Tensor]:
        """Scalars of the last forward pass to look at, besides rate and distortion."""
        return {}

    def step(self, t: Tensor) -> Tensor:
        """Quantization step [b] of levels [b] in [-1, 1]."""
        raise NotImplementedError

    def code(
        self,
        y: Tensor,
        t: Tensor,
        noise: Noise | None = None,
        *,
        rounding: Rounding = round_through,
        place: tuple[int, int] = (0, 0),
        observers: Mapping[str, Observer] | None = None,
    ) -> Coded:
        """Code latents: all but the analysis. Kinds whose latents can be refined have it.

        Args:
            y: latents [b, h, w, M] in real units.
            t: level per image [b], in [-1, 1].
            noise: the rate is that of latents with noise; without, of latents as they are rounded.
            rounding: of latents, in units of the step.
            place: row and column of the first latent in its image, both even.
            observers: of the networks' convolutions, by role.
        """
        raise NotImplementedError

    def forward(
        self,
        image: Tensor,
        t: Tensor,
        noise: Noise | None,
        *,
        hard: bool = False,
        observers: Mapping[str, Observer] | None = None,
    ) -> Result:
        """Code a batch.

        Args:
            image: uint8 [b, h, w, 3], sides multiples of the kind's.
            t: level per image [b], in [-1, 1].
            noise: of the rate; needed unless ``hard``.
            hard: round everything, as at inference, instead of adding noise to the rate.
            observers: of the networks' convolutions, by role.
        """
        raise NotImplementedError

    def rate(self, image: Tensor, t: Tensor, noise: Noise) -> Result:
        """What `forward` gives of the rate; the picture may be missing, and its error no number.

        Args:
            image: uint8 [b, h, w, 3], see `forward`.
            t: level per image [b], in [-1, 1].
            noise: of the rate.
        """
        return self(image, t, noise)

    def loss(
        self, result: Result, t: Tensor, distortion: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """The mean over the batch of rate and distortion.

        Args:
            result: of a forward pass.
            t: level per image [b].
            distortion: per image [b], in squared gray levels (`intact.train.losses.distortion`).
            weight: of each image [b]; all 1 by default.
        """
        raise NotImplementedError


def direct_parameters(codec: Codec) -> list[nn.Parameter]:
    """Weights of analysis and synthesis that write into pixels or latents directly.

    Neighboring pixels are correlated, so a step of Adam (the same size for every weight) in
    these adds up over hundreds of inputs to gray levels: they want a smaller rate.
    """
    found = []
    for name in ("analysis", "synthesis"):
        network = codec.network(name)
        for node in network.graph.nodes:
            if isinstance(node, Conv) and node.activation in ("stream", "latent"):
                found += [network.get(node.target, k) for k in ("weight", "bias", "slope")]
    return found
