"""Write the golden vectors of every operation: run by hand, never by a test.

    PYTHONPATH=src python vectors/op/generate.py

One file for each operation (convolutions by form): a list of cases. A case is a program of one
operation in the form of a model file's content (docs/spec/intnet.md), with arrays as their values
in C order; a level; input arrays [height, width, channels]; and the outputs of
`intact.intnet.ops`. An implementation in any language can check itself against them. A difference
after a change of the code means that the meaning of an operation changed: never write them anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from intact.intnet import ops
from intact.intnet.backends.forms import mixed
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
    sources,
)
from intact.intnet.tree import program_to_tree

HERE = Path(__file__).parent
BYTE, SIGNED, WIDE = (0, 255), (-128, 127), (-32768, 32767)
Case = tuple[str, Op, tuple[tuple[int, tuple[int, int]], ...], tuple[int, int], int]
"""Name, operation, channels and range of each input, height and width, level."""


def conv(inputs: int, outputs: int, taps: int, weight: int, **form: Any) -> Conv:
    """A convolution; what ``form`` does not say comes from `mixed`."""
    width = inputs // form.get("groups", 1)
    seed = inputs * 1000 + outputs * 100 + taps * 10 + len(form)
    typical = weight * 40 * taps
    fields = {
        "bias": mixed(-typical, typical, (outputs,), seed + 1),
        "slope": mixed(-weight, weight, (outputs,), seed + 2),
        "divisor": mixed(1, min(typical // 16 + 1, 16382), (outputs,), seed + 3) | 1,
    } | form
    weights = mixed(-weight, weight, (outputs, width, taps, taps), seed)
    return Conv("x", "y", weights, **fields)


def cases() -> dict[str, list[Case]]:
    """What each file holds."""
    table = mixed(-100, 100, (64,), 5)
    most = mixed(8000, 16382, (36,), 7) | 1
    ends = np.array([2**31 - 1 - 127 * 255 - 127, -(2**31) + 1 + 127 * 255 + 127, 0, 1])
    return {
        "conv": [
            ("bytes", conv(5, 7, 1, 127), ((5, BYTE),), (3, 4), 0),
            ("signed_bytes", conv(5, 7, 1, 127, low=0, high=255), ((5, SIGNED),), (3, 4), 127),
            ("words", conv(3, 4, 1, 8191, low=-32768, high=32767), ((3, WIDE),), (2, 3), -127),
            ("taps", conv(2, 3, 3, 127), ((2, BYTE),), (4, 5), 3),
            ("taps_of_a_pixel", conv(2, 3, 3, 127), ((2, BYTE),), (1, 1), -3),
            ("end_of_32_bits", conv(1, 4, 1, 127, bias=ends, slope=np.ones(4, int),
             low=-32768, high=32767), ((1, BYTE),), (2, 2), 127),
        ],
        "conv_stride": [
            ("even", conv(2, 3, 3, 100, stride=2), ((2, SIGNED),), (4, 6), 0),
            ("odd", conv(2, 3, 3, 100, stride=2), ((2, SIGNED),), (5, 3), 9),
            ("pointwise", conv(2, 3, 1, 100, stride=2), ((2, SIGNED),), (5, 4), 9),
        ],
        "conv_edge": [
            ("dense", conv(2, 3, 3, 100, edge=True), ((2, BYTE),), (3, 4), 0),
            ("depthwise", conv(4, 4, 3, 100, groups=4, edge=True), ((4, SIGNED),), (4, 3), 7),
            ("stride", conv(2, 3, 3, 100, stride=2, edge=True), ((2, BYTE),), (3, 4), 0),
            ("a_pixel", conv(2, 3, 3, 100, edge=True), ((2, BYTE),), (1, 1), 0),
        ],
        "conv_depthwise": [
            ("taps", conv(6, 6, 3, 127, groups=6), ((6, SIGNED),), (4, 5), 0),
            ("bytes", conv(6, 6, 3, 127, groups=6, low=0, high=255), ((6, BYTE),), (2, 7), 1),
            ("words", conv(4, 4, 3, 900, groups=4, low=-32768, high=32767), ((4, WIDE),),
             (3, 3), 0),
            ("stride", conv(4, 4, 3, 127, groups=4, stride=2), ((4, SIGNED),), (5, 5), -1),
        ],
        # Values of 13 to 16 bits, sums up to nine tenths of 2^31, more channels than a block has.
        "conv_wide": [
            ("unsigned_14", conv(40, 36, 1, 5800, divisor=most[:36], low=-32768, high=32767),
             ((40, (0, 16383)),), (3, 5), 127),
            ("signed_14", conv(33, 18, 1, 2047, divisor=most[:18], low=-8192, high=8191),
             ((33, (-8192, 8191)),), (4, 3), -127),
            ("stride_13", conv(12, 20, 3, 6200, stride=2, edge=True, low=-32768, high=32767),
             ((12, (-4096, 4095)),), (5, 4), 9),
            ("depthwise_15", conv(36, 36, 3, 8191, groups=36, edge=True, divisor=most[:36],
             low=-16384, high=16383), ((36, (-16384, 16383)),), (3, 4), -5),
            ("words_16", conv(17, 17, 1, 4300, divisor=most[:17], low=-32768, high=32767),
             ((17, WIDE),), (3, 4), 1),
        ],
        "conv_table": [
            ("table", conv(4, 5, 1, 60, table=table, table_low=-30, low=-100, high=100),
             ((4, SIGNED),), (4, 5), 50),
            ("one_entry", conv(4, 2, 1, 60, table=table[:1], table_low=9, low=-100, high=100),
             ((4, SIGNED),), (2, 2), 0),
        ],
        "requantize": [
            ("words", Requantize("x", "y", mixed(1, 999, (6,), 1) | 1), ((6, WIDE),), (4, 4), 0),
            ("unsigned", Requantize("x", "y", np.array([1, 3, 16383]), 0, 255), ((3, WIDE),),
             (5, 4), 0),
        ],
        "scale": [
            ("factors", Scale("x", "y", mixed(-32768, 32767, (6,), 2)), ((6, SIGNED),), (4, 4), 0),
            ("small", Scale("x", "y", np.array([0, 1, -1])), ((3, WIDE),), (4, 4), 0),
        ],
        "add": [
            ("words", Add("x", "x2", "y"), ((3, WIDE), (3, WIDE)), (5, 4), 0),
            ("mixed", Add("x", "x2", "y"), ((3, WIDE), (3, BYTE)), (5, 4), 0),
            ("itself", Add("x", "x", "y"), ((3, WIDE),), (4, 4), 0),
        ],
        "shuffle": [
            ("two", Shuffle("x", "y", 2), ((8, SIGNED),), (2, 3), 0),
            ("three", Shuffle("x", "y", 3), ((9, WIDE),), (1, 2), 0),
        ],
        "unshuffle": [
            ("two", Unshuffle("x", "y", 2), ((2, SIGNED),), (4, 6), 0),
            ("three", Unshuffle("x", "y", 3), ((1, WIDE),), (3, 6), 0),
        ],
    }  # fmt: skip


def program_of(case: Case) -> Program:
    """A case's operation as a program."""
    name, op, inputs, _, _ = case
    names = dict.fromkeys(sources(op))
    values = [Value(n, *spec[:1], *spec[1]) for n, spec in zip(names, inputs, strict=True)]
    return Program(name, tuple(values), (op,), ("y",))


