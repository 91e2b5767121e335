"""Checkpoints: one safetensors file, the JSON state in its metadata, replaced atomically.

One file rather than two, so that a kill at any moment leaves either the old state or the new one,
never a mixture. Never pickle, never `torch.load`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from intact import files
from intact.errors import CorruptDataError

NAME = "checkpoint.safetensors"


def write(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write the checkpoint whole or not at all; inverse of `read`.

    Raises:
        OSError: with the checkpoint's name; the one before is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = save({k: v.contiguous() for k, v in tensors.items()}, {"state": json.dumps(state)})
    try:
        files.replace(folder / NAME, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder / NAME)) from error


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the state; inverse of `write`.

    Raises:
        CorruptDataError: the file is not a checkpoint of ours.
        FileNotFoundError: there is none.
    """
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            return {k: file.get_tensor(k) for k in file.keys()}, state  # noqa: SIM118
    except (KeyError, ValueError) as error:
        raise CorruptDataError(f"{path} is not a checkpoint: {error}") from error
    except SafetensorError as error:
        raise CorruptDataError(f"{path} is damaged: {error}") from error
