"""``intact eval``: codecs compared on a folder of pictures, by real files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from intact.cli import lines
from intact.cli.errors import Code, UsageError, complain, report
from intact.cli.io import show_json
from intact.cli.options import AllowInexact, Json, Quiet
from intact.cli.parallel import num_cores
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar
from intact.errors import UnsupportedError, quoted

if TYPE_CHECKING:
    from intact.evaluate.codec import Codec
    from intact.evaluate.run import Progress

DEFAULTS = ["intact", "jpeg", "jpeg2000", "webp", "avif"]
EVERY_SECONDS = 30
"""So often a line says how far it is, where there is no bar."""


def eval(
    images: Annotated[list[str], Argument("FOLDER", help="Folders of images, or images.")],
    output: Annotated[str, Option("-o", "--output", metavar="OUT", help="Folder for results.")],
    codec: Annotated[
        list[str] | None,
        Option(
            metavar="CODEC",
            help="intact, a model, MODEL@EFFORT, NAME=MODEL,MODEL, or jpeg, jpeg2000, webp, avif, "
            "jxl, heic, jpegxr, bpg; repeatable [intact, jpeg, jpeg2000, webp, avif].",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        Option(metavar="CODEC", help="What BD-rates compare with; repeatable [all others]."),
    ] = None,
    qualities: Annotated[
        list[str] | None,
        Option(metavar="CODEC=Q,Q,...", help="Qualities of a codec; repeatable [its own]."),
    ] = None,
    points: Annotated[int, Option(minimum=2, help="Of a codec's own qualities at most.")] = 9,
    metric: Annotated[
        list[str] | None,
        Option(
            metavar="METRIC",
            help="psnr, ssim, ms_ssim, ssimulacra2, butteraugli; repeatable [all there are].",
        ),
    ] = None,
    published: Annotated[
        list[str] | None,
        Option(
            metavar="CSV[=CODEC,...]",
            help="Published curves measured on these pictures; repeatable [of Kodak those that "
            "come along].",
        ),
    ] = None,
    crops: Annotated[int, Option(minimum=0, help="Pictures to show crops of.")] = 1,
    crop_bpp: Annotated[
        float | None, Option("--crop-bpp", minimum=0.001, help="Their bits per pixel [0.25].")
    ] = None,
    jobs: Annotated[int, Option(minimum=0, help="Processes; 0 is one a core.")] = 0,
    allow_inexact: AllowInexact = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare codecs on images: rates of real files, metrics of decoded pixels, BD-rates, plots.

    Goes on where an earlier run into the same folder stopped. Needs the extra bench for HEIC, JPEG
    XL, JPEG XR, SSIMULACRA 2 and plots; what is missing is left out, said, and ends in code 3.
    """
    # One process a core: threads of theirs would only fight. Read when NumPy is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from intact.evaluate import job as evaluation, metrics, pictures
    from intact.evaluate.codec import printing_to_stderr
    from intact.evaluate.report import text

    silent, worst = quiet or as_json, Code.OK
    names = metrics.check(metric or [])
    left_out = [f"{n}: {why}" for n, why in metrics.groups()[1].items() if n in names]
    worst = Code.UNSUPPORTED if metric and left_out else worst
    codecs, missing = _codecs(codec or DEFAULTS, qualities or [], points, allow_inexact)
    left_out += missing
    worst = Code.UNSUPPORTED if missing else worst
    absent = {note.partition(":")[0] for note in missing}
    chosen = pictures.choose([Path(name) for name in images], out=Path(output))
    what = evaluation.Job(
        chosen,
        codecs,
        Path(output),
        metrics.metric_set(names),
        jobs or num_cores(),
        [name for name in dict.fromkeys(against or []) if name not in absent],
        [_published(item) for item in published or []],
        crops,
        crop_bpp,
    )
    if not what.metric_set:
        raise UnsupportedError(f"none of these metrics can be measured here: {'; '.join(left_out)}")
    evaluation.check(what)
    for note in left_out:
        complain(f"left out: {note}")
    if not silent:
        lines.say("\n".join([*map(_about, codecs), f"metrics: {what.metric_set}"]))
    with printing_to_stderr(), Bar("evaluating", None, quiet=quiet) as bar:
        plan, failures = evaluation.measure(what, _Teller(bar, quiet=quiet))
        for note in plan.notes:
            complain(note)
        for picture, error in plan.unreadable:
            worst = max(worst, report(error, str(picture.path))[0])
            left_out.append(f"{picture.name}: {error}")
        if not plan.digests:
            raise UsageError("none of the pictures can be read")
        for failure in failures:
            complain(f"left out: {failure}", error=True)
            worst = max(worst, Code.UNSUPPORTED)
        results = evaluation.summarize(what, plan.digests, bar.note)
    for column in metrics.measured(what.metric_set):
        if column not in results.metrics:
            results.left_out.append(f"{column.label}: no picture has a finite value of it")
            worst = max(worst, Code.UNSUPPORTED) if metric else worst
    for note in results.left_out:
        complain(f"left out: {note}")
    results.left_out[:0] = left_out + failures
    if as_json:
        show_json({**results.facts(), "notes": plan.notes, "code": int(worst)})
    elif not quiet:
        print(text(results.comparisons, results.metrics))
        lines.say("\n".join(f"written to {path}" for path in results.written))
    return worst


