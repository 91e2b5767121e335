"""``intact export``: a model's networks for other programs, exact there, too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from intact.cli.errors import Code, UsageError, printable
from intact.cli.io import show_json
from intact.cli.options import Force, Json, Quiet
from intact.cli.parser import Argument, Option


def export(
    model: Annotated[str, Argument("MODEL", help="Name of a model (see models), or a path.")],
    output: Annotated[str, Option("-o", "--output", metavar="DIR", help="A folder, made here.")],
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> int:
    """Write the networks of a model as ONNX that stays exact, each with a test of the runtime."""
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{output} is in the way: the networks need a folder there")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{output} is not empty; write into it with --force")
    from intact.codec.store import load_model
    from intact.export.onnx import write_onnx

    loaded = load_model(model)
    written = write_onnx(loaded, folder)
    total = sum(path.stat().st_size for path in written)
    networks = len(loaded.roles)
    if as_json:
        show_json(
            {
                "model": loaded.name,
                "id": loaded.id.hex(),
                "folder": output,
                "networks": [role.name for role in loaded.roles],
                "files": [path.relative_to(folder).as_posix() for path in written],
                "bytes": total,
            }
        )
    elif not quiet:
        line = f"{model} -> {output}  {networks} networks as ONNX, {total:,} bytes with their tests"
        print(printable(line))
    return Code.OK
