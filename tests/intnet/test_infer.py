from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from intact.errors import ModelError
from intact.intnet.infer import HALF, Info, Resize, infer, sizes_of
from intact.intnet.program import Add, Conv, Program, Requantize, Shuffle, Unshuffle, Value


def conv(**changes: Any) -> Conv:
    values: dict[str, Any] = {
        "source": "x", "target": "y", "weight": np.ones((2, 3, 1, 1), np.int8), "bias": [0, 0],
        "slope": [0, 0], "divisor": [3, 5],
    }  # fmt: skip
    values.update(changes)
    return Conv(**values)


def program(*operations: Any, channels: int = 3, low: int = -128, high: int = 127) -> Program:
    return Program("p", (Value("x", channels, low, high),), operations, (operations[-1].target,))


def test_ranges_and_resolutions_are_known() -> None:
    p = Program(
        "p",
        (Value("x", 3, -128, 127),),
        (
            Unshuffle("x", "a", 8),
            Requantize("a", "b", np.full(192, 3), 0, 15),
            Add("a", "b", "c"),
            Shuffle("c", "d", 2),
        ),
        ("d",),
    )
    assert infer(p)["c"] == Info(192, -128, 142, (Resize(Fraction(1, 8)),))
    assert infer(p)["d"] == Info(48, -128, 142, (Resize(Fraction(1, 4)),))
    assert infer(p)["d"].resolution == Fraction(1, 4)
    assert sizes_of(p, 16, 24)["d"] == (4, 6)
    with pytest.raises(ValueError, match="multiple of 8"):
        sizes_of(p, 16, 20)


def test_exact_steps_are_joined_and_halves_are_not() -> None:
    def steps(*factors: int) -> tuple[Resize, ...]:
        """Of Shuffles, and of Unshuffles by negative factors."""
        ops = [
            Shuffle(f"v{n}", f"v{n + 1}", f) if f > 0 else Unshuffle(f"v{n}", f"v{n + 1}", -f)
            for n, f in enumerate(factors)
        ]
        program = Program("p", (Value("v0", 144, 0, 1),), tuple(ops), ("v0",))
        return infer(program)[f"v{len(factors)}"].steps

    assert steps(2, -2) == steps(1) == ()
    assert steps(3, 2) == steps(6) == (Resize(Fraction(6)),)
    assert steps(-3, 2) == (Resize(Fraction(2, 3)),)


def test_sizes_round_up_or_must_divide() -> None:
    assert [HALF.of(side) for side in (1, 2, 3, 8)] == [1, 1, 2, 4]
    assert Resize(Fraction(2, 3)).of(9) == 6
    assert Resize(Fraction(4)).of(5) == 20
    with pytest.raises(ValueError, match="8 is no multiple of 3"):
        Resize(Fraction(2, 3)).of(8)


def test_saturation_limits_the_static_range() -> None:
    p = program(Add("x", "x", "y"), low=-32768, high=32767)
    assert (infer(p)["y"].low, infer(p)["y"].high) == (-32768, 32767)


def test_halves_round_up_and_do_not_cancel() -> None:
    half = conv(
        stride=2,
        weight=np.ones((4, 3, 3, 3), np.int8),
        bias=[0] * 4,
        slope=[0] * 4,
        divisor=[1] * 4,
    )
    p = program(half, Shuffle("y", "z", 2))
    assert sizes_of(p, 5, 6) == {"x": (5, 6), "y": (3, 3), "z": (6, 6)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"divisor": [3, 4]}, "even"),
        ({"divisor": [0, 3]}, "0..3"),
        ({"divisor": [3, 16385]}, "16385"),
        ({"divisor": [3]}, "shape"),
        ({"weight": np.ones((2, 4, 1, 1), int)}, "4 channels"),
        ({"weight": np.ones((2, 3, 2, 2), int)}, "2x2"),
        ({"weight": np.ones((2, 3, 3, 1), int)}, "3x1"),
        ({"weight": np.ones((2, 3), int)}, "axes"),
        ({"weight": np.full((2, 3, 1, 1), 8192)}, "8191"),
        ({"stride": 3}, "stride 3"),
        ({"groups": 2}, "groups 2"),
        ({"low": 1, "high": 0}, "empty"),
        ({"high": 40000}, "int16"),
        ({"bias": [2**31, 0]}, "bias"),
        ({"table": np.array([200])}, "table leaves"),
        ({"table": np.zeros(0, int)}, "entries"),
        ({"table_low": 4}, "without a table"),
        ({"source": "nobody"}, "not defined"),
        ({"target": "x"}, "twice"),
        ({"target": "no name"}, "no name"),
    ],
)  # fmt: skip
def test_illegal_constants_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        infer(program(conv(**changes)))


def test_add_needs_equal_shapes() -> None:
    with pytest.raises(ModelError, match="differ"):
        infer(program(conv(), Add("x", "y", "z")))


def test_growth_is_limited() -> None:
    grow = [Shuffle(f"v{n}", f"v{n + 1}", 16) for n in range(2)]
    p = Program("p", (Value("v0", 4096, 0, 1),), (grow[0], Add("v1", "v1", "v1b")), ("v1",))
    infer(p)
    with pytest.raises(ModelError, match="multiple"):
        infer(Program("p", p.inputs, tuple(grow), ("v2",)))
    many = [
        conv(
            source=f"v{n}",
            target=f"w{n}",
            weight=np.ones((256, 1, 1, 1), int),
            bias=[0] * 256,
            slope=[0] * 256,
            divisor=[1] * 256,
        )
        for n in range(2)
    ]
    with pytest.raises(ModelError, match="resolution 256"):
        infer(
            Program(
                "p",
                (Value("v0", 1, 0, 1),),
                (many[0], Shuffle("w0", "v1", 16), many[1], Shuffle("w1", "v2", 16)),
                ("v2",),
            )
        )
