"""Writes files that a reader must refuse, each for one reason. Run by hand only.

Checksums are right, so that only a reader that looks at the content can refuse. Image files are of
vectors/image/tiny.intactm.

PYTHONPATH=src:tests python vectors/invalid/generate.py
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.seeds import micro_model
from intact.bits.fast import encode
from intact.bottleneck import repeats
from intact.codec.image import Encoder
from intact.container.image_file import pack_image, unpack_image
from intact.container.model_file import pack_model
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


if __name__ == "__main__":
    main()
