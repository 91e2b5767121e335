"""A frozen model back into a trainable codec: ``intact train --init MODEL.intactm``.

Inverse of freezing as far as integers allow: weights come back as H / c in real units, scale tables
follow from the formula anyway, and the densities of the hyper-latents are fitted to their tables.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from intact.bits.tables import TOTAL, TableBank
from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.intnet import program as ir
from intact.train.balance import balance
from intact.train.codecs.checkerboard import CheckerboardConfig, CodecNet
from intact.train.codecs.codec import Codec
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import TransformConfig
from intact.train.entropy import FactorizedPrior
from intact.train.graph import Add, Conv, Graph, Requantize, Scale, Shuffle
from intact.train.integer import LEVEL_SCALE
from intact.train.network import Network

ROW_NORM = {"relu": math.sqrt(2), "linear": 1.0}
"""Norm of the filters of layers of few bits. Their unit is free, since the next filter undoes it;
but an optimizer moves all weights by the same amount, so they must be as large as training starts
with."""
FIT_STEPS = 400


def num_blocks(model: Model, name: str, letter: str = "b") -> int:
    """Residual blocks of a program."""
    targets = {op.target for op in model.programs[name].ops}
    return sum(f"{letter}{i}.b" in targets for i in range(64))


def config_of(model: Model) -> TransformConfig:
    """The sizes of a frozen model's networks.

    Raises:
        ValueError: its networks are not those of `intact.train.codecs.transforms`.
    """
    bottleneck = model.bottleneck_of(Checkerboard)
    return TransformConfig(
        blocks_analysis=num_blocks(model, "analysis"),
        blocks_synthesis=num_blocks(model, "synthesis"),
        latents=model.channels["M"],
        hyper_latents=model.channels["N"],
        features=model.channels["C"],
        blocks_context=num_blocks(model, "prior_b"),
        predicted=bottleneck.predicted,
    )


def fill(network: Network, program: ir.Program) -> None:
    """Copy a program's integers into a float network, in real units.

    Raises:
        ArgumentError: (a `ValueError`) it is not the program of the network's graph.
    """
    graph = network.graph
    ops = {op.target: op for op in program.ops}
    targets = {node.target for node in graph.nodes}
    if targets != set(ops):
        raise ArgumentError(f"program {program.name}: not one of this package's transforms")
    units = {i.target: torch.full((i.channels,), i.unit).double() for i in graph.inputs}
    for node in graph.nodes:
        op = ops[node.target]
        match node, op:
            case Conv(), ir.Conv():
                source = units[node.source]
                shape = (-1, 1, 1, 1) if node.depthwise else (1, -1, 1, 1)
                divisor = torch.from_numpy(op.divisor.astype(np.float64))[:, None, None, None]
                weight = torch.from_numpy(op.weight.astype(np.float64))
                weight = weight / divisor / source.reshape(shape)
                out = _units_of(node, graph, weight)
                scale = out / divisor.flatten()
                network.get(node.target, "weight").copy_(weight * out[:, None, None, None])
                for name, array, factor in (
                    ("bias", op.bias, 1.0),
                    ("slope", op.slope, float(LEVEL_SCALE)),
                ):
                    values = torch.from_numpy(array.astype(np.float64))
                    network.get(node.target, name).copy_(values * scale * factor)
                units[node.target] = out
            case Requantize(), ir.Requantize():
                divisor = torch.from_numpy(op.divisor.astype(np.float64))
                units[node.target] = units[node.source] * divisor
            case Scale(), ir.Scale():
                units[node.target] = torch.full_like(units[node.source], graph.units["stream"])
            case Add(), ir.Add():
                units[node.target] = units[node.left]
            case Shuffle(), ir.Shuffle() | ir.Unshuffle():
                count = graph.channels[node.target]
                units[node.target] = units[node.source][:1].expand(count).clone()
            case _:
                raise ArgumentError(f"program {program.name}: {node.target} is another operation")


def _units_of(node: Conv, graph: Graph, weight: Tensor) -> Tensor:
    """[o]: the real value of one step of a convolution's output, given for all but few-bit layers.

    Args:
        node: the convolution.
        graph: of its network.
        weight: [o, i, k, k], from real inputs to integer outputs.
    """
    given = graph.units.get(node.activation)
    if given is not None:
        return torch.full((node.c_out,), given, dtype=torch.float64)
    return ROW_NORM[node.activation] / weight.flatten(1).norm(dim=1).clamp(min=1e-6)


def _pmf(bank: TableBank, radius: int) -> Tensor:
    """[tables, 2 radius]: probabilities from -radius on; the escape's share is spread evenly."""
    pmf = np.zeros((bank.num_tables, 2 * radius))
    for k in range(bank.num_tables):
        start, size = int(bank.starts[k]), int(bank.sizes[k])
        freqs = bank.freqs[start : start + size] / TOTAL
        first = int(bank.minimums[k]) + radius
        pmf[k] = freqs[-1] / (2 * radius)
        pmf[k, first : first + size - 1] += freqs[:-1]
    return torch.from_numpy(pmf / pmf.sum(1, keepdims=True)).float()


def fit_prior(
    prior: FactorizedPrior,
    bank: TableBank,
    *,
    radius: int = 128,
    offsets: Tensor | None = None,
    steps: Tensor | None = None,
) -> float:
    """Fit densities to tables by gradient descent; returns the mean excess in bits per symbol.

    Args:
        prior: to be fitted.
        bank: a table to a density, or one to a band and density.
        radius: of symbols that tables may have.
        offsets: [tables], what symbol 0 stands for; 0 when None.
        steps: [bands, densities], of quantization; one band of step 1 when None.
    """
    pmf = _pmf(bank, radius)
    symbols = torch.arange(-radius, radius).float()
    steps = torch.ones(1, len(pmf)) if steps is None else steps
    symbols = symbols.expand(steps.shape[1], -1)
    symbols = symbols if offsets is None else symbols + offsets[:, None]
    widths = steps[:, :, None].expand(-1, -1, symbols.shape[1])
    optimizer = torch.optim.Adam(prior.parameters(), 0.03)
    entropy = -(pmf * pmf.log2()).sum(1).mean()
    excess = torch.tensor(0.0)
    for _ in range(FIT_STEPS):
        found = torch.cat([prior.probability(symbols * width, width) for width in widths])
        cost = -(pmf * found.clamp(min=1e-9).log2()).sum(1).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        excess = cost.detach() - entropy
    return float(excess)


def thaw_networks(net: Codec, model: Model) -> None:
    """Give a codec's networks a frozen model's integers, in real units."""
    with torch.no_grad():
        for name in net.networks:
            fill(net.network(name), model.programs[name])
            balance(net.network(name))


def thaw(model: Model, rates: RateConfig) -> CodecNet:
    """The float codec whose networks are a frozen model's integers in real units.

    Args:
        model: frozen by this package.
        rates: of the training to come.

    Raises:
        ValueError: its networks are not those of `intact.train.codecs.transforms`.
    """
    net = CodecNet(config_of(model), rates)
    thaw_networks(net, model)
    fit_prior(net.prior_z, model.bottleneck_of(Checkerboard).tables_z)
    return net


def thaw_codec(model: Model, own: CheckerboardConfig) -> CodecNet:
    """`thaw`, with the rates of a configuration."""
    return thaw(model, own.rate)
