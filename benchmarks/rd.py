"""Codecs on one plot: real file sizes, and the metrics that people's eyes agree with.

    python benchmarks/rd.py ../shared/data/kodak -o kodak.csv --codec photo --codec avif

Measures bits per pixel, PSNR, MS-SSIM, SSIMULACRA 2 and Butteraugli of every picture at every
setting and appends them to OUT.csv; what is there already is not measured again. Then prints
BD-rates and writes OUT_bd.csv and OUT.png, of all codecs in OUT.csv. Codecs: as of ``intact eval``.
Without --codec it only reports.

These are the parts of ``intact eval`` (`intact.evaluate`) for the tables in benchmarks/results:
lists of pictures, every n-th, the middle of each, ranges of quality. What is missing is left out
and named.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from intact.evaluate import (  # noqa: E402
    bd,
    crops,
    curves,
    metrics,
    pictures,
    plot,
    report,
    run,
    table,
)
from intact.evaluate.codec import Codec, MissingError  # noqa: E402
from intact.evaluate.find import find_codec  # noqa: E402
from intact.evaluate.others import OTHERS  # noqa: E402

MEASURED = ("psnr", "ms_ssim", "ssimulacra2", "butteraugli")
"""What the tables in benchmarks/results have; they are gone on with."""


def size(text: str) -> tuple[int, int]:
    """Width and height from "768x512"."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def position(text: str) -> tuple[int, int]:
    """Left and top from "300,200"."""
    left, _, top = text.partition(",")
    return int(left), int(top)


def span(text: str) -> tuple[str, tuple[float, float]]:
    """Metric and range from "ssimulacra2=20,90"."""
    name, _, ends = text.partition("=")
    low, _, high = ends.partition(",")
    known = [metric.key for metric in metrics.METRICS]
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return name, (float(low), float(high))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("images", nargs="*", type=Path, help="folders or files")
    add("-o", type=Path, required=True, metavar="OUT.csv")
    add("--codec", action="append", default=[], help="repeatable")
    add("--qualities", action="append", default=[], metavar="CODEC=Q,Q,...",
        help="settings instead of a codec's own")  # fmt: skip
    add("--list", type=Path, help="names of pictures, one a line, # comments")
    add("--root", type=Path, default=Path(), help="folder that the names are below")
    add("--every", type=int, default=1, help="every n-th picture only")
    add(
        "--center-crop",
        type=size,
        metavar="WxH",
        help="measure at most that much, the middle of each picture",
    )
    add("--test", action="append", default=[], help="codecs to compare with all others (ours)")
    add("--between", action="append", type=span, default=[], metavar="METRIC=LOW,HIGH",
        help="qualities that BD-rates are taken over; else all that both codecs reach")  # fmt: skip
    add("--again", action="append", default=[], help="codec whose rows are measured again")
    add("--jobs", type=int, default=1, help="processes")
    add("--crops", type=Path, metavar="DIR", help="write a row of crops at equal bytes a picture")
    add("--crop-quality", default="40", help="of the first --test: the bytes for all")
    add("--crop-at", type=position, metavar="X,Y", help="corner of the crops; else the center")
    add("--crop-size", type=int, default=256, help="pixels of the original a side")
    add("--crop-zoom", type=int, default=2, help="enlarged by so much")
    return parser.parse_args()


def codecs_of(args: argparse.Namespace) -> dict[str, Codec]:
    """The codecs by name; the missing ones are said."""
    values = dict(text.rsplit("=", 1) for text in args.qualities)
    found: dict[str, Codec] = {}
    for wanted in args.codec:
        try:
            codec = find_codec(wanted)
        except MissingError as error:
            print(f"left out: {wanted}: {error}")
            continue
        if codec.name in values:
            codec = codec.at(values[codec.name].split(","))
        found[codec.name] = codec
        first, last = codec.settings[0], codec.settings[-1]
        print(f"{codec.name}: {codec.source}; {codec.options(first)} .. {codec.options(last)}")
    return found


def main() -> None:
    """Measure what is missing, then report."""
    args = arguments()
    codecs = codecs_of(args)
    metric_set = metrics.metric_set(MEASURED)
    for name, why in metrics.groups()[1].items():
        print(f"left out: {name}: {why}")
    print(f"metrics: {metric_set}")
    names = (args.list, args.root) if args.list else None
    chosen = pictures.choose(args.images, names, args.every, args.center_crop)
    plan = run.plan(chosen, list(codecs.values()), table.read(args.o), metric_set, args.again)
    notes = [*plan.notes, *(f"{picture.name}: {error}" for picture, error in plan.unreadable)]
    for note in notes + run.run(plan.tasks, args.o, args.jobs, tell):
        print(note)
    sources = {codec.name: (codec.source, metric_set) for codec in codecs.values()}
    found = curves.by_codec(table.read(args.o), plan.digests or None, sources)
    if not found:
        sys.exit(f"{args.o} has no rows of these pictures")
    tests = args.test or [name for name in found if name not in OTHERS]
    unknown = set(tests) - set(found)
    if unknown:
        sys.exit(f"--test {', '.join(sorted(unknown))}: not among {', '.join(found)}")
    summarize(args.o, found, tests, dict(args.between))
    if args.crops:
        write_crops(args, chosen, list(codecs.values()), tests)


def tell(progress: run.Progress) -> None:
    """A line a task."""
    left = run.time_left(progress.seconds_left)
    print(
        f"[{progress.done}/{progress.total}] {progress.label}, {left}", file=sys.stderr, flush=True
    )


def summarize(
    path: Path, found: curves.Table, tests: list[str], between: dict[str, bd.Span]
) -> None:
    """Print BD-rates; write OUT_bd.csv and OUT.png."""
    columns = [metric for metric in curves.measured(found, metrics.METRICS)
               if metric.group in MEASURED]  # fmt: skip
    comparisons = bd.compare_all(found, tests, columns, between)
    print(report.text(comparisons, columns))
    report.write(path.with_name(path.stem + "_bd.csv"), comparisons)
    try:
        plot.draw(path.with_suffix(".png"), found, columns, path.stem)
    except MissingError as error:
        print(f"left out: plot: {error}")


def write_crops(
    args: argparse.Namespace,
    chosen: list[pictures.Picture],
    codecs: list[Codec],
    tests: list[str],
) -> None:
    """One row a picture: original, the codecs compared with, the tests."""
    tested = [codec for name in tests for codec in codecs if codec.name == name]
    if not tested:
        sys.exit(f"--crops needs one of {', '.join(tests)} as --codec")
    order = [codec for codec in codecs if codec not in tested] + tested
    window = crops.Window(args.crop_size, args.crop_zoom, *(args.crop_at or (None, None)))
    for picture in chosen:
        target = len(tested[0].encode(picture.pixels(), args.crop_quality))
        image = crops.sheet(picture, order, target, metrics.metric_set(MEASURED), window)
        print(f"written to {crops.write(args.crops, picture, image)}")


if __name__ == "__main__":
    main()
