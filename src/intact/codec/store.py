"""Where models are found: those that ship with the package, then a search path.

Files name their model by id, people by the file's name without its suffix, or by path. Shipped
models are never removed.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path

from intact import models
from intact.codec.model import Model
from intact.container.model_file import peek_model
from intact.errors import IntactError, ModelError

log = logging.getLogger(__name__)

SUFFIX = ".intactm"
DEFAULT = "photo"


def search_path() -> list[Path]:
    """Folders with models: the package's, the user's.

    The user's is in ``$XDG_DATA_HOME``, else in ``~/.local/share``; a user without a home has none.
    """
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # as its specification demands
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError:
            return [models.FOLDER]
    return [models.FOLDER, Path(data) / "intact" / "models"]


def model_files() -> list[Path]:
    """All model files on the search path, the package's first."""
    return [p for folder in search_path() for p in sorted(folder.glob("*" + SUFFIX))]


@lru_cache(maxsize=8)
def _read(path: Path, modified_ns: int, size: int) -> Model:
    return Model.from_bytes(path.read_bytes())


def read_model(path: Path) -> Model:
    """Read a model file; kept in memory until the file changes.

    Raises:
        ModelError: there is no such file.
        CorruptDataError: it is damaged.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ModelError(f"no model at {path}: {error.strerror}") from error
    return _read(path, stat.st_mtime_ns, stat.st_size)


def model_path(name: str) -> Path:
    """The file of a model by name (as ``intact models`` lists them) or by path.

    Raises:
        ModelError: there is none of that name.
    """
    if name.endswith(SUFFIX) or "/" in name or "\\" in name:
        return Path(name)
    for path in model_files():
        if path.stem == name:
            return path
    if Path(name).is_file():
        return Path(name)
    legal = ", ".join(p.stem for p in model_files()) or "none"
    raise ModelError(f"no model named {name!r}; found: {legal}")


def load_model(name_or_path: str | Path | None = None) -> Model:
    """Find a model by name (as ``intact models`` lists them) or by path.

    Args:
        name_or_path: None takes the default.

    Raises:
        ModelError: there is none of that name.
        CorruptDataError: it is damaged.
    """
    path = model_path(str(name_or_path or DEFAULT))
    try:
        return read_model(path)
    except IntactError as error:
        raise type(error)(f"{path}: {error}") from error


def find_model(wanted: bytes, override: str | Path | Model | None = None) -> Model:
    """The model of an id.

    Args:
        wanted: 16 bytes.
        override: a model, name or path to take; its id must be the wanted one.

    Raises:
        ModelError: the override is another model, or no sound one on the search path has the id.
    """
    if override is not None:
        model = override if isinstance(override, Model) else load_model(override)
        if model.id != wanted:
            raise ModelError(
                f"the file was made with model {wanted.hex()}, {model.name!r} is {model.id.hex()}"
            )
        return model
    damaged = ""
    for path in model_files():
        try:
            with path.open("rb") as file:
                if peek_model(file.read(64)).model_id != wanted:
                    continue
        except (OSError, IntactError):
            continue  # a stray file in the user's folder must not hide the right one
        try:
            return read_model(path)
        except (OSError, IntactError) as error:  # nor must a damaged copy
            log.warning("model %s cannot be used: %s", path, error)
            damaged = f" ({path} cannot be used: {error})"
    raise ModelError(
        f"the file was made with model {wanted.hex()}, which is not installed{damaged}; "
        f"looked in {', '.join(map(str, search_path()))}; "
        "a model that lies elsewhere can be named (--model, model=)"
    )
