"""Writes files that a reader must refuse, each for one reason. Run by hand only.

PYTHONPATH=src:tests python vectors/invalid/generate.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.seeds import micro_model
from intact.container.model_file import pack_model

HERE = Path(__file__).parent


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


def copied(value: Any) -> Any:
    """A tree that shares only arrays."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Write all."""
    changes: list[Callable[[Any], None]] = [
        second_spelling, features_of_half_size, unshuffle_of_latents,
    ]  # fmt: skip
    for change in changes:
        tree = copied(micro_model().tree)
        change(tree)
        path = HERE / f"{change.__name__.replace('_', '-')}.intactm"
        path.write_bytes(pack_model(tree))


if __name__ == "__main__":
    main()
