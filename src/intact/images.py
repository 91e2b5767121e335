"""Opening image files of other formats: a closed list, and errors that say what is the matter.

The content decides the format, not the name, and files come from anybody. So Pillow is asked for
formats of the list alone (`intact.codec.foreign.IN_PROCESS`), all of which it decodes inside this
process. Its plugins raise nearly anything on damaged input; here that becomes two errors: damaged,
or not supported.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from PIL import Image, PngImagePlugin, features

from intact.codec import foreign
from intact.codec.exif import Structure
from intact.codec.pixels import Source, from_image
from intact.container.framing import FAMILY
from intact.container.limits import MAX_PIXELS
from intact.errors import CorruptDataError, IntactError, UnsupportedError

MAX_TEXT_BYTES: Final = 1 << 26
"""Of one text or profile in a PNG. Pillow's own limit, 1 MiB, is less than there is in the world;
a deflated megabyte becomes a gigabyte at most."""
_HEAD_BYTES: Final = 64
_COMPRESSION: Final = 259
_FEATURES: Final = {"AVIF": "avif", "JPEG": "jpg", "JPEG2000": "jpg_2000", "WEBP": "webp"}
_UNSUPPORTED: Final = (
    "unsupported", "not supported", "cannot handle", "unknown pixel mode", "not installed",
    "not available", "unknown compression", "too large", "too much memory", "exceeds limit",
)  # fmt: skip
"""What Pillow says of sound files that it cannot read."""
_TIFF_COMMON: Final = {1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32809, 32946}
"""Compressions of TIFF that Pillow always reads; libtiff may have been built without others."""
_TIFF_NAMES: Final = {
    6: "old JPEG", 34676: "SGI log", 34677: "SGI log", 34712: "JPEG 2000", 34887: "LERC",
    34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip


def identify(head: bytes) -> str | None:
    """The format that the first bytes of a file say, None for all that are not on the list."""
    if head[4:8] == b"ftyp":
        brands = head[8 : min(len(head), int.from_bytes(head[:4], "big"))]
        found = {brands[i : i + 4] for i in range(0, len(brands), 4) if i != 4}
        return "AVIF" if found & {b"avif", b"avis"} else None
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    if head[:1] == b"P" and head[1:2] in b"123456fF":
        return "PPM" if head[2:3].isspace() or head[2:3] == b"#" else None
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


_MAGIC: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"GIF87a": "GIF",
    b"GIF89a": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"\xff\x4f\xff\x51": "JPEG2000", b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000", b"\x01\xda": "SGI",
    b"qoif": "QOI",
}  # fmt: skip


def open_listed(file: Path | IO[bytes]) -> Image.Image:
    """`PIL.Image.open` for the formats of the list; pixels are not decoded yet.

    Raises:
        UnsupportedError: no format of the list, or one that this Pillow was built without.
        Exception: whatever Pillow raises.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    else:
        file.seek(0)
        head = file.read(_HEAD_BYTES)
    kind = identify(head)
    if kind is None:
        names = ", ".join(name for name in foreign.IN_PROCESS if name != "MPO")
        if ours := FAMILY.get(head[:4]):
            raise UnsupportedError(f"no image to encode, but {ours}")
        raise UnsupportedError(f"not an image in one of the formats that are read: {names}")
    feature = _FEATURES.get(kind)
    if feature and not features.check(feature):
        raise UnsupportedError(f"this Pillow was built without {kind}")
    return Image.open(file, formats=(kind,))


def use_our_limits() -> None:
    """Lift limits of Pillow's, for the process: those that hold in the command line are ours."""
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, MAX_TEXT_BYTES)
    PngImagePlugin.MAX_TEXT_MEMORY = max(PngImagePlugin.MAX_TEXT_MEMORY, 4 * MAX_TEXT_BYTES)


def num_pixels(data: bytes) -> int | None:
    """Pixels of an image, without decoding them; None where it cannot be opened."""
    use_our_limits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = open_listed(io.BytesIO(data))
        except Exception:  # of Pillow's plugins any; `read_image` says what is wrong
            return None
    return image.width * image.height


def read_image(data: bytes) -> Source:
    """Open and decode an image; pixels are not rotated (but Pillow turns a TIFF).

    Of several frames the first is taken.

    Raises:
        UnsupportedError: no format of the list, samples of other than 8 bits, colors that are not
            coded, beyond our limit of pixels, or a kind that this Pillow cannot read.
        CorruptDataError: the image is damaged.
    """
    use_our_limits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
        with _told_apart(data):
            image = open_listed(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise UnsupportedError(
                f"{image.width}x{image.height} pixels, at most {MAX_PIXELS} in all"
            )
        facts = foreign.look(image)
        facts.untouched = True
        with _told_apart(data):
            frames = int(getattr(image, "n_frames", 1))
            image.load()
        return from_image(image, facts, frames=frames)


@contextmanager
def _told_apart(data: bytes) -> Iterator[None]:
    """Turn whatever a plugin of Pillow raises into damaged or not supported."""
    try:
        yield
    except (IntactError, MemoryError):
        raise
    except Exception as error:
        reason, compression = _reason(data, error), _tiff_compression(data)
        if compression not in _TIFF_COMMON:
            name = _TIFF_NAMES.get(compression, "unknown")
            raise UnsupportedError(
                f"TIFF with compression {compression} ({name}), which this Pillow does not read"
            ) from error
        known = isinstance(error, NotImplementedError | Image.DecompressionBombError)
        if known or any(text in reason.lower() for text in _UNSUPPORTED):
            raise UnsupportedError(f"not supported: {reason}") from error
        raise CorruptDataError(f"the image is damaged: {reason}") from error


def _tiff_compression(data: bytes) -> int:
    """The compression that a TIFF says; 1 (none) for anything else, and where it says nothing."""
    with suppress(ValueError):
        structure = Structure(io.BytesIO(data))
        for entry in structure.entries(structure.first):
            if entry.tag == _COMPRESSION:
                return structure.short(entry) or 1
    return 1


def _reason(data: bytes, error: Exception) -> str:
    """What is the matter. `Image.open` swallows it where its plugin gave up; so ask again."""
    if isinstance(error, Image.UnidentifiedImageError):
        kind = identify(data[:_HEAD_BYTES])
        factory, _ = Image.OPEN.get(kind or "", (None, None))
        try:
            if factory is not None:
                factory(io.BytesIO(data), "")
        except Exception as inner:
            error = inner
    text = " ".join(str(error).split())
    return text or type(error).__name__
