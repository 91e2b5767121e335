"""A trained codec of kind "hyperprior" to a frozen model; docs/spec/hyperprior.md.

Tables are all values of p (Ballé 2019, §4): of the trained densities and of Eq. 14. Nothing is
counted. A latent with a density of its own is centered on its mode (Eq. 19 and 20): o is taken off
in the network that gives it, and added again where it is read, in a bias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.scalar import Levels
from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.freeze.floats import to_layers
from intact.freeze.program import to_program
from intact.freeze.tables import density_tables, scale_tables
from intact.intnet import program as ir
from intact.train.balle2019 import center
from intact.train.codecs.hyperprior import HyperpriorNet
from intact.train.codecs.hyperprior_graphs import CODED, FINE, INTEGER
from intact.train.integer import IntegerNetwork

RADIUS = 512
"""Symbols of latents beyond it have no entry in tables by channel: they are escapes."""


def freeze(
    net: HyperpriorNet,
    name: str,
    images: list[np.ndarray],
    info: dict[str, str] | None = None,
    *,
    dead_zone: float | None = None,
    progress: Callable[[], None] | None = None,
) -> Model:
    """Freeze a codec as it is; see `intact.freeze.kinds.Freeze`. The images are not looked at.

    Raises:
        ModelError: a bound cannot be proven.
        ArgumentError: a dead zone was asked for: latents are rounded.
    """
    if dead_zone:
        raise ArgumentError(f"--dead-zone {dead_zone}: a hyperprior codec rounds to the nearest")
    net, config = net.cpu(), net.config
    giver, latent, reader = CODED[config.hyperprior]
    offsets = net.prior.offsets()
    step = FINE if config.hyperprior and "analysis" not in INTEGER[config.profile] else 1
    programs, networks = {}, {}
    for role in net.networks:
        network = net.networks[role]
        if isinstance(network, IntegerNetwork):
            if role == giver:
                center(network, latent, net.prior)
            program = to_program(network)
            programs[role] = reading(program, offsets.numpy()) if role == reader else program
        else:
            networks[role] = to_layers(
                net.network(role),
                before=offsets.numpy() if role == reader else None,
                after=-offsets.numpy() if role == giver else None,
                read=1 / step if role in ("hyper_analysis", "synthesis") else 1.0,
                give=step if role == "analysis" else 1.0,
            )
    tables = density_tables(net.prior, 128 if config.hyperprior else RADIUS, offsets=offsets)
    if config.hyperprior:
        theta = torch.arange(config.scales, dtype=torch.float64)
        tables_y = scale_tables(config.sigma(theta).tolist())
    else:
        tables_y = tables
    zero = np.zeros(1, np.int64)
    levels = Levels(steps=zero + step, shifts=zero, parameters=zero, offsets=zero + step // 2)
    bottleneck = Hyperprior(
        tables_y=tables_y,
        tables_z=tables if config.hyperprior else None,
        levels=levels,
        profile=config.profile,
        networks=networks,
    )
    return Model(name, programs, bottleneck, info or {})


def reading(program: ir.Program, offsets: np.ndarray) -> ir.Program:
    """The program that reads u + o where it reads u, as nearly as its first bias can say it.

    Args:
        program: of its input it reads a convolution, or what a requantization clips of it.
        offsets: o [i], of the input's channels.
    """
    ops = list(program.ops)
    at = next(i for i, op in enumerate(ops) if isinstance(op, ir.Conv))
    first = ops[at]
    assert isinstance(first, ir.Conv)
    assert all(isinstance(op, ir.Requantize) and (op.divisor == 1).all() for op in ops[:at])
    moved = first.weight.astype(np.float64).sum((2, 3)) @ offsets
    ops[at] = dataclasses.replace(first, bias=first.bias + np.rint(moved).astype(np.int64))
    return dataclasses.replace(program, ops=tuple(ops))
