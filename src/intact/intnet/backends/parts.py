"""What to try a backend out on: every operation of a program by itself, rounding, sizes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from itertools import product
from math import lcm

import numpy as np

from intact.intnet.backends.forms import mixed
from intact.intnet.bounds import RECIPROCAL_LIMIT, conv_bounds
from intact.intnet.infer import Info, infer, sizes_of
from intact.intnet.program import (
    MAX_DIVISOR,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
    sources,
)

WORK = 1 << 26  # multiplications of `ops` for the extreme inputs: about 30 ms


def _shape(op: Op, infos: Mapping[str, Info]) -> tuple[object, ...]:
    """What a kernel may depend on besides the weights' values."""
    ranges = [(infos[name].channels, infos[name].low, infos[name].high) for name in sources(op)]
    result = infos[op.target]
    shape: tuple[object, ...] = (type(op), *ranges, result.low, result.high)
    if isinstance(op, Conv):
        bounds = conv_bounds(op, infos[op.source])
        shape += (
            op.weight.shape,
            op.stride,
            op.groups,
            op.table is None,
            bounds.arithmetics,
            bounds.reciprocal,
        )
    return shape


def exploded(program: Program, *, one_per_shape: bool = False) -> Program | None:
    """Every arithmetic operation on an input of its own; None if there is none.

    An operation deep in a network never sees its extreme inputs in a run of the network.

    Args:
        program: a valid program.
        one_per_shape: leave out operations that repeat another one's shape and ranges.
    """
    infos = infer(program)
    seen: set[tuple[object, ...]] = set()
    inputs: list[Value] = []
    targets: list[Op] = []

    def feed(name: str) -> str:
        info = infos[name]
        inputs.append(Value(f"i{len(inputs)}", info.channels, info.low, info.high))
        return inputs[-1].name

    for op in program.ops:
        if one_per_shape:
            if (shape := _shape(op, infos)) in seen:
                continue
            seen.add(shape)
        match op:
            case Add():
                targets.append(_renamed(op, left=feed(op.left), right=feed(op.right)))
            case Conv() | Requantize() | Scale():
                targets.append(_renamed(op, source=feed(op.source)))
            case Shuffle() | Unshuffle():
                continue
    if not targets:
        return None
    # An input may carry a target's old name; the prefix keeps the two apart.
    renamed = tuple(_renamed(op, target=f"o{index}") for index, op in enumerate(targets))
    outputs = tuple(op.target for op in renamed)
    return Program(f"{program.name}-layers", tuple(inputs), renamed, outputs)


@cache
def boundaries() -> Program:
    """A layer whose accumulators, for the input 1 and level 1, lie around rounding boundaries.

    Channel by channel ``acc = q * c + (c +- 1) / 2`` for many c and for |q| up to the largest that
    rule 1 allows: a reciprocal that is 2 ulp off, or a bias added after the division, shows here.
    """
    divisors = [1, 3, 5, 127, 257, MAX_DIVISOR - 2, MAX_DIVISOR]
    divisors += [int(c) | 1 for c in mixed(2, MAX_DIVISOR, (57,), 1)]
    shares = mixed(0, 2**16, (len(divisors),), 2)
    wanted: list[tuple[int, int]] = []
    for c, share in zip(divisors, shares.tolist(), strict=True):
        largest = min(RECIPROCAL_LIMIT // c - 1, 32767)
        for q in sorted({0, largest // 2, largest - 1, largest, largest * share >> 16}):
            for acc, sign in product((q * c + c // 2, q * c + c // 2 + 1), (1, -1)):
                wanted.append((sign * acc, c))
    acc = np.array([item[0] for item in wanted])
    weight = mixed(-64, 64, (len(wanted), 16, 1, 1), 3)
    slope = mixed(-1000, 1000, (len(wanted),), 4)
    bias = acc - slope - weight.sum(axis=(1, 2, 3))
    divisor = np.array([item[1] for item in wanted])
    conv = Conv("x", "y", weight, bias, slope, divisor, low=-32768, high=32767)
    return Program("boundaries", (Value("x", 16, 0, 255),), (conv,), ("y",))


def _renamed(op: Op, **names: str) -> Op:
    """An operation on other values of the same kind; what is known of it holds on."""
    twin = copy.copy(op)
    for key, name in names.items():
        object.__setattr__(twin, key, name)
    return twin


def unit_of(program: Program) -> int:
    """The smallest size that the program accepts: 1, or what its divisions ask for."""
    try:
        for rows in range(1, 10):
            sizes_of(program, rows, 1 if rows == 1 else 2)
        sizes_of(program, 1, 2)
    except ValueError:
        return lcm(*(info.resolution.denominator for info in infer(program).values()))
    return 1


def tall_size(program: Program, unit: int) -> tuple[int, int]:
    """A size for a run of the whole program: 3 units high, small programs up to 9, and 2 wide.

    Several rows, because a fault in the hand-over from band to band leaves the first row right.
    """
    sizes, work = sizes_of(program, unit, 2 * unit), 1
    for op in program.ops:
        if isinstance(op, Conv):
            rows, columns = sizes[op.target]
            work += rows * columns * op.weight.size
    return min(max(WORK // (2 * work), 3), 9) * unit, 2 * unit
