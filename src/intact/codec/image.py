"""Images to files and back: what `intact.encode` and `intact.decode` are.

    image --analyze--> latents --code--> payloads --pack--> file

The encoder runs the decoder's half too: the file carries a checksum of the pixels that it decodes
to. A decoder that comes to other pixels says so; it never returns them. A part of an image
cannot be tested against the checksum, which is over the whole.
"""

from __future__ import annotations

import logging
import math
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intact.bits.fast import Backend
from intact.bottleneck.grid import Layout, Window
from intact.codec import alpha, arguments, foreign, pixels as px
from intact.codec.coding import decode_colors, encode_colors
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.store import find_model, load_model
from intact.container import chunks
from intact.container.image_file import (
    ImageFile,
    ImageHeader,
    Mode,
    pack_image,
    unpack_image,
)
from intact.container.limits import MAX_METADATA_BYTES, MAX_PIXELS, MAX_THREADS, MAX_TILE_LOG2
from intact.errors import (
    ArgumentError,
    CorruptDataError,
    ModelNotFoundError,
    NotExactError,
    UnsupportedError,
)
from intact.intnet.backends import choose

log = logging.getLogger(__name__)

DEFAULT_QUALITY = 50.0
REFERENCE_PIXELS = 1 << 20
"""Larger images are not decoded by the reference where no second backend disagrees with the first:
it takes fifty times as long, and eight bytes for each integer."""
_CHUNKS = {
    "cicp": chunks.CICP,
    "exif": chunks.EXIF,
    "icc_profile": chunks.ICC,
    "xmp": chunks.XMP,
}


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


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 [h, w] for L, else [h, w, c].
        mode: "L", "LA", "RGB" or "RGBA".
        exif: a TIFF structure as found in the file, or b"".
        icc_profile: or b"".
        xmp: or b"".
        cicp: four bytes of ITU-T H.273 that say what the colors mean, or b"": primaries, transfer,
            matrix (0), full range. It goes before a profile.
        level: the quality level.
        model_name: of the model.
    """

    pixels: np.ndarray
    mode: str
    exif: bytes = b""
    icc_profile: bytes = b""
    xmp: bytes = b""
    cicp: bytes = b""
    level: int = 0
    model_name: str = ""


@dataclass(frozen=True)
class Runtime:
    """How to compute; never what.

    Attributes:
        backend: "auto", "native", "numpy", "torch" or "reference".
        threads: 0 takes all cores that this process may use.
        progress: called with the name of each stage as it begins.
    """

    backend: str = "auto"
    threads: int = 0
    progress: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        arguments.choice("backend", self.backend, ("auto", *choose.NAMES))
        object.__setattr__(self, "threads", arguments.threads(self.threads))  # NumPy's are narrow
        arguments.progress(self.progress)

    def networks(
        self, model: Model, num_pixels: int, roles: tuple[str, ...] | None = None
    ) -> Networks:
        """A model's programs of these roles (all by default), ready to run."""
        threads = self.threads or min(_num_cores(), MAX_THREADS)
        return Networks(model, num_pixels, self.backend, threads, roles, self.progress)


