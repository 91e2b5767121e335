"""Time of whole encodes and decodes with one model against another, in turns in one run.

    python benchmarks/decoder_time.py --model NAME_OR_FILE [--base photo] [--size 1536x1024]
        [--threads 1,2] [--rounds 7] [-o CSV]

Files in memory, at quality 25, 50 and 90; the fastest backend that is proven here. Medians; the
ratio is the model's time over the base's. Goals of issue 12: decode 2.2, encode 2.0 (exit code 1 if
one is missed).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import Row, find_model, in_turns, machine, photo, seconds, write

import intact
from intact.codec.model import Model

GOALS = {"encode": 2.0, "decode": 2.2}
QUALITIES = (25, 50, 90)


def main() -> int:
    """Print a table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name or file")
    parser.add_argument("--base", default="photo")
    parser.add_argument("--size", default="1536x1024", help="width x height of the picture")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    image = photo(width, height)
    models: dict[str, Model] = {
        "base": find_model(options.base)[0], "model": find_model(options.model)[0]
    }  # fmt: skip
    print(machine())
    print(f"{options.size}; {models['model'].name} against {models['base'].name}")
    rows: list[Row] = []
    for threads in map(int, options.threads.split(",")):
        for quality in QUALITIES:
            files = {
                name: intact.encode(image, quality=quality, model=model)
                for name, model in models.items()
            }
            works = {
                "encode": {
                    name: seconds(lambda m=model: intact.encode(
                        image, quality=quality, model=m, threads=threads  # noqa: B023
                    ))
                    for name, model in models.items()
                },
                "decode": {
                    name: seconds(lambda d=data, m=models[name]: intact.decode(
                        d, model=m, threads=threads  # noqa: B023
                    ))
                    for name, data in files.items()
                },
            }  # fmt: skip
            for what, runs in works.items():
                times = in_turns(runs, options.rounds)
                ratio = times["model"] / times["base"]
                rows.append({
                    "what": what, "threads": threads, "quality": quality,
                    "base_ms": 1e3 * times["base"], "model_ms": 1e3 * times["model"],
                    "ratio": ratio, "goal": GOALS[what], "size": options.size,
                    "base": models["base"].name, "model": models["model"].name,
                    "machine": machine(),
                })  # fmt: skip
                print(f"{what}, {threads} thread(s), quality {quality}: {1e3 * times['base']:.0f} "
                      f"and {1e3 * times['model']:.0f} ms, {ratio:.2f} times (goal "
                      f"{GOALS[what]})", flush=True)  # fmt: skip
    if options.output:
        write(options.output, rows)
    return int(any(row["ratio"] > row["goal"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
