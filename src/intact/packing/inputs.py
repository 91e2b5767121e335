"""What is packed: a safetensors file, or shards with their index; and the same way out again.

Shards are files of one folder, which `NAME.safetensors.index.json` lists. Their names, their
metadata and which tensor is where are kept in a feature of the file, "shards".
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from intact import files
from intact.errors import ArgumentError, CorruptDataError, quoted
from intact.packing.build import Source
from intact.packing.file import WeightsFile
from intact.packing.index import Feature, Tensor
from intact.packing.parallel import num_threads
from intact.packing.report import Content
from intact.packing.safetensors import SUFFIX, SafetensorsFile, format_header, has_surrogate

INDEX_SUFFIX: Final = ".index.json"
FEATURE: Final = "shards"
CHECKPOINTS: Final = (".pt", ".pth", ".bin", ".ckpt", ".th")
"""Suffixes of torch checkpoints."""
HEADER_LENGTH: Final = 8
"""Bytes before the JSON of a safetensors file. An archive of zip has other bytes there."""
MAX_JSON_BYTES: Final = 1 << 28
MAX_SHARDS: Final = 1 << 16
SHARD_BYTES: Final = 5_000_000_000
"""Of shards that are not those that the file came from."""
Tick = Callable[[float], None]


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of torch, by its content; by its name if that says nothing."""
    name = os.fspath(path)
    with open(name, "rb") as file:
        start = file.read(HEADER_LENGTH + 1)
    if start[HEADER_LENGTH:] == b"{" or name.endswith(INDEX_SUFFIX):
        return False
    return start.startswith((b"PK\3\4", b"\x80\2")) or name.endswith(CHECKPOINTS)


def open_input(path: str | os.PathLike[str]) -> tuple[list[Source], Content]:
    """The tensors of a safetensors file, or of all shards of an index; nothing of them is read yet.

    Raises:
        CorruptDataError: a header lies, or shards do not hold what the index says.
        UnsupportedError: a dtype is not known here.
        OSError: a file cannot be read.
    """
    name = os.fspath(path)
    if not name.endswith(INDEX_SUFFIX):
        file = SafetensorsFile(path)
        return list(_sources(file)), Content(file.header.metadata, (), file.size)
    tree = _read_json(Path(path))
    shards = [SafetensorsFile(Path(path).parent / shard) for shard in _shard_names(tree, name)]
    sources = [source for shard in shards for source in _sources(shard)]
    _check_map(tree["weight_map"], sources, shards, name)
    number = {id(shard): at for at, shard in enumerate(shards)}
    kept = {
        "index": {key: value for key, value in tree.items() if key != "weight_map"},
        "files": [Path(shard.name).name for shard in shards],
        "metadata": [shard.header.metadata for shard in shards],
        "of": [number[id(shard)] for shard in shards for _ in shard.entries],
    }
    data = json.dumps(kept, separators=(",", ":")).encode()
    size = sum(shard.size for shard in shards)
    return sources, Content({}, [Feature(FEATURE, required=False, data=data)], size)


def _sources(file: SafetensorsFile) -> Iterator[Source]:
    for entry in file.entries:
        yield Source(entry.name, entry.dtype, entry.shape, lambda entry=entry: file.raw(entry))


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CorruptDataError(f"{path}: over {MAX_JSON_BYTES} bytes are no index of shards")
    try:
        tree = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(f"{path}: is no JSON: {error}") from error
    if has_surrogate(tree):
        raise CorruptDataError(f"{path}: has a text that is no Unicode")
    if not isinstance(tree, dict) or not isinstance(tree.get("weight_map"), dict):
        raise CorruptDataError(f"{path}: has no weight_map")
    return tree


def _shard_names(tree: Mapping[str, Any], name: str) -> list[str]:
    """In the order of their first tensors; plain names, since an index comes from anybody."""
    found: dict[str, None] = {}
    for shard in tree["weight_map"].values():
        check_shard_name(shard, name)
        found[shard] = None
    if len(found) > MAX_SHARDS:
        raise CorruptDataError(f"{name}: {len(found)} shards, at most {MAX_SHARDS}")
    return sorted(found)


def check_shard_name(shard: object, where: str) -> None:
    """Refuse names that lead out of the folder.

    Raises:
        CorruptDataError: it is none of a file beside its index.
    """
    plain = isinstance(shard, str) and shard.endswith(SUFFIX) and not shard.startswith(".")
    if not plain or any(c in str(shard) for c in "/\\:\0") or not str(shard).isprintable():
        raise CorruptDataError(
            f"{where}: {quoted(shard)} is no name of a {SUFFIX} file in the same folder"
        )


def _check_map(
    weight_map: Mapping[str, str],
    sources: Sequence[Source],
    shards: Sequence[SafetensorsFile],
    name: str,
) -> None:
    places: dict[str, str] = {}
    for shard in shards:
        for entry in shard.entries:
            if entry.name in places:
                raise CorruptDataError(
                    f"{name}: tensor {quoted(entry.name)} is in {places[entry.name]} and in "
                    f"{Path(shard.name).name}"
                )
            places[entry.name] = Path(shard.name).name
    if len(places) != len(sources) or places != dict(weight_map):
        odd = next(k for k in {**weight_map, **places} if weight_map.get(k) != places.get(k))
        raise CorruptDataError(
            f"{name}: tensor {quoted(odd)} is in {places.get(odd)}, "
            f"the index says {weight_map.get(odd)}"
        )


