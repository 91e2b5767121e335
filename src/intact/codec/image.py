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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from intact.bottleneck.grid import Window
from intact.codec import arguments, icc, pixels as px
from intact.codec.encoder import (
    CHUNKS,
    Encoded as Encoded,
    Encoder as Encoder,
)
from intact.codec.model import Model
from intact.codec.opinion import attempt, second_opinion
from intact.codec.runtime import Runtime as Runtime, inexact
from intact.codec.store import find_model, load_model
from intact.codec.target import Target, search
from intact.container import chunks
from intact.container.image_file import ImageFile, ImageHeader, Mode, Profile, unpack_image
from intact.container.limits import MAX_PIXELS
from intact.errors import (
    ArgumentError,
    CorruptDataError,
    ModelNotFoundError,
    NotExactError,
)

log = logging.getLogger(__name__)

DEFAULT_QUALITY = 50.0


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


def encode(  # noqa: PLR0913 - keywords with defaults
    image: px.ImageLike | px.Source,
    *,
    quality: float = DEFAULT_QUALITY,
    target: Target | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    metadata: Mapping[str, bytes | None] | None = None,
    embed_model: bool = False,
    check: bool = False,
    effort: int = 0,
    allow_inexact: bool = False,
    backend: str = "auto",
    threads: int = 0,
    progress: Callable[[str], None] | None = None,
) -> bytes:
    """Encode an image into a file; inverse of `decode` up to the loss that ``quality`` allows.

    Args:
        image: uint8 [h, w], [h, w, 1..4], or a Pillow image. What its colors mean is kept, and of
            one that was opened from a file (not turned, cut or converted since) EXIF and XMP. What
            cannot be kept of the former is logged as a warning.
        quality: 0 (smallest) .. 100 (best). Of a model with one rate any is the same, which is
            logged once.
        target: instead of a quality, a size or so many dB.
        model: a `Model`, the name of one, or a path; None takes the default.
        metadata: overrides of "exif", "icc_profile", "xmp", "cicp"; b"" drops one.
        embed_model: put the model into the file, which then needs nothing else to decode.
        check: decode with an independent backend, too, before the file is returned; for archives.
        effort: 0..3, how long to look for a better file (docs/cli.md). 1 analyzes the picture
            twice, which takes about twice the time and helps from quality 60 on, most at 100. 2 and
            3 refine latents by gradient descent, for minutes per megapixel, and need PyTorch; their
            floats decide which file is written, not what one decodes to: another machine may write
            another file.
        allow_inexact: take a model that computes in float, too; whether its files decode elsewhere,
            and to what, nobody knows.
        backend: "auto", "native", "numpy", "torch", "onnx" or "reference": same bytes from each.
        threads: 0 takes all cores, at most 1024; same bytes from any number.
        progress: called with the name of each stage as it begins.

    Returns:
        The file.

    Raises:
        UnsupportedError: 16-bit, floating-point and CMYK images; an effort of 2 or 3
            without PyTorch.
        ArgumentError: (a `ValueError`) an argument is out of its range, which the message names; an
            empty or misshapen array.
        TypeError: an argument of another kind: the name of an image instead of an image.
        ModelNotFoundError: there is no such model.
        InexactError: the model computes in float, and ``allow_inexact`` is false.
        NotExactError: ``check`` failed: a backend of this machine computes wrong.
        UnreachableError: no quality meets the target.

    Example:
        >>> import numpy as np
        >>> data = encode(np.full((5, 7, 3), 128, np.uint8))
        >>> decode(data).pixels.shape
        (5, 7, 3)
    """
    if not isinstance(image, px.Source):
        arguments.image(image)  # before a model is loaded
    quality = arguments.number("quality", quality, 0, 100)
    if target is not None and quality != DEFAULT_QUALITY:
        raise ArgumentError("give a quality or a target, not both")
    arguments.flag("check", check)
    chosen = model if isinstance(model, Model) else load_model(model)
    runtime = Runtime(backend, threads, progress, allow_inexact)
    encoder = Encoder(image, chosen, metadata, runtime, embed_model=embed_model, effort=effort)
    for text in encoder.source.lost:
        log.warning("image: %s", text)
    if target is None:
        if quality != DEFAULT_QUALITY and len(chosen.levels) == 1:
            _say_one_rate(chosen.name)
        encoded = encoder.encode(chosen.levels.of_quality(quality))
    else:
        encoded = search(encoder, target)
    if check:
        encoder.check(encoded)
    return encoded.data


@cache
def _say_one_rate(name: str) -> None:
    """Once for a model."""
    log.warning("model %r has one rate: the quality has no effect", name)


