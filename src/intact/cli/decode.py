"""``intact decode``: files to images."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intact.cli import existing, lines
from intact.cli.errors import UsageError
from intact.cli.io import STDIO, SUFFIX, Rules, outputs, read
from intact.cli.options import (
    Backend,
    BackendName,
    Force,
    Json,
    ModelName,
    Quiet,
    SkipExisting,
    Threads,
    each,
)
from intact.cli.progress import Stages
from intact.cli.streams import is_stream

if TYPE_CHECKING:
    from intact.cli.progress import Bar
    from intact.codec.image import Decoded

FORMATS = {
    "png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "tif": "TIFF", "tiff": "TIFF",
    "ppm": "PPM", "pgm": "PPM", "pnm": "PPM", "bmp": "BMP", "npy": "NPY",
}  # fmt: skip
ALPHA = {"PNG", "WEBP", "TIFF", "NPY"}
SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},  # exact: colors under transparent pixels stay
    "TIFF": {"compression": "tiff_deflate"},
}
TIFF_XMP = 700
BEGINS = {"hyper synthesis": 0.0, "prior a": 0.02, "prior b": 0.27, "synthesis": 0.54}
"""Share of a decode that is done when a stage begins (6 megapixels, native)."""


def decode(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN", help="Files or folders; - is stdin.")
    ],
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="File, folder, or - for stdout.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Only this rectangle of pixels.")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Instead of what the suffix says \\[png]."),
    ] = None,
    model: ModelName = None,
    backend: BackendName = Backend.AUTO,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    skip_existing: SkipExisting = False,
) -> int:
    """Decode files, or folders of them, into what the output's suffix says.

    That is png, jpg, webp, tiff, ppm, bmp or npy.
    """
    box = parse_region(region)
    if format_name is not None and format_name.lower().lstrip(".") not in FORMATS:
        raise UsageError(f"format {format_name!r}; legal: {', '.join(FORMATS)}")
    suffix = "." + (format_name or "png").lower().lstrip(".")
    pairs = outputs(inputs, output, Rules(suffix, [SUFFIX], force, skip_existing, quiet))
    if as_json and any(name == STDIO for _, name in pairs):
        raise UsageError("--json needs stdout for itself: name a file with -o")
    kinds = {
        name: suffix if format_name or is_stream(name) else Path(name).suffix for _, name in pairs
    }
    for name, kind in kinds.items():
        if kind.lower().lstrip(".") not in FORMATS:
            raise UsageError(f"{name}: no format has the suffix {kind!r}; legal: {list(FORMATS)}")

    def one(source: str, name: str, bar: Bar) -> tuple[dict[str, Any], str] | None:
        from intact.codec import image as codec

        start = time.perf_counter()
        bar.note(source)
        place = existing.Output(source, name, named=name == output, options=region or "")
        if skip_existing:
            place.look(existing.is_sound_image, force=force)
        if place.is_done_by_time():
            return None
        content = read(source)
        if place.is_done_by_hash(content):
            return None
        decoded = codec.decode(
            content, region=box, model=model, backend=backend.value, threads=threads,
            progress=Stages(bar, source, BEGINS),
        )  # fmt: skip
        data = pack(decoded, FORMATS[kinds[name].lower().lstrip(".")])
        if place.is_done_by_bytes(data):
            return None
        place.write(data)
        seconds = time.perf_counter() - start
        height, width = decoded.pixels.shape[:2]
        result = {
            "input": source,
            "output": name,
            "width": width,
            "height": height,
            "mode": decoded.mode,
            "level": decoded.level,
            "model": decoded.model_name,
            "seconds": seconds,
        }
        facts = f"{width}x{height} {decoded.mode}  {seconds:.2f} s"
        return result, lines.pair(source, name, facts)

    return each(pairs, one, label="decoding", as_json=as_json, quiet=quiet)


def parse_region(text: str | None) -> tuple[int, int, int, int] | None:
    """``x,y,w,h`` in pixels.

    Raises:
        UsageError: it is not four integers.
    """
    if text is None:
        return None
    try:
        x, y, w, h = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"region {text!r}: write x,y,width,height in pixels") from None
    return x, y, w, h


def pack(decoded: Decoded, kind: str) -> bytes:
    """A decoded image in a common format, with the metadata that the format can hold.

    Raises:
        UnsupportedError: the format holds no alpha, or not so much metadata.
    """
    import numpy as np

    from intact.errors import UnsupportedError

    if decoded.mode.endswith("A") and kind not in ALPHA:
        raise UnsupportedError(f"{kind} holds no alpha; decode to png, webp or tiff")
    stream = io.BytesIO()
    if kind == "NPY":
        np.save(stream, decoded.pixels, allow_pickle=False)
        return stream.getvalue()
    from PIL import Image

    image = Image.fromarray(decoded.pixels)
    try:
        image.save(stream, kind, **SETTINGS.get(kind, {}), **_metadata(decoded, kind))
    except (ValueError, OSError) as error:
        raise UnsupportedError(f"cannot be written as {kind}: {error}") from error
    return stream.getvalue()


def _metadata(decoded: Decoded, kind: str) -> dict[str, Any]:
    """Arguments for Pillow's ``save``."""
    from PIL import PngImagePlugin, TiffImagePlugin

    if kind in ("PPM", "BMP"):
        return {}
    options: dict[str, Any] = {}
    if decoded.icc_profile:
        options["icc_profile"] = decoded.icc_profile
    if decoded.exif and kind != "TIFF":
        options["exif"] = b"Exif\0\0" + decoded.exif  # JPEG needs the prefix, the others drop it
    if decoded.xmp and kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", decoded.xmp.decode("utf-8", "replace"))
        options["pnginfo"] = info
    elif decoded.xmp and kind in ("JPEG", "WEBP"):
        options["xmp"] = decoded.xmp
    elif kind == "TIFF":
        options["tiffinfo"] = _tiff_tags(decoded, TiffImagePlugin.ImageFileDirectory_v2())
    return options


def _tiff_tags(decoded: Decoded, tags: Any) -> Any:
    from PIL import Image

    if decoded.exif:
        exif = Image.Exif()
        exif.load(decoded.exif)
        for key, value in exif.items():
            tags[key] = value
        for pointer in (0x8769, 0x8825):  # the Exif and GPS directories
            if pointer in exif:
                tags[pointer] = exif.get_ifd(pointer)
    if decoded.xmp:
        tags.tagtype[TIFF_XMP] = 1  # bytes
        tags[TIFF_XMP] = decoded.xmp
    return tags
