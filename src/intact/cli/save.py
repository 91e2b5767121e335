"""Decoded images in formats of others, with the metadata that each has room for.

What a format cannot hold is left out and said. What is written is read back before it is kept: by
Pillow, whatever wrote it, and pixel by pixel where the format is without loss. Only a PPM is not,
which is the pixels themselves.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intact.errors import IntactError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    from intact.codec.image import Decoded

FORMATS = {
    "png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "tif": "TIFF", "tiff": "TIFF",
    "ppm": "PPM", "pgm": "PPM", "pnm": "PPM", "bmp": "BMP", "npy": "NPY",
}  # fmt: skip
ALPHA = {"PNG", "WEBP", "TIFF", "NPY"}
METADATA = {
    "PNG": ("exif", "icc_profile", "xmp", "cicp"),
    "JPEG": ("exif", "icc_profile", "xmp"),
    "WEBP": ("exif", "icc_profile", "xmp"),
    "TIFF": ("exif", "icc_profile", "xmp"),
}
"""What a format has room for; the others have none for anything."""
SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},  # exact: colors under transparent pixels stay
}
JPEG_SEGMENT = 65533
"""Bytes in one segment of JPEG: EXIF must fit into one, and so must XMP."""
XMP_OVERHEAD = 29


@dataclass
class Packed:
    """A file, and what people should know of it."""

    data: bytes
    notes: list[str] = field(default_factory=list)


def pack(decoded: Decoded, kind: str) -> Packed:
    """A decoded image in a common format, with the metadata that the format can hold.

    Raises:
        UnsupportedError: the format holds no alpha, or not so large an image.
    """
    if decoded.mode.endswith("A") and kind not in ALPHA:
        raise UnsupportedError(f"{kind} holds no alpha; decode to png, webp or tiff")
    kept, notes = _fitting(decoded, kind)
    if kind == "NPY":
        import numpy as np

        stream = io.BytesIO()
        np.save(stream, decoded.pixels, allow_pickle=False)
        return Packed(stream.getvalue(), notes)
    try:
        data, more = _written(kept, kind)
    except _RefusedError as error:
        if not kept.exif:
            raise UnsupportedError(f"cannot be written as {kind}: {error}") from error
        notes.append(f"the EXIF is left out: with it {kind} cannot be written ({error})")
        data, more = _written_or_refused(replace(kept, exif=b""), kind)
    return Packed(data, notes + more)


class _RefusedError(Exception):
    """A format does not take an image, or gives another back."""


def _written_or_refused(decoded: Decoded, kind: str) -> tuple[bytes, list[str]]:
    try:
        return _written(decoded, kind)
    except _RefusedError as error:
        raise UnsupportedError(f"cannot be written as {kind}: {error}") from error


def _fitting(decoded: Decoded, kind: str) -> tuple[Decoded, list[str]]:
    """The image with what the format has room for, and what is lost."""
    room = METADATA.get(kind, ())
    reasons = {}
    for key in ("exif", "icc_profile", "xmp", "cicp"):
        value = getattr(decoded, key)
        if value and key not in room:
            reasons[key] = ""
    if kind == "JPEG" and len(decoded.exif) + 6 > JPEG_SEGMENT:
        reasons["exif"] = " (too long)"
    if kind == "JPEG" and len(decoded.xmp) + XMP_OVERHEAD > JPEG_SEGMENT:
        reasons["xmp"] = " (too long)"
    if kind == "TIFF" and decoded.exif and not _is_exif(decoded.exif):
        reasons["exif"] = " (damaged)"
    if not reasons:
        return decoded, []
    from intact.codec import exif, h273

    names = {"exif": "EXIF", "icc_profile": "color profile", "xmp": "XMP"}
    lost = [names.get(key, "") + reason for key, reason in reasons.items() if key != "cicp"]
    turned = exif.orientation(decoded.exif)
    if "exif" in reasons and turned > 1:
        lost[0] += f", which says that the picture is turned (orientation {turned})"
    if "cicp" in reasons:
        lost.append(f"code points of colors, {h273.describe(decoded.cicp)}")
    kept = replace(decoded, **dict.fromkeys(reasons, b""))
    return kept, [f"{kind} holds no {'; no '.join(lost)}: left out"]


def _is_exif(data: bytes) -> bool:
    from intact.codec.exif import Structure

    try:
        Structure(io.BytesIO(data))
    except ValueError:
        return False
    return True


def _written(decoded: Decoded, kind: str) -> tuple[bytes, list[str]]:
    """A file and notes about it.

    Raises:
        _RefusedError: Pillow does not write it, or reads something else from it.
    """
    if kind == "PPM":
        return _ppm(decoded), []
    if kind == "TIFF":
        data, notes = _tiff(decoded)
    else:
        data, notes = _by_pillow(decoded, kind), []
    _read_back(data, decoded, kind)
    return data, notes


def _ppm(decoded: Decoded) -> bytes:
    """A header, and the pixels as they stand; Pillow takes longer to load than most pictures."""
    height, width = decoded.pixels.shape[:2]
    head = f"P{5 if decoded.mode == 'L' else 6}\n{width} {height}\n255\n"
    return head.encode() + decoded.pixels.tobytes()


def _tiff(decoded: Decoded) -> tuple[bytes, list[str]]:
    from intact.cli.tiff import write_tiff

    try:
        tiff = write_tiff(
            decoded.pixels, exif=decoded.exif, icc_profile=decoded.icc_profile, xmp=decoded.xmp
        )
    except ValueError as error:
        raise _RefusedError(error) from error
    if not tiff.left_out:
        return tiff.data, []
    tags = ", ".join(map(str, tiff.left_out))
    return tiff.data, [f"tags that do not go from EXIF's first directory into a TIFF: {tags}"]


def _by_pillow(decoded: Decoded, kind: str) -> bytes:
    from PIL import Image, PngImagePlugin

    options: dict[str, Any] = dict(SETTINGS.get(kind, {}))
    if decoded.icc_profile:
        options["icc_profile"] = decoded.icc_profile
    if decoded.exif:
        options["exif"] = b"Exif\0\0" + decoded.exif  # JPEG needs the prefix, the others drop it
    if decoded.xmp and kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", decoded.xmp)
        options["pnginfo"] = info
    elif decoded.xmp:
        options["xmp"] = decoded.xmp
    stream = io.BytesIO()
    try:
        Image.fromarray(decoded.pixels).save(stream, kind, **options)
    except (ValueError, OSError) as error:
        raise _RefusedError(error) from error
    data = stream.getvalue()
    if decoded.cicp:
        from intact.codec.png import insert_code_points

        data = insert_code_points(data, decoded.cicp)
    return data


def _read_back(data: bytes, decoded: Decoded, kind: str) -> None:
    """Compare a file with what should be in it.

    Raises:
        _RefusedError: it cannot be read, or holds another picture.
    """
    import numpy as np

    from intact.codec.exif import orientation
    from intact.images import read_image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = read_image(data)
    except IntactError as error:
        raise _RefusedError(f"what was written cannot be read again: {error}") from error
    found = source.color if source.alpha is None else np.dstack([source.color, source.alpha])
    wanted = decoded.pixels.reshape(*decoded.pixels.shape[:2], -1)
    if kind == "TIFF":  # Pillow turns what it reads
        wanted = turned(wanted, orientation(decoded.exif))
    elif kind == "WEBP":  # it has no gray, and no alpha that is opaque everywhere
        found, wanted = _rgba(found), _rgba(wanted)
    same = found.shape == wanted.shape if kind == "JPEG" else np.array_equal(found, wanted)
    if not same:
        raise _RefusedError("what was written reads as another picture")


def _rgba(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 4] of [h, w, 1..4]."""
    import numpy as np

    channels = pixels.shape[2]
    color = pixels[:, :, [0, 0, 0]] if channels < 3 else pixels[:, :, :3]
    opaque = np.full(pixels.shape[:2], 255, np.uint8)
    return np.dstack([color, opaque if channels % 2 else pixels[:, :, -1]])


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [h, w, c] as an orientation of EXIF (0 or 1 for upright, to 8) wants them shown."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    flip_rows, flip_columns = {
        2: (False, True), 3: (True, True), 4: (True, False), 6: (False, True), 7: (True, True),
        8: (True, False),
    }.get(orientation, (False, False))  # fmt: skip
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