def _num_cores() -> int:
    """Cores that this process may use: containers and batch systems grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Encoder:
    """One image, analyzed again for each level that is asked for.

    Args:
        image: uint8 [h, w], [h, w, 1..4], a Pillow image, or a `Source`.
        model: the codec.
        metadata: "exif", "icc_profile", "xmp", "cicp"; what is missing is taken from the image, b""
            drops.
        runtime: how to compute.
        embed_model: put the model into the file, which then needs nothing else to decode.
    """

    def __init__(
        self,
        image: Any,
        model: Model,
        metadata: Mapping[str, bytes | None] | None = None,
        runtime: Runtime | None = None,
        *,
        embed_model: bool = False,
    ) -> None:
        self.embed_model = arguments.flag("embed_model", embed_model)
        given = arguments.metadata(metadata)
        if not isinstance(image, px.Source):
            arguments.image(image)
        self.source, self.model = px.from_image(image), model
        self.height, self.width = self.source.color.shape[:2]
        if self.height * self.width > MAX_PIXELS:
            raise ArgumentError(f"{self.width}x{self.height} pixels, at most {MAX_PIXELS} in all")
        self.networks = (runtime or Runtime()).networks(model, self.height * self.width)
        found = dict(self.source.metadata)
        if "icc_profile" in given:  # whoever says what the colors mean says all of it
            found.pop("cicp", None)
        self.metadata = foreign.bare({**found, **given})
        for key, piece in self.metadata.items():
            if len(piece) > MAX_METADATA_BYTES:
                raise UnsupportedError(
                    f"{key} has {len(piece)} bytes, a file holds at most {MAX_METADATA_BYTES}"
                )

    def encode(self, level: int) -> Encoded:
        """Encode at a level (an index into the model's levels)."""
        level = arguments.integer("level", level, 0, len(self.model.levels) - 1)
        source = self.source
        h, w = self.height, self.width
        bottleneck, enter = self.model.bottleneck, self.networks.enter
        layout = Layout(Window(0, 0, h, w).shrink(bottleneck.LATENT_PX).shape, MAX_TILE_LOG2)
        payloads, decoded = encode_colors(
            self.networks, bottleneck, source.color, source.mode, level, layout, enter
        )
        extra = []
        if source.alpha is not None:
            decoded = np.dstack([decoded, source.alpha])
            extra.append(chunks.Chunk(chunks.ALPHA, alpha.pack_alpha(source.alpha)))
        extra += [chunks.Chunk(_CHUNKS[k], self.metadata[k]) for k in _CHUNKS if k in self.metadata]
        if self.embed_model:
            extra.append(chunks.Chunk(chunks.MODEL, self.model.to_bytes()))
        extra.sort(key=lambda chunk: chunk.type)
        header = ImageHeader(
            model_id=self.model.id,
            mode=source.mode,
            level=level,
            width=w,
            height=h,
            pixel_crc=_checksum(decoded),
            tile_log2=layout.tile_log2,
        )
        data = pack_image(ImageFile(header, payloads, tuple(extra)))
        return Encoded(data, level, decoded, source.note)

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
        used, pixels = self.networks.backend.name, self.height * self.width
        networks = self._other_networks()
        if networks is None:
            raise UnsupportedError(f"no second backend here for {pixels} pixels")
        other = networks.backend.name
        self.networks.enter(f"checking with {other}")
        # Not `decode`, which asks others where two backends differ: one of them is ours.
        window = Window(0, 0, self.height, self.width)
        coder: Backend | None = "python" if used == "native" else None
        file = unpack_image(encoded.data)
        attempt = _attempt(file, networks, window, file.header.pixel_crc, coder)
        if attempt.error is not None or not np.array_equal(attempt.pixels, encoded.pixels):
            raise NotExactError(f"what backend {used} encoded, {other} decodes to other pixels")
        return other

    def _other_networks(self) -> Networks | None:
        """The decoder's programs on another backend than the encoder's, or None."""
        pixels = self.height * self.width
        for name in ("numpy", "native", "torch", "reference"):
            too_slow = name == "reference" and pixels > REFERENCE_PIXELS
            if name not in choose.available() or too_slow:
                continue
            runtime = Runtime(name, self.networks.threads)
            networks = runtime.networks(self.model, pixels, self.model.decoding)
            # One that failed its probes gives way to another, which may be the encoder's.
            if networks.backend.name == name != self.networks.backend.name:
                return networks
        return None

    def psnr(self, encoded: Encoded) -> float:
        """PSNR in dB over the color channels."""
        channels = self.source.mode.color_channels
        error = encoded.pixels[:, :, :channels].astype(np.int32) - self.source.color
        mse = float(np.mean(np.square(error)))
        return float("inf") if mse == 0 else float(10 * np.log10(255**2 / mse))


def search_level(num_levels: int, fits: Callable[[int], bool]) -> int:
    """The highest level for which ``fits`` holds, 0 if none; ``fits`` falls from true to false."""
    low, high = 0, num_levels - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def encode(  # noqa: PLR0913 - keywords with defaults
    image: Any,
    *,
    quality: float = DEFAULT_QUALITY,
    model: str | os.PathLike[str] | Model | None = None,
    metadata: Mapping[str, bytes | None] | None = None,
    embed_model: bool = False,
    check: bool = False,
    backend: str = "auto",
    threads: int = 0,
    progress: Callable[[str], None] | None = None,
) -> bytes:
    """Encode an image into a file; inverse of `decode` up to the loss that ``quality`` allows.

    Args:
        image: uint8 [h, w], [h, w, 1..4], or a Pillow image. What its colors mean is kept, and of
            one that was opened from a file (not turned, cut or converted since) EXIF and XMP. What
            cannot be kept of the former is logged as a warning.
        quality: 0 (smallest) .. 100 (best).
        model: a `Model`, the name of one, or a path; None takes the default.
        metadata: overrides of "exif", "icc_profile", "xmp", "cicp"; b"" drops one.
        embed_model: put the model into the file, which then needs nothing else to decode.
        check: decode with an independent backend, too, before the file is returned; for archives.
        backend: "auto", "native", "numpy", "torch" or "reference": same bytes from each.
        threads: 0 takes all cores, at most 1024; same bytes from any number.
        progress: called with the name of each stage as it begins.

    Returns:
        The file.

    Raises:
        UnsupportedError: 16-bit, floating-point and CMYK images.
        ArgumentError: (a `ValueError`) an argument is out of its range, which the message names; an
            empty or misshapen array.
        TypeError: an argument of another kind: the name of an image instead of an image.
        ModelNotFoundError: there is no such model.
        NotExactError: ``check`` failed: a backend of this machine computes wrong.

    Example:
        >>> import numpy as np
        >>> data = encode(np.full((5, 7, 3), 128, np.uint8))
        >>> decode(data).pixels.shape
        (5, 7, 3)
    """
    arguments.image(image)  # before a model is loaded
    quality = arguments.number("quality", quality, 0, 100)
    arguments.flag("check", check)
    chosen = model if isinstance(model, Model) else load_model(model)
    level = chosen.levels.of_quality(quality)
    runtime = Runtime(backend, threads, progress)
    encoder = Encoder(image, chosen, metadata, runtime, embed_model=embed_model)
    for text in encoder.source.lost:
        log.warning("image: %s", text)
    encoded = encoder.encode(level)
    if check:
        encoder.check(encoded)
    return encoded.data


def decode(  # noqa: PLR0913 - keywords with defaults
    data: bytes | bytearray | memoryview,
    *,
    region: tuple[int, int, int, int] | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    backend: str = "auto",
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str], None] | None = None,
) -> Decoded:
    """Decode a file to the same pixels everywhere; inverse of `encode`.

    Args:
        data: a whole file.
        region: (x, y, width, height) in pixels: only that, equal to the same cut of the whole. The
            pixels' checksum is tested only where the region is the whole.
        model: overrides the search by id; must be the model of the file all the same.
        backend: see `encode`.
        threads: see `encode`.
        max_pixels: larger images are refused.
        progress: called with the name of each stage as it begins.

    Raises:
        TypeError: an argument of another kind: ``data`` is no bytes.
        CorruptDataError: the file is damaged, or its pixels' checksum is not met.
        UnsupportedError: a feature from the future, or an image beyond ``max_pixels``.
        ModelNotFoundError: the file's model is not here; ``model_id`` says which it is.
        ModelError: ``model`` is another one.
        ArgumentError: (a `ValueError`) the region leaves the image, or another argument its range.
    """
    arguments.number("max_pixels", max_pixels, 1, math.inf)
    region = arguments.region(region)
    runtime = Runtime(backend, threads, progress)
    file = unpack_image(arguments.content(data), max_pixels=max_pixels)
    chosen = model_of(file, model)
    if file.header.level >= len(chosen.levels):
        raise CorruptDataError(f"level {file.header.level}, the model has {len(chosen.levels)}")
    window = _pixel_window(file.header, region)
    num_pixels = window.shape[0] * window.shape[1]
    networks = runtime.networks(chosen, num_pixels, chosen.decoding)
    whole = window.shape == (file.header.height, file.header.width)
    check = file.header.pixel_crc if whole else None
    first = _attempt(file, networks, window, check)
    pixels = first.pixels
    if first.error is not None:
        pixels = _second_opinion(file, networks, first, window, check)
    if file.header.mode is Mode.L:
        pixels = pixels[:, :, 0]
    found = {k: file.chunk(v) or b"" for k, v in _CHUNKS.items()}
    return Decoded(
        pixels,
        file.header.mode.name,
        exif=found["exif"],
        icc_profile=found["icc_profile"],
        xmp=found["xmp"],
        cicp=found["cicp"],
        level=file.header.level,
        model_name=chosen.name,
    )


