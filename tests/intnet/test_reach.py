"""How far a program looks: by hand, and by changing what must not matter."""

import numpy as np
import pytest

from intact.intnet import ops
from intact.intnet.program import Conv, Program, Shuffle, Unshuffle, Value
from intact.intnet.reach import reach
from tiny_model import tiny_programs


def conv(source: str, target: str, taps: int, channels: int = 4, stride: int = 1) -> Conv:
    weight = np.ones((channels, channels, taps, taps), int)
    zeros = np.zeros(channels, int)
    return Conv(source, target, weight, zeros, zeros, zeros + 1, stride=stride)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([conv("x", "y", 1)], 0),
        ([conv("x", "y", 3)], 1),
        ([conv("x", "a", 3), conv("a", "y", 3)], 2),
        ([conv("x", "a", 3, stride=2), conv("a", "y", 3)], 3),  # one there is two here, and one
        ([Shuffle("x", "a", 2), conv("a", "y", 3, 1)], 1),  # half a position is one
        ([Unshuffle("x", "a", 2), conv("a", "y", 3, 16)], 2),
    ],
)
def test_reach_by_hand(operations, expected):
    program = Program("p", (Value("x", 4, -128, 127),), tuple(operations), ("y",))
    assert reach(program) == {"x": expected}


def test_an_input_that_is_not_read_is_not_looked_at():
    inputs = (Value("x", 4, -128, 127), Value("unused", 1, 0, 1))
    assert reach(Program("p", inputs, (conv("x", "y", 3),), ("y",))) == {"x": 1, "unused": 0}


@pytest.mark.parametrize("role", ["hyper_synthesis", "prior_a", "prior_b", "synthesis"])
def test_what_is_beyond_the_reach_changes_nothing(role):
    """And what is within does, or the bound would be loose in a program as small as this."""
    program = tiny_programs()[role]
    random = np.random.default_rng(2)
    side, middle = 17, 8
    inputs = {
        v.name: random.integers(v.low, v.high + 1, (side, side, v.channels)).astype(np.int16)
        for v in program.inputs
    }

    def at_the_middle(values):
        outputs = ops.run(program, values, 0)
        scale = next(iter(outputs.values())).shape[0] // side
        place = slice(middle * scale, (middle + 1) * scale)
        return np.concatenate([o[place, place].ravel() for o in outputs.values()])

    before = at_the_middle(inputs)
    for name, distance in reach(program).items():
        for beyond, same in ((distance + 1, True), (distance, False)):
            changed = {k: v.copy() for k, v in inputs.items()}
            value = next(v for v in program.inputs if v.name == name)
            far = slice(middle - beyond + 1, middle + beyond)
            kept = changed[name][far, far].copy()
            shape = changed[name].shape
            changed[name] = random.integers(value.low, value.high + 1, shape).astype(np.int16)
            changed[name][far, far] = kept
            assert np.array_equal(at_the_middle(changed), before) == same
