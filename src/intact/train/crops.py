"""Where training crops lie, and how they are cut out: on the host, or from pixels on a device.

What a crop is depends on (seed, step, index) and the images alone. It is decided on the host, in a
few numbers (`Place`); cutting follows them and decides nothing, so that both ways give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from intact.train.synthetic import training_crop


@dataclass(frozen=True)
class Place:
    """What a crop is cut from, and how.

    Attributes:
        image: its number.
        top: first row.
        left: first column.
        mirrored: left and right are exchanged.
        transposed: then rows and columns are.
        contrast: how much is left of each pixel's difference from the mean; 1: all.
        pixels: uint8 [size, size, 3] where the crop is a synthetic one, and nothing is cut.
    """

    image: int = 0
    top: int = 0
    left: int = 0
    mirrored: bool = False
    transposed: bool = False
    contrast: float = 1.0
    pixels: np.ndarray | None = None


class Source:
    """Images, and synthetic ones.

    Args:
        images: uint8 [h, w, 3] each. A larger image has more to show: each is drawn as often as its
            area asks for.
        synthetic: uint8 [h, w, 3] each, drawn equally often; empty: such crops are made anew, by
            `intact.train.synthetic`.
    """

    def __init__(self, images: list[np.ndarray], synthetic: list[np.ndarray] | None = None) -> None:
        self.images, self.num_real = [*images, *(synthetic or [])], len(images)
        areas = np.array([i.shape[0] * i.shape[1] for i in images], np.float64)
        self._until = np.cumsum(areas / areas.sum())

    def place(
        self, size: int, rng: np.random.Generator, *, flat: float = 0.0, synthetic: float = 0.0
    ) -> Place:
        """Draw a crop.

        Args:
            size: its side in pixels.
            rng: decides everything.
            flat: share of crops whose contrast is taken away, half of these altogether. Photographs
                hardly ever show a plain area as large as a crop, screenshots and scans do.
            synthetic: share of synthetic crops, which are neither turned nor lose their contrast.
        """
        # Drawn only when asked for: the crops of runs without it stay what they were.
        if synthetic and rng.random() < synthetic:
            return self.synthetic(size, rng)
        at = int(np.searchsorted(self._until, rng.random(), "right"))
        place = self._corner(min(at, self.num_real - 1), size, rng)
        mirrored, transposed = bool(rng.integers(2)), rng.integers(4) == 0
        contrast = 1.0
        if rng.random() < flat:
            contrast = max(0.0, rng.uniform(-1, 1)) ** 2
        return Place(place.image, place.top, place.left, mirrored, bool(transposed), contrast)

    def synthetic(self, size: int, rng: np.random.Generator) -> Place:
        """Draw a synthetic crop; see `place`."""
        if self.num_real == len(self.images):
            return Place(pixels=training_crop(size, rng))
        return self._corner(int(rng.integers(self.num_real, len(self.images))), size, rng)

    def _corner(self, number: int, size: int, rng: np.random.Generator) -> Place:
        height, width = self.images[number].shape[:2]
        top = int(rng.integers(height - size + 1))
        return Place(number, top, int(rng.integers(width - size + 1)))

    def cut(self, place: Place, size: int) -> np.ndarray:
        """uint8 [size, size, 3]."""
        if place.pixels is not None:
            return place.pixels
        image = self.images[place.image]
        crop = image[place.top : place.top + size, place.left : place.left + size]
        if place.mirrored:
            crop = crop[:, ::-1]
        if place.transposed:
            crop = crop.transpose(1, 0, 2)
        if place.contrast == 1:
            return crop
        mean = crop.mean((0, 1))
        return np.rint(mean + place.contrast * (crop - mean)).astype(np.uint8)


class OnDevice:
    """The pixels of a source on a device, from which crops are gathered without the host's help.

    Args:
        source: whose images are copied; 3 bytes per pixel of the device's memory.
        device: where to.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        areas = [image.shape[0] * image.shape[1] for image in source.images]
        self._starts = np.cumsum([0, *areas[:-1]])
        self._widths = [image.shape[1] for image in source.images]
        self._pixels = torch.empty((sum(areas), 3), dtype=torch.uint8, device=device)
        for image, start in zip(source.images, self._starts.tolist(), strict=True):
            flat = torch.from_numpy(np.array(image)).flatten(0, 1)  # a copy, which may be written
            self._pixels[start : start + len(flat)] = flat.to(device)

    def cut(self, places: Sequence[Place], size: int) -> Tensor:
        """uint8 [n, size, size, 3] on the device; what `Source.cut` gives for each place.

        Where contrast is taken away a value may differ by one: the mean is a float32 here.
        """
        device = self._pixels.device
        steps = np.zeros((len(places), 3), np.int64)  # of the first pixel, per row, per column
        for k, place in enumerate(places):
            width = self._widths[place.image]
            first = self._starts[place.image] + place.top * width + place.left
            across = -1 if place.mirrored else 1
            first += size - 1 if place.mirrored else 0
            steps[k] = (first, across, width) if place.transposed else (first, width, across)
        first, down, across = torch.from_numpy(steps).to(device)[:, :, None, None].unbind(1)
        count = torch.arange(size, device=device)
        out = self._pixels[first + down * count[:, None] + across * count]
        for k, place in enumerate(places):
            if place.pixels is not None:
                out[k] = torch.from_numpy(np.array(place.pixels)).to(device)
            elif place.contrast != 1:
                mean = out[k].float().mean((0, 1))
                faded = mean + place.contrast * (out[k].float() - mean)
                out[k] = faded.round().to(torch.uint8)
        return out
