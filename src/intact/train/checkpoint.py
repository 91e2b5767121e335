"""Checkpoints: one safetensors file, the JSON state in its metadata, replaced atomically.

One file rather than two, so that a kill at any moment leaves either the old state or the new one,
never a mixture. The one before is kept, and each holds a hash of its content: where the last one is
damaged, that is noticed, and the one before continues. Never pickle, never `torch.load`.

A new checkpoint is written beside the two, which are then moved on, by two renames. A kill between
these leaves a third file, the newest, that a reader takes and the next writer moves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from intact import files
from intact.errors import ArgumentError, CorruptDataError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None

log = logging.getLogger(__name__)

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
NEXT = "checkpoint.next.safetensors"
DAMAGED = "checkpoint.damaged.safetensors"
NEWEST_FIRST = (NEXT, NAME, PREVIOUS)

Content = tuple[dict[str, Tensor], dict[str, Any]]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """While a process trains into a folder: two would replace each other's checkpoints.

    The folder is made; if nothing has come into it, it is removed again. The kernel lets go of the
    lock however the process ends; file systems without locks let everybody in.

    Raises:
        ArgumentError: another process has it.
        OSError: it cannot be made.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None and descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArgumentError(
                    f"another process trains into {folder} now: "
                    "end it first, or name another output.folder"
                ) from error
            except OSError as error:
                log.debug("%s cannot be locked: %s", folder, error)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if new:
            with contextlib.suppress(OSError):  # a run is in it
                folder.rmdir()


def exists(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, sound or not."""
    return any((folder / name).exists() for name in NEWEST_FIRST)


def write(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write the checkpoint whole or not at all; inverse of `read`. The one before is kept.

    Raises:
        OSError: with the checkpoint's name; those before are still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    text = json.dumps({**state, "hashed": True})
    data = save(tensors, {"state": text, "sha256": _hash(tensors, text)})
    try:
        _move_on(folder)  # what a kill has left between two renames
        files.replace(folder / NEXT, data)
        _move_on(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder / NAME)) from error


def _move_on(folder: Path) -> None:
    """Make the next checkpoint the current one, and the current one the previous one."""
    following, current = folder / NEXT, folder / NAME
    if following.exists():
        if current.exists():
            current.replace(folder / PREVIOUS)
        following.replace(current)


def discard(folder: Path) -> None:
    """Remove the checkpoints of a run that is replaced: no later one may fall back on them."""
    for name in NEWEST_FIRST:
        (folder / name).unlink(missing_ok=True)


def repair(folder: Path) -> None:
    """Put a damaged checkpoint aside, so that the sound one before it is not overwritten.

    Only who goes on with a run may call this; reading needs it not.
    """
    _move_on(folder)
    if (folder / NAME).exists():
        try:
            _read(folder / NAME)
        except CorruptDataError:
            if (folder / PREVIOUS).exists():
                (folder / NAME).replace(folder / DAMAGED)
                (folder / PREVIOUS).replace(folder / NAME)


def read(folder: Path) -> Content:
    """Read the newest sound tensors and state; inverse of `write`.

    A newer one that is damaged is named in a warning.

    Raises:
        CorruptDataError: none is sound; says of the newest why.
        FileNotFoundError: there is none.
    """
    damage: CorruptDataError | None = None
    for name in NEWEST_FIRST:
        try:
            tensors, state = _read(folder / name)
        except FileNotFoundError:
            continue
        except CorruptDataError as error:
            damage = damage or error
            continue
        if damage is not None:
            log.warning("%s; the one before, of step %s, is used", damage, state.get("step"))
        return tensors, state
    raise damage or FileNotFoundError(f"no checkpoint at {folder / NAME}")


def _read(path: Path) -> Content:
    path.open("rb").close()  # a missing file is an OSError that names it
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        text = metadata["state"]
        state = json.loads(text)
        # Checkpoints from before there were hashes have none.
        hashed = state.pop("hashed", False) or "sha256" in metadata
        if hashed and metadata.get("sha256") != _hash(tensors, text):
            raise CorruptDataError(f"{path} is damaged: its content has another hash")
        return tensors, state
    except (AttributeError, KeyError, ValueError) as error:
        raise CorruptDataError(f"{path} is not a checkpoint: {error}") from error
    except SafetensorError as error:
        raise CorruptDataError(f"{path} is damaged: {error}") from error


def _hash(tensors: dict[str, Tensor], text: str) -> str:
    """SHA-256 of the state and of all tensors with their names, types and shapes."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(dtype=torch.uint8).numpy().data)
    return digest.hexdigest()
