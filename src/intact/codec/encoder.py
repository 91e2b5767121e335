"""The encoder of one image: analyzed and coded again for each level that is asked for.

It runs the decoder's half too: the file carries a checksum of the pixels that it decodes to.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from intact.codec import alpha, arguments, foreign, opinion, pixels as px
from intact.codec.coding import Coded, encode_colors, encode_latents
from intact.codec.model import Model
from intact.codec.runtime import Runtime, num_cores
from intact.codec.twicing import encode_twice
from intact.container import chunks
from intact.container.image_file import ImageFile, ImageHeader, Profile, check_pixels, pack_image
from intact.container.limits import MAX_METADATA_BYTES, MAX_PIXELS, MAX_TILE_LOG2
from intact.errors import ArgumentError, InexactError, UnsupportedError

CHUNKS = {
    "cicp": chunks.CICP,
    "exif": chunks.EXIF,
    "icc_profile": chunks.ICC,
    "xmp": chunks.XMP,
}
"""Chunks of metadata by the names that callers use."""
MOST_EFFORT, REFINED = 3, 2
"""Efforts, and the first one that refines latents."""
APART = 3
"""Levels to either side that say what an error costs."""


@dataclass(frozen=True)
class Encoded:
    """A file and what is known of it.

    Attributes:
        data: the file.
        level: the model's level that was used.
        pixels: what the file decodes to, uint8 [h, w, c] (alpha included).
        note: what was converted on the way in, or "".
    """

    data: bytes
    level: int
    pixels: np.ndarray
    note: str


class Encoder:
    """One image, analyzed again for each level that is asked for.

    Args:
        image: uint8 [h, w], [h, w, 1..4], a Pillow image, or a `Source`.
        model: the codec.
        metadata: "exif", "icc_profile", "xmp", "cicp"; what is missing is taken from the image, b""
            drops.
        runtime: how to compute.
        embed_model: put the model into the file, which then needs nothing else to decode.
        effort: 0..3, how long to look for better latents: from 1 on they are analyzed twice
            (`intact.codec.twicing`), from 2 on refined (`intact.refine`).

    Raises:
        UnsupportedError: an effort from 2 on needs PyTorch, or a model of another kind.
    """

    def __init__(
        self,
        image: px.ImageLike | px.Source,
        model: Model,
        metadata: Mapping[str, bytes | None] | None = None,
        runtime: Runtime | None = None,
        *,
        embed_model: bool = False,
        effort: int = 0,
    ) -> None:
        self.embed_model = arguments.flag("embed_model", embed_model)
        self.effort = arguments.integer("effort", effort, 0, MOST_EFFORT)
        given = arguments.metadata(metadata)
        if not isinstance(image, px.Source):
            arguments.image(image)
        self.source, self.model = px.from_image(image), model
        self.height, self.width = self.source.color.shape[:2]
        if embed_model and not model.is_exact:
            raise InexactError(f"model {model.name!r} is not exact: it does not travel in files")
        self._check_size()
        runtime = runtime or Runtime()
        self.networks = runtime.networks(model, self.height * self.width)
        self.threads = runtime.threads or num_cores()
        self._refine = check_effort(model, self.effort)
        self.gray = px.is_gray(self.source.color)
        found = dict(self.source.metadata)
        if "icc_profile" in given:  # whoever says what the colors mean says all of it
            found.pop("cicp", None)
        self.metadata = foreign.bare({**found, **given})
        for key, piece in self.metadata.items():
            if len(piece) > MAX_METADATA_BYTES:
                raise UnsupportedError(
                    f"{key} has {len(piece)} bytes, a file holds at most {MAX_METADATA_BYTES}"
                )

    def _check_size(self) -> None:
        """Refuse to write what a decoder would refuse to read."""
        side = self.model.bottleneck.LATENT_PX.bit_length() - 1
        header = ImageHeader(
            self.model.id, self.source.mode, 0, self.width, self.height, 0, latent_log2=side
        )
        try:
            check_pixels(header, MAX_PIXELS)
        except UnsupportedError as error:
            raise ArgumentError(str(error)) from None
        if self.embed_model:
            from intact.codec.embedded import check_embedded  # seldom needed

            check_embedded(self.model, header, MAX_PIXELS)

    def header(self, level: int) -> ImageHeader:
        """The header of a file at a level; its checksum is not known yet."""
        bottleneck = self.model.bottleneck
        return ImageHeader(
            model_id=self.model.id,
            mode=self.source.mode,
            level=arguments.integer("level", level, 0, len(self.model.levels) - 1),
            width=self.width,
            height=self.height,
            pixel_crc=0,
            tile_log2=MAX_TILE_LOG2,
            latent_log2=bottleneck.LATENT_PX.bit_length() - 1,
            gray=self.gray,
            profile=Profile[bottleneck.profile.upper()],
        )

    def encode(self, level: int, *, plain: bool = False) -> Encoded:
        """Encode at a level (an index into the model's levels).

        Args:
            level: the level.
            plain: without the effort.
        """
        header, source = self.header(level), self.source
        networks, bottleneck = self.networks, self.model.bottleneck
        rest = networks, bottleneck, source.color, header, networks.enter
        if plain or not self.effort:
            found = encode_colors(*rest)
        elif self._refine is None:
            found = encode_twice(*rest)
        else:
            found = self._refined(header)
        payloads, decoded, latents = found
        extra = []
        if source.alpha is not None:
            decoded = np.dstack([decoded, source.alpha])
            extra.append(chunks.Chunk(chunks.ALPHA, alpha.pack_alpha(source.alpha)))
        extra += [chunks.Chunk(CHUNKS[k], self.metadata[k]) for k in CHUNKS if k in self.metadata]
        if self.embed_model:
            extra.append(chunks.Chunk(chunks.MODEL, self.model.to_bytes()))
        extra.sort(key=lambda chunk: chunk.type)
        crc = opinion.checksum(header.profile, decoded, latents, source.alpha)
        header = replace(header, pixel_crc=crc)
        data = pack_image(ImageFile(header, payloads, tuple(extra)))
        return Encoded(data, header.level, decoded, source.note)

    def _refined(self, header: ImageHeader) -> Coded:
        """The best of latents as they are found, once and twice, and refined.

        By rate and distortion as the model was trained for, at the picture's own exchange rate.
        """
        networks, bottleneck, colors = self.networks, self.model.bottleneck, self.source.color
        assert self._refine is not None
        refiner = self._refine.Refiner(
            self.model, header.level, self.effort, self.threads, networks.enter
        )
        near = max(header.level - APART, 0), min(header.level + APART, len(self.model.levels) - 1)
        if near[0] < near[1]:
            headers = (replace(header, level=level) for level in near)
            refiner.calibrate(
                colors,
                *(encode_colors(networks, bottleneck, colors, h, networks.enter) for h in headers),
            )
        passes: list[tuple[Coded, np.ndarray]] = []
        encode_twice(
            networks, bottleneck, colors, header, networks.enter,
            lambda coded, y: passes.append((coded, y)),
        )  # fmt: skip
        unrefined, y = min(passes, key=lambda found: refiner.cost(colors, found[0]))
        pixels = px.to_network(colors, bottleneck.LATENT_PX)
        y = refiner.refine(pixels, y, colors.shape[:2])
        refined = encode_latents(networks, bottleneck, y, header, networks.enter)
        return min(unrefined, refined, key=lambda coded: refiner.cost(colors, coded))

    def check(self, encoded: Encoded) -> str:
        """Decode a file with another backend than the one that made it, before anybody trusts it.

        The encoder computes the checksum of the pixels with the backend that also makes them: were
        it wrong in both in the same way, only a decoder elsewhere would notice. What native code
        has coded is decoded in Python, entropy coder included.

        Returns:
            The other backend's name.

        Raises:
            NotExactError: it does not come to the encoder's pixels.
            UnsupportedError: no other backend is exact here, or none that is fast enough.
        """
        return opinion.check(encoded.data, encoded.pixels, self.networks)

    def psnr(self, encoded: Encoded) -> float:
        """PSNR in dB over the color channels."""
        from intact.measure.psnr import psnr  # not needed to encode once

        return psnr(self.source.color, encoded.pixels[:, :, : self.source.mode.color_channels])


def check_effort(model: Model, effort: int) -> Any:
    """`intact.refine` where an effort needs it, else None.

    By name and only now: it stands above the line, and needs PyTorch.

    Raises:
        UnsupportedError: PyTorch is not here, or latents of the model's kind cannot be refined.
    """
    if effort < REFINED:
        return None
    try:
        room = importlib.import_module("intact.refine")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "intact":
            raise
        raise UnsupportedError(
            f"an effort above {REFINED - 1} needs {error.name}, which is not installed: "
            "pip install '.[train]' where Intact's source is"
        ) from error
    room.check(model)
    return room
