"""Training a codec on crops of images: the task that the loop is given (`intact.train.task`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intact.errors import ArgumentError
from intact.train.codecs.codec import Codec
from intact.train.config import Config
from intact.train.crops import OnDevice, Place
from intact.train.data import ImageFolder
from intact.train.losses import distortion
from intact.train.network import Network
from intact.train.noise import Noise
from intact.train.task import Share, Task

LAST_STEP = 2**31 - 1000
"""What is drawn for this step and those before it is no training's."""
SMOOTH = 2
"""Gray levels: see `are_smooth`."""


class ImageTask(Task):
    """A codec, the images it sees, and the loss.

    Args:
        config: the run.
        codec: the network, with its weights.
        data: the images.
    """

    def __init__(self, config: Config, codec: Codec, data: ImageFolder) -> None:
        super().__init__()
        self.config, self.codec, self.data = config, codec, data
        codec.rounded = config.optimizer.rounded
        fine, floats = config.optimizer.fine_streams, 0
        for network in codec.networks.values():
            if isinstance(network, Network):
                network.fine_streams = fine
                floats += 1
        if fine and not floats:
            raise ArgumentError(
                f"optimizer.fine_streams: all networks of this {codec.KIND!r} are integer ones, "
                "which are exact anyway"
            )
        if wanted := config.optimizer.networks:
            choose(codec, wanted)
        if codec.rounded and not codec.CAN_ROUND:
            raise ArgumentError(f"optimizer.rounded: the rate of {codec.KIND!r} cannot be rounded")
        self._drawn = not wanted or not set(wanted) <= codec.UNDRAWN
        self._pixels: OnDevice | None = None

    @property
    def kept(self) -> nn.Module:
        """The codec, with its buffers."""
        return self.codec

    def groups(self) -> list[dict[str, Any]]:
        """The codec's slow weights are a group of their own."""
        slow = [p for p in self.codec.slow_parameters() if p.requires_grad]
        ids = {id(p) for p in slow}
        trained = [p for p in self.codec.parameters() if p.requires_grad]
        quick = [p for p in trained if id(p) not in ids]
        found = [
            {"params": quick, "factor": 1.0},
            {"params": slow, "factor": self.config.optimizer.slow_factor},
        ]
        return [group for group in found if group["params"]]

    def set_precision(self, dtype: torch.dtype) -> None:
        """Of the networks' branches."""
        self.codec.set_compute_dtype(dtype)

    @property
    def notes(self) -> list[str]:
        """Which images are left out or cut."""
        return self.data.notes

    def about(self) -> str:
        """The mixture of losses."""
        return ", ".join(f"{k} {v:.2g}" for k, v in self.config.loss.shares().items())

    def _cut(self, places: list[Place], device: torch.device) -> Tensor:
        """The pixels of crops, uint8 [n, size, size, 3]."""
        size = self.config.data.crop
        if self.config.data.on_device:
            if self._pixels is None:
                self._pixels = OnDevice(self.data.source, device)
            return self._pixels.cut(places, size)
        crops = np.stack([self.data.source.cut(place, size) for place in places])
        return torch.from_numpy(crops).to(device)

    def before(self, step: int) -> None:
        """The codec's business; see `Codec.before`."""
        data, seed = self.config.data, self.config.optimizer.seed
        device = next(self.codec.parameters()).device

        def crops(i: int) -> Tensor:
            places = self.data.places(range(data.batch), data.crop, seed, LAST_STEP - i)
            return self._cut(places, device)

        self.codec.before(step, crops)

    def after(self, step: int) -> None:
        """Likewise."""
        self.codec.after(step)

    def forward(self, step: int, share: Share) -> dict[str, Tensor]:
        """The loss of a step's crops, at random levels; see `Task.forward`."""
        data, seed = self.config.data, self.config.optimizer.seed
        indexes = share.of(data.batch)
        device = next(self.codec.parameters()).device
        places = self.data.places(
            indexes, data.crop, seed, step, flat=data.flat, synthetic=data.synthetic
        )
        image = self._cut(places, device)
        noise = Noise(seed, step, indexes, device)
        t = noise.uniform() * 2 - 1
        result = (self.codec if self._drawn else self.codec.rate)(image, t, noise)
        smooth = are_smooth(image)
        weight = torch.where(smooth, data.smooth_weight, 1.0)
        weight = torch.where(are_flat(image), data.flat_weight, weight)
        distance = torch.zeros_like(t)
        if self._drawn:
            distance = distortion(
                self.config.loss, image.float(), result.pixels, self.codec.step(t), result.mse
            )
            if data.smooth_edges:
                bent = data.smooth_edges * bends(result.pixels - image.float())
                distance = distance + torch.where(smooth, bent, 0.0)
        return {
            "loss": self.codec.loss(result, t, distance, weight),
            "bpp": result.bpp.detach().mean(),
            "bpp_z": result.bpp_z.detach().mean(),
            "mse": result.mse.detach().mean(),
            "distortion": distance.detach().mean(),
            **self.codec.watched(),
        }


def are_flat(image: Tensor) -> Tensor:
    """Bool [b]: which of uint8 pictures [b, h, w, 3] are of one color."""
    pixels = image.flatten(1, 2)
    return pixels.amax(1).eq(pixels.amin(1)).all(1)


def are_smooth(image: Tensor) -> Tensor:
    """Bool [b]: which of uint8 pictures [b, h, w, 3] change slowly everywhere.

    No second difference is larger than what rounding makes of a straight line, or twice that: a
    gradient in 8 bits has some of 1, noise and edges have others.
    """
    x = image.int()
    return torch.stack([
        x.diff(n=2, dim=dim).abs().flatten(1).amax(1) <= SMOOTH for dim in (1, 2)
    ]).all(0)  # fmt: skip


def bends(error: Tensor) -> Tensor:
    """Mean square [b] of the second differences of errors [b, h, w, 3], along rows and columns.

    What is off by as much everywhere has none; what begins at the edge of a block has.
    """
    rows, columns = (error.diff(n=2, dim=dim).square().mean((1, 2, 3)) for dim in (1, 2))
    return rows + columns


def parts_of(codec: Codec) -> dict[str, list[nn.Parameter]]:
    """The weights of a codec by what they belong to: a network, a density, steps."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, parameter in codec.named_parameters():
        part = name.removeprefix("networks.").split(".")[0]
        found.setdefault(part, []).append(parameter)
    return found


def choose(codec: Codec, wanted: tuple[str, ...]) -> None:
    """Let some parts of a codec alone be trained (`parts_of`).

    Raises:
        ArgumentError: there is no part of a name.
    """
    parts = parts_of(codec)
    for name in wanted:
        if name not in parts:
            raise ArgumentError(
                f"optimizer.networks names {name!r}; this codec has {', '.join(parts)}"
            )
    for name, parameters in parts.items():
        for parameter in parameters:
            parameter.requires_grad_(name in wanted)
