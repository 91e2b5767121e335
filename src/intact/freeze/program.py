"""An integer network, once more as integers: the program that a model holds."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch
from torch import Tensor

from intact.errors import ModelError
from intact.intnet import program as ir
from intact.intnet.certificate import prove
from intact.train.gradients import qtanh_table
from intact.train.graph import (
    Abs,
    Add,
    Conv,
    Gdn,
    Graph,
    Requantize,
    Scale,
    Shuffle,
    tanh_width,
)
from intact.train.integer import IntegerNetwork

LARGE = 5
"""The kernel of layers that an operation of a program is too small for."""
_TAPS = [(d // 2 + 1, d % 2) for d in range(-2, 3)]
"""Of each tap of five: its tap of three, and its phase."""


def _ints(x: Tensor) -> np.ndarray:
    return np.rint(x.detach().cpu().double().numpy()).astype(np.int64)


def _conv(node: Conv, network: IntegerNetwork) -> list[ir.Op]:
    p = network.parameters_of(node)
    largest = float(p.weight.abs().max())
    if largest > ir.MAX_WEIGHT:
        raise ModelError(
            f"{network.graph.name}: conv {node.target!r} needs weights up to {largest:.0f}, "
            f"beyond {ir.MAX_WEIGHT}: its output's unit is too fine"
        )
    low, high = network.graph.ranges[node.target]
    slope = torch.zeros_like(p.bias) if p.slope is None else p.slope
    table, table_low = None, 0
    if node.activation == "tanh":
        values, table_low = qtanh_table(node.bits, tanh_width(node.bits))
        table = values.numpy()
    conv = ir.Conv(
        source=node.source,
        target=node.target,
        weight=_ints(p.weight),
        bias=_ints(p.folded),
        slope=_ints(slope),
        divisor=_ints(p.divisor),
        stride=node.stride,
        groups=node.c_in if node.depthwise else 1,
        low=low,
        high=high,
        table=table,
        table_low=table_low,
    )
    if node.transposed:
        return _up(conv)
    return _down(conv) if node.kernel == LARGE else [conv]


def _down(conv: ir.Conv) -> list[ir.Op]:
    """A 5x5 convolution of stride 2 as an unshuffle and a 3x3: docs/spec/hyperprior.md, 2."""
    outputs, inputs, _, _ = conv.weight.shape
    weight = np.zeros((outputs, inputs, 2, 2, 3, 3), np.int64)
    for (y, row), (x, column) in itertools.product(enumerate(_TAPS), repeat=2):
        weight[:, :, row[1], column[1], row[0], column[0]] = conv.weight[:, :, y, x]
    patches = f"{conv.target}.patches"
    weight = weight.reshape(outputs, 4 * inputs, 3, 3)
    return [
        ir.Unshuffle(conv.source, patches, 2),
        dataclasses.replace(conv, source=patches, weight=weight, stride=1),
    ]


def _up(conv: ir.Conv) -> list[ir.Op]:
    """The transpose of a 5x5 convolution of stride 2 as a 3x3 and a shuffle."""
    outputs, inputs, _, _ = conv.weight.shape
    weight = np.zeros((outputs, 2, 2, inputs, 3, 3), np.int64)
    for (y, row), (x, column) in itertools.product(enumerate(_TAPS), repeat=2):
        # Tap k reaches output phase k mod 2 from the position that mirrors `_down`'s.
        rows, columns = 2 - row[0], 2 - column[0]
        weight[:, row[1], column[1], :, rows, columns] = conv.weight[:, :, y, x]
    parts = f"{conv.target}.parts"
    vectors = {k: getattr(conv, k).repeat(4) for k in ("bias", "slope", "divisor")}
    weight = weight.reshape(4 * outputs, inputs, 3, 3)
    return [
        dataclasses.replace(conv, target=parts, weight=weight, stride=1, **vectors),
        ir.Shuffle(parts, conv.target, 2),
    ]


def _abs(node: Abs, graph: Graph) -> ir.Conv:
    """|x| as a table behind a convolution that changes nothing."""
    channels, high = graph.channels[node.source], graph.ranges[node.target][1]
    ones, zeros = np.ones(channels, np.int64), np.zeros(channels, np.int64)
    table = np.abs(np.arange(-high, high + 1))
    return ir.Conv(
        node.source, node.target, ones[:, None, None, None], zeros, zeros, ones,
        groups=channels, low=0, high=high, table=table, table_low=-high,
    )  # fmt: skip


def to_program(network: IntegerNetwork) -> ir.Program:
    """Derive the integers one last time (Ballé 2019, §3) and prove their bounds.

    Raises:
        ModelError: a bound fails.
    """
    graph = network.graph
    ops: list[ir.Op] = []
    with torch.no_grad():
        for node in graph.nodes:
            match node:
                case Conv():
                    ops += _conv(node, network)
                case Abs():
                    ops.append(_abs(node, graph))
                case Gdn():
                    raise ModelError(f"{graph.name}: {node.target} has no integer form")
                case Requantize():
                    divisor = _ints(network.get(node.target, "divisor"))
                    ends = graph.ranges[node.target]
                    ops.append(ir.Requantize(node.source, node.target, divisor, *ends))
                case Scale():
                    factors = np.full(graph.channels[node.source], graph.lift)
                    ops.append(ir.Scale(node.source, node.target, factors))
                case Add():
                    ops.append(ir.Add(node.left, node.right, node.target))
                case Shuffle():
                    kind = ir.Unshuffle if node.inverse else ir.Shuffle
                    ops.append(kind(node.source, node.target, node.factor))
    program = ir.Program(
        name=graph.name,
        inputs=tuple(ir.Value(i.target, i.channels, i.low, i.high) for i in graph.inputs),
        ops=tuple(ops),
        outputs=tuple(graph.outputs),
    )
    prove(program)
    return program
