"""Writes files that a reader must refuse, each for one reason. Run by hand only.

Where nothing else is said checksums are right, so that only a reader that looks at the content can
refuse. Image files are of vectors/image/tiny.intactm. index.json has for each file the error and a
part of what its message says.

PYTHONPATH=src:tests python vectors/invalid/generate.py
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.seeds import micro_model
from intact import Model, decode
from intact.bits.fast import encode
from intact.bottleneck import repeats
from intact.codec.image import Encoder
from intact.container.image_file import ImageFile, pack_image, unpack_image, write_header
from intact.container.model_file import pack_model
from intact.errors import IntactError
from tiny_hyperprior import tiny_hyperprior
from tiny_model import picture, tiny_model

HERE = Path(__file__).parent
LATENT_AXES = {
    "analysis": {"y": 0},
    "hyper_analysis": {"h": 1},
    "prior_a": {"mean": 0, "theta": 0},
    "prior_b": {"ya": 0, "yb": 1, "mean": 0, "theta": 0},
    "synthesis": {"patches": 1},
}
"""Of the micro model, per program and target: which axis counts latents."""
Parts = list[tuple[np.ndarray, np.ndarray, Any]]


def format_is_an_array(tree: Any) -> None:
    """Found by the fuzzer: comparing it with a text ended in a ValueError."""
    tree["format"] = np.zeros(2, np.int16)


def second_spelling(tree: Any) -> None:
    """The same numbers in a wider type: found by the fuzzer, two ids of one model."""
    tree["levels"]["steps"] = tree["levels"]["steps"].astype(np.int64)


def features_of_half_size(tree: Any) -> None:
    """Features at twice, not four times, the hyper-latents: decoding ended in a ValueError."""
    program = tree["programs"]["hyper_synthesis"]
    program["ops"] = program["ops"][:2]
    program["ops"][1] = {**program["ops"][1], "target": "f"}


def unshuffle_of_latents(tree: Any) -> None:
    """An Unshuffle of latents, which are of any size: encoding ended in a ValueError."""
    ops = tree["programs"]["hyper_analysis"]["ops"]
    first = {"op": "unshuffle", "source": "y", "target": "u", "factor": 4}
    last = {**ops[1], "source": "u", "stride": 1, "weight": np.ones((1, 32, 1, 1), np.int16)}
    tree["programs"]["hyper_analysis"]["ops"] = [first, last]


def more_predicted_than_latents(tree: Any) -> None:
    """Three latents predicted, of two."""
    tree["predicted"] = 3


def more_predicted_than_sixteen(tree: Any) -> None:
    """All of 17 latents predicted. The new ones are zeros, or what the last one is."""
    tree["predicted"] = 17
    for name, targets in LATENT_AXES.items():
        program = tree["programs"][name]
        for value in program["inputs"]:
            if value["name"] == "y":
                value["channels"] = 17
        for op in program["ops"]:
            if (axis := targets.get(op["target"])) is not None:
                keys = ("weight", "bias", "slope", "divisor") if axis == 0 else ("weight",)
                for key in keys:
                    if key in op:
                        op[key] = widened(op[key], axis, "edge" if key == "divisor" else "constant")


def widened(array: np.ndarray, axis: int, mode: Any) -> np.ndarray:
    """17 channels on an axis."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, 17 - array.shape[axis])
    return np.pad(array, widths, mode)


def no_such_repeat_mode() -> Parts:
    """Mode 4 of 0..3, sent as an escape."""
    return [(np.array([4], np.int32), np.zeros(1, np.uint16), repeats.BANK)]


def no_such_repeat_flag() -> Parts:
    """Flag 2 of 0..1, sent as an escape."""
    mode = (np.array([2], np.int32), np.zeros(1, np.uint16), repeats.BANK)
    return [mode, (np.array([0, 2, 1], np.int32), np.full(3, 2), repeats.BANK)]


def with_code_points(data: bytes) -> bytes:
    """An image file with these bytes as its chunk cicp, which `Chunk` would refuse."""
    file = pack_image(unpack_image(Encoder(picture(16, 16), tiny_model()).encode(5).data))
    chunk = b"cicp" + bytes([len(data)]) + data
    return file[:-1] + chunk + zlib.crc32(chunk).to_bytes(4, "little") + file[-1:]


CODE_POINTS = {
    "cicp-of-three-bytes": bytes([9, 16, 0]),
    "cicp-of-five-bytes": bytes([9, 16, 0, 1, 0]),
    "cicp-with-a-matrix": bytes([9, 16, 9, 1]),
    "cicp-with-no-such-range": bytes([9, 16, 0, 2]),
}


def with_payload(parts: Parts) -> bytes:
    """An image file of four hyper-latents whose only tile holds these parts."""
    file = unpack_image(Encoder(picture(80, 80), tiny_model()).encode(5).data)
    return pack_image(replace(file, tiles=(encode(parts),)))


