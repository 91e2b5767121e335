"""Training a codec on crops of images: the task that the loop is given (`intact.train.task`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intact.train.codecs.codec import Codec
from intact.train.config import Config
from intact.train.crops import OnDevice, Place
from intact.train.data import ImageFolder
from intact.train.losses import distortion
from intact.train.noise import Noise
from intact.train.task import Share, Task

LAST_STEP = 2**31 - 1000
"""What is drawn for this step and those before it is no training's."""


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
        self._pixels: OnDevice | None = None

    @property
    def kept(self) -> nn.Module:
        """The codec, with its buffers."""
        return self.codec

    def groups(self) -> list[dict[str, Any]]:
        """The codec's slow weights are a group of their own."""
        slow = self.codec.slow_parameters()
        ids = {id(p) for p in slow}
        quick = [p for p in self.codec.parameters() if id(p) not in ids]
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
        result = self.codec(image, t, noise)
        flat = image.flatten(1, 2).amax(1).eq(image.flatten(1, 2).amin(1)).all(1)
        weight = torch.where(flat, data.flat_weight, 1.0)
        distance = distortion(
            self.config.loss, image.float(), result.pixels, self.codec.step(t), result.mse
        )
        return {
            "loss": self.codec.loss(result, t, distance, weight),
            "bpp": result.bpp.detach().mean(),
            "bpp_z": result.bpp_z.detach().mean(),
            "mse": result.mse.detach().mean(),
            "distortion": distance.detach().mean(),
            **self.codec.watched(),
        }
