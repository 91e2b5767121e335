"""Where models are found: those that ship with the package, then a search path.

Files name their model by id, people by the file's name without its suffix, or by path. Shipped
models are never removed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from intact import models
from intact.codec.model import Model
from intact.container.model_file import peek_model
from intact.errors import IntactError, ModelError, ModelNotFoundError, quoted
from intact.intnet.backends import brief
from intact.locks import Lock

log = logging.getLogger(__name__)

SUFFIX = ".intactm"
DEFAULT = "photo-6"
MOST_KEPT = 8
"""Models in memory at a time."""

_LOCK = Lock()
_KEPT: dict[tuple[Path, int, int], Model] = {}
"""Models by file, time of its last change, and size."""


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


def model_files() -> Iterator[Path]:
    """Model files on the search path, the package's first; a folder is read when its turn comes.

    So nobody needs the user's folder who asks for a model of the package. What is no regular file,
    or a link to one, does not count: reading a pipe would wait for ever. A folder that cannot be
    read holds no models, which the log says.
    """
    for folder in search_path():
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            log.warning("models in %s cannot be read: %s", folder, error.strerror)
            continue
        yield from (path for name in names if os.path.isfile(path := folder / name))


def _read(path: Path) -> Model:
    model = Model.from_bytes(path.read_bytes())
    for role, result in models.RESULTS.get(model.id.hex(), {}).items():
        brief.remember(model.programs[role], result)
    return model


def results_of(model: Model) -> dict[str, str]:
    """What `intact.models.RESULTS` remembers of a model, computed anew by the reference."""
    return {role: brief.result_of(program) for role, program in model.programs.items()}


def read_model(path: Path) -> Model:
    """Read a model file; kept in memory until the file changes, or others are used more.

    Threads that ask together get one model: the first one reads it, and the others wait.

    Raises:
        ModelNotFoundError: there is no such file.
        CorruptDataError: it is damaged.
    """
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelNotFoundError(f"no model at {path}: {reason}") from error
    key = path, stat.st_mtime_ns, stat.st_size
    with _LOCK:
        if key not in _KEPT:
            _KEPT[key] = _read(path)
            while len(_KEPT) > MOST_KEPT:
                del _KEPT[next(iter(_KEPT))]
        model = _KEPT[key] = _KEPT.pop(key)  # the last one used is the last in order
    return model


def model_path(name: str) -> Path:
    """The file of a model by name (as ``intact models`` lists them) or by path.

    Raises:
        ModelNotFoundError: there is none of that name.
    """
    if name.endswith(SUFFIX) or "/" in name or "\\" in name:
        return Path(name)
    found = []
    for path in model_files():
        if path.stem == name:
            return path
        found.append(path.stem)
    if os.path.isfile(name):
        return Path(name)
    raise ModelNotFoundError(f"no model named {quoted(name)}; found: {', '.join(found) or 'none'}")


def load_model(name_or_path: str | os.PathLike[str] | None = None) -> Model:
    """Find a model by name (as ``intact models`` lists them) or by path.

    Args:
        name_or_path: None takes the default.

    Raises:
        ModelNotFoundError: there is none of that name.
        CorruptDataError: it is damaged.
        TypeError: the name is no text.
    """
    wanted = DEFAULT if name_or_path is None else name_or_path
    if not isinstance(wanted, str | os.PathLike):
        raise TypeError(f"model is {quoted(wanted)}, must be a name, a path, a Model or None")
    path = model_path(str(wanted))
    try:
        return read_model(path)
    except ModelNotFoundError:
        raise
    except IntactError as error:
        raise type(error)(f"{path}: {error}") from error


def find_model(wanted: bytes, override: str | os.PathLike[str] | Model | None = None) -> Model:
    """The model of an id.

    Args:
        wanted: 16 bytes.
        override: a model, name or path to take; its id must be the wanted one.

    Raises:
        ModelError: the override is another model.
        ModelNotFoundError: no sound one on the search path has the id.
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
    raise ModelNotFoundError(
        f"the file was made with model {wanted.hex()}, which is not installed{damaged}; "
        f"looked in {', '.join(map(str, search_path()))}; "
        "a model that lies elsewhere can be named (--model, model=)",
        wanted,
    )
