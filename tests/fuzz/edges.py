"""Fuzzing what `fuzz_files` does not enter: native kernels, the plugin, outputs, source images.

A case is a function of the seed and its number. `check` raises whatever is not allowed to happen.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any
from unittest import mock

from PIL import Image

import intact
import intact.pillow
from foreign_files import (
    avif_with,
    bmp_with,
    camera_exif,
    chromaticities,
    gif_with,
    jp2_with,
    png_with,
    qoi,
    saved,
    srgb_profile,
)
from fuzz import mutate, trees
from fuzz.check import ACCEPTED, Broken, outcome
from fuzz.seeds import image_seeds, micro_model, model_seeds, models
from intact import images
from intact.cli.save import ALPHA, FORMATS, pack
from intact.codec import store
from intact.codec.image import Decoded, Encoder, Runtime
from intact.codec.model import Model
from intact.container.image_file import unpack_image
from intact.errors import IntactError, UnsupportedError
from intact.intnet.backends import choose
from tiny_model import bmp_565, deep_png, deep_tiff, picture

MAX_PIXELS = 1 << 20
"""Of a source image: else a changed size takes a gigabyte, which is allowed."""
KINDS = tuple(dict.fromkeys(FORMATS.values()))
PLUGIN_ERRORS = (OSError, SyntaxError, Image.DecompressionBombError)
"""What Pillow's users expect of a damaged file. (`Image.open` turns SyntaxError into another.)"""


@cache
def sources() -> tuple[tuple[str, bytes], ...]:
    """Images of other formats, with what they may carry."""
    exif, icc = camera_exif(), srgb_profile()
    small = Image.fromarray(picture(9, 13))
    rich = {"exif": b"Exif\0\0" + exif, "icc_profile": icc}
    found = [
        ("png", saved("PNG", small, **rich)),
        ("jpeg", saved("JPEG", small, **rich, xmp=b"<x/>")),
        ("tiff", saved("TIFF", small, icc_profile=icc, compression="tiff_lzw")),
        ("webp", saved("WEBP", small, **rich, xmp=b"<x/>")),
        ("gif", gif_with(b"ICCRGBG1012", icc)),
        ("bmp", bmp_565(6, 8)),
        ("bmp-v4", bmp_with(b"sRGB")),
        ("ppm", saved("PPM", small)),
        ("jp2", jp2_with(b"\2\0\0" + icc)),
        ("qoi", qoi(0)),
        ("sgi", saved("SGI", small)),
        ("png-deep", deep_png(3, 4)),
        ("tiff-deep", deep_tiff(3, 4)),
        ("png-colors", png_with((b"gAMA", (45455).to_bytes(4, "big")), (b"cHRM", _primaries()))),
        ("png-palette", saved("PNG", small.convert("P"), transparency=0)),
        ("png-alpha", saved("PNG", Image.fromarray(picture(5, 7, 4)))),
    ]
    with contextlib.suppress(OSError, KeyError):  # not every Pillow has it
        found.append(("avif", avif_with(9, 16)))
    return tuple(found)


