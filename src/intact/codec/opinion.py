"""Doubt: what a backend came to is compared with the file's checksum, and with other backends.

The encoder computes the checksum of the pixels that it decodes its own file to. A decoder that
comes to others says so; it never returns them. A part of an image cannot be tested against the
checksum, which is over the whole.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass

import numpy as np

from intact.bits import fast
from intact.bits.fast import Backend
from intact.bottleneck.grid import Window
from intact.codec import alpha
from intact.codec.coding import decode_latents, synthesize
from intact.codec.networks import Networks
from intact.codec.runtime import Runtime
from intact.container import chunks
from intact.container.image_file import ImageFile, Profile, unpack_image
from intact.errors import CorruptDataError, NotExactError, UnsupportedError
from intact.intnet.backends import choose

log = logging.getLogger(__name__)

REFERENCE_PIXELS = 1 << 19
"""Larger images are not decoded by the reference where no second backend disagrees with the first:
it takes fifty times as long, and eight bytes for each integer."""


def checksum(
    profile: Profile, pixels: np.ndarray, latents: np.ndarray, plane: np.ndarray | None
) -> int:
    """CRC-32 of what a profile's checksum covers, row by row, channels interleaved.

    Args:
        profile: of the file.
        pixels: uint8 [h, w, c], all samples, alpha included; they count if the profile is exact.
        latents: int16 [h, w, M]; they count otherwise,
        plane: and so does alpha: uint8 [h, w] or None.
    """
    if profile is Profile.EXACT:
        return zlib.crc32(np.ascontiguousarray(pixels).data)
    crc = zlib.crc32(np.ascontiguousarray(latents, "<i2").data)
    return crc if plane is None else zlib.crc32(np.ascontiguousarray(plane).data, crc)


@dataclass(frozen=True)
class Attempt:
    """What a backend came to: pixels (empty if it got to none), and what is wrong with them."""

    pixels: np.ndarray
    error: CorruptDataError | None = None


def attempt(
    file: ImageFile,
    networks: Networks,
    window: Window,
    check: int | None,
    coder: Backend | None = None,
) -> Attempt:
    """Decode the pixels of a window, and compare with a checksum where there is one.

    Args:
        file: to decode.
        networks: that run.
        window: of pixels.
        check: the checksum; None where a part cannot be held to it.
        coder: the entropy coder's backend.
    """
    header = file.header
    try:
        plane = _alpha(file)
        bottleneck = networks.model.bottleneck
        latents, place = decode_latents(networks, bottleneck, file, window, coder)
    except CorruptDataError as error:
        return Attempt(np.zeros(0, np.uint8), error)
    pixels = synthesize(networks, header, latents, place, window)
    if plane is not None:
        pixels = np.dstack([pixels, plane[window.slices]])
    if check is None or checksum(header.profile, pixels, latents, plane) == check:
        return Attempt(np.ascontiguousarray(pixels))
    what = "pixels" if header.profile is Profile.EXACT else "latents"
    message = f"the decoded {what} do not match the file's checksum"
    return Attempt(pixels, CorruptDataError(message))


def _alpha(file: ImageFile) -> np.ndarray | None:
    """uint8 [h, w]: the alpha plane of a file that has one."""
    if not file.header.mode.has_alpha:
        return None
    data = file.chunk(chunks.ALPHA)
    if data is None:
        raise CorruptDataError("the alpha plane is missing")
    return alpha.unpack_alpha(data, file.header.height, file.header.width)


def second_opinion(
    file: ImageFile, networks: Networks, first: Attempt, window: Window, check: int | None
) -> np.ndarray:
    """Decode again where pixels were wrong although the bytes' checksums were right.

    That is the backend's fault, the entropy coder's, or the file's. NumPy is asked first, with the
    coder in Python: if it comes to the very same pixels, two independent programs agree, and the
    file is at fault. Else the reference decides; it is fifty times slower, so that a hostile file
    must not reach it for nothing. Where NumPy was the first it is asked again with the other coder;
    there is nobody between it and the reference, which then is asked about small images only.
    """
    used = networks.backend.name
    side = file.header.latent_px
    rows, columns = window.shrink(side).shape
    small = rows * columns * side**2 <= REFERENCE_PIXELS
    assert first.error is not None
    for name in _doubters(used, small=small):
        log.warning("backend %s: %s; decoding again with %s", used, first.error, name)
        networks.enter(f"decoding again with {name}")
        model, others = networks.model, networks
        if name != used:
            runtime = Runtime(name, networks.threads, allow_inexact=not model.is_exact)
            others = runtime.networks(model, file.header.num_pixels, model.decoding)
            if others.backend.name == "reference" and not small:
                break  # it stands for one that is not exact here, and is too slow for this image
        other = attempt(file, others, window, check, "python")
        if other.error is None:
            _blame(file, networks, window, check, name)
            return other.pixels
        if name != used and np.array_equal(other.pixels, first.pixels):
            break
    raise first.error


def _doubters(used: str, *, small: bool) -> list[str]:
    """Who is asked when a backend came to wrong pixels; itself stands for it with another coder."""
    again = [used] if fast.is_native() and used in ("numpy", "reference") else []
    names = [name for name in ("numpy", "reference") if used not in (name, "reference")]
    return again + (names if small or used != "numpy" else [])


def _blame(
    file: ImageFile, networks: Networks, window: Window, check: int | None, right: str
) -> None:
    """Refuse the coder if the first backend is right without it, else that backend."""
    used = networks.backend.name
    if right == used or attempt(file, networks, window, check, "python").error is None:
        fast.refuse(f"a file decodes with {used} if Python reads its symbols")
    else:
        choose.refuse(used, f"came to other pixels than {right}")


def check(data: bytes, expected: np.ndarray, networks: Networks) -> str:
    """Decode a file with another backend than the one that made it; see `Encoder.check`.

    Args:
        data: the file.
        expected: uint8 [h, w, c], what its encoder decoded it to.
        networks: the encoder's.
    """
    if not networks.model.is_exact:
        raise UnsupportedError("no second backend here for networks that compute in float")
    used, (height, width) = networks.backend.name, expected.shape[:2]
    others = _others(networks, height * width)
    if others is None:
        raise UnsupportedError(f"no second backend here for {height * width} pixels")
    other = others.backend.name
    networks.enter(f"checking with {other}")
    # Not `decode`, which asks others where two backends differ: one of them is ours.
    # Whatever ran the networks, native code wrote the symbols where there is any.
    file = unpack_image(data)
    found = attempt(file, others, Window(0, 0, height, width), file.header.pixel_crc, "python")
    if found.error is not None or not np.array_equal(found.pixels, expected):
        raise NotExactError(f"what backend {used} encoded, {other} decodes to other pixels")
    return other


def _others(networks: Networks, pixels: int) -> Networks | None:
    """The decoder's programs on another backend than the encoder's, or None."""
    model = networks.model
    for name in ("numpy", "native", "torch", "onnx", "reference"):
        too_slow = name == "reference" and pixels > REFERENCE_PIXELS
        if name not in choose.available() or too_slow:
            continue
        runtime = Runtime(name, networks.threads, allow_inexact=not model.is_exact)
        others = runtime.networks(model, pixels, model.decoding)
        # One that failed its probes gives way to another, which may be the encoder's.
        if others.backend.name == name != networks.backend.name:
            return others
    return None
