"""Probe inputs that a backend must compute right before anybody trusts it.

Four kinds of runs, each with the normative result beside it:

- every operation by itself, on inputs that reach the bounds of as many channels as time allows;
- one operation of each shape on 33 x 33 positions (one more than the blocks kernels like), compared
  at two opposite corners, where padding and remainders are, with one thread and with two;
- the whole program, smallest size on constants and a few rows of random numbers;
- one synthetic layer whose accumulators lie next to the boundaries of the rounding division.

A model may come from a stranger: all inputs and results together stay below 64 MiB for any program
within a model's limits (`intact.container.limits`); wide programs get fewer positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from math import isqrt

import numpy as np

from intact.intnet import ops
from intact.intnet.backends.parts import WORK, boundaries, exploded, tall_size, unit_of
from intact.intnet.backends.trial import Case
from intact.intnet.bounds import conv_bounds
from intact.intnet.infer import Info, infer
from intact.intnet.program import LEVEL_MAX, Conv, Program, sources

KIND_BYTES = 24 << 20  # of inputs and results of each of the first two kinds
ODD_SIZES = (33, 17, 9)  # the first that KIND_BYTES allows
SEED = 251  # any constant: a failure must be repeatable
CORNER = 5  # positions of a corner that `ops` computes; those next to the cut do not count


def cases(program: Program) -> tuple[Case, ...]:
    """The probe runs of a program, with results from `ops`."""
    random = np.random.default_rng(SEED)
    parts = exploded(program)
    found = [_whole(boundaries(), _constant(boundaries(), 1, 1, 1), 1)]
    if parts is not None:
        found.append(_whole(parts, extreme_inputs(parts, _extreme_size(parts)), LEVEL_MAX))
        shapes = exploded(program, one_per_shape=True) or parts
        size = _odd_size(shapes)
        corners = _corners(shapes, _random(shapes, size, size, random))
        # Two threads give the same, or the backend is wrong; 33 rows are enough to share out.
        found.extend(corners + [replace(case, threads=2) for case in corners])
    unit = unit_of(program)
    found.append(_whole(program, _constant(program, unit, unit, 0), 0))
    found.append(_whole(program, _random(program, *tall_size(program, unit), random), -LEVEL_MAX))
    return tuple(found)


def _extreme_size(parts: Program) -> int:
    work = sum(op.weight.size for op in parts.ops if isinstance(op, Conv))
    positions = min(WORK // max(work, 1), KIND_BYTES // _bytes_per_position(parts))
    return min(max(isqrt(positions) // 4 * 4, 4), 32)


def _odd_size(parts: Program) -> int:
    bytes_per_position = _bytes_per_position(parts)
    fits = (size for size in ODD_SIZES if size**2 * bytes_per_position <= KIND_BYTES)
    return next(fits, ODD_SIZES[-1])


def _bytes_per_position(parts: Program) -> int:
    """Of all inputs and results, as 16-bit numbers."""
    return 2 * sum(info.channels for info in infer(parts).values())


def extreme_inputs(parts: Program, size: int) -> dict[str, np.ndarray]:
    """Inputs [size, size, c] that reach the bounds of some channels of every convolution.

    Args:
        parts: from `exploded`.
        size: a multiple of 4: a 3x3 patch sits at rows and columns 4i+1..4i+3, so that its center
            is at an even place and a layer with stride 2 sees it too.
    """
    infos = infer(parts)
    random = np.random.default_rng(SEED)
    result: dict[str, np.ndarray] = {}
    for op in parts.ops:
        for name in sources(op):
            info = infos[name]
            ends = np.array([info.low, info.high], dtype=np.int16)
            image = ends[random.integers(0, 2, (size, size, info.channels))]
            if isinstance(op, Conv):
                _plant(op, info, image)
            else:
                middle = random.integers(info.low, info.high + 1, image.shape)
                image[::2] = middle[::2]
            result[name] = image
    return result


def _plant(op: Conv, info: Info, image: np.ndarray) -> None:
    """Write the extreme input of one channel after the other, largest bounds first."""
    taps = op.weight.shape[2]
    order = np.argsort(-conv_bounds(op, info).bound, kind="stable")
    # A 1x1 layer that reads every second position is planted only there.
    step, begin = (4, 1) if taps == 3 else (op.stride, 0)
    places = product(range(begin, image.shape[0], step), range(begin, image.shape[1], step))
    for index, (row, column) in enumerate(places):
        sign = 1 - 2 * (index % 2)
        if op.groups > 1:
            weight = op.weight[:, 0].transpose(1, 2, 0)
        else:
            weight = op.weight[order[index // 2 % order.size]].transpose(1, 2, 0)
        patch = np.where(sign * weight.astype(np.int32) > 0, info.high, info.low)
        image[row : row + taps, column : column + taps] = patch


def _random(
    program: Program, height: int, width: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    return {
        value.name: random.integers(
            value.low, value.high, (height, width, value.channels), dtype=np.int16, endpoint=True
        )
        for value in program.inputs
    }


def _constant(program: Program, height: int, width: int, number: int) -> dict[str, np.ndarray]:
    return {
        value.name: np.full(
            (height, width, value.channels), min(max(number, value.low), value.high), dtype=np.int16
        )
        for value in program.inputs
    }


def _whole(program: Program, inputs: Mapping[str, np.ndarray], level: int) -> Case:
    expected = ops.run(program, inputs, level)
    return Case(program, inputs, level, expected, dict.fromkeys(expected, (0, 0)))


def _corners(parts: Program, inputs: Mapping[str, np.ndarray]) -> list[Case]:
    """The top left and the bottom right corner of one run."""
    infos = infer(parts)
    side = next(iter(inputs.values())).shape[0]
    found: list[Case] = []
    for start in (0, side - CORNER):  # even, or strided layers would see other positions
        crop = {
            name: array[start : start + CORNER, start : start + CORNER]
            for name, array in inputs.items()
        }
        results = ops.run(parts, crop, -LEVEL_MAX)
        expected, where = {}, {}
        for name, result in results.items():
            begin = infos[name].size(start, start)[0]
            # The row next to the cut saw padding in the crop and neighbors in the image.
            expected[name] = result[1:, 1:] if start else result[:-1, :-1]
            where[name] = (begin + 1, begin + 1) if start else (0, 0)
        found.append(Case(parts, inputs, -LEVEL_MAX, expected, where))
    return found
