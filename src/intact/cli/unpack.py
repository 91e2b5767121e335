"""``intact unpack``: a packed file to safetensors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from intact.cli import lines
from intact.cli.options import Force, Json, Quiet, Threads
from intact.cli.pack import STEPS, check_output, named_errors
from intact.cli.parser import Argument, Option
from intact.cli.progress import Bar


def unpack(
    source: Annotated[str, Argument("IN", help="A .intactw file.")],
    output: Annotated[
        str | None,
        Option("-o", "--output", help="The file [IN.safetensors]; .index.json for shards."),
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """Unpack weights to a safetensors file, or to shards.

    With an output that ends in .index.json: the shards that the file was packed from, or of 5 GB.
    """
    from intact.packing.file import SUFFIX, WeightsFile
    from intact.packing.inputs import shard_names, unpack as unpack_tensors
    from intact.packing.safetensors import SUFFIX as PLAIN

    start = time.perf_counter()
    target = Path(source.removesuffix(SUFFIX) + PLAIN if output is None else output)
    check_output(str(target), [source], named=output is not None, force=force)
    file = WeightsFile(source)
    for index, name in enumerate(names := shard_names(file, target)):
        # Nobody chose the names of shards.
        named = output is not None and index == len(names) - 1
        way = "another folder or --force" if output is not None else "-o or --force"
        check_output(name, [source], named=named, force=force, way=way)
    with Bar("unpacking", STEPS, quiet=quiet or as_json) as bar, named_errors(str(target)):
        bar.note(source)
        written = unpack_tensors(
            file, target, threads=threads, tick=lambda share: bar.reach(int(share * STEPS))
        )
    seconds = time.perf_counter() - start
    size = sum(Path(name).stat().st_size for name in written)
    if as_json:
        lines.show_json(
            {"input": source, "outputs": written, "output_bytes": size, "seconds": seconds}
        )
    elif not quiet:
        facts = f"{len(file.tensors)} tensors, {size:,} bytes  {seconds:.2f} s"
        lines.say(lines.pair(source, str(target), facts))
    return 0
