"""What a codec's networks give, whatever their programs' own ranges are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from intact.bottleneck.grid import Layout
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.intnet.backends import choose
from intact.intnet.program import dtype_of
from tiny_channelwise import tiny_channelwise_model
from tiny_model import M, tiny_model

LEVEL = 12


def narrowed(model: Model) -> Model:
    """The model with means that fit in 8 bits, which is legal: a program may reach less."""

    def cut(program):
        ops = [replace(op, low=0, high=127) if op.target == "mean" else op for op in program.ops]
        return replace(program, ops=tuple(ops))

    programs = {
        role: cut(program) if role.startswith("prior") else program
        for role, program in model.programs.items()
    }
    return Model("narrow", programs, model.bottleneck, {})


def latents(height: int, width: int) -> np.ndarray:
    """Far beyond 8 bits."""
    rows, columns = np.indices((height, width))
    y = 3000 * np.sin(rows / 5)[:, :, None] + 2000 * np.cos(columns / 7)[:, :, None]
    return (y + 100 * np.arange(M)).astype(np.int16)


@pytest.mark.parametrize("make", [tiny_model, tiny_channelwise_model])
@pytest.mark.parametrize("backend", choose.available())
def test_outputs_have_the_types_of_the_role(make, backend):
    model = narrowed(make())
    networks = Networks(model, 1, backend, 1)
    for role in model.roles:
        shape = (4 * role.inputs[0].multiple, 8 * role.inputs[0].multiple)
        inputs = {
            value.name: np.ones((*shape, value.channels), np.int16)
            for value in model.programs[role.name].inputs
        }
        for signal in role.outputs:
            found = networks.run(role.name, inputs, LEVEL)[signal.name]
            assert found.dtype == dtype_of(signal.low, signal.high)
            assert found.flags.writeable


@pytest.mark.parametrize("make", [tiny_model, tiny_channelwise_model])
def test_latents_beyond_means_of_8_bits_are_coded(make):
    """Sums of a mean and a residual have 16 bits, though the mean alone has not."""
    model, layout = narrowed(make()), Layout((17, 33), 4)
    networks, y = Networks(model, 1, "numpy", 1), latents(17, 33)
    bottleneck: Any = model.bottleneck
    plan = bottleneck.plan(networks, y, LEVEL, layout)
    sent = plan.index >= bottleneck.skip
    steps = np.broadcast_to(bottleneck.levels.steps[LEVEL], y.shape)
    assert plan.latents.dtype == np.int16
    assert (np.abs(plan.latents.astype(int) - y) < steps)[sent].all()
    payloads = bottleneck.encode(plan, layout)
    found, _ = bottleneck.decode(networks, payloads, LEVEL, layout, layout.whole, None)
    assert np.array_equal(found, plan.latents)
