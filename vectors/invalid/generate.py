"""Writes files that a reader must refuse, each for one reason. Run by hand only.

Checksums are right, so that only a reader that looks at the content can refuse. Image files are of
vectors/image/tiny.intactm.

PYTHONPATH=src:tests python vectors/invalid/generate.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.seeds import micro_model
from intact.bits.fast import encode
from intact.codec import repeats
from intact.codec.image import Encoder
from intact.container.image_file import pack_image, unpack_image
from intact.container.model_file import pack_model
from tiny_model import picture, tiny_model

HERE = Path(__file__).parent
Parts = list[tuple[np.ndarray, np.ndarray, Any]]


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


def no_such_repeat_mode() -> Parts:
    """Mode 4 of 0..3, sent as an escape."""
    return [(np.array([4], np.int32), np.zeros(1, np.uint16), repeats.BANK)]


def no_such_repeat_flag() -> Parts:
    """Flag 2 of 0..1, sent as an escape."""
    mode = (np.array([2], np.int32), np.zeros(1, np.uint16), repeats.BANK)
    return [mode, (np.array([0, 2, 1], np.int32), np.full(3, 2), repeats.BANK)]


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
        second_spelling, features_of_half_size, unshuffle_of_latents, more_predicted_than_latents,
    ]  # fmt: skip
    for change in changes:
        tree = copied(micro_model().tree)
        change(tree)
        path = HERE / f"{change.__name__.replace('_', '-')}.intactm"
        path.write_bytes(pack_model(tree))
    for make in (no_such_repeat_mode, no_such_repeat_flag):
        path = HERE / f"{make.__name__.replace('_', '-')}.intact"
        path.write_bytes(with_payload(make()))


if __name__ == "__main__":
    main()
