"""A frozen model of the kind hyperprior, trainable again: ``intact train --init MODEL.intactm``.

Integer networks come back exactly: H has coefficients at the ends of its range, so that Eq. 9 gives
the scale 1; b' and c' follow from Eq. 6 to 8. Float networks are their layers. Only the densities
are an approximation: they are fitted to their tables. docs/spec/hyperprior.md has what a model is.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import torch
from torch import Tensor

from intact.bottleneck.floats import FloatNetwork
from intact.bottleneck.hyperprior import Hyperprior
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.intnet import program as ir
from intact.train.balle2019 import EPSILON, Balle2019
from intact.train.codecs.hyperprior import HyperpriorConfig, HyperpriorNet
from intact.train.codecs.hyperprior_graphs import CODED, FINE, HyperpriorTransform
from intact.train.codecs.thaw import fit_prior
from intact.train.graph import Conv, Gdn
from intact.train.integer import IntegerNetwork
from intact.train.network import GDN_OFFSET, Network

RADII = {True: 128, False: 512}
"""Symbols that have a density: of z, and of y where there is no hyperprior."""


def config_of(model: Model, own: HyperpriorTransform) -> HyperpriorTransform:
    """The sizes of a model's networks; what it does not say is the configuration's."""
    bottleneck = model.bottleneck_of(Hyperprior)
    analysis = bottleneck.networks.get("analysis")
    if analysis is None:
        widths = [len(op.bias) for op in _ops(model.programs["analysis"]).values()]
        activation = own.activation
    else:
        widths = [len(x.arrays["bias"]) for x in analysis.layers if x.op == "conv"]
        gdn = any(layer.op == "gdn" for layer in analysis.layers)
        activation = "gdn" if gdn else "relu"
    kernels = [op.weight for p in model.programs.values() for op in _ops(p).values()]
    kernels = [w for w in kernels if w.shape[1] > 1]  # |y| is a table behind a kernel of one 1
    ends = [(int(w.max()), int(-w.min()) - 1) for w in kernels]
    bits = max((max(e).bit_length() + 1 for e in ends), default=own.bits)
    has_hyper = bottleneck.tables_z is not None
    return dataclasses.replace(
        own,
        profile=bottleneck.profile,
        hyperprior=has_hyper,
        activation=activation,
        filters=widths[0],
        latents=widths[-1],
        bits=bits,
        scales=bottleneck.tables_y.num_tables if has_hyper else own.scales,
    )


def thaw_codec(model: Model, own: HyperpriorConfig) -> HyperpriorNet:
    """The codec of a frozen model.

    Args:
        model: frozen by this package.
        own: rate, kernels and the ends of the scales; all other sizes are the model's.

    Raises:
        ArgumentError: its networks are others than this package's, or it has several rates.
    """
    bottleneck = model.bottleneck_of(Hyperprior)
    step, given = int(bottleneck.levels.steps[0]), _fine(bottleneck.networks.get("analysis"))
    if len(model.levels) != 1 or step not in (1, FINE) or step != given:
        raise ArgumentError(f"model {model.name!r} has not one rate of step 1 or {FINE}: no start")
    config = config_of(model, own.transform)
    net = HyperpriorNet(dataclasses.replace(own, transform=config))
    bank = bottleneck.tables_y if bottleneck.tables_z is None else bottleneck.tables_z
    giver, _, reader = CODED[config.hyperprior]
    offsets = torch.zeros(bank.num_tables)
    if giver in bottleneck.networks:
        offsets = _offsets(bottleneck.networks[giver], bank.num_tables)
    with torch.no_grad():
        for role in net.networks:
            network = net.networks[role]
            if isinstance(network, IntegerNetwork):
                moved = offsets if role == reader else torch.zeros(())
                _fill_integer(network, model.programs[role], moved)
            else:
                _fill_float(net.network(role), bottleneck.networks[role])
    fit_prior(net.prior, bank, radius=RADII[config.hyperprior], offsets=offsets)
    return net


def _ops(program: ir.Program) -> dict[str, ir.Conv]:
    """Convolutions by the name of their layer."""
    convs = [op for op in program.ops if isinstance(op, ir.Conv)]
    return {op.target.removesuffix(".parts"): op for op in convs}


def _fill_integer(network: IntegerNetwork, program: ir.Program, moved: Tensor) -> None:
    """Take H, b and c of a program; inverse of `intact.freeze.program`.

    ``moved`` is o [i], or one 0, which the first bias has in it.
    """
    ops = _ops(program)
    parametrization = network.parametrization
    assert isinstance(parametrization, Balle2019)
    one = 2.0**parametrization.bits
    for node in network.graph.nodes:
        if not isinstance(node, Conv):
            continue
        if node.target not in ops:
            raise ArgumentError(f"program {program.name}: no convolution gives {node.target!r}")
        op = ops[node.target]
        weight = _five(op.weight, node) if node.kernel == 5 else op.weight
        outputs = node.c_out
        kernel = network.get(node.target, "kernel")
        if weight.shape != tuple(kernel.shape):
            wanted = tuple(kernel.shape)
            raise ArgumentError(f"{program.name}: {node.target} is {weight.shape}, not {wanted}")
        kernel.copy_(parametrization.kernel.start(torch.from_numpy(weight.astype(np.float32))))
        first = op.bias.astype(np.float64)
        if moved.any():
            first -= np.rint(op.weight.sum((2, 3)) @ moved.double().numpy())
            moved = torch.zeros(())
        bias = torch.from_numpy(first[:: len(op.bias) // outputs])
        divisor = torch.from_numpy(op.divisor[:: len(op.bias) // outputs].astype(np.float64))
        network.get(node.target, "bias").copy_(bias / one)
        network.get(node.target, "divisor").copy_((divisor / one + EPSILON**2).sqrt())


_TAPS = [(d // 2 + 1, d % 2) for d in range(-2, 3)]
"""Of each tap of five: its tap of three, and its phase; docs/spec/hyperprior.md, section 2."""


def _five(weight: np.ndarray, node: Conv) -> np.ndarray:
    """[o, i, 5, 5]: a kernel of stride 2, or its transpose, that a program has as 3x3."""
    outputs, inputs = node.c_out, node.c_in
    shape = (outputs, 2, 2, inputs, 3, 3) if node.transposed else (outputs, inputs, 2, 2, 3, 3)
    if weight.size != np.prod(shape):
        raise ArgumentError(f"{node.target}: {weight.shape} is no 5x5 of {inputs} to {outputs}")
    parts = weight.reshape(shape)
    large = np.zeros((outputs, inputs, 5, 5), weight.dtype)
    for (y, row), (x, column) in itertools.product(enumerate(_TAPS), repeat=2):
        if node.transposed:
            large[:, :, y, x] = parts[:, row[1], column[1], :, 2 - row[0], 2 - column[0]]
        else:
            large[:, :, y, x] = parts[:, :, row[1], column[1], row[0], column[0]]
    return large


def _fill_float(network: Network, layers: FloatNetwork) -> None:
    """Take the weights of float layers; inverse of `intact.freeze.floats`."""
    kinds = ("conv", "transposed", "gdn", "igdn")
    theirs = iter([layer for layer in layers.layers if layer.op in kinds])
    for node in network.graph.nodes:
        if not isinstance(node, Conv | Gdn):
            continue
        layer = next(theirs, None)
        wanted = ("conv", "transposed") if isinstance(node, Conv) else ("gdn", "igdn")
        if layer is None or layer.op not in wanted:
            raise ArgumentError(f"{network.graph.name}: {node.target} is another layer")
        arrays = {k: torch.from_numpy(np.array(v)) for k, v in layer.arrays.items()}
        if isinstance(node, Conv):
            if layer.op == "transposed":
                arrays["weight"] = arrays["weight"].transpose(0, 1)
        else:
            arrays = {k: (v + GDN_OFFSET**2).sqrt() for k, v in arrays.items()}
        for name, value in arrays.items():
            network.get(node.target, name).copy_(value)


def _fine(analysis: FloatNetwork | None) -> float:
    """Integers of y in a symbol: what a float analysis with no density of its own ends with."""
    last = None if analysis is None else analysis.layers[-1]
    return float(last.arrays["factor"][0]) if last is not None and last.op == "scale" else 1.0


def _offsets(network: FloatNetwork, channels: int) -> Tensor:
    """[channels]: o of Ballé 2019, Eq. 19, which a float network takes off at its end."""
    last = network.layers[-1]
    if last.op != "offset":
        return torch.zeros(channels)
    return -torch.from_numpy(np.array(last.arrays["value"])).expand(channels)
