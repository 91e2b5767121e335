"""An integer network, once more as integers: the program that a model holds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from intact.errors import ModelError
from intact.intnet import program as ir
from intact.intnet.certificate import prove
from intact.train.graph import Add, Conv, Requantize, Scale, Shuffle
from intact.train.integer import IntegerNetwork


def _ints(x: Tensor) -> np.ndarray:
    return np.rint(x.detach().cpu().double().numpy()).astype(np.int64)


def _conv(node: Conv, network: IntegerNetwork) -> ir.Conv:
    p = network.parameters_of(node)
    largest = float(p.weight.abs().max())
    if largest > ir.MAX_WEIGHT:
        raise ModelError(
            f"{network.graph.name}: conv {node.target!r} needs weights up to {largest:.0f}, "
            f"beyond {ir.MAX_WEIGHT}: its output's unit is too fine"
        )
    low, high = network.graph.ranges[node.target]
    return ir.Conv(
        source=node.source,
        target=node.target,
        weight=_ints(p.weight),
        bias=_ints(p.bias),
        slope=_ints(p.slope),
        divisor=_ints(p.divisor),
        stride=node.stride,
        groups=node.c_in if node.depthwise else 1,
        low=low,
        high=high,
    )


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
                    ops.append(_conv(node, network))
                case Requantize():
                    divisor = _ints(network.get(node.target, "divisor"))
                    ops.append(ir.Requantize(node.source, node.target, divisor))
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
