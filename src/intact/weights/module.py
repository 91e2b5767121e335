"""Modules and checkpoints of torch to `.intactw` files and back.

A quantized module's symbols, centers and scales go into the file as they are: what is loaded is bit
for bit what the network computed with in evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intact.errors import ArgumentError, CorruptDataError, UnsupportedError, quoted
from intact.packing.build import Source
from intact.packing.coding import Method
from intact.packing.dtypes import BY_NAME, of_array, to_raw
from intact.packing.file import WeightsFile
from intact.packing.parallel import num_threads
from intact.packing.safetensors import is_name
from intact.packing.save import save
from intact.packing.state import Raw, Symbols
from intact.weights.attach import weights_of
from intact.weights.coded import Coded
from intact.weights.pieces import Scale
from intact.weights.quantized import QuantizedWeights

_NAMES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16",
    torch.int32: "I32", torch.int64: "I64", torch.uint16: "U16", torch.uint32: "U32",
    torch.uint64: "U64", torch.complex64: "C64",
}  # fmt: skip
_TYPES = {name: dtype for dtype, name in _NAMES.items()}
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def to_array(tensor: Tensor, where: str) -> np.ndarray | Raw:
    """What `intact.weights.save` takes for a tensor.

    Raises:
        UnsupportedError: it is sparse, quantized by torch, or of a type that no file has.
    """
    if tensor.layout is not torch.strided or tensor.dtype not in _NAMES or tensor.is_quantized:
        raise UnsupportedError(f"{where} is {tensor.layout} {tensor.dtype}, which no file has")
    if tensor.device.type == "meta":
        raise UnsupportedError(f"{where} is on the device meta: it has no values")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    name = _NAMES[tensor.dtype]
    if BY_NAME[name].numpy is not None:
        return plain.numpy()
    bits = plain.view(_BITS[plain.element_size()]).numpy()
    return Raw(bits.view(BY_NAME[name].raw), name, tuple(tensor.shape))


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
    for name, item in (coded or {}).items():
        if name not in state:
            raise ArgumentError(f"coded has {quoted(name)}, which is no tensor of the state")
        centers = None if item.centers is None else item.centers.detach().float().cpu().numpy()
        tensors[name] = Symbols(
            item.symbols.cpu().numpy().reshape(tuple(state[name].shape)),
            step=item.step,
            centers=centers,
            scales=None if centers is None else item.scale,
            dtype=_NAMES[state[name].dtype],
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
        dtype = _NAMES[piece.original.dtype]
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
        strict: names must be those of the module's state; else those that both have are read.
        threads: to decode with; 0 takes all cores.

    Raises:
        ArgumentError: names or shapes do not fit, or the module is on the device meta; nothing was
            changed.
        CorruptDataError: the file is damaged; tensors before the damage were changed.
    """
    file = WeightsFile(path)
    state = {k: v for k, v in module.state_dict(keep_vars=True).items() if isinstance(v, Tensor)}
    odd = sorted(state.keys() ^ file.tensors.keys())
    if strict and odd:
        raise ArgumentError(
            f"{file.name} and the module differ in {len(odd)} names, such as {quoted(odd[:4])}"
        )
    shared = [name for name in file.tensors if name in state]
    for name in shared:
        if tuple(state[name].shape) != (shape := file.tensors[name].shape):
            raise ArgumentError(
                f"tensor {quoted(name)} is {list(shape)} in {file.name}, "
                f"{list(state[name].shape)} in the module"
            )
        if state[name].is_meta:
            raise ArgumentError(
                f"tensor {quoted(name)} of the module is on the device meta, which holds no "
                "values: module.to_empty(device='cpu') first"
            )
    for name in shared:
        state[name].copy_(tensor_of(file, name, threads=threads))


def tensor_of(file: WeightsFile, name: str, *, threads: int = 0) -> Tensor:
    """A tensor of a file, in its own dtype.

    Raises:
        UnsupportedError: torch has no such dtype.
        CorruptDataError: it is damaged.
    """
    tensor = file.tensor(name)
    if tensor.dtype.name not in _TYPES:
        raise UnsupportedError(f"torch has no tensors of {tensor.dtype.name} ({quoted(name)})")
    raw = file.raw(tensor, num_threads(threads))
    bits = raw.astype(raw.dtype.newbyteorder("="), copy=False).view(f"i{raw.itemsize}")
    found = torch.from_numpy(bits)
    if tensor.dtype.name == "BOOL":
        return (found != 0).reshape(tensor.shape)
    return found.view(_TYPES[tensor.dtype.name]).reshape(tensor.shape)


def read_checkpoint(path: str | os.PathLike[str]) -> list[Source]:
    """The tensors of a torch checkpoint: a state dict, or one under "state_dict" or "model".

    Read by torch's own restricted reader (``weights_only=True``), which runs no code of the file.

    Raises:
        CorruptDataError: torch cannot read it that way, or it holds no state dict.
        UnsupportedError: a tensor is of a kind that no file has.
    """
    name = os.fspath(path)
    with open(path, "rb"):  # a missing file is an OSError that names it
        pass
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - restricted
    except Exception as error:  # of pickle, zip and torch: they have no common class
        reason = " ".join(str(error).split())
        raise CorruptDataError(f"{name}: torch reads no weights from it: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(tree, Mapping) and isinstance(tree.get(key), Mapping):
            tree = tree[key]
    if not isinstance(tree, Mapping):
        raise CorruptDataError(f"{name}: holds a {type(tree).__name__}, no state dict")
    found = [_source(key, value, name) for key, value in tree.items() if isinstance(value, Tensor)]
    if len(found) < len(tree):
        key = next(k for k, v in tree.items() if not isinstance(v, Tensor))
        raise CorruptDataError(f"{name}: {quoted(key)} is no tensor; save the state dict alone")
    return found


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
