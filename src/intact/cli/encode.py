"""``intact encode``: images to files."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from intact.cli import existing, lines
from intact.cli.errors import UsageError, complain
from intact.cli.io import STDIO, SUFFIX, Rules, outputs, read, walk
from intact.cli.options import (
    AllowInexact,
    Backend,
    BackendName,
    Force,
    Json,
    ModelName,
    Quiet,
    SkipExisting,
    Task,
    Threads,
    each,
)
from intact.cli.parser import Argument, Option
from intact.cli.progress import Stages
from intact.files import IMAGES

if TYPE_CHECKING:
    from intact.codec.encoder import Encoded, Encoder
    from intact.codec.model import Model
    from intact.codec.pixels import Source
    from intact.codec.target import Target

BEGINS = {
    "analysis": 0.0, "hyper analysis": 0.47, "hyper synthesis": 0.472, "prior a": 0.477,
    "prior b": 0.54, "entropy coding": 0.67, "synthesis": 0.69,
}  # fmt: skip
"""Share of an encode that is done when a stage begins (6 megapixels, native)."""
REFINED_BEGINS = {"analysis": 0.0, "refining": 0.02}
"""The same with refined latents; "refining" counts its windows."""


def encode(
    inputs: Annotated[list[str], Argument("IN", help="Images or folders; - is stdin.")],
    output: Annotated[
        str | None, Option("-o", "--output", help="File, folder, or - for stdout.")
    ] = None,
    quality: Annotated[
        float | None, Option("-q", "--quality", help="0 (smallest) to 100 (best) [50].")
    ] = None,
    model: ModelName = None,
    target_bpp: Annotated[
        float | None, Option(help="Best quality within so many bits per pixel.")
    ] = None,
    target_size: Annotated[
        int | None, Option(help="Best quality within so many bytes per file.")
    ] = None,
    target_psnr: Annotated[
        float | None, Option(help="Smallest file that reaches so many dB.")
    ] = None,
    strip_metadata: Annotated[
        bool,
        Option("--strip-metadata", help="Drop EXIF and XMP; orientation and colors stay."),
    ] = False,
    embed_model: Annotated[
        bool, Option("--embed-model", help="Put the model into the file, megabytes long.")
    ] = False,
    check: Annotated[
        bool,
        Option("--check", help="Decode with a second backend, too, before writing."),
    ] = False,
    effort: Annotated[
        int,
        Option("--effort", minimum=0, maximum=3, help="Search longer for better files: 0..3 [0]."),
    ] = 0,
    backend: BackendName = Backend.AUTO,
    threads: Threads = 0,
    allow_inexact: AllowInexact = False,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    skip_existing: SkipExisting = False,
) -> int:
    """Encode images, or folders of them.

    Without -o each file goes next to its image, with the suffix .intact.
    """
    target = aim(quality, target_bpp, target_size, target_psnr)

    from intact.codec.image import DEFAULT_QUALITY, Encoder, Runtime
    from intact.codec.pixels import stripped
    from intact.codec.store import load_model
    from intact.codec.target import search
    from intact.container.image_file import peek
    from intact.images import num_pixels

    if output is not None and output.lower().endswith(IMAGES):
        raise UsageError(f"{output} is an image's name; a file of Intact ends in {SUFFIX}")
    chosen = load_model(model)  # before outputs: folders are made there
    pairs = outputs(inputs, output, Rules(SUFFIX, IMAGES, force, skip_existing, quiet))
    if not quiet:
        tell_left_out(inputs)
        if quality is not None and len(chosen.levels) == 1:
            complain(f"model {chosen.name!r} has one rate: --quality has no effect")
    if as_json and any(name == STDIO for _, name in pairs):
        raise UsageError("--json needs stdout for itself: name a file with -o")

    def one(source: str, name: str, task: Task) -> tuple[dict[str, Any], str] | None:
        start = time.perf_counter()
        bar = task.bar
        bar.note(source)
        place = existing.Output(source, name, named=name == output)
        if skip_existing:
            place.look(existing.is_sound_file, force=force)
        if place.is_done_by_time():
            return None
        content = [read(source)]
        if place.is_done_by_hash(content[0]):
            return None
        task.check(num_pixels(content[0]))
        original = len(content[0])
        wanted = DEFAULT_QUALITY if quality is None else quality
        stages = Stages(bar, source, *_course(effort, None if target else wanted))
        runtime = Runtime(backend.value, task.threads, stages, allow_inexact)
        # Nobody holds the file while it is coded.
        image = open_image(content.pop(), source, quiet=quiet)
        drop = stripped(image.metadata) if strip_metadata else None
        encoder = Encoder(image, chosen, drop, runtime, embed_model=embed_model, effort=effort)
        if place.old is not None:
            level = min(peek(place.old).level, len(chosen.levels) - 1)
            same = encoder.encode(level).data
            if effort and same != place.old:  # without the effort, perhaps
                same = encoder.encode(level, plain=True).data
            if place.is_done_by_bytes(same):
                return None
        if target is None:
            encoded = encoder.encode(chosen.levels.of_quality(wanted))
        else:
            encoded = search(encoder, target, lambda tried: bar.note(_tried(tried, source)))
        checked = encoder.check(encoded) if check else None
        place.write(encoded.data)
        if not quiet:
            _tell(image, source, stripped=strip_metadata)
            _compare(len(encoded.data), math.inf if embed_model else original, source)
        result, line = _result(encoder, encoded, source, name, time.perf_counter() - start)
        if checked is not None:
            result["checked_with"] = checked
        return result, line

    return each(pairs, one, label="encoding", as_json=as_json, quiet=quiet, threads=threads)


def _course(effort: int, quality: float | None) -> tuple[dict[str, float], int]:
    """When stages begin, and how often all of them come; None for a target."""
    from intact.codec.encoder import REFINED
    from intact.codec.target import NEAR, SEARCHES
    from intact.codec.twicing import FROM_QUALITY

    runs = SEARCHES if quality is None else 1
    if effort == 1:  # the picture is analyzed twice; with a target, at the last levels
        runs += 2 * NEAR if quality is None else quality >= FROM_QUALITY
    return REFINED_BEGINS if effort >= REFINED else BEGINS, runs


def aim(
    quality: float | None, bpp: float | None, size: int | None, psnr: float | None
) -> Target | None:
    """What the options aim at; None is a quality.

    Raises:
        UsageError: there is more than one, or one is out of range.
    """
    given = [t for t in (bpp, size, psnr) if t is not None]
    if len(given) + (quality is not None) > 1:
        raise UsageError("give one of --quality, --target-bpp, --target-size, --target-psnr")
    if quality is not None and not 0 <= quality <= 100:
        raise UsageError(f"quality is {quality:g}, must be in 0..100")
    if given and not 0 < given[0] < math.inf:
        raise UsageError(f"a target of {given[0]:g} is not a positive number")
    if not given:
        return None
    from intact.codec.target import Target  # loads NumPy

    return Target(bpp, size, psnr)


def tell_left_out(inputs: list[str]) -> None:
    """Say what in folders is not taken for images: an archive should miss nothing."""
    for name in filter(os.path.isdir, inputs):
        files, never = walk(name)
        for path in never:
            complain("a link to a folder, or no file: left out", str(path))
        others = Counter(path.suffix.lower() for path in files)
        for suffix in (*IMAGES, SUFFIX):
            others.pop(suffix, None)
        if others:
            kinds = ", ".join(
                f"{count} {suffix or 'without suffix'}" for suffix, count in others.most_common(9)
            )
            complain(f"{others.total()} left out, by their suffix no images: {kinds}", name)


def open_image(data: bytes, name: str, *, quiet: bool = False) -> Source:
    """Open any image in one of the formats that are read; pixels are never rotated.

    Raises:
        UnsupportedError, CorruptDataError: see `intact.images.read_image`.
    """
    from intact.images import read_image

    source = read_image(data)
    if source.frames > 1 and not quiet:
        told = f"only the first of {source.frames} frames is coded"
        complain(told, name, alike="only the first of several frames is coded")
    return source


def _tell(image: Source, name: str, *, stripped: bool) -> None:
    """Say what was converted, and what of the metadata is not kept, if it was not to be dropped."""
    if image.note:
        complain(image.note, name)
    if image.left_out and not stripped:
        complain(f"not kept: {', '.join(image.left_out)}", name)


def _compare(size: int, original: float, name: str) -> None:
    """Say that a file has more bytes than its original."""
    if size > original:
        told = f"the file has {size:,} bytes, the original {original:,}"
        alike = "the original is smaller than the file, and nothing is lost in it"
        complain(f"{told}: it is smaller, and nothing is lost in it", name, alike=alike)


def _tried(encoded: Encoded, name: str) -> str:
    return f"{name}: level {encoded.level} takes {len(encoded.data)} bytes"


def _result(
    encoder: Encoder, encoded: Encoded, source: str, name: str, seconds: float
) -> tuple[dict[str, Any], str]:
    area, size = encoder.width * encoder.height, len(encoded.data)
    psnr = encoder.psnr(encoded)
    model: Model = encoder.model
    result = {
        "input": source,
        "output": name,
        "width": encoder.width,
        "height": encoder.height,
        "bytes": size,
        "bpp": 8 * size / area,
        "psnr": psnr if psnr != float("inf") else None,
        "level": encoded.level,
        "model": model.name,
        "model_id": model.id.hex(),
        "backend": encoder.networks.backend.name,
        "seconds": seconds,
    }
    facts = f"{area} px  {size:,} bytes  {8 * size / area:.3f} bpp  {psnr:.2f} dB  {seconds:.2f} s"
    return result, lines.pair(source, name, facts)
