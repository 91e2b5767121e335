"""Programs for the tests of this folder."""

from collections.abc import Callable

import numpy as np
import pytest

from intact.errors import ModelError
from intact.intnet.certificate import prove
from intact.intnet.infer import infer
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
)

RANGES = [(-128, 127), (0, 255), (-32768, 32767), (0, 15), (-7, 300), (3, 9)]


def odd(random: np.random.Generator, low: int, high: int, size: int) -> np.ndarray:
    return random.integers(low // 2, high // 2, size) * 2 + 1


def random_conv(random: np.random.Generator, source: str, target: str, channels: int) -> Conv:
    taps = int(random.choice([1, 1, 3]))
    groups = channels if random.random() < 0.3 else 1
    outputs = channels if groups > 1 else int(random.integers(1, 9))
    widest = int(random.choice([3, 64, 127, 2000, 8191]))
    weight = random.integers(-widest, widest + 1, (outputs, channels // groups, taps, taps))
    low, high = RANGES[int(random.integers(len(RANGES)))]
    largest = int(random.choice([127, 1001, 16383]))
    table, table_low = None, 0
    if random.random() < 0.2:
        table = random.integers(low, high + 1, int(random.integers(1, 40))).astype(np.int16)
        table_low = int(random.integers(-30, 10))
    return Conv(
        source,
        target,
        weight,
        random.integers(-100_000, 100_000, outputs),
        random.integers(-500, 501, outputs),
        odd(random, 0, largest + 1, outputs),
        stride=int(random.choice([1, 1, 2])),
        groups=groups,
        low=low,
        high=high,
        table=table,
        table_low=table_low,
        edge=bool(random.random() < 0.5),
    )


def random_op(random: np.random.Generator, program_so_far: Program, target: str) -> Op:
    infos = infer(program_so_far)
    source = str(random.choice(list(infos)[-3:]))
    info = infos[source]
    equals = [
        name
        for name, other in infos.items()
        if other.steps == info.steps and other.channels == info.channels
    ]
    kind = random.choice(
        ["conv", "conv", "conv", "requantize", "scale", "add", "add", "shuffle", "unshuffle"]
    )
    if kind == "requantize":
        low, high = RANGES[int(random.integers(len(RANGES)))]
        return Requantize(source, target, odd(random, 0, 16384, info.channels), low, high)
    if kind == "scale":
        return Scale(source, target, random.integers(-300, 301, info.channels))
    if kind == "add":
        return Add(source, str(random.choice(equals)), target)
    if kind == "shuffle" and info.channels % 4 == 0:
        return Shuffle(source, target, 2)
    if kind == "unshuffle" and info.channels <= 8 and info.resolution >= 1:
        return Unshuffle(source, target, 2)
    return random_conv(random, source, target, info.channels)


def build(seed: int) -> Program:
    """A random valid program of 1 to 9 operations, all values in one chain or joined by Add."""
    random = np.random.default_rng(seed)
    low, high = RANGES[int(random.integers(len(RANGES)))]
    inputs = [Value("x", int(random.integers(1, 9)), low, high)]
    if random.random() < 0.3:
        inputs.append(Value("x2", int(random.integers(1, 9)), -128, 127))
    operations: list[Op] = []
    for index in range(int(random.integers(1, 10))):
        known = Program("random", tuple(inputs), tuple(operations), ("x",))
        for _ in range(20):
            op = random_op(random, known, f"v{index}")
            try:
                prove(Program("random", tuple(inputs), (*operations, op), (op.target,)))
            except ModelError:
                continue
            operations.append(op)
            break
    names = ["x", *(op.target for op in operations)]
    outputs = {names[-1], names[len(names) // 2]}
    return Program("random", tuple(inputs), tuple(operations), tuple(sorted(outputs)))


def inputs_for(program: Program, seed: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Inputs of which half the elements are extreme."""
    random = np.random.default_rng(seed)
    result = {}
    for value in program.inputs:
        shape = (height, width, value.channels)
        image = random.integers(value.low, value.high + 1, shape)
        ends = np.where(random.random(shape) < 0.5, value.low, value.high)
        result[value.name] = np.where(random.random(shape) < 0.5, image, ends).astype(np.int16)
    return result


@pytest.fixture(scope="session")
def random_program() -> Callable[[int], Program]:
    return build


@pytest.fixture(scope="session")
def random_inputs() -> Callable[[Program, int, int, int], dict[str, np.ndarray]]:
    return inputs_for


@pytest.fixture(scope="session")
def block() -> Callable[..., Program]:
    """The residual block of docs/spec/intnet.md, with weights up to ``widest``."""

    def make(
        channels: int = 16, widest: int = 64, count: int = 1, *, edge: bool = False
    ) -> Program:
        random = np.random.default_rng(channels)

        def conv(
            source: str, target: str, i: int, o: int, low: int, high: int, **more: int
        ) -> Conv:
            taps, groups = more.get("taps", 1), more.get("groups", 1)
            weight = random.integers(-widest, widest + 1, (o, i // groups, taps, taps))
            divisor = odd(random, 31, 125, o) if low == -32768 else odd(random, 257, 4001, o)
            return Conv(
                source,
                target,
                weight,
                random.integers(-9999, 9999, o),
                random.integers(-9, 10, o),
                divisor,
                groups=groups,
                low=low,
                high=high,
                edge=edge and taps > 1,
            )

        c, operations, stream = channels, [], "x"
        for n in range(count):
            operations += [
                Requantize(stream, f"a{n}", odd(random, 31, 301, c)),
                conv(f"a{n}", f"b{n}", c, c, 0, 255),
                conv(f"b{n}", f"d{n}", c, c, -128, 127, taps=3, groups=c),
                conv(f"d{n}", f"e{n}", c, c, -32768, 32767),
                Add(stream, f"e{n}", f"s{n}"),
                Requantize(f"s{n}", f"p{n}", odd(random, 31, 301, c)),
                conv(f"p{n}", f"q{n}", c, 2 * c, 0, 255),
                conv(f"q{n}", f"r{n}", 2 * c, c, -32768, 32767),
                Add(f"s{n}", f"r{n}", f"t{n}"),
            ]
            stream = f"t{n}"
        return Program("block", (Value("x", c, -32768, 32767),), tuple(operations), (stream,))

    return make