@dataclass(frozen=True)
class Shard:
    """A safetensors file to be written."""

    name: str
    metadata: dict[str, str]
    tensors: list[Tensor]


def unpack(
    source: WeightsFile,
    output: str | os.PathLike[str],
    *,
    threads: int = 0,
    tick: Tick | None = None,
) -> list[str]:
    """Write a packed file as a safetensors file, or as shards with their index.

    Args:
        source: the packed file.
        output: ends in ``.index.json`` for shards: those that it came from, or of 5 GB.
        threads: 0 takes all cores.
        tick: called with the share that is done.

    Returns:
        The files that were written, the index last.

    Raises:
        CorruptDataError: a tensor is damaged; that file is not written.
        OSError: a file cannot be written.
    """
    output = Path(output)
    tensors = source.index.tensors
    total, done = max(sum(tensor.num_items for tensor in tensors), 1), 0

    def count(items: int) -> None:
        nonlocal done
        done += items
        if tick is not None:
            tick(done / total)

    if not output.name.endswith(INDEX_SUFFIX):
        with files.writing(output) as file:
            _write(source, Shard(output.name, _metadata(source), tensors), file, threads, count)
        return [str(output)]
    stem = output.name.removesuffix(INDEX_SUFFIX).removesuffix(SUFFIX)
    shards, index = _kept_shards(source) or _cut(source, stem)
    if output.name in {shard.name for shard in shards}:
        raise ArgumentError(f"{output} would be a shard and the index at once")
    for shard in shards:
        with files.writing(output.parent / shard.name) as file:
            _write(source, shard, file, threads, count)
    places = {tensor.name: shard.name for shard in shards for tensor in shard.tensors}
    text = json.dumps({**index, "weight_map": places}, indent=2, ensure_ascii=False) + "\n"
    files.replace(output, text.encode())
    return [*(str(output.parent / shard.name) for shard in shards), str(output)]


def _metadata(source: WeightsFile) -> dict[str, str]:
    """Of one file: its own, or what its shards say of a key, where they all say the same."""
    kept = _kept_shards(source)
    if kept is None:
        return source.metadata
    found: dict[str, set[str]] = {}
    for shard in kept[0]:
        for key, value in shard.metadata.items():
            found.setdefault(key, set()).add(value)
    return {key: values.pop() for key, values in found.items() if len(values) == 1}


def shard_names(source: WeightsFile, output: Path) -> list[str]:
    """The files that `unpack` would write."""
    if not output.name.endswith(INDEX_SUFFIX):
        return [str(output)]
    stem = output.name.removesuffix(INDEX_SUFFIX).removesuffix(SUFFIX)
    shards, _ = _kept_shards(source) or _cut(source, stem)
    return [*(str(output.parent / shard.name) for shard in shards), str(output)]


def _write(
    source: WeightsFile, shard: Shard, file: BinaryIO, threads: int, count: Callable[[int], None]
) -> None:
    """A safetensors file, tensor by tensor."""
    entries = [(tensor.name, tensor.dtype, tensor.shape) for tensor in shard.tensors]
    file.write(format_header(entries, shard.metadata))
    for tensor in shard.tensors:
        for part in source.parts(tensor, num_threads(threads)):
            plain = np.ascontiguousarray(part, tensor.dtype.raw)
            file.write(plain.view(np.uint8).data)
            count(len(part))


def _kept_shards(source: WeightsFile) -> tuple[list[Shard], dict[str, Any]] | None:
    """The shards that a file came from, or None."""
    found = next((f.data for f in source.index.features if f.name == FEATURE), None)
    if found is None:
        return None
    where = f"{source.name}: feature {FEATURE}"
    try:
        tree = json.loads(found.decode("utf-8"))
        names, of, metadata = tree["files"], tree["of"], tree["metadata"]
        index = dict(tree["index"])
        shards = [Shard(name, dict(meta), []) for name, meta in zip(names, metadata, strict=True)]
        for tensor, number in zip(source.index.tensors, of, strict=True):
            shards[range(len(shards))[number]].tensors.append(tensor)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise CorruptDataError(f"{where}: is not as it must be: {error}") from error
    if has_surrogate(tree):
        raise CorruptDataError(f"{where}: has a text that is no Unicode")
    for shard in shards:
        check_shard_name(shard.name, where)
        if not all(isinstance(v, str) for v in (*shard.metadata, *shard.metadata.values())):
            raise CorruptDataError(f"{where}: metadata must map text to text")
    if len({shard.name for shard in shards}) < len(shards):
        raise CorruptDataError(f"{where}: a shard comes twice")
    return shards, index


def _cut(source: WeightsFile, stem: str) -> tuple[list[Shard], dict[str, Any]]:
    """Tensors in shards of `SHARD_BYTES`, in order."""
    groups: list[list[Tensor]] = [[]]
    size = 0
    for tensor in source.index.tensors:
        num_bytes = tensor.dtype.num_bytes(tensor.shape)
        if groups[-1] and size + num_bytes > SHARD_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += num_bytes
    shards = [
        Shard(f"{stem}-{number:05}-of-{len(groups):05}{SUFFIX}", source.metadata, group)
        for number, group in enumerate(groups, 1)
    ]
    total = sum(t.dtype.num_bytes(t.shape) for t in source.index.tensors)
    return shards, {"metadata": {"total_size": total}}
