"""A run small enough for a test: three pictures of large squares, the smallest networks."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def small_run(tmp_path):
    """Settings of a run below the test's folder; ``crop`` decides how large its pictures are."""

    def settings(crop: int, *more: str) -> list[str]:
        rng = np.random.default_rng(7)
        (tmp_path / "images").mkdir()
        cells = (crop // 8 + 2, crop // 8 + 4, 3)
        for i in range(3):
            pixels = rng.integers(0, 256, cells).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        return [
            f'data.folders=["{tmp_path / "images"}"]', f"data.crop={crop}",
            "transform.blocks_analysis=1", "transform.blocks_synthesis=1", "transform.latents=16",
            "transform.hyper_latents=4", "transform.features=8", "transform.blocks_context=1",
            "optimizer.precision=float32", "output.checkpoint_every=1",
            f'output.folder="{tmp_path / "run"}"', *more,
        ]  # fmt: skip

    return settings
