"""The analysis twice: what a first pass loses is added to the picture before a second one.

    pixels --analysis--> y --synthesis--> found
    pixels + share (pixels - found) --analysis--> y

Tukey's twicing (Exploratory Data Analysis, 1977, chapter 16), for an encoder: the synthesis is the
smoother. A decoder knows nothing of it. All of it is integers and IEEE quotients: of an exact model
the file is the same on every machine. docs/decisions/0037 has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intact.bottleneck.kind import Bottleneck, Networks
from intact.codec import pixels as px
from intact.codec.coding import Coded, encode_latents, size_of
from intact.container.image_file import ImageHeader

FROM_QUALITY = 60
"""Below its level what the analysis drops is what the level can do without (0037)."""
NATURAL = 0.27
"""Share of a file's squared error that stands before anything is quantized, where twicing has
nothing to mend: rates fall by it, on purpose. What is above it is lost in vain."""
SLOPE, MOST = 2.5, 0.7
"""What is added again, by the share above `NATURAL`; and at most."""
SLAB = 64
"""Rows at a time, for memory's sake."""


def encode_twice(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    colors: np.ndarray,
    header: ImageHeader,
    enter: Callable[[str], None] = lambda _: None,
    tell: Callable[[Coded, np.ndarray], object] = lambda *_: None,
) -> Coded:
    """As `intact.codec.coding.encode_colors`; the better one of one pass and of two.

    The better one has the smaller product of size and squared error.

    Args:
        networks: what runs.
        bottleneck: of the model.
        colors: uint8 [h, w, 1 or 3].
        header: of the file to be.
        enter: called with stages.
        tell: called with what a pass comes to and its latents int16 [h, w, M], not quantized.
    """
    from intact.measure.psnr import mse  # not needed to encode once

    pixels, level = px.to_network(colors, bottleneck.LATENT_PX), header.level
    y = networks.run("analysis", {"pixels": pixels}, level)["y"]
    found = None
    if is_twiced(bottleneck, level):
        found = networks.run("synthesis", {"y": y}, level)["pixels"]
    once = encode_latents(networks, bottleneck, y, header, enter)
    tell(once, y)
    del y  # here and below: a tenth of the peak at 24 megapixels
    if found is None:
        return once
    unquantized = found[: header.height, : header.width]
    unquantized = px.from_network(unquantized, header.mode, gray=header.gray)
    share = share_of(mse(colors, unquantized), mse(colors, once[1]))
    del unquantized
    if not share:
        return once
    pixels = boosted(pixels, found, share)
    del found
    y = networks.run("analysis", {"pixels": pixels}, level)["y"]
    del pixels
    twice = encode_latents(networks, bottleneck, y, header, enter)
    tell(twice, y)

    def cost(coded: Coded) -> float:
        return size_of(coded) * mse(colors, coded[1])

    return min(once, twice, key=cost)


def is_twiced(bottleneck: Bottleneck[Any], level: int) -> bool:
    """Whether a second pass is worth a try: at fine levels, of analyses that give latents.

    An analysis may also give what is decided by (`intact.bottleneck.vector`, "largest"), of which
    nothing can be drawn.
    """
    roles = {role.name: role for role in bottleneck.roles}
    drawn = roles["analysis"].outputs == roles["synthesis"].inputs
    return drawn and level >= bottleneck.levels.of_quality(FROM_QUALITY)


def share_of(lost: float, wrong: float) -> int:
    """How much of what is lost is added to the picture, in 256ths, 0..179.

    Args:
        lost: squared error of the picture that unquantized latents make.
        wrong: squared error of the file's.
    """
    if not wrong:
        return 0
    return int(256 * min(max(SLOPE * (lost / wrong - NATURAL), 0.0), MOST))


def boosted(pixels: np.ndarray, found: np.ndarray, share: int) -> np.ndarray:
    """int8 [h, w, 3]: pixels with what another picture of them lacks, rounded and saturated.

    Args:
        pixels: int8 [h, w, 3].
        found: int8 [h, w, 3], what became of them.
        share: of the difference, in 256ths.
    """
    result = np.empty_like(pixels)
    for top in range(0, len(pixels), SLAB):
        rows = slice(top, top + SLAB)
        more = np.subtract(pixels[rows], found[rows], dtype=np.int32)
        more *= share
        more += 128
        more >>= 8
        more += pixels[rows]
        result[rows] = more.clip(-128, 127, out=more)
    return result
