"""What a row's file holds, and the network that is made of it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from resnet import PARAMETERS, ResNet32

from intact.packing.file import WeightsFile
from intact.packing.index import Kind, Method
from intact.weights import Compressed, Symbols, give_channel_affines, load, save
from intact.weights.gaps import from_gaps, to_gaps

LONGEST = 255


class Form(NamedTuple):
    """How a file is made.

    Attributes:
        coder: of `intact.packing.coding`.
        joint: one table for all tensors, as the paper has it.
        gaps: weights that are not 0 in one row, and the gaps between them.
    """

    coder: Any
    joint: bool = True
    gaps: bool = False


def write(found: Compressed, path: Path, form: Form) -> int:
    """A row's file; its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if form.gaps:
        return save(_with_gaps(found), path, method=form.coder)
    return found.save(path, method=form.coder, joint=form.joint)


def _with_gaps(found: Compressed) -> dict[str, Any]:
    """All weights as one row: where they are, and what those are that are not 0."""
    state = found.model.state_dict()
    names = [n for n, t in state.items() if t.dim() > 1]
    row = np.concatenate([state[n].numpy().reshape(-1) for n in names])
    gaps, left = to_gaps(row, LONGEST)
    new: dict[str, Any] = {"gaps": Symbols(gaps, step=1.0)}
    for name in sorted(found.coded.keys() - set(names)):
        new[name] = Symbols(found.coded[name].symbols.numpy(), step=found.coded[name].step)
    if found.coded:
        centers = np.unique(left)
        new["values"] = Symbols(np.searchsorted(centers, left).astype(np.int32), centers=centers)
    else:
        new["values"] = left
    return new | {n: t.numpy() for n, t in found.kept.items() if n not in names}


def read(path: Path) -> ResNet32:
    """The network of a file."""
    tensors = load(path)
    network = ResNet32()
    if "bn1.running_mean" not in tensors:
        give_channel_affines(network)
    shapes = {n: t.shape for n, t in network.state_dict().items()}
    if "gaps" in tensors:
        names = [n for n, shape in shapes.items() if len(shape) > 1]
        length = sum(shapes[n].numel() for n in names)
        gaps = tensors.pop("gaps").astype(np.int32)
        row = from_gaps(gaps, tensors.pop("values"), length, LONGEST)
        for name in names:
            size = shapes[name].numel()
            tensors[name], row = row[:size].reshape(shapes[name]), row[size:]
    network.load_state_dict({n: torch.from_numpy(np.array(t)) for n, t in tensors.items()})
    return network.eval().to(memory_format=torch.channels_last)


def ratio_file(path: Path) -> float:
    """4 bytes for each of 464,154 parameters over all bytes of the file."""
    return PARAMETERS * 4 / path.stat().st_size


def ratio_paper(path: Path) -> float:
    """As the paper counts: 32 bits for each parameter over 32 for each center + the stream.

    Whatever else is needed is counted, too: scales and steps at 32 bits, batch norm at the 16 or
    32 bits in which it is stored. Names, shapes and checksums are not.
    """
    index = WeightsFile(path).index
    bits = sum(32 * len(book.centers) for book in index.codebooks)
    used = set()
    for tensor in index.tensors:
        bits += 32 * (len(tensor.scales) + (tensor.kind is Kind.STEP))
        blob = index.blobs[tensor.blob]
        if tensor.kind is Kind.VALUES:
            bits += 8 * blob.dtype.num_bytes(tensor.shape)
        else:
            used.add(tensor.blob)
    streams = [b for i, b in enumerate(index.blobs) if i in used or b.method is Method.SYMBOLS]
    bits += sum(8 * blob.length for blob in streams)
    return PARAMETERS * 32 / bits
