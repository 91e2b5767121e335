"""``intact info``: what a file says about itself, without decoding its pixels."""

from __future__ import annotations

import os
from typing import Annotated, Any

from intact.cli.errors import printable
from intact.cli.io import STDIO, read
from intact.cli.options import Json, ModelName, Task, each
from intact.cli.parser import Argument


def info(
    files: Annotated[list[str], Argument("FILE", help="Files; - is stdin.")],
    model: ModelName = None,
    as_json: Json = False,
) -> int:
    """Show what files hold: images, and packed weights with their tensors.

    Checksums of the bytes are tested; nothing is decoded.
    """

    def one(source: str, _name: str, _task: Task) -> tuple[dict[str, Any], str]:
        if is_weights(source):
            return weights_of(source)
        facts = describe(read(source), model)
        lines = [source, *(f"  {k.replace('_', ' '):13}  {_text(v)}" for k, v in facts.items())]
        return {"input": source, **facts}, "\n".join(map(printable, lines))

    pairs = [(name, "") for name in files]
    return each(pairs, one, label="reading", as_json=as_json, quiet=False)


def describe(data: bytes, override: str | None = None) -> dict[str, Any]:
    """The facts of one file.

    Raises:
        CorruptDataError: it is damaged, or the model in it.
        UnsupportedError: it is of a later version.
        ModelError: ``override`` is not its model. A missing model is no error here.
    """
    from intact.codec.image import model_of
    from intact.container.image_file import MAJOR, Profile, unpack_image
    from intact.errors import ModelError

    file = unpack_image(data, max_pixels=1 << 64)
    header = file.header
    try:
        model = model_of(file, override)
    except ModelError:
        if override is not None:
            raise
        model = None
    rows, columns = header.tile_shape
    return {
        "width": header.width,
        "height": header.height,
        "mode": header.mode.name,
        "gray": header.coded_mode.color_channels == 1,
        "exact": header.profile is Profile.EXACT,
        "bytes": len(data),
        "bpp": 8 * len(data) / header.num_pixels,
        "format": MAJOR,
        "model": model.name if model else None,
        "model_id": header.model_id.hex(),
        "level": header.level,
        "quality": least_quality(header.level, len(model.levels)) if model else None,
        "tiles": [rows, columns],
        "tile_px": header.latent_px << header.tile_log2,
        "payload_bytes": sum(map(len, file.tiles)),
        "pixel_crc": f"{header.pixel_crc:08x}",
        "chunks": {chunk.type: len(chunk.data) for chunk in file.chunks},
    }


def is_weights(source: str) -> bool:
    """Whether a file of that name is one of packed weights."""
    if source == STDIO or not os.path.isfile(source):
        return False
    from intact.container.framing import WEIGHTS_MAGIC

    with open(source, "rb") as file:
        return file.read(4) == WEIGHTS_MAGIC[:4]


def weights_of(source: str) -> tuple[dict[str, Any], str]:
    """The facts of a file of packed weights, and a table of its tensors.

    Raises:
        CorruptDataError: it is damaged; all its checksums are tested.
        UnsupportedError: it is of a later version.
    """
    from intact.packing.facts import facts_of

    facts = facts_of(source)
    tensors = facts["tensors"]
    lines = [source, f"  {facts['bytes']:,} bytes, {facts['tensors_bytes']:,} unpacked, "
             f"{facts['ratio']:.2f}x, {len(tensors)} tensors"]  # fmt: skip
    lines += [f"  {key}: {value}" for key, value in facts["metadata"].items()]
    names = [printable(tensor["name"]) or "''" for tensor in tensors]
    width = min(max(map(len, names), default=0), 60)
    rest = {"the index": facts["index_bytes"], "of no tensor": facts["unused_bytes"]}
    for name, tensor in zip(names, tensors, strict=True):
        shape = "x".join(map(str, tensor["shape"])) or "scalar"
        how = f"as it was: {tensor['declined']}" if tensor["declined"] else tensor["coded_as"]
        if tensor["same_as"] is not None:
            how = f"stored once, with {tensor['same_as']}"
        lines.append(
            f"  {name:{width}}  {tensor['dtype']:4} {shape:>14}  "
            f"{tensor['coded_bytes']:12,} bytes  {tensor['bits']:6.3f} bits  {how}"
        )
    lines += [f"  {k:{width + 21}}  {size:12,} bytes" for k, size in rest.items() if size]
    return {"input": source, **facts}, "\n".join(map(printable, lines))


def least_quality(level: int, num_levels: int) -> float | None:
    """The least quality, in tenths, that gives a level again; None if the model has no such level.

    Args:
        level: 0 ..
        num_levels: of the model; see `intact.codec.model.Levels.of_quality`.
    """
    if level >= num_levels:
        return None
    return -(-1000 * level // max(num_levels - 1, 1)) / 10


def _text(value: Any) -> str:
    match value:
        case None:
            return "not known here"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case list():
            return " x ".join(map(str, value))
        case dict():
            return ", ".join(f"{k} {v:,} bytes" for k, v in value.items()) or "none"
        case int():
            return f"{value:,}" if value > 99999 else str(value)
        case _:
            return str(value)
