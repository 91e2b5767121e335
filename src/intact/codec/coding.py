"""Colors through networks and bottleneck, both ways. Whatever runs the networks; no files here.

colors --analysis--> latents --bottleneck--> payloads --bottleneck--> latents --synthesis--> colors
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intact.bits.fast import Backend
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.kind import Bottleneck, Networks
from intact.codec import pixels as px
from intact.container.image_file import ImageFile, Mode


def encode_colors(  # noqa: PLR0913 - the last one is for people alone
    networks: Networks,
    bottleneck: Bottleneck[Any],
    colors: np.ndarray,
    mode: Mode,
    level: int,
    layout: Layout,
    enter: Callable[[str], None] = lambda _: None,
) -> tuple[tuple[bytes, ...], np.ndarray]:
    """Payloads, one per tile, and what they decode to: uint8 [h, w, 1 or 3].

    Args:
        networks: what runs.
        bottleneck: of the model.
        colors: uint8 [h, w, 1 or 3].
        mode: of the image.
        level: index into the model's levels.
        layout: of the image's latents.
        enter: called with the name of a stage that is no network's, as it begins.
    """
    height, width = colors.shape[:2]
    pixels = px.to_network(colors, bottleneck.LATENT_PX)
    y = networks.run("analysis", {"pixels": pixels}, level)["y"]
    plan = bottleneck.plan(networks, y, level, layout)
    enter("entropy coding")
    payloads = bottleneck.encode(plan, layout)
    latents = plan.latents
    del y, plan  # a quarter of the peak at 24 megapixels
    out = networks.run("synthesis", {"y": latents}, level)["pixels"]
    return payloads, px.from_network(out[:height, :width], mode)


def decode_colors(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    file: ImageFile,
    window: Window,
    coder: Backend | None = None,
) -> np.ndarray:
    """uint8 [h, w, 1 or 3]: the colors of a window of pixels.

    Args:
        networks: what runs.
        bottleneck: of the model.
        file: whose payloads are decoded.
        window: of pixels.
        coder: of entropy; the fastest one here when None.

    Raises:
        CorruptDataError: a payload is damaged.
    """
    header, side = file.header, bottleneck.LATENT_PX
    layout = Layout(header.latent_shape, header.tile_log2)
    needed = window.shrink(side).grow(networks.reach("synthesis")["y"], 1, layout.shape)
    latents, outer = bottleneck.decode(networks, file.tiles, header.level, layout, needed, coder)
    latents = np.ascontiguousarray(latents[needed.within(outer)])
    out = networks.run("synthesis", {"y": latents}, header.level)["pixels"]
    top, left = needed.top * side, needed.left * side
    place = window.within(Window(top, left, top + out.shape[0], left + out.shape[1]))
    return px.from_network(out[place], header.mode)
