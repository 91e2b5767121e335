"""Codecs on one plot: real file sizes, and the metrics that people's eyes agree with.

    python benchmarks/rd.py ../shared/data/kodak -o kodak.csv --codec photo --codec jpeg --codec avif

Measures bits per pixel, PSNR, MS-SSIM, SSIMULACRA 2 and Butteraugli of every picture at every
setting, appends to OUT.csv (what is there already is not measured again), then prints BD-rates and
writes OUT_bd.csv and OUT.png of all codecs in OUT.csv. Codecs: jpeg, jpeg2000, webp, avif, jxl,
heic, our models by name or by path; LABEL=PATH.intactm renames one. Without --codec it reports only.

Needs Pillow; for more: ssimulacra2, pillow-jxl-plugin, pillow-heif, matplotlib (PyPI), and
butteraugli_main (Debian: libjxl-devtools). What is missing is left out and named.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from rd_eyes import bd, measure, metrics, pictures, plot, report, table  # noqa: E402
from rd_eyes.codecs import OTHERS, Codec, MissingError, find_codec  # noqa: E402


def size(text: str) -> tuple[int, int]:
    """Width and height from "768x512"."""
    width, _, height = text.partition("x")
    return int(width), int(height)


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
    add("--center-crop", type=size, metavar="WxH", help="measure the middle of each picture only")
    add("--test", action="append", default=[], help="codecs to compare with all others (ours)")
    add("--again", action="append", default=[], help="codec whose rows are measured again")
    add("--jobs", type=int, default=1, help="processes")
    return parser.parse_args()


def codecs_of(args: argparse.Namespace) -> dict[str, Codec]:
    """The codecs by what they were asked for with; the missing ones are named."""
    values = dict(text.rsplit("=", 1) for text in args.qualities)
    found: dict[str, Codec] = {}
    for wanted in args.codec:
        try:
            codec = find_codec(wanted)
        except MissingError as error:
            print(f"left out: {wanted}: {error}")
            continue
        if codec.name in values:
            codec = find_codec(wanted, tuple(values[codec.name].split(",")))
        found[wanted] = codec
        first, last = codec.settings[0], codec.settings[-1]
        print(f"{codec.name}: {codec.source}; {codec.options(first)} .. {codec.options(last)}")
    return found


def main() -> None:
    """Measure what is missing, then report."""
    args = arguments()
    codecs = codecs_of(args)
    for name, why in metrics.groups()[1].items():
        print(f"left out: {name}: {why}")
    print(f"metrics: {metrics.metric_set()}")
    names = (args.list, args.root) if args.list else None
    chosen = pictures.choose(args.images, names, args.every, args.center_crop)
    rows = table.read(args.o)
    tasks, digests = measure.plan(chosen, codecs, rows, args.again)
    measure.run(tasks, args.o, args.jobs)
    found = bd.by_codec(table.read(args.o), digests or None)
    if not found:
        sys.exit(f"{args.o} has no rows of these pictures")
    tests = args.test or [name for name in found if name not in OTHERS]
    comparisons = bd.compare_all(found, tests, metrics.METRICS)
    print(report.text(comparisons, metrics.METRICS))
    report.write(args.o.with_name(args.o.stem + "_bd.csv"), comparisons)
    try:
        plot.draw(args.o.with_suffix(".png"), found, metrics.METRICS, args.o.stem)
    except ImportError as error:
        print(f"left out: plot: {error}")


if __name__ == "__main__":
    main()
