"""A small model of image codec 2, made by hand from the parts of `tiny_model`."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from intact.bottleneck.channelwise import Channelwise
from intact.bottleneck.leveled import ChannelLevels
from intact.bottleneck.scalar import NUM_SCALES
from intact.codec.model import Model
from intact.intnet.program import Program, Requantize, Value
from tiny_model import INT16, NUM_LEVELS, RATIO, SCALE_MIN, M, N, bell_tables, tiny_programs

BANDS = 2


def tiny_channelwise_programs(seed: int = 1) -> dict[str, Program]:
    """The programs of image codec 1's tiny model, with hyper-latents of 16 bits."""
    programs = tiny_programs(seed)
    hyper_analysis = programs["hyper_analysis"]
    *first, last = hyper_analysis.ops
    wide = dataclasses.replace(last, divisor=np.full(N, 31), low=INT16[0], high=INT16[1])
    z = Value("z", N, *INT16)
    synthesis = programs["hyper_synthesis"]
    conv, *rest = synthesis.ops
    reduced = Requantize("z", "za", np.full(N, 31))
    return {
        "analysis": programs["analysis"],
        "hyper_analysis": Program("hyper_analysis", hyper_analysis.inputs, (*first, wide), ("z",)),
        "hyper_synthesis": Program(
            "hyper_synthesis",
            (z,),
            (reduced, dataclasses.replace(conv, source="za"), *rest),
            ("f",),
        ),
        "prior_a": programs["prior_a"],
        "prior_b": programs["prior_b"],
        "synthesis": programs["synthesis"],
    }


def tiny_channel_levels() -> ChannelLevels:
    common = 64 * np.geomspace(12, 0.4, NUM_LEVELS)[:, None]
    steps = np.rint(common * np.linspace(0.8, 1.3, M)).astype(int)
    return ChannelLevels(
        parameters=np.rint(np.linspace(127, -127, NUM_LEVELS)).astype(int),
        bands=np.arange(NUM_LEVELS) * BANDS // NUM_LEVELS,
        steps=steps,
        shifts=np.rint(4 * np.log(steps / 64) / math.log(RATIO)).astype(int),
        hyper_steps=np.rint(32 * np.linspace(2, 1, NUM_LEVELS)[:, None] * np.ones(N)).astype(int),
    )


def tiny_channelwise(predicted: int = 3) -> Channelwise:
    tables_z = bell_tables([20.0, 12.0] * (BANDS * N // 2))
    return Channelwise(
        tables_y=bell_tables([SCALE_MIN * RATIO**i for i in range(NUM_SCALES)]),
        tables_z=tables_z,
        levels=tiny_channel_levels(),
        stages=np.arange(8 * predicted).reshape(8, predicted) % 13 - 3,
        skip=1,
        predicted=predicted,
    )


def tiny_channelwise_model(seed: int = 1, name: str = "tiny2", predicted: int = 3) -> Model:
    """Build the model; another seed gives another model id."""
    return Model(
        name=name,
        programs=tiny_channelwise_programs(seed),
        bottleneck=tiny_channelwise(predicted),
        info={"trained": "not at all"},
    )