def model_of(file: ImageFile, override: str | os.PathLike[str] | Model | None = None) -> Model:
    """The model of a file: given, found by id, or carried in the file itself.

    Raises:
        ModelError: the override is another model, or the file's is neither here nor in the file.
        CorruptDataError: the model in the file is damaged, or not the file's.
        UnsupportedError: the model in the file is of a later version.
    """
    wanted, embedded = file.header.model_id, file.chunk(chunks.MODEL)
    try:
        return find_model(wanted, override)
    except ModelNotFoundError:
        if override is not None or embedded is None:
            raise
    model = Model.from_bytes(embedded)
    if model.id != wanted:
        raise CorruptDataError(f"the model in the file is {model.id.hex()}, not {wanted.hex()}")
    return model


def _pixel_window(header: ImageHeader, region: tuple[int, int, int, int] | None) -> Window:
    if region is None:
        return Window(0, 0, header.height, header.width)
    x, y, w, h = region
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > header.width or y + h > header.height:
        raise ArgumentError(f"region {region} leaves the image of {header.width}x{header.height}")
    return Window(y, x, y + h, x + w)


def _checksum(pixels: np.ndarray) -> int:
    """CRC-32 of the samples, row by row, channels interleaved."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)


@dataclass(frozen=True)
class _Attempt:
    """What a backend came to: pixels (empty if it got to none), and what is wrong with them."""

    pixels: np.ndarray
    error: CorruptDataError | None = None


def _attempt(
    file: ImageFile,
    networks: Networks,
    window: Window,
    check: int | None,
    coder: Backend | None = None,
) -> _Attempt:
    """As `_decode_pixels`, compared with a checksum where there is one."""
    try:
        pixels = _decode_pixels(file, networks, window, coder)
    except CorruptDataError as error:
        return _Attempt(np.zeros(0, np.uint8), error)
    if check is None or _checksum(pixels) == check:
        return _Attempt(pixels)
    message = "the decoded pixels do not match the file's checksum"
    return _Attempt(pixels, CorruptDataError(message))


def _second_opinion(
    file: ImageFile, networks: Networks, first: _Attempt, window: Window, check: int | None
) -> np.ndarray:
    """Decode again where pixels were wrong although the bytes' checksums were right.

    That is the backend's fault or the file's. NumPy is asked first: if it comes to the very same
    pixels, two independent programs agree, and the file is at fault. Else the reference decides; it
    is fifty times slower, so that a hostile file must not reach it for nothing. Where NumPy was the
    first there is nobody between it and the reference, which then is asked about small images only.
    """
    used = networks.backend.name
    small = window.shape[0] * window.shape[1] <= REFERENCE_PIXELS
    assert first.error is not None
    for name in ("numpy", "reference"):
        if used in (name, "reference") or (used == "numpy" and not small):
            continue
        log.warning("backend %s: %s; decoding again with %s", used, first.error, name)
        networks.enter(f"decoding again with {name}")
        runtime = Runtime(name, networks.threads)
        model = networks.model
        others = runtime.networks(model, file.header.num_pixels, model.decoding)
        other = _attempt(file, others, window, check)
        if other.error is None:
            choose.refuse(used, f"came to other pixels than {name}")
            return other.pixels
        if np.array_equal(other.pixels, first.pixels):
            break
    raise first.error


def _decode_pixels(
    file: ImageFile, networks: Networks, window: Window, coder: Backend | None = None
) -> np.ndarray:
    """uint8 [h, w, c]: the pixels of a window. ``coder`` is the entropy coder's backend."""
    header = file.header
    pixels = decode_colors(networks, networks.model.bottleneck, file, window, coder)
    if header.mode.has_alpha:
        data = file.chunk(chunks.ALPHA)
        if data is None:
            raise CorruptDataError("the alpha plane is missing")
        plane = alpha.unpack_alpha(data, header.height, header.width)
        pixels = np.dstack([pixels, plane[window.slices]])
    return np.ascontiguousarray(pixels)
