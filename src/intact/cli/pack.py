"""``intact pack``: weights of a network to a small file."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from intact.cli import lines
from intact.cli.errors import UsageError, complain
from intact.cli.options import Force, Json, Quiet, Threads
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar
from intact.errors import UnsupportedError

if TYPE_CHECKING:
    from intact.packing.choose import Settings
    from intact.packing.report import Content, Report

STEPS = 1000
"""Of the bar."""


def pack(
    source: Annotated[
        str, Argument("IN", help="A safetensors file, or the .index.json of shards.")
    ],
    output: Annotated[str | None, Option("-o", "--output", help="The file [IN.intactw].")] = None,
    bits: Annotated[
        float | None,
        Option("--bits", minimum=0.01, maximum=12, help="Mean coded bits for a weight; 4."),
    ] = None,
    ratio: Annotated[
        float | None,
        Option("--ratio", minimum=0.1, maximum=10000, help="Bytes of IN for one of the file."),
    ] = None,
    max_error: Annotated[
        float | None,
        Option(
            "--max-error",
            minimum=1e-4,
            maximum=1,
            help="Largest RMS error of a tensor, of its standard deviation.",
        ),
    ] = None,
    lossless: Annotated[bool, Option("--lossless", help="Keep every bit.")] = False,
    best: Annotated[bool, Option("--best", help="A smaller file, by a slower coder.")] = False,
    include: Annotated[
        list[str] | None, Option("--include", metavar="GLOB", help="Quantize these, too.")
    ] = None,
    exclude: Annotated[
        list[str] | None, Option("--exclude", metavar="GLOB", help="Leave these as they are.")
    ] = None,
    recipe: Annotated[
        str | None, Option("--recipe", metavar="FILE", help="Targets by names of tensors (TOML).")
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """Pack the weights of a network: quantized and entropy coded, or without loss.

    Integers, masks, small tensors and those of one axis (norms, biases) stay as they are, and are
    listed by `intact info`. Reads safetensors; checkpoints of torch (.pt) where torch is installed.
    """
    from intact import files
    from intact.packing.file import SUFFIX
    from intact.packing.pack import pack as pack_tensors

    asked = {"bits": bits, "ratio": ratio, "max_error": max_error, "lossless": lossless or None}
    given = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")
    named = output is not None
    target = output if output is not None else _name_for(source) + SUFFIX
    settings = _settings(asked, include or [], exclude or [], recipe, best=best)
    check_output(target, [source], named=named, force=force)
    start = time.perf_counter()
    sources, content = open_source(source)
    with Bar("packing", STEPS, quiet=quiet or as_json) as bar, named_errors(target):
        bar.note(source)
        with files.writing(target) as file:
            report = pack_tensors(
                sources, file, settings, content, threads=threads,
                tick=lambda share: bar.reach(int(share * STEPS)),
            )  # fmt: skip
    seconds = time.perf_counter() - start
    _show(source, target, report, seconds, as_json=as_json, quiet=quiet)
    return 0


@contextlib.contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Errors of writing name the output, not its temporary file."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename).endswith(".intact-partial"):
            raise OSError(error.errno, error.strerror, name) from error
        raise


def check_output(
    target: str,
    sources: list[str],
    *,
    named: bool,
    force: bool,
    way: str = "-o or --force",
) -> None:
    """Refuse an output that is in the way, or an input.

    Args:
        target: the output.
        sources: the inputs.
        named: somebody chose its name: it is replaced, as everywhere.
        force: replace it anyway.
        way: how to have it written.

    Raises:
        UsageError: it is not to be written.
    """
    for source in sources:
        if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
            raise UsageError(f"{target} is input and output at once")
    if target == "-" or (os.path.lexists(target) and not os.path.isfile(target)):
        raise UsageError(f"{target}: the output must be a file")
    if os.path.lexists(target) and not (named or force):
        raise UsageError(f"{target} exists; give {way}")


def _name_for(source: str) -> str:
    """The input's name without its suffixes."""
    from intact.packing.inputs import CHECKPOINTS

    for suffix in (".index.json", ".safetensors", *CHECKPOINTS):
        source = source.removesuffix(suffix)
    return source


def _settings(
    asked: dict[str, Any], include: list[str], exclude: list[str], recipe: str | None, *, best: bool
) -> Settings:
    from intact.packing.choose import DEFAULT_BITS, Settings, Target, read_recipe

    found = read_recipe(Path(recipe).read_bytes(), recipe) if recipe is not None else {}
    if asked.pop("lossless"):
        target = Target()
    else:
        numbers = {name: value for name, value in asked.items() if value is not None}
        target = Target(**(numbers or {"bits": DEFAULT_BITS}))
    return Settings(
        target, [*include, *found.get("include", [])], [*exclude, *found.get("exclude", [])],
        found.get("rules", []), best,
    )  # fmt: skip


def open_source(source: str) -> tuple[list[Any], Content]:
    """The tensors of an input, whatever kind it is."""
    from intact.packing.inputs import is_checkpoint, open_input
    from intact.packing.report import Content

    if not is_checkpoint(source):
        return open_input(source)
    try:
        from intact.weights.checkpoints import num_bytes, read_checkpoint
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"a checkpoint of torch needs {error.name}, which is not installed here; "
            "save it as safetensors"
        ) from error
    sources = read_checkpoint(source)
    # An optimizer's state is no weights: no ratio may count it.
    size = min(os.path.getsize(source), num_bytes(sources) or math.inf)
    return sources, Content(input_bytes=int(size))


def _show(
    source: str, target: str, report: Report, seconds: float, *, as_json: bool, quiet: bool
) -> None:
    from intact.packing.index import NOTES

    kept = [fate for fate in report.fates if fate.error is None]
    worst = max((fate.error for fate in report.fates if fate.error is not None), default=None)
    ratio = report.input_bytes / max(report.output_bytes, 1)
    if report.warning and not quiet:
        complain(report.warning, target)
    if as_json:
        lines.show_json(
            {
                "input": source,
                "output": target,
                "input_bytes": report.input_bytes,
                "output_bytes": report.output_bytes,
                "ratio": ratio,
                "coded_bits": report.coded_bits,
                "max_error": worst,
                "warning": report.warning,
                "seconds": seconds,
                "tensors": [
                    {
                        "name": fate.tensor.name,
                        "dtype": fate.tensor.dtype.name,
                        "shape": list(fate.tensor.shape),
                        "coded_bytes": fate.share.size,
                        "error": fate.error,
                        "declined": NOTES[fate.tensor.note] or None,
                        "same_as": fate.share.same_as,
                    }
                    for fate in report.fates
                ],
            }
        )
    elif not quiet:
        facts = f"{report.input_bytes:,} -> {report.output_bytes:,} bytes, {ratio:.2f}x"
        if report.coded_bits is not None and worst is not None:
            facts += f", {report.coded_bits:.3f} bits a weight, RMS error up to {worst:.4f} std"
        lines.say(lines.pair(source, target, f"{facts}  {seconds:.2f} s"))
        if report.coded_bits is not None and kept:
            lines.say(
                f"{len(kept)} of {len(report.fates)} tensors as they were (intact info says why)"
            )