def decode(  # noqa: PLR0913 - keywords with defaults
    data: bytes | bytearray | memoryview,
    *,
    region: tuple[int, int, int, int] | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    allow_inexact: bool = False,
    backend: str = "auto",
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    embedded_models: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Decoded:
    """Decode a file to the same pixels everywhere; inverse of `encode`.

    Args:
        data: a whole file.
        region: (x, y, width, height) in pixels: only that, equal to the same cut of the whole. The
            pixels' checksum is tested only where the region is the whole.
        model: overrides the search by id; must be the model of the file all the same.
        allow_inexact: decode files of models that compute in float, too: the picture may be another
            one than the encoder's, which nobody notices.
        backend: see `encode`.
        threads: see `encode`.
        max_pixels: larger images are refused. Counted are whole squares of 16 x 16, with a 16th to
            spare; with a model in the file that takes more work than a shipped one, as many more.
        embedded_models: whether a model may be taken from the file that names it. False for files
            from strangers whose models are all here.
        progress: called with the name of each stage as it begins.

    Raises:
        TypeError: an argument of another kind: ``data`` is no bytes.
        CorruptDataError: the file is damaged, or its pixels' checksum is not met.
        UnsupportedError: a feature from the future, or an image beyond ``max_pixels``.
        ModelNotFoundError: the file's model is not here; ``model_id`` says which it is.
        ModelError: ``model`` is another one.
        InexactError: (an `UnsupportedError`) the file is not exact, and ``allow_inexact`` is false.
        NotExactError: a float prior came out differently here than where the file was written.
        ArgumentError: (a `ValueError`) the region leaves the image, or another argument its range.
    """
    arguments.number("max_pixels", max_pixels, 1, math.inf)
    arguments.flag("embedded_models", embedded_models)
    region = arguments.region(region)
    runtime = Runtime(backend, threads, progress, allow_inexact)
    file = unpack_image(arguments.content(data), max_pixels=max_pixels)
    profile = file.header.profile
    if profile is not Profile.EXACT and not allow_inexact:
        raise inexact("this file", profile.name.lower())
    chosen = model_of(file, model, max_pixels=max_pixels if embedded_models else 0)
    if file.header.level >= len(chosen.levels):
        raise CorruptDataError(f"level {file.header.level}, the model has {len(chosen.levels)}")
    window = _pixel_window(file.header, region)
    num_pixels = window.shape[0] * window.shape[1]
    networks = runtime.networks(chosen, num_pixels, chosen.decoding)
    # Of floats the whole is computed whatever is asked for.
    whole = window.shape == (file.header.height, file.header.width) or not chosen.is_exact
    check = file.header.pixel_crc if whole else None
    first = attempt(file, networks, window, check)
    pixels = first.pixels
    if first.error is not None and profile.name.lower() == chosen.bottleneck.profile == "float":
        raise NotExactError(
            f"{first.error}: the float prior came out differently here than where it was written"
        ) from first.error
    if first.error is not None:
        pixels = second_opinion(file, networks, first, window, check)
    if file.header.mode is Mode.L:
        pixels = pixels[:, :, 0]
    found = {k: file.chunk(v) or b"" for k, v in CHUNKS.items()}
    return Decoded(
        pixels,
        file.header.mode.name,
        exif=found["exif"],
        icc_profile=found["icc_profile"] or _gamma_profile(file),
        xmp=found["xmp"],
        cicp=found["cicp"],
        level=file.header.level,
        model_name=chosen.name,
    )


def model_of(
    file: ImageFile,
    override: str | os.PathLike[str] | Model | None = None,
    *,
    max_pixels: float = 1 << 64,
) -> Model:
    """The model of a file: given, found by id, or carried in the file itself.

    Args:
        file: the image's.
        override: must be the file's model, if it is given.
        max_pixels: for a model in the file, see `check_pixels`; 0 takes none from there.

    Raises:
        ModelError: the override is another model, or the file's is neither here nor in the file, or
            breaks a rule.
        CorruptDataError: the model in the file is damaged, or not the file's.
        UnsupportedError: the model in the file is of a later version, not exact, or takes too much
            work.
    """
    embedded = file.chunk(chunks.MODEL)
    try:
        return find_model(file.header.model_id, override)
    except ModelNotFoundError as error:
        if override is not None or embedded is None:
            raise
        if not max_pixels:
            message = f"{error}; the one in the file must not be used (embedded models are off)"
            raise ModelNotFoundError(message, error.model_id) from None
    from intact.codec.embedded import read_embedded  # seldom needed

    return read_embedded(embedded, file.header, max_pixels)


def _gamma_profile(file: ImageFile) -> bytes:
    """What `chunks.GAMMA` says as an ICC profile, or b"": code points go before it."""
    data = file.chunk(chunks.GAMMA)
    if data is None or file.chunk(chunks.CICP) is not None:
        return b""
    colors = icc.Colors("gamma", gamma=100_000 / int.from_bytes(data, "little"))
    try:
        return icc.profile(colors, gray=file.header.mode.color_channels == 1)
    except (ValueError, OverflowError) as error:
        log.warning("image: its gamma is left out: %s", error)
        return b""


def _pixel_window(header: ImageHeader, region: tuple[int, int, int, int] | None) -> Window:
    if region is None:
        return Window(0, 0, header.height, header.width)
    x, y, w, h = region
    if w < 1 or h < 1:
        raise ArgumentError(f"region {region} is empty: width and height are at least 1")
    if x < 0 or y < 0 or x + w > header.width or y + h > header.height:
        raise ArgumentError(f"region {region} leaves the image of {header.width}x{header.height}")
    return Window(y, x, y + h, x + w)
