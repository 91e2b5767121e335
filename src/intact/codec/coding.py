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
from intact.container.image_file import ImageFile, ImageHeader
from intact.errors import CorruptDataError

Coded = tuple[tuple[bytes, ...], np.ndarray, np.ndarray]
"""Payloads, colors and latents; see `encode_colors`."""


def size_of(coded: Coded) -> int:
    """Bytes of the payloads."""
    return sum(map(len, coded[0]))


def encode_colors(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    colors: np.ndarray,
    header: ImageHeader,
    enter: Callable[[str], None] = lambda _: None,
) -> Coded:
    """Payloads, one per tile; what they decode to: uint8 [h, w, 1 or 3]; and the latents.

    Args:
        networks: what runs.
        bottleneck: of the model.
        colors: uint8 [h, w, 1 or 3].
        header: of the file to be; its checksum does not count.
        enter: called with the name of a stage that is no network's, as it begins.
    """
    pixels = px.to_network(colors, bottleneck.LATENT_PX)
    # The latents have no name here: who codes them lets go of them.
    return encode_latents(
        networks,
        bottleneck,
        networks.run("analysis", {"pixels": pixels}, header.level)["y"],
        header,
        enter,
    )


def encode_latents(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    y: np.ndarray,
    header: ImageHeader,
    enter: Callable[[str], None] = lambda _: None,
) -> Coded:
    """The same from latents int16 [h, w, M] that are not quantized yet."""
    level, layout = header.level, Layout(header.latent_shape, header.tile_log2)
    plan = bottleneck.plan(networks, y, level, layout)
    enter("entropy coding")
    payloads = bottleneck.encode(plan, layout)
    latents = plan.latents
    del y, plan  # a quarter of the peak at 24 megapixels
    out = networks.run("synthesis", {"y": latents}, level)["pixels"]
    out = out[: header.height, : header.width]
    return payloads, px.from_network(out, header.mode, gray=header.gray), latents


def decode_latents(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    file: ImageFile,
    window: Window,
    coder: Backend | None = None,
) -> tuple[np.ndarray, Window]:
    """int16 [h, w, M]: the latents that a window of pixels needs, and where they lie.

    Args:
        networks: what runs.
        bottleneck: of the model.
        file: whose payloads are decoded.
        window: of pixels.
        coder: of entropy; the fastest one here when None.

    Raises:
        CorruptDataError: a payload is damaged, or the file says another size of latents or another
            profile than its model.
    """
    header, side = file.header, bottleneck.LATENT_PX
    if (header.latent_px, header.profile.name.lower()) != (side, bottleneck.profile):
        raise CorruptDataError(
            f"the file says latents of {header.latent_px} pixels, profile "
            f"{header.profile.name.lower()}; its model: {side} pixels, {bottleneck.profile}"
        )
    layout = Layout(header.latent_shape, header.tile_log2)
    needed = window.shrink(side).grow(networks.reach("synthesis")["y"], 1, layout.shape)
    latents, outer = bottleneck.decode(networks, file.tiles, header.level, layout, needed, coder)
    return np.ascontiguousarray(latents[needed.within(outer)]), needed


def synthesize(
    networks: Networks, header: ImageHeader, latents: np.ndarray, place: Window, window: Window
) -> np.ndarray:
    """uint8 [h, w, 1 or 3]: the colors of a window of pixels, of the latents in ``place``."""
    out = networks.run("synthesis", {"y": latents}, header.level)["pixels"]
    top, left = place.top * header.latent_px, place.left * header.latent_px
    inside = window.within(Window(top, left, top + out.shape[0], left + out.shape[1]))
    return px.from_network(out[inside], header.mode, gray=header.gray)


def decode_colors(
    networks: Networks,
    bottleneck: Bottleneck[Any],
    file: ImageFile,
    window: Window,
    coder: Backend | None = None,
) -> np.ndarray:
    """uint8 [h, w, 1 or 3]: the colors of a window of pixels; see `decode_latents`."""
    latents, place = decode_latents(networks, bottleneck, file, window, coder)
    return synthesize(networks, file.header, latents, place, window)
