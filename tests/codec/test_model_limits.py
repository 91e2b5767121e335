"""A model from a stranger cannot ask for more than `intact.container.limits` allow."""

import time
import tracemalloc
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from intact import ModelError
from intact.codec.model import Model
from intact.container import limits
from intact.intnet.backends import choose, probe, trial
from intact.intnet.program import Conv, Op, Program, Requantize, Shuffle
from tiny_model import M, tiny_model

LARGEST = 4096
"""Channels of one value."""


def shipped() -> list[Model]:
    files = (resources.files("intact") / "models").iterdir()
    return [Model.from_bytes(f.read_bytes()) for f in files if f.name.endswith(".intactm")]


def spread(source: str, target: str, channels: int, outputs: int) -> Conv:
    weight = np.zeros((outputs, channels, 1, 1), int)
    zeros = np.zeros(outputs, int)
    return Conv(source, target, weight, zeros, zeros, np.ones(outputs, int))


def grown(role: str, *ops: Op) -> Model:
    """The tiny model with more work in one program, whose results nobody needs."""
    model = tiny_model()
    program = model.programs[role]
    more = Program(program.name, program.inputs, (*program.ops, *ops), program.outputs)
    return replace(model, programs=model.programs | {role: more})


def requantizers(count: int, channels: int, source: str) -> list[Requantize]:
    return [Requantize(source, f"r{i}", np.ones(channels, int)) for i in range(count)]


def test_shipped_and_small_models_are_within_the_limits() -> None:
    tiny_model()  # raises if not
    shipped()


def test_ops() -> None:
    count = limits.MAX_PROGRAM_OPS + 1 - len(tiny_model().programs["synthesis"].ops)
    with pytest.raises(ModelError, match=r"synthesis: operations: 513, at most 512"):
        grown("synthesis", *requantizers(count, M, "y"))
    grown("synthesis", *requantizers(count - 1, M, "y"))


def test_channels() -> None:
    """The review's attack: 40 operations on 4096 channels pack to 1.5 kB."""
    wide = spread("y", "w", M, LARGEST)
    with pytest.raises(ModelError, match=r"channels in all operations: \d+, at most 131072"):
        grown("hyper_analysis", wide, *requantizers(40, LARGEST, "w"))


def test_memory_per_pixel() -> None:
    # From a 16th of the height to four times: 4096 channels become one, of 64 * 64 elements.
    shuffles = [Shuffle("w", "w16", 16), Shuffle("w16", "w64", 4)]
    with pytest.raises(ModelError, match=r"synthesis: bytes per pixel: \d+, at most 256"):
        grown(
            "synthesis",
            spread("y", "w", M, LARGEST),
            *shuffles,
            spread("w64", "e", 1, 16),
        )


def test_multiplications_per_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MODEL_MACS_PER_PIXEL", 1 << 16)
    channels = 16  # at the size of the image
    wide = [spread("y", "w", M, LARGEST), Shuffle("w", "p", 16)]
    more = [spread("p", f"m{i}", channels, LARGEST // 64) for i in range(257)]
    with pytest.raises(ModelError, match=r"multiplications per pixel: \d+, at most 65536"):
        grown("synthesis", *wide, *more)


def test_weights() -> None:
    more = [spread("y", "w", M, LARGEST)]
    more += [spread("w", f"m{i}", LARGEST, 2048) for i in range(5)]
    with pytest.raises(ModelError, match=r"weights: \d+, at most 33554432"):
        grown("hyper_analysis", *more)


def test_the_proof_of_the_widest_model_is_affordable() -> None:
    count = limits.MAX_PROGRAM_CHANNELS // (2 * LARGEST) - 2
    model = grown("synthesis", spread("y", "w", M, LARGEST), *requantizers(count, LARGEST, "w"))
    program = model.programs["synthesis"]
    tracemalloc.start()
    begin = time.process_time()
    try:
        todo = probe.cases(program)
        assert not trial.difference(choose.backend("numpy"), todo, program)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    arrays = {
        id(array): array
        for case in todo
        for group in (case.inputs, case.expected)
        for array in group.values()
    }
    assert sum(array.nbytes for array in arrays.values()) < 64 << 20
    assert peak < 512 << 20
    assert time.process_time() - begin < 10  # under 2 s on a quiet machine of 2026
