"""Modules and checkpoints of torch to `.intactw` files and back.

A quantized module's symbols, centers and scales go into the file as they are: what is loaded is bit
for bit what the network computed with in evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from intact.codec.arguments import flag
from intact.errors import ArgumentError, UnsupportedError, quoted
from intact.packing.coding import Method
from intact.packing.file import WeightsFile
from intact.packing.parallel import num_threads
from intact.packing.save import save
from intact.packing.state import Symbols
from intact.packing.tensors import NAMES, dtype_name, to_array
from intact.weights.attach import check_network, weights_of
from intact.weights.coded import Coded, with_tied
from intact.weights.pieces import Scale
from intact.weights.quantized import QuantizedWeights

_TYPES = {name: getattr(torch, of_torch) for of_torch, name in NAMES.items()}


def save_module(  # noqa: PLR0913 - keywords with defaults
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
    method: Method = "rows",
    coded: Mapping[str, Coded] | None = None,
    joint: bool = False,
    narrow_to: str | None = None,
    threads: int = 0,
) -> int:
    """Write a network's state as a `.intactw` file; `load_into` reads it.

    Parameters that `quantize_weights` has quantized become symbols, under their plain names, so
    that the file fits the network without quantization; everything else is kept without loss.

    Args:
        model: any network; quantized weights must be hard (`QuantizedWeights.harden`).
        path: of the file.
        metadata: as in `save`; so are all other arguments.
        method: see `save`.
        coded: symbols of tensors of the state, by name, as `compress` and `cluster` give them.
        joint: see `save`.
        narrow_to: see `save`.
        threads: see `save`.

    Returns:
        Bytes of the file.

    Raises:
        ArgumentError: quantized weights are not hard yet, or an option is not legal.
        UnsupportedError: a tensor is of a kind that no file has.
    """
    check_network(model)
    tensors: dict[str, Any] = {}
    hidden: list[str] = []
    names = {id(module): name for name, module in model.named_modules(remove_duplicate=False)}
    for whole in weights_of(model):
        found = symbols_of(whole)
        for piece in whole.pieces:
            for owner, key in ((piece.owner, piece.key), *piece.also):
                prefix = f"{names[id(owner)]}." if names[id(owner)] else ""
                tensors[f"{prefix}{key}"] = found[piece.name]
                hidden.append(f"{prefix}parametrizations.{key}.")
    state = model.state_dict()
    for name, item in with_tied(model, coded or {}).items():
        if name not in state:
            raise ArgumentError(f"coded has {quoted(name)}, which is no tensor of the state")
        centers = None if item.centers is None else item.centers.detach().float().cpu().numpy()
        tensors[name] = Symbols(
            item.symbols.cpu().numpy().reshape(tuple(state[name].shape)),
            step=item.step,
            centers=centers,
            scales=None if centers is None else item.scale,
            dtype=dtype_name(state[name].dtype) or str(state[name].dtype),
        )
    for name, tensor in state.items():
        if name not in tensors and not name.startswith(tuple(hidden)):
            if not isinstance(tensor, Tensor):
                raise UnsupportedError(f"{quoted(name)} of the state is a {type(tensor).__name__}")
            tensors[name] = to_array(tensor, f"tensor {quoted(name)}")
    return save(
        tensors, path, metadata=metadata, method=method, joint=joint, narrow_to=narrow_to,
        threads=threads,
    )  # fmt: skip


@torch.no_grad()
def symbols_of(whole: QuantizedWeights) -> dict[str, Symbols]:
    """The quantized tensors of a network as `save` takes them, by their plain names.

    Raises:
        ArgumentError: they are not hard yet.
    """
    if not bool(whole.frozen):
        raise ArgumentError("quantized weights are soft: call harden() first")
    symbols = whole.symbols.cpu().numpy()
    centers = whole.quantizer.centers[0].detach().float().cpu().numpy()
    width = centers.shape[1]
    found, start = {}, 0
    for piece, scale in zip(whole.pieces, whole.scales.tolist(), strict=True):
        size = piece.shape.numel()
        part = symbols[start // width : -(-(start + size) // width)]
        dtype = dtype_name(piece.original.dtype) or str(piece.original.dtype)
        found[piece.name] = Symbols(
            part if width > 1 else part.reshape(tuple(piece.shape)),
            centers=centers if width > 1 else centers[:, 0],
            scales=None if whole.scale is Scale.NONE else scale,
            dtype=dtype,
            shape=tuple(piece.shape),
            lead=start % width,
        )
        start += size
    return found


@torch.no_grad()
def load_into(
    module: nn.Module, path: str | os.PathLike[str], *, strict: bool = True, threads: int = 0
) -> None:
    """Read a `.intactw` file straight into a network, tensor by tensor.

    Args:
        module: whose parameters and buffers are overwritten in place, on their devices, in their
            dtypes.
        path: of the file.
        strict: names must be those of the module's state; else those that both have are read, of
            which there must be some.
        threads: to decode with; 0 takes all cores.

    Raises:
        ArgumentError: names, shapes or types do not fit, or a tensor of the module has no memory of
            its own; nothing was changed.
        UnsupportedError: torch has no tensors of a type; nothing was changed.
        CorruptDataError: the file is damaged; tensors before the damage were changed.
    """
    check_network(module)
    flag("strict", strict)
    num_threads(threads)
    file = WeightsFile(path)
    state = {k: v for k, v in module.state_dict(keep_vars=True).items() if isinstance(v, Tensor)}
    shared = [name for name in file.tensors if name in state]
    if (strict and state.keys() != file.tensors.keys()) or (state and file.tensors and not shared):
        raise ArgumentError(_difference(module, file, state))
    for name in shared:
        _check_fit(name, state[name], file)
    own = {id(t) for t in (*module.parameters(), *module.buffers())}
    others: dict[str, Tensor] = {}
    for name in shared:
        found = tensor_of(file, name, threads=threads)
        if id(state[name]) in own:
            state[name].copy_(found)
        else:  # what a module makes for its state, and takes again in its own way
            others[name] = found
    if others:
        module.load_state_dict(others, strict=False)


def _difference(module: nn.Module, file: WeightsFile, state: Collection[str]) -> str:
    """What is said where names differ: which, and what may be meant."""
    packed = file.tensors.keys()
    sides = {"the file lacks": sorted(state - packed), "the module lacks": sorted(packed - state)}
    told = "; ".join(
        f"{side} {quoted(names[:4])}" + (f" and {len(names) - 4} more" if names[4:] else "")
        for side, names in sides.items()
        if names
    )
    told = f"{file.name} and the module differ in {len(state ^ packed)} names: {told}"
    if weights_of(module):
        return f"{told}; the module's weights are quantized: load into a network where none are"
    if inner := _wrapped(state, packed):
        return f"{told}; load into what the module wraps, its {inner!r}"
    if inner := _wrapped(packed, state):
        return f"{told}; the file is of a network around this one: save its {inner!r} alone"
    return told


def _wrapped(names: Collection[str], inner: Collection[str]) -> str:
    """The submodule of which alone ``names`` are, if it has the names ``inner``; or ""."""
    some = min(names, default="")
    starts = [some[: at + 1] for at, letter in enumerate(some) if letter == "."]
    fit = (start for start in starts if {start + name for name in inner} == set(names))
    return next(fit, "")[:-1]


def _check_fit(name: str, tensor: Tensor, file: WeightsFile) -> None:
    """Whether a tensor of a file can be copied into one of a module."""
    where, entry = f"tensor {quoted(name)}", file.tensors[name]
    if nn.parameter.is_lazy(tensor):
        raise ArgumentError(
            f"{where} of the module has no shape yet: run the module on a batch first"
        )
    if tuple(tensor.shape) != entry.shape:
        raise ArgumentError(
            f"{where} is {list(entry.shape)} in {file.name}, {list(tensor.shape)} in the module"
        )
    if tensor.is_meta:
        raise ArgumentError(
            f"{where} of the module is on the device meta, which holds no values: "
            "module.to_empty(device='cpu') first"
        )
    if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), entry.shape, strict=True)):
        raise ArgumentError(f"elements of {where} of the module share memory: clone() it first")
    if not torch.can_cast(_type_of(file, name), tensor.dtype):
        raise ArgumentError(
            f"{where} is {entry.dtype.name} in {file.name}, {tensor.dtype} in the module, which "
            "cannot hold its values"
        )


def _type_of(file: WeightsFile, name: str) -> torch.dtype:
    found = file.tensor(name).dtype.name
    if found not in _TYPES:
        raise UnsupportedError(f"torch has no tensors of {found} ({quoted(name)})")
    return _TYPES[found]


def tensor_of(file: WeightsFile, name: str, *, threads: int = 0) -> Tensor:
    """One tensor of a file, in the type it has there."""
    tensor, kind = file.tensor(name), _type_of(file, name)
    raw = file.raw(tensor, num_threads(threads))
    bits = raw.astype(raw.dtype.newbyteorder("="), copy=False).view(f"i{raw.itemsize}")
    found = torch.from_numpy(bits)
    if kind is torch.bool:
        return (found != 0).reshape(tensor.shape)
    return found.view(kind).reshape(tensor.shape)
