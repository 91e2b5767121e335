"""Small models of the kind `hyperprior` made by hand, one for each profile.

The exact one shares its transforms with `tiny_model`. The transforms of the others are the mean
colors of 16x16 blocks, in four steps of two, with a little of everything that a layer can do.
"""

from __future__ import annotations

import math

import numpy as np

from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.scalar import Levels
from intact.codec.model import Model
from intact.intnet.program import Conv, Op, Program, Shuffle, Unshuffle, Value
from tiny_model import (
    INT16,
    RATIO,
    SCALE_MIN,
    analysis,
    bell_tables,
    conv,
    requantize,
    synthesis,
    tiny_levels,
)

N, F, SCALES = 3, 4, 32
"""Channels of hyper-latents and features, and tables."""
MODELS = ("exact", "factorized", "prior", "float")


def absolute(source: str, target: str, channels: int) -> Conv:
    """|x| of -128..127, by a table."""
    zeros, ones = np.zeros(channels, int), np.ones(channels, int)
    table = np.abs(np.arange(-128, 128))
    return Conv(
        source, target, ones[:, None, None, None], zeros, zeros, ones, groups=channels,
        low=0, high=128, table=table, table_low=-128,
    )  # fmt: skip


def hyper_analysis(random: np.random.Generator, channels: int) -> Program:
    ops: tuple[Op, ...] = (
        requantize("y", "a", channels, 63),
        absolute("a", "b", channels),
        conv(random, "b", "h0", (channels, F), (0, 255), taps=3),
        Unshuffle("h0", "u0", 2),
        conv(random, "u0", "h1", (4 * F, F), (0, 255), taps=3, divisor=501),
        Unshuffle("h1", "u1", 2),
        conv(random, "u1", "z", (4 * F, N), taps=3, divisor=2001),
    )
    return Program("hyper_analysis", (Value("y", channels, *INT16),), ops, ("z",))


def hyper_synthesis(random: np.random.Generator, channels: int) -> Program:
    bias = 101 * np.rint(np.linspace(30, 18, channels)).astype(int)
    ops: tuple[Op, ...] = (
        conv(random, "z", "h0", (N, 4 * F), (0, 255), taps=3, divisor=31),
        Shuffle("h0", "s0", 2),
        conv(random, "s0", "h1", (F, 4 * F), (0, 255), taps=3),
        Shuffle("h1", "s1", 2),
        conv(random, "s1", "theta", (F, channels), (0, 255), taps=3, divisor=1001, bias=10 * bias),
    )
    return Program("hyper_synthesis", (Value("z", N, -128, 127),), ops, ("theta",))


def levels(theta: bool = True) -> Levels:
    """The steps of `tiny_model`; a table is a step of theta here, and none without it."""
    rows = {name: row[::5] for name, row in tiny_levels().to_tree().items()}
    shifts = np.rint(np.log(rows["steps"] / 64) / math.log(2 * RATIO)).astype(int)
    rows["shifts"] = shifts if theta else np.zeros_like(shifts)
    return Levels(**rows)


def f32(values: object) -> np.ndarray:
    """Multiples of 1/4096 where they are small, so that golden models pack well."""
    array = np.asarray(values, float)
    return np.where(np.abs(array) < 1, np.rint(array * 4096) / 4096, array).astype(np.float32)


def layer(op: str, stride: int = 1, **arrays: object) -> FloatLayer:
    return FloatLayer(op, {name: f32(value) for name, value in arrays.items()}, stride)


def norm(random: np.random.Generator, op: str, channels: int) -> FloatLayer:
    gamma = 0.01 * random.random((channels, channels))
    return layer(op, beta=np.ones(channels), gamma=gamma)


def halving(random: np.random.Generator, inputs: int, outputs: int, side: int = 5) -> FloatLayer:
    """Means of 2x2 positions, and a little noise from all around."""
    weight = 0.002 * random.normal(size=(outputs, inputs, side, side))
    middle = side // 2
    for channel in range(min(inputs, outputs)):
        weight[channel, channel, middle : middle + 2, middle : middle + 2] += 0.25
    return layer("conv", 2, weight=weight, bias=np.zeros(outputs))


def doubling(random: np.random.Generator, inputs: int, outputs: int, side: int = 5) -> FloatLayer:
    """Every position four times, and a little noise from all around."""
    weight = 0.002 * random.normal(size=(inputs, outputs, side, side))
    middle = side // 2
    for channel in range(min(inputs, outputs)):
        weight[channel, channel, middle : middle + 2, middle : middle + 2] += 1
    return layer("transposed", 2, weight=weight, bias=np.zeros(outputs))


def float_networks(seed: int = 7, channels: int = 4) -> dict[str, FloatNetwork]:
    random, m = np.random.default_rng(seed), channels
    smooth = 0.1 * random.normal(size=(N, m, 3, 3))
    theta = 0.05 * random.normal(size=(m, m, 3, 3))
    return {
        "analysis": FloatNetwork((
            layer("scale", factor=[1 / 128]),
            halving(random, 3, m), norm(random, "gdn", m),
            halving(random, m, m), norm(random, "gdn", m),
            halving(random, m, m), norm(random, "gdn", m),
            halving(random, m, m), layer("scale", factor=np.full(m, 2048)),
        )),
        "hyper_analysis": FloatNetwork((
            layer("abs"), layer("scale", factor=[1 / 64]),
            halving(random, m, m), layer("relu"),
            layer("conv", weight=smooth, bias=np.zeros(N)), halving(random, N, N),
        )),
        "hyper_synthesis": FloatNetwork((
            doubling(random, N, m), layer("relu"), doubling(random, m, m), layer("relu"),
            layer("conv", weight=theta, bias=np.full(m, 2)),
            layer("log", floor=[0.01]), layer("scale", factor=[8]), layer("offset", value=[20]),
        )),
        "synthesis": FloatNetwork((
            layer("scale", factor=[2 ** -11]),
            doubling(random, m, m), norm(random, "igdn", m),
            doubling(random, m, m), norm(random, "igdn", m),
            doubling(random, m, m), norm(random, "igdn", m),
            doubling(random, m, 3), layer("scale", factor=[128]),
        )),
    }  # fmt: skip


def tiny_hyperprior(which: str = "exact", seed: int = 7) -> Model:
    """The model of a profile, or the exact one without hyperprior (``factorized``)."""
    random = np.random.default_rng(seed)
    channels = 4 if which in ("prior", "float") else 8
    floats = float_networks(seed)
    programs = {
        "analysis": analysis(),
        "hyper_analysis": hyper_analysis(random, channels),
        "hyper_synthesis": hyper_synthesis(random, channels),
        "synthesis": synthesis(random),
    }
    profile = "exact" if which == "factorized" else which
    kept = {
        "exact": set(programs),
        "factorized": {"analysis", "synthesis"},
        "prior": {"hyper_synthesis"},
        "float": set(),
    }[which]
    networks = {k: v for k, v in floats.items() if k not in kept} if profile != "exact" else {}
    tables_y = bell_tables([SCALE_MIN * (2 * RATIO) ** (i / 2) for i in range(SCALES)])
    if which == "factorized":
        tables_y = bell_tables(list(np.geomspace(40, 5, channels)))
    return Model(
        name=f"tiny hyperprior, {which}",
        programs={k: v for k, v in programs.items() if k in kept},
        bottleneck=Hyperprior(
            tables_y=tables_y,
            tables_z=None if which == "factorized" else bell_tables([10.0] * N),
            levels=levels(theta=which != "factorized"),
            profile=profile,
            networks=networks,
        ),
        info={"trained": "not at all"},
    )
