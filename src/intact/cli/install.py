"""``intact models install``: put model files where they are found by name and by id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from intact import files
from intact.cli import lines
from intact.cli.errors import UsageError
from intact.cli.io import STDIO, show_json


def install(names: Sequence[str], *, force: bool, as_json: bool, quiet: bool) -> None:
    """Copy model files into the user's folder, after checking that they are models.

    Args:
        names: of files that end in .intactm.
        force: replace another model of the same name.
        as_json: print what was done as JSON. A model that ships with the package is not copied,
            whatever its file is called: its path is the package's.
        quiet: print nothing.

    Raises:
        UsageError: a name that is not a model's, is taken, or comes twice.
        IntactError: a file is no model. Nothing was installed.
        OSError: a file cannot be read, or the folder not be written.
    """
    from intact.codec import store
    from intact.codec.model import Model

    if not names:
        raise UsageError("install needs the names of model files")
    shipped, *own = store.search_path()
    if not own:
        raise UsageError("no folder for models: set HOME or XDG_DATA_HOME")
    folder = own[0]
    todo: dict[Path, tuple[str, bytes, Model]] = {}
    for name in names:
        if name == STDIO or Path(name).suffix != store.SUFFIX:
            raise UsageError(f"{name}: a model's file ends in {store.SUFFIX}")
        data = Path(name).read_bytes()
        target = folder / Path(name).name
        if target in todo:
            raise UsageError(f"{name} and {todo[target][0]} have the same name")
        todo[target] = name, data, Model.from_bytes(data)
    for target, (name, _, model) in todo.items():
        other = next((p for p in (shipped / target.name, target) if os.path.lexists(p)), None)
        if _shipped(shipped, model.id) is not None:
            continue
        if other is None or (force and other == target) or _is_model(other, model.id):
            continue
        hint = "--force replaces it" if other == target else "rename the file"
        raise UsageError(f"{name}: {other} is another model of this name; {hint}")
    results = []
    for target, (name, data, model) in todo.items():
        there = _shipped(shipped, model.id)
        if there is None:
            folder.mkdir(parents=True, exist_ok=True)
            files.replace(target, data)
        place = there or target
        results.append({"input": name, "path": str(place), "id": model.id.hex(),
                        "already_there": there is not None})  # fmt: skip
        if quiet or as_json:
            continue
        if there is None:
            lines.say(lines.pair(name, str(place), f"--model {place.stem}"))
        else:
            lines.say(f"{name}: ships with Intact, nothing to install  --model {place.stem}")
    if as_json:
        show_json({"installed": results})


def _shipped(folder: Path, wanted: bytes) -> Path | None:
    """The file of a model that ships with the package, whatever name it has here."""
    from intact.codec import store

    return next((p for p in sorted(folder.glob(f"*{store.SUFFIX}")) if _is_model(p, wanted)), None)


def _is_model(path: Path, wanted: bytes) -> bool:
    """Whether a file says that it holds a certain model."""
    from intact.container.model_file import peek_model
    from intact.errors import IntactError

    try:
        with path.open("rb") as file:
            return peek_model(file.read(64)).model_id == wanted
    except (OSError, IntactError):
        return False