def _primaries() -> bytes:
    return chromaticities(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


@cache
def structures() -> tuple[bytes, ...]:
    """EXIF to begin with, both byte orders."""
    return camera_exif("<"), camera_exif(">"), camera_exif(orientation=3), b"MM\0*\0\0\0\x08\0\0"


@cache
def installed() -> dict[bytes, Model]:
    """The models of the seeds, by id."""
    return {model.id: model for model in models()}


def _find(wanted: bytes, override: Any = None) -> Model:
    if override is None and wanted in installed():
        return installed()[wanted]
    return store.find_model(wanted, override)


def native_image(r: Random, index: int) -> str:
    """A file, mutated under right checksums, by the native kernels and by the reference."""
    seed = r.choice(image_seeds())
    parts = mutate.split(seed.data, seed.file)
    mutate.edit_parts(r, parts, [tile for other in image_seeds() for tile in other.file.tiles])
    data = parts.build()
    found = []
    for backend in ("native", "reference"):
        options = {"model": seed.model, "backend": backend, "threads": 1 + index % 2}
        found.append(outcome(lambda o=options: intact.decode(data, max_pixels=1 << 16, **o)))
    (first, one), (second, two) = found
    if first != second:
        raise Broken(f"native says {first}, the reference {second}")
    if first == ACCEPTED and one.pixels.tobytes() != two.pixels.tobytes():
        raise Broken("native decodes other pixels than the reference")
    if choose.refusals():
        raise Broken(f"a backend was wrong: {choose.refusals()}")
    return first


def native_model(r: Random, index: int) -> str:
    """A mutated model: what is accepted codes a picture to the same bytes natively."""
    mutator = _mutator()
    found, model = outcome(lambda: Model.from_bytes(mutator.pack(r, mutator.tree(r))))
    if found != ACCEPTED:
        return found
    image = picture(*r.choice(((1, 1, 3), (5, 7, 4), (18, 33, 1))))
    files = []
    for backend in ("native", "reference"):
        encoder = Encoder(image, model, runtime=Runtime(backend, 1 + index % 2))
        files.append(encoder.encode(0).data)
    if files[0] != files[1]:
        raise Broken("native encodes other bytes than the reference")
    if intact.decode(files[0], model=model, backend="native").pixels.shape[:2] != image.shape[:2]:
        raise Broken("another size")
    return ACCEPTED


@cache
def _mutator() -> trees.TreeMutator:
    return trees.TreeMutator(model_seeds()[1])


def plugin(r: Random, index: int) -> str:
    """A mutated file through Pillow: opened, verified, loaded, copied, saved again."""
    seed = r.choice(image_seeds())
    data = seed.data
    if index % 3:
        parts = mutate.split(data, seed.file)
        mutate.edit_parts(r, parts, [b"\0" * 9])
        data = parts.build()
    else:
        data = mutate.any_bytes(r, data)
    with warnings.catch_warnings(), mock.patch("intact.codec.image.find_model", _find):
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
            if image.format != "INTACT":
                return "another format"
            if image.width * image.height > MAX_PIXELS:
                return "large"
            match r.randrange(4):
                case 0:
                    image.verify()
                case 1:
                    _exif(image)
                    image.load()
                case 2:
                    image.resize((3, 3)).tobytes()
                case _:
                    _save(r, image)
        except PLUGIN_ERRORS as error:
            return type(error).__name__
    return ACCEPTED


def _exif(image: Image.Image) -> Image.Exif:
    """What Pillow's own reader makes of it; where it stumbles, nothing."""
    with contextlib.suppress(struct.error):
        return image.getexif()
    return Image.Exif()


def _save(r: Random, image: Image.Image) -> None:
    """Save as a file of ours again, metadata changed on the way, and look at it."""
    exif = _exif(image)
    exif[0x0112] = r.randrange(10)
    if r.random() < 0.3:
        exif = Image.Exif()
        with contextlib.suppress(*PLUGIN_ERRORS, struct.error):  # Pillow's own reader
            exif.load(mutate.any_bytes(r, r.choice(structures())))
    stream = io.BytesIO()
    options: dict[str, Any] = {"exif": exif} if r.random() < 0.5 else {}
    if r.random() < 0.3:
        options["icc_profile"] = r.choice((None, b"", r.randbytes(9), srgb_profile()))
    try:
        image.save(stream, "INTACT", model=None, **options, quality=r.choice((0, 50, 100)))
    except (TypeError, ValueError) as error:
        raise Broken(f"saving: {error!r}") from error
    unpack_image(stream.getvalue())


def output(r: Random, index: int) -> str:
    """A picture with odd metadata in each format that decode writes."""
    channels = r.choice((1, 2, 3, 4))
    pixels = picture(*r.choice(((1, 1), (5, 7), (17, 3))), channels)
    exif = r.choice(structures())
    if r.random() < 0.8:
        exif = mutate.any_bytes(r, exif)
    icc = r.choice((b"", srgb_profile(), mutate.any_bytes(r, srgb_profile()), r.randbytes(5)))
    xmp = r.choice((b"", b"<x/>", r.randbytes(40), b"x" * 70_000))
    cicp = r.choice((b"", bytes((r.randrange(256), r.randrange(256), 0, r.randrange(2)))))
    mode = ("L", "LA", "RGB", "RGBA")[channels - 1]
    decoded = Decoded(pixels[:, :, 0] if mode == "L" else pixels, mode, exif, icc, xmp, cicp)
    kind = KINDS[index % len(KINDS)]
    if channels in (2, 4) and kind not in ALPHA:
        kind = "PNG"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            packed = pack(decoded, kind)
        except UnsupportedError:
            return "UnsupportedError"
    if not packed.data:
        raise Broken(f"{kind}: nothing was written")
    return ACCEPTED


def source(r: Random, index: int) -> str:
    """A mutated image of another format: refused by name, or coded, and its metadata written."""
    name, data = sources()[index % len(sources())]
    if r.random() < 0.95:
        data = mutate.splice(r, data, r.choice(sources())[1]) if r.random() < 0.1 else (
            mutate.any_bytes(r, data)
        )  # fmt: skip
    with warnings.catch_warnings(), mock.patch.object(images, "MAX_PIXELS", MAX_PIXELS):
        warnings.simplefilter("ignore")
        try:
            found = images.read_image(data)
            if found.color.size < 1 << 14:
                encoded = Encoder(found, micro_model(), runtime=Runtime("native", 1)).encode(0)
                decoded = intact.decode(encoded.data, model=micro_model(), threads=1)
                kind = r.choice([k for k in KINDS if k in ALPHA or found.alpha is None])
                pack(decoded, kind)
        except IntactError as error:
            return f"{type(error).__name__}"
    return f"{ACCEPTED} {name.partition('-')[0]}"


CHECKS: tuple[tuple[str, Callable[[Random, int], str]], ...] = (
    ("native image", native_image), ("source", source), ("plugin", plugin), ("output", output),
    ("native model", native_model), ("source", source), ("plugin", plugin), ("output", output),
)  # fmt: skip


def run(seed: int, index: int) -> tuple[str, str]:
    """One run: the name of what was done, and what came of it.

    Raises:
        Exception: a finding.
    """
    name, check = CHECKS[index % len(CHECKS)]
    return name, check(Random(f"edges {seed}/{index}"), index // len(CHECKS))
