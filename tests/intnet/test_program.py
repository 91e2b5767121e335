import contextlib
import copy
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.program import (
    HALF,
    Add,
    Conv,
    Info,
    Program,
    Requantize,
    Resize,
    Shuffle,
    Unshuffle,
    Value,
    dtype_of,
)


def conv(**changes: Any) -> Conv:
    values: dict[str, Any] = {
        "source": "x", "target": "y", "weight": np.ones((2, 3, 1, 1), np.int8), "bias": [0, 0],
        "slope": [0, 0], "divisor": [3, 5],
    }  # fmt: skip
    values.update(changes)
    return Conv(**values)


def program(*operations: Any, channels: int = 3, low: int = -128, high: int = 127) -> Program:
    return Program("p", (Value("x", channels, low, high),), operations, (operations[-1].target,))


def equal_trees(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal_trees(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal_trees, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return type(left) is type(right) and left == right


@given(seed=st.integers(0, 2**32 - 1))
def test_a_tree_gives_the_same_program_back(
    random_program: Callable[[int], Program], seed: int
) -> None:
    first = random_program(seed)
    tree = first.to_tree()
    again = Program.from_tree(copy.deepcopy(tree))
    assert equal_trees(tree, again.to_tree())
    assert first.ranges() == again.ranges()


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
    assert p.ranges()["c"] == Info(192, -128, 142, (Resize(Fraction(1, 8)),))
    assert p.ranges()["d"] == Info(48, -128, 142, (Resize(Fraction(1, 4)),))
    assert p.ranges()["d"].resolution == Fraction(1, 4)
    assert p.sizes(16, 24)["d"] == (4, 6)
    with pytest.raises(ValueError, match="multiple of 8"):
        p.sizes(16, 20)


def test_exact_steps_are_joined_and_halves_are_not() -> None:
    def steps(*factors: int) -> tuple[Resize, ...]:
        """Of Shuffles, and of Unshuffles by negative factors."""
        ops = [
            Shuffle(f"v{n}", f"v{n + 1}", f) if f > 0 else Unshuffle(f"v{n}", f"v{n + 1}", -f)
            for n, f in enumerate(factors)
        ]
        program = Program("p", (Value("v0", 144, 0, 1),), tuple(ops), ("v0",))
        return program.ranges()[f"v{len(factors)}"].steps

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
    assert (p.ranges()["y"].low, p.ranges()["y"].high) == (-32768, 32767)


def test_halves_round_up_and_do_not_cancel() -> None:
    half = conv(
        stride=2,
        weight=np.ones((4, 3, 3, 3), np.int8),
        bias=[0] * 4,
        slope=[0] * 4,
        divisor=[1] * 4,
    )
    p = program(half, Shuffle("y", "z", 2))
    assert p.sizes(5, 6) == {"x": (5, 6), "y": (3, 3), "z": (6, 6)}


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
        program(conv(**changes)).validate()


def test_constants_must_be_integers_that_fit() -> None:
    with pytest.raises(ModelError, match="float64"):
        conv(weight=np.ones((2, 3, 1, 1)))
    with pytest.raises(ModelError, match="int16"):
        conv(weight=np.full((2, 3, 1, 1), 40000))


def test_constants_cannot_change_afterwards() -> None:
    with pytest.raises(ValueError, match="read-only"):
        conv().weight[0] = 1


def test_add_needs_equal_shapes() -> None:
    with pytest.raises(ModelError, match="differ"):
        program(conv(), Add("x", "y", "z")).validate()


def edits(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(tree, dict):
        for key, item in tree.items():
            found += edits(item, (*path, key))
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            found += edits(item, (*path, index))
    return found


HOSTILE = [
    None, True, -1, 2**40, 1.5, "", "x" * 65, "a b", [], {}, b"", np.zeros(3), np.zeros((0, 0)),
    np.array(["a"]), np.full(2, 2**62), np.array([None]), [[]], {"op": "conv"}, {"op": []},
]  # fmt: skip


@given(seed=st.integers(0, 50), place=st.integers(0, 10**6), what=st.integers(0, len(HOSTILE) - 1))
def test_a_hostile_tree_is_a_model_error_or_a_valid_program(
    random_program: Callable[[int], Program], seed: int, place: int, what: int
) -> None:
    tree = random_program(seed).to_tree()
    paths = edits(tree)
    path = paths[place % len(paths)]
    target: Any = tree
    for key in path[:-1]:
        target = target[key]
    if path:
        target[path[-1]] = HOSTILE[what]
    else:
        tree = HOSTILE[what]
    with contextlib.suppress(ModelError):
        Program.from_tree(tree).validate()


def test_unknown_and_missing_keys_are_refused() -> None:
    tree = program(conv()).to_tree()
    with pytest.raises(ModelError, match="more"):
        Program.from_tree({**tree, "more": 1})
    del tree["outputs"]
    with pytest.raises(ModelError, match="outputs"):
        Program.from_tree(tree)


def test_too_many_operations_are_refused() -> None:
    tree = program(conv()).to_tree()
    tree["ops"] = [{}] * 4097
    with pytest.raises(ModelError, match="4097"):
        Program.from_tree(tree)


def test_growth_is_limited() -> None:
    grow = [Shuffle(f"v{n}", f"v{n + 1}", 16) for n in range(2)]
    p = Program("p", (Value("v0", 4096, 0, 1),), (grow[0], Add("v1", "v1", "v1b")), ("v1",))
    p.validate()
    with pytest.raises(ModelError, match="multiple"):
        Program("p", p.inputs, tuple(grow), ("v2",)).validate()
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
        Program(
            "p",
            (Value("v0", 1, 0, 1),),
            (many[0], Shuffle("w0", "v1", 16), many[1], Shuffle("w1", "v2", 16)),
            ("v2",),
        ).validate()


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, "uint8"), (0, 256, "int16"), (-1, 127, "int8"), (-1, 128, "int16"),
     (-128, 0, "int8"), (-32768, 32767, "int16"), (0, 0, "uint8")],
)  # fmt: skip
def test_outputs_take_the_smallest_dtype(low: int, high: int, dtype: str) -> None:
    assert dtype_of(low, high) == np.dtype(dtype)
    p = program(Requantize("x", "y", np.ones(3, int), low, high))
    assert ops.run(p, {"x": np.zeros((1, 1, 3), np.int8)})["y"].dtype == np.dtype(dtype)
