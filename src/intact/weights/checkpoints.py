"""Checkpoints of torch, read by its own reader that runs no code (``weights_only=True``)."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from intact.errors import CorruptDataError, UnsupportedError, quoted
from intact.packing.build import Source
from intact.packing.dtypes import BY_NAME, of_array, to_raw
from intact.packing.safetensors import is_name
from intact.packing.state import Raw
from intact.packing.tensors import to_array

PLACES = ("state_dict", "model_state_dict", "model")
"""Keys of checkpoints under which a state dict may be."""
_REFUSED = re.compile(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)|Trying to call.* ([\w.]+)")
_WAY = "save the state dict alone: torch.save(model.state_dict(), ...)"


def read_checkpoint(path: str | os.PathLike[str]) -> list[Source]:
    """The tensors of a checkpoint: a state dict, or one under a key of `PLACES`.

    Raises:
        CorruptDataError: torch cannot read it, or it holds no state dict.
        UnsupportedError: it holds objects, whose reading would run code; or a tensor is of a kind
            that no file has.
    """
    name = os.fspath(path)
    tree = _read(name)
    while isinstance(tree, Mapping):
        inner = next((tree[k] for k in PLACES if isinstance(tree.get(k), Mapping)), None)
        if inner is None:
            break
        tree = inner
    if not isinstance(tree, Mapping):
        raise CorruptDataError(f"{name}: holds a {type(tree).__name__}, no state dict; {_WAY}")
    for key, value in tree.items():
        if not isinstance(value, Tensor):
            raise CorruptDataError(f"{name}: {_odd(key, value, tree)}")
    return [_source(key, value, name) for key, value in tree.items()]


def num_bytes(sources: list[Source]) -> int:
    """Of the tensors that `read_checkpoint` gave; one that stands in several places counts once."""
    found = {}
    for source in sources:
        raw = source.raw()
        place = raw.__array_interface__["data"][0] if raw.size else 0
        found[place, source.dtype.name, source.shape] = source.dtype.num_bytes(source.shape)
    return sum(found.values())


def _read(name: str) -> Any:
    with open(name, "rb") as file:  # a missing file is an OSError that names it
        start = file.read(8)
    if not start:
        raise CorruptDataError(f"{name}: is empty")
    if not start.startswith((b"PK", b"\x80")):
        raise CorruptDataError(f"{name}: is no checkpoint of torch: starts with {start!r}")
    try:
        with open(name, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch to itself
            # A file, no name: of one in .safetensors torch would make something else.
            return torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251 - restricted
    except Exception as error:  # of pickle, zip and torch: they have no common class
        reason = " ".join(str(error).split())
        if "TorchScript" in reason:
            raise UnsupportedError(f"{name}: is a program of TorchScript; {_WAY}") from error
        if refused := _REFUSED.search(reason):
            kind = refused.group(1) or refused.group(2)
            raise UnsupportedError(
                f"{name}: holds a {kind} beside tensors, and to read that would run code; {_WAY}"
            ) from error
        reason = reason or type(error).__name__
        raise CorruptDataError(f"{name}: torch reads no weights from it: {reason}") from error


def _odd(key: Any, value: Any, tree: Mapping[Any, Any]) -> str:
    """What is said of a checkpoint with something in it that is no tensor."""
    states = [k for k, v in tree.items() if _is_state(v)]
    if not states:
        return f"{quoted(key)} is a {type(value).__name__}, no tensor"
    return (
        f"{quoted(key)} is a {type(value).__name__}, no tensor; weights seem to be under "
        f"{quoted(states)}, legal places: {', '.join(PLACES)}; {_WAY}"
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _source(key: Any, tensor: Tensor, name: str) -> Source:
    if not is_name(key):
        raise CorruptDataError(f"{name}: {quoted(key)} cannot be the name of a tensor")
    array = to_array(tensor, f"{name}: tensor {quoted(key)}")
    if isinstance(array, Raw):
        items = array.items.reshape(-1)
        return Source(key, BY_NAME[array.dtype], tuple(array.shape), lambda: items)
    dtype = of_array(array)
    assert dtype is not None
    return Source(key, dtype, array.shape, lambda: to_raw(array))
