"""Pixels in, pixels out: what images are accepted, and padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from intact.codec import exif, foreign, icc
from intact.container.image_file import Mode
from intact.errors import ArgumentError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class PillowImage(Protocol):
    """What a Pillow image is known by: below the line nothing imports Pillow."""

    def getbands(self) -> tuple[str, ...]:
        """Names of the channels."""
        ...

    def convert(self, mode: str) -> Any:
        """The same in another mode."""
        ...


ImageLike: TypeAlias = "ArrayLike | PillowImage"
"""uint8 [h, w] or [h, w, 1..4], or a Pillow image."""

_DIRECT = {"L", "LA", "RGB", "RGBA"}
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB", "La": "LA",
              "RGBa": "RGBA", "HSV": "RGB", "LAB": "RGB"}  # fmt: skip
_OTHER_COLORS = {"YCbCr", "HSV", "LAB"}


@dataclass(frozen=True)
class Source:
    """An image to encode.

    Attributes:
        color: uint8 [h, w, 3] or [h, w, 1].
        alpha: uint8 [h, w], or None.
        mode: of the file.
        note: what was converted, or kept in another way, or lost; or "".
        metadata: "exif", "icc_profile", "xmp" and "cicp" as found in the image.
        lost: of the note, what the look depended on.
        left_out: metadata that no file of ours holds.
        frames: images in the file that it comes from; this is the first.
    """

    color: np.ndarray
    alpha: np.ndarray | None
    mode: Mode
    note: str
    metadata: dict[str, bytes]
    lost: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    frames: int = 1


def from_image(image: Any, facts: foreign.Facts | None = None, *, frames: int = 1) -> Source:
    """Take an array or a Pillow image apart.

    Args:
        image: uint8 [h, w], [h, w, 1..4], or a Pillow image; a `Source` is returned as it is.
        facts: what the image's file said before it was loaded; asked here if not given.
        frames: images in the file.

    Raises:
        UnsupportedError: 16-bit, floating-point and CMYK images, and see `foreign.look`.
        ArgumentError: an array of another shape, or an empty one.
    """
    if isinstance(image, Source):
        return image
    # Pillow is recognized by what it offers: below the line nothing imports it.
    if hasattr(image, "getbands") and hasattr(image, "convert"):
        facts = foreign.look(image) if facts is None else facts
        image.load()  # PNG may carry metadata behind the pixels
        metadata = foreign.complete(image, facts)
        array = _converted(image, facts, metadata)
    else:
        facts, metadata, array = foreign.Facts(), {}, np.asarray(image)
    if array.dtype != np.uint8:
        raise UnsupportedError(f"pixels are {array.dtype}: only 8-bit images (uint8) are coded")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise ArgumentError(f"pixels have the shape {array.shape}, wanted [h, w] or [h, w, 1..4]")
    mode = Mode(array.shape[2])
    _describe_colors(facts, metadata, mode)
    alpha = np.ascontiguousarray(array[:, :, -1]) if mode.has_alpha else None
    color, note = array[:, :, : mode.color_channels], "; ".join(facts.notes + facts.lost)
    lost, left_out = tuple(facts.lost), tuple(facts.left_out)
    return Source(color, alpha, mode, note, metadata, lost, left_out, frames)


def _converted(image: Any, facts: foreign.Facts, metadata: dict[str, bytes]) -> np.ndarray:
    """The samples of a loaded Pillow image, in a mode that is coded; ``facts`` learns how."""
    mode = image.mode
    # A palette may carry alpha itself, without the key; only newer Pillows say so.
    transparent = getattr(image, "has_transparency_data", "transparency" in image.info)
    if mode in _CONVERTED:
        wanted = _CONVERTED[mode]
        if transparent:
            wanted = {"P": "RGBA", "1": "LA"}.get(mode, wanted)
        facts.notes.insert(0, f"converted from {mode} to {wanted}")
        # A profile of Lab says nothing about RGB; that of a YCbCr image is one of RGB.
        profile = metadata.get("icc_profile", b"")
        if mode in _OTHER_COLORS and profile and profile[16:20] != b"RGB ":
            del metadata["icc_profile"]
            facts.lost.append("its color profile, of other colors than RGB, is left out")
        return np.asarray(image.convert(wanted))
    if mode not in _DIRECT:
        raise UnsupportedError(
            f"image mode {mode}: only 8-bit gray, RGB and alpha are coded; convert it first"
        )
    if not transparent or mode not in ("L", "RGB"):
        return np.asarray(image)
    wanted = "LA" if mode == "L" else "RGBA"
    facts.notes.insert(0, f"converted from {mode} with a transparent color to {wanted}")
    if facts.transparent is None or len(facts.transparent) != len(mode):
        return np.asarray(image.convert(wanted))
    samples = np.asarray(image)
    same = samples.reshape(*samples.shape[:2], -1) == np.array(facts.transparent)
    return np.dstack([samples, np.where(same.all(axis=2), 0, 255).astype(np.uint8)])


def _describe_colors(facts: foreign.Facts, metadata: dict[str, bytes], mode: Mode) -> None:
    """Turn what a file says of its colors into a profile, if it has none."""
    if facts.colors is None or "icc_profile" in metadata:
        return
    try:
        profile = icc.profile(facts.colors, gray=mode.color_channels == 1)
    except (ValueError, OverflowError) as error:
        facts.lost.append(f"its colors ({facts.colors.name}) are left out: {error}")
        return
    metadata["icc_profile"] = profile
    facts.notes.append(f"its colors ({facts.colors.name}) are kept as an ICC profile")


def stripped(metadata: dict[str, bytes]) -> dict[str, bytes]:
    """What takes the place of an image's metadata where only its look shall be kept.

    Orientation stays (alone in its EXIF), and so do profile and code points.
    """
    said = metadata.get("exif", b"")
    turned = exif.orientation(said) or exif.xmp_orientation(metadata.get("xmp", b""))
    kept = {"exif": exif.only_orientation(turned), "xmp": b""}
    if "icc_profile" not in metadata and exif.is_adobe_rgb(said):
        kept["icc_profile"] = icc.profile(icc.ADOBE_RGB, gray=False)
    return kept


def to_network(color: np.ndarray, multiple: int) -> np.ndarray:
    """int8 [h', w', 3]: pixels minus 128, gray as three equal channels, the edge repeated."""
    h, w, c = color.shape
    padding = ((0, -h % multiple), (0, -w % multiple), (0, 0))
    padded = np.pad(color, padding, mode="edge") if h % multiple or w % multiple else color
    if c == 1:
        padded = np.repeat(padded, 3, axis=2)
    # Flipping the top bit of p gives p - 128 in two's complement.
    return (np.ascontiguousarray(padded) ^ 128).view(np.int8)


def from_network(pixels: np.ndarray, mode: Mode, *, gray: bool = False) -> np.ndarray:
    """uint8 [h, w, 1 or 3]: inverse of `to_network`; gray is the rounded mean. Normative.

    Args:
        pixels: int8 [h, w, 3].
        mode: of the image.
        gray: its three channels are equal.
    """
    color = np.ascontiguousarray(pixels).view(np.uint8) ^ 128
    if mode.color_channels == 3 and not gray:
        return color
    mean = ((color.sum(axis=2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)
    return np.repeat(mean, mode.color_channels, axis=2)


def is_gray(color: np.ndarray) -> bool:
    """Whether the three channels of each pixel of uint8 [h, w, 1 or 3] are equal, not one alone."""
    if color.shape[2] != 3:
        return False
    first, *others = (color[:, :, channel] for channel in range(3))
    # Most pictures say no at once.
    few = (slice(None, None, 64), slice(None, None, 64))
    return all(np.array_equal(first[few], other[few]) for other in others) and all(
        np.array_equal(first, other) for other in others
    )