def _codecs(
    wanted: list[str], qualities: list[str], points: int, allow_inexact: bool
) -> tuple[list[Codec], list[str]]:
    """The codecs, and what of them is not here.

    Raises:
        UsageError: qualities of a codec that nobody asked for, or none at all.
        ArgumentError: there is no codec of that name, or a quality is out of its range.
        UnsupportedError: no codec is here.
    """
    from intact.evaluate.codec import MissingError
    from intact.evaluate.find import find_codec

    found: list[Codec] = []
    missing: list[str] = []
    asked: dict[str, list[str]] = {}
    for item in qualities:
        name, _, values = item.rpartition("=")
        found_values = [value for value in values.split(",") if value.strip()]
        if not name or not found_values:
            raise UsageError(f"--qualities {quoted(item)}: expected CODEC=Q,Q,...")
        asked.setdefault(name, []).extend(found_values)
    for name in dict.fromkeys(wanted):
        try:
            codec = find_codec(name, allow_inexact=allow_inexact).thinned(points)
        except MissingError as error:
            missing.append(f"{name}: {error}")
            asked.pop(name, None)
            continue
        own = asked.pop(codec.name, None)
        if own and codec.is_fixed:
            complain(f"{codec.name} has models of one rate alone: --qualities has no effect")
        found.append(codec.at(own) if own else codec)
    if asked:
        raise UsageError(f"--qualities {next(iter(asked))}: no such codec was asked for")
    if not found:
        raise UnsupportedError(f"no codec is left: {'; '.join(missing)}")
    return found, missing


def _about(codec: Codec) -> str:
    """The exact options of a codec, for people."""
    first, last = codec.settings[0], codec.settings[-1]
    count = len(codec.settings)
    about = f"{codec.name} ({codec.label}): {codec.source}; "
    if count == 1:
        return f"{about}1 setting, {codec.options(first)}"
    return f"{about}{count} settings, {codec.options(first)} .. {codec.options(last)}"


def _published(item: str) -> tuple[Path, list[str]]:
    """A file and which of its codecs, from "FILE.csv=CODEC,CODEC"."""
    name, _, only = item.partition(".csv=")
    return (Path(f"{name}.csv"), only.split(",")) if only else (Path(item), [])


class _Teller:
    """Says how far a run is: on the bar, or where there is none in a line now and then."""

    def __init__(self, bar: Bar, *, quiet: bool) -> None:
        self._bar, self._quiet, self._said = bar, quiet, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        from intact.evaluate.run import time_left

        left = time_left(progress.seconds_left)
        self._bar.reach(progress.done, progress.total)
        self._bar.note(f"{left}, {progress.label}")
        now = time.monotonic()
        if not (self._quiet or self._bar.visible) and now - self._said >= EVERY_SECONDS:
            self._said = now
            complain(f"{progress.done} of {progress.total}, {left}: {progress.label}")
