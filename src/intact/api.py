"""What `intact.encode`, `intact.decode` and `intact.peek` are: the codec, and files by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from intact.codec import arguments, image as codec
from intact.codec.image import Decoded
from intact.codec.model import Model
from intact.codec.target import Target
from intact.container.header import HEADER_BYTES, ImageHeader, peek as peek_header
from intact.container.limits import MAX_PIXELS
from intact.errors import ArgumentError, quoted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from PIL import Image

PathLike: TypeAlias = "str | os.PathLike[str]"
ImageLike: TypeAlias = "ArrayLike | Image.Image | PathLike"
ModelLike: TypeAlias = "PathLike | Model | None"


def encode(  # noqa: PLR0913 - keywords with defaults
    image: ImageLike,
    *,
    quality: float = codec.DEFAULT_QUALITY,
    target_bpp: float | None = None,
    target_size: int | None = None,
    target_psnr: float | None = None,
    model: ModelLike = None,
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
        image: uint8 [h, w], [h, w, 1..4], a Pillow image, or the path of an image in one of the
            formats that ``intact encode`` reads. What its colors mean is kept, and of one that was
            opened from a file (not turned, cut or converted since) EXIF and XMP. What cannot be
            kept of the former is logged as a warning.
        quality: 0 (smallest) .. 100 (best). Of a model with one rate any is the same, which is
            logged once.
        target_bpp: instead of a quality, the best within so many bits per pixel (7 encodes).
        target_size: or within so many bytes,
        target_psnr: or the smallest file that reaches so many dB over the color channels.
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
        UnsupportedError: 16-bit, floating-point and CMYK images; a path of something else; an
            effort of 2 or 3 without PyTorch.
        CorruptDataError: the image at a path is damaged.
        ArgumentError: (a `ValueError`) an argument is out of its range, which the message names; an
            empty or misshapen array; more than one of quality and targets.
        TypeError: an argument of another kind.
        OSError: the image at a path cannot be read.
        ModelNotFoundError: there is no such model.
        InexactError: the model computes in float, and ``allow_inexact`` is false.
        NotExactError: ``check`` failed: a backend of this machine computes wrong.
        UnreachableError: no quality meets the target.

    Example:
        >>> import numpy as np
        >>> data = encode(np.full((5, 7, 3), 128, np.uint8))
        >>> decode(data).pixels.shape
        (5, 7, 3)
        >>> len(encode(np.full((64, 64), 128, np.uint8), target_size=300)) <= 300
        True
    """
    target = None
    if any(wanted is not None for wanted in (target_bpp, target_size, target_psnr)):
        target = Target(target_bpp, target_size, target_psnr)
    if isinstance(image, str | os.PathLike):
        from intact.images import read_image  # loads Pillow

        source: Any = read_image(_read("image", image))
    else:
        source = image
    return codec.encode(
        source, quality=quality, target=target, model=model, metadata=metadata,
        embed_model=embed_model, check=check, effort=effort, allow_inexact=allow_inexact,
        backend=backend, threads=threads, progress=progress,
    )  # fmt: skip


def decode(  # noqa: PLR0913 - keywords with defaults
    data: bytes | bytearray | memoryview | PathLike,
    *,
    region: tuple[int, int, int, int] | None = None,
    model: ModelLike = None,
    allow_inexact: bool = False,
    backend: str = "auto",
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    embedded_models: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Decoded:
    """Decode a file to the same pixels everywhere; inverse of `encode`.

    Args:
        data: a whole file, or the path of one.
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
        TypeError: an argument of another kind.
        CorruptDataError: the file is damaged, or its pixels' checksum is not met.
        UnsupportedError: a feature from the future, or an image beyond ``max_pixels``.
        InexactError: (an `UnsupportedError`) the file is not exact, and ``allow_inexact`` is false.
        ModelNotFoundError: the file's model is not here; ``model_id`` says which it is.
        ModelError: ``model`` is another one, or the one in the file breaks a rule.
        ArgumentError: (a `ValueError`) the region leaves the image, or another argument its range.
        OSError: the file at a path cannot be read.
    """
    content = _read("data", data) if isinstance(data, str | os.PathLike) else data
    return codec.decode(
        content, region=region, model=model, allow_inexact=allow_inexact, backend=backend,
        threads=threads, max_pixels=max_pixels, embedded_models=embedded_models, progress=progress,
    )  # fmt: skip


def peek(data: bytes | bytearray | memoryview | PathLike) -> ImageHeader:
    """What the header of a file says, without decoding: size, mode, level, model.

    No checksum is tested, and no limit is applied: nothing is made that is as large as the image.

    Args:
        data: a file or its first 47 bytes, or the path of one, of which no more is read.

    Returns:
        `width`, `height`, `mode.name`, `level`, `model_id` (16 bytes) and more.

    Raises:
        TypeError: neither bytes nor a path.
        CorruptDataError: the header is cut short, or a field is illegal: not a file of Intact.
        UnsupportedError: the file is of a later version.
        OSError: the file at a path cannot be read.

    Example:
        >>> import numpy as np
        >>> header = peek(encode(np.full((5, 7, 3), 128, np.uint8)))
        >>> header.width, header.height, header.mode.name
        (7, 5, 'RGB')
    """
    if isinstance(data, str | os.PathLike):
        return peek_header(_read("data", data, HEADER_BYTES))
    return peek_header(arguments.content(data)[:HEADER_BYTES])


def _read(name: str, path: PathLike, count: int = -1) -> bytes:
    """The bytes of a file, or its first ``count``; ``name`` is the argument's.

    Raises:
        ArgumentError: no file can have such a name.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except ValueError:  # a NUL in it
        raise ArgumentError(f"{name} is {quoted(path)}, which is no path") from None
