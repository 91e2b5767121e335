"""Costs worked out by hand."""

from fractions import Fraction

import numpy as np

from intact.intnet.cost import cost
from intact.intnet.program import Add, Conv, Program, Requantize, Shuffle, Unshuffle, Value


def conv(source: str, target: str, inputs: int, outputs: int, **options) -> Conv:
    taps, groups = options.pop("taps", 1), options.pop("groups", 1)
    weight = np.ones((outputs, inputs // groups, taps, taps), int)
    zeros, ones = np.zeros(outputs, int), np.ones(outputs, int)
    return Conv(source, target, weight, zeros, zeros, ones, groups=groups, **options)


def program(*ops, channels=4, outputs=None) -> Program:
    outputs = outputs or (ops[-1].target,)
    return Program("p", (Value("x", channels, -128, 127),), ops, outputs)


def test_a_convolution_costs_its_weights_at_each_position_of_its_result() -> None:
    found = cost(program(conv("x", "y", 4, 6, taps=3)))
    assert (found.macs, found.weights) == (6 * 4 * 9, 6 * 4 * 9)
    assert cost(program(conv("x", "y", 4, 6, taps=3, stride=2))).macs == Fraction(6 * 4 * 9, 4)
    assert cost(program(Shuffle("x", "s", 2), conv("s", "y", 1, 5))).macs == 5 * 4
    assert cost(program(conv("x", "y", 4, 4, taps=3, groups=4))).macs == 4 * 9


def test_other_operations_cost_no_multiplications_of_weights() -> None:
    found = cost(program(Requantize("x", "y", np.ones(4, int)), Add("y", "y", "z")))
    assert (found.macs, found.weights, found.ops) == (0, 0, 2)
    assert found.parameters == 4


def test_parameters_are_all_constants() -> None:
    plain = cost(program(conv("x", "y", 4, 6)))
    assert plain.parameters == 6 * 4 + 3 * 6  # weights; bias, slope, divisor
    table = np.zeros(7, int)
    assert cost(program(conv("x", "y", 4, 6, table=table))).parameters == 6 * 4 + 3 * 6 + 7


def test_channels_are_counted_where_they_are_read_and_made() -> None:
    assert cost(program(conv("x", "y", 4, 6), Add("y", "y", "z"))).channels == 6 + 4 + 3 * 6


def test_a_value_is_alive_until_its_last_reader() -> None:
    a, b = conv("x", "a", 4, 10), conv("a", "b", 10, 3)
    assert cost(program(a, b)).bytes == 2 * (4 + 10)  # x dies as soon as a is there
    assert cost(program(a, b, conv("x", "c", 4, 3))).bytes == 2 * (4 + 10 + 3)
    assert cost(program(a, b, outputs=("a", "b"))).bytes == 2 * (4 + 10)
    assert cost(program(Unshuffle("x", "u", 2))).bytes == 2 * (4 + 4)  # as many elements


def test_outputs_stay_alive_to_the_end() -> None:
    ops = (conv("x", "a", 4, 10), conv("x", "b", 4, 20), conv("b", "c", 20, 1))
    assert cost(program(*ops, outputs=("a", "c"))).bytes == 2 * (4 + 10 + 20)
    # A value that nobody reads dies at once.
    assert cost(program(*ops)).bytes == 2 * (4 + 20)


def test_per_pixel_a_position_is_shared_by_its_pixels() -> None:
    found = cost(program(conv("x", "y", 4, 6)))
    share = found.per_pixel(16)
    assert (share.macs, share.bytes) == (Fraction(24, 256), found.bytes / 256)
    assert (share.weights, share.ops, share.channels) == (24, 1, 10)
