"""Training images and crops: every crop is a function of (seed, step), nothing needs saving."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


class ImageFolder:
    """All images below some folders, decoded into memory as uint8 RGB.

    Args:
        folders: searched recursively, in sorted order.
        crop: images with a side below this are left out.
        limit: at most this many images.

    Raises:
        ValueError: no image is large enough.
    """

    def __init__(self, folders: list[Path], crop: int, limit: int | None = None) -> None:
        paths = sorted(
            p for folder in folders for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES
        )
        self.images: list[np.ndarray] = []
        for path in paths[:limit]:
            with Image.open(io.BytesIO(path.read_bytes())) as image:
                if min(image.size) >= crop:
                    self.images.append(np.asarray(image.convert("RGB")))
        if not self.images:
            raise ValueError(f"no image of at least {crop}x{crop} pixels in {folders}")
        area = np.array([i.shape[0] * i.shape[1] for i in self.images], np.float64)
        self.weights = area / area.sum()

    def crops(
        self, count: int, size: int, seed: int, step: int, *, flat: float = 0.0
    ) -> np.ndarray:
        """uint8 [count, size, size, 3]: random crops, flipped and transposed at random.

        Args:
            count: how many.
            size: their side in pixels.
            seed: with ``step`` decides everything.
            step: see ``seed``.
            flat: share of crops whose contrast is taken away, half of these altogether. Photographs
                hardly ever show a plain area as large as a crop, screenshots and scans do.
        """
        rng = np.random.default_rng((seed, step))
        out = np.empty((count, size, size, 3), np.uint8)
        for k, i in enumerate(rng.choice(len(self.images), count, p=self.weights)):
            image = self.images[i]
            y = rng.integers(image.shape[0] - size + 1)
            x = rng.integers(image.shape[1] - size + 1)
            crop = image[y : y + size, x : x + size]
            if rng.integers(2):
                crop = crop[:, ::-1]
            if rng.integers(4) == 0:
                crop = crop.transpose(1, 0, 2)
            out[k] = crop
            # Drawn only when asked for: the crops of runs without it stay what they were.
            if flat and rng.random() < flat:
                contrast = max(0.0, rng.uniform(-1, 1)) ** 2
                mean = crop.mean((0, 1))
                out[k] = np.rint(mean + contrast * (crop - mean)).astype(np.uint8)
        return out
