"""``intact freeze``: a training run becomes a model; needs PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from intact.cli.errors import Code, UsageError, printable
from intact.cli.io import show_json, write
from intact.cli.models import describe
from intact.cli.options import Force, Json, Quiet
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar

SUFFIX = ".intactm"


def freeze(
    run: Annotated[str, Argument("RUN", help="The folder of a training run.")],
    output: Annotated[str, Option("-o", "--output", metavar="MODEL.intactm")],
    name: Annotated[str | None, Option(help="Of the model [the output's].")] = None,
    images: Annotated[
        int, Option(minimum=0, help="Training images on which symbols are counted.")
    ] = 96,
    weights: Annotated[
        str | None,
        Option(metavar="FILE.safetensors", help="Also write the float weights, in bfloat16."),
    ] = None,
    dead_zone: Annotated[
        float | None, Option(minimum=0.0, maximum=0.5, help="Rounding offset, share of the step.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="SECTION.KEY=VALUE", help="Change what no weight has; repeatable."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """Turn a run's averaged weights into integers, prove their bounds, and write the model."""
    if Path(output).suffix != SUFFIX:
        raise UsageError(f"{output}: a model's name ends in {SUFFIX}")
    for path in filter(None, (output, weights)):
        if not Path(path).parent.is_dir():  # said now, not after a minute's work
            raise UsageError(f"{path}: its folder does not exist")
    if Path(output).exists() and not force:
        raise UsageError(
            f"{output} exists, and files made with it need it; replace it with --force"
        )
    if weights is not None and Path(weights).exists() and not force:
        raise UsageError(f"{weights} exists; replace it with --force")
    from intact.freeze.run import freeze_run
    from intact.train import start, weights_file

    net = None
    if weights is not None:
        if Path(weights).suffix != weights_file.SUFFIX:
            raise UsageError(f"{weights}: the name of float weights ends in {weights_file.SUFFIX}")
        net = start.float_codec(Path(run), settings or ())
        if net.is_integer:
            raise UsageError(f"{run} trained integers: there are no float weights to write")

    extra: dict[str, Any] = {} if dead_zone is None else {"dead_zone": dead_zone}
    with Bar("freezing", images, quiet=quiet) as bar:
        model = freeze_run(
            Path(run),
            name or Path(output).stem,
            images=images,
            settings=settings or (),
            progress=bar.advance,
            note=bar.note,
            **extra,
        )
    data = model.to_bytes()
    write(output, data)
    if weights is not None and net is not None:
        facts = {"model": model.id.hex(), "trained": model.info.get("trained", "")}
        weights_file.write(Path(weights), net, facts)
    if as_json:
        show_json(describe(model, Path(output)))
    elif not quiet:
        line = f"{run} -> {output}  {model.name}  {model.id.hex()}  {len(data):,} bytes"
        print(printable(line))
    return Code.OK