def inputs_of(case: Case) -> dict[str, np.ndarray]:
    """What a case's program is run on."""
    size = case[3]
    inputs = {
        value.name: mixed(value.low, value.high, (*size, value.channels), number + len(case[0]))
        for number, value in enumerate(program_of(case).inputs)
    }
    if case[0] in ENDS:
        _plant(case, inputs["x"])
    return inputs


ENDS = ("unsigned_14", "signed_14", "words_16")
"""1x1 layers whose sums go as far as they can."""


def _plant(case: Case, x: np.ndarray) -> None:
    """The largest sum and the least of a channel, in the first two positions of a row."""
    op, (_, (low, high)) = case[1], case[2][0]
    assert isinstance(op, Conv)
    weight = op.weight[:, :, 0, 0].astype(np.int64)
    channel = int(np.abs(weight).sum(axis=1).argmax())
    x[0, 0] = np.where(weight[channel] > 0, high, low)
    x[0, 1] = np.where(weight[channel] > 0, low, high)


def plain(value: Any) -> Any:
    """Arrays as shape and values, for JSON."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": value.ravel().tolist()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of each file; a case is a line."""
    for name, todo in cases().items():
        lines = []
        for case in todo:
            program, inputs = program_of(case), inputs_of(case)
            entry = {
                "program": program_to_tree(program),
                "level": case[4],
                "inputs": inputs,
                "outputs": dict(ops.run(program, inputs, case[4])),
            }
            lines.append(json.dumps(plain(entry), separators=(",", ":")))
        yield f"{name}.json", "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    for file_name, text in texts():
        (HERE / file_name).write_text(text, encoding="utf-8")
        print(file_name, len(text))