def good() -> ImageFile:
    """A file that is right, to be changed."""
    return unpack_image(Encoder(picture(40, 56), tiny_model()).encode(5).data)


def sealed(body: bytes, tail: bytes = b"\0") -> bytes:
    """Header and payload with their checksum, and what follows."""
    return body + zlib.crc32(body).to_bytes(4, "little") + tail


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of fewer than 128 bytes."""
    whole = kind + bytes([len(data)]) + data
    return whole + zlib.crc32(whole).to_bytes(4, "little")


def damaged() -> dict[str, bytes]:
    """Files cut short, changed, claiming too much, or of another model."""
    file, magic = good(), 8
    data = pack_image(file)
    body, head = data[:-5], file.header
    payload = bytearray(file.tiles[0])
    payload[len(payload) // 2] ^= 1
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    later = bytearray(body)
    later[magic] = 0x20
    text = data.replace(b"\r\n", b"\n", 1)
    larger = replace(head, width=65_000, height=65_000)
    hyper = tiny_hyperprior("exact")
    return {
        "empty": b"",
        "magic-alone": data[:magic],
        "another-magic": b"\x89PNG\r\n\x1a\n" + data[magic:],
        "line-ends-changed": text,
        "later-version": sealed(bytes(later)),
        "cut-in-header": data[:20],
        "cut-in-payload": data[: len(data) // 2],
        "cut-before-the-end": data[:-1],
        "a-byte-behind-the-end": data + b"\0",
        "a-bit-of-the-payload-flipped": bytes(flipped),
        "payload-changed-under-a-right-checksum": pack_image(
            replace(file, tiles=(bytes(payload),))
        ),
        "payload-with-a-tail": pack_image(replace(file, tiles=(file.tiles[0] + bytes(4),))),
        "payload-of-nothing": pack_image(replace(file, tiles=(bytes(len(file.tiles[0])),))),
        "pixels-of-another-checksum": pack_image(
            replace(file, header=replace(head, pixel_crc=head.pixel_crc ^ 1))
        ),
        "level-beyond-the-model": pack_image(replace(file, header=replace(head, level=200))),
        "more-pixels-than-are-read": write_header(larger) + bytes(64),
        "model-that-nobody-has": pack_image(
            replace(file, header=replace(head, model_id=bytes(16)))
        ),
        "latents-of-another-model": pack_image(
            replace(file, header=replace(head, model_id=hyper.id, level=1))
        ),
        "unknown-critical-chunk": sealed(body, chunk(b"Zzzz", b"1") + b"\0"),
        "chunks-out-of-order": sealed(body, chunk(b"xmpd", b"1") + chunk(b"exif", b"1") + b"\0"),
        "chunk-with-a-wrong-checksum": sealed(body, chunk(b"xmpd", b"1")[:-1] + b"\0\0"),
        "alpha-without-a-mode-for-it": sealed(body, chunk(b"ALPH", b"1") + b"\0"),
    }


MODEL_OF = {"latents-of-another-model": "image/hyperprior/exact.intactm"}
"""Below vectors; a reader is given vectors/image/tiny.intactm for all others."""


def outcome(path: Path) -> dict[str, str]:
    """How this package refuses a file.

    Raises:
        AssertionError: it does not.
    """
    data, model = path.read_bytes(), MODEL_OF.get(path.stem, "image/tiny.intactm")
    try:
        if path.suffix == ".intactm":
            Model.from_bytes(data)
        else:
            decode(data, model=Model.from_bytes((HERE.parent / model).read_bytes()))
    except IntactError as error:
        found = {"error": type(error).__name__, "says": str(error)}
        return found if path.suffix == ".intactm" else {"model": model, **found}
    raise AssertionError(f"{path} is accepted")


def copied(value: Any) -> Any:
    """A tree that shares only arrays."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Write all."""
    changes: list[Callable[[Any], None]] = [
        format_is_an_array, second_spelling, features_of_half_size, unshuffle_of_latents,
        more_predicted_than_latents, more_predicted_than_sixteen,
    ]  # fmt: skip
    # The key `format` alone makes no other kind.
    other = pack_model({**tiny_model().tree, "format": "vector"})
    (HERE / "keys-of-another-kind.intactm").write_bytes(other)
    for change in changes:
        tree = copied(micro_model().tree)
        change(tree)
        path = HERE / f"{change.__name__.replace('_', '-')}.intactm"
        path.write_bytes(pack_model(tree))
    for make in (no_such_repeat_mode, no_such_repeat_flag):
        path = HERE / f"{make.__name__.replace('_', '-')}.intact"
        path.write_bytes(with_payload(make()))
    for name, code_points in CODE_POINTS.items():
        (HERE / f"{name}.intact").write_bytes(with_code_points(code_points))
    for name, data in damaged().items():
        (HERE / f"{name}.intact").write_bytes(data)
    index = {path.name: outcome(path) for path in sorted(HERE.glob("*.intact*"))}
    (HERE / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
