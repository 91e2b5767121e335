"""``intact decode``: files to images."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any

from intact.cli import existing, lines
from intact.cli.errors import UsageError, complain
from intact.cli.io import STDIO, SUFFIX, Rules, outputs, read
from intact.cli.options import (
    AllowInexact,
    Backend,
    BackendName,
    Force,
    Json,
    MaxPixels,
    ModelName,
    NoEmbedded,
    Quiet,
    SkipExisting,
    Task,
    Threads,
    each,
)
from intact.cli.parser import Argument, Option
from intact.cli.progress import Stages
from intact.cli.save import FORMATS, pack
from intact.cli.streams import is_stream
from intact.container.limits import MAX_PIXELS
from intact.errors import IntactError

BEGINS = {"hyper synthesis": 0.0, "prior a": 0.02, "prior b": 0.27, "synthesis": 0.54}
"""Share of a decode that is done when a stage begins (6 megapixels, native)."""


def decode(
    inputs: Annotated[list[str], Argument("IN", help="Files or folders; - is stdin.")],
    output: Annotated[
        str | None, Option("-o", "--output", help="File, folder, or - for stdout.")
    ] = None,
    region: Annotated[
        str | None, Option(metavar="X,Y,W,H", help="Only this rectangle of pixels.")
    ] = None,
    format_name: Annotated[
        str | None,
        Option("--format", help="Instead of what the suffix says [png]."),
    ] = None,
    model: ModelName = None,
    backend: BackendName = Backend.AUTO,
    threads: Threads = 0,
    allow_inexact: AllowInexact = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    no_embedded_models: NoEmbedded = False,
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

    def one(source: str, name: str, task: Task) -> tuple[dict[str, Any], str] | None:
        from intact.codec import image as codec
        from intact.container.image_file import peek

        start = time.perf_counter()
        task.bar.note(source)
        place = existing.Output(source, name, named=name == output, options=region or "")
        if skip_existing:
            place.look(existing.is_sound_image, force=force)
        if place.is_done_by_time():
            return None
        content = read(source)
        if place.is_done_by_hash(content):
            return None
        with contextlib.suppress(IntactError):  # `decode` says what is wrong
            task.check(peek(content).num_padded_pixels)
        decoded = codec.decode(
            content, region=box, model=model, backend=backend.value, threads=task.threads,
            allow_inexact=allow_inexact, max_pixels=max_pixels,
            embedded_models=not no_embedded_models, progress=Stages(task.bar, source, BEGINS),
        )  # fmt: skip
        packed = pack(decoded, FORMATS[kinds[name].lower().lstrip(".")])
        if place.is_done_by_bytes(packed.data):
            return None
        place.write(packed.data)
        if packed.notes and not quiet:
            complain("; ".join(packed.notes), source)
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

    return each(pairs, one, label="decoding", as_json=as_json, quiet=quiet, threads=threads)


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
