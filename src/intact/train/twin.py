"""Float networks in the place of a frozen model's programs: `intact.bottleneck.kind.Networks`.

What goes in and comes out is rounded to the integers that the roles declare, so that the same
bottleneck codes both, and the difference is the arithmetic's alone. Files of a twin are for
measuring: only the machine that wrote one can read it, if any.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from intact.bottleneck.roles import Signal
from intact.codec.model import Model
from intact.intnet.program import dtype_of
from intact.intnet.reach import reach
from intact.train.integer import LEVEL_SCALE
from intact.train.network import Network


class FloatTwin:
    """The networks of a training run, as a codec runs them.

    Args:
        networks: by role; of the graphs that the model's programs were made of.
        model: its levels, ranges and reaches count.
    """

    def __init__(self, networks: Mapping[str, Network], model: Model) -> None:
        self.networks, self.model = networks, model
        self._roles = {role.name: role for role in model.roles}

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        """Run a network in float on integers, and round what it gives."""
        network = self.networks[role]
        units = {value.target: value.unit for value in network.graph.inputs}
        tensors = {
            name: torch.from_numpy(array.astype(np.float32))[None] * units[name]
            for name, array in inputs.items()
        }
        t = torch.tensor([float(self.model.levels.parameters[level]) / LEVEL_SCALE])
        with torch.inference_mode():
            outputs = network(tensors, t)
        return {
            signal.name: _integers(outputs[signal.name][0], network.graph.outputs, signal)
            for signal in self._roles[role].outputs
        }

    def reach(self, role: str) -> dict[str, int]:
        """How many positions of each input beyond a window the outputs depend on, at most."""
        return reach(self.model.programs[role])


def _integers(value: Tensor, units: Mapping[str, float], signal: Signal) -> np.ndarray:
    """[h, w, channels] in steps of the output's unit, in the signal's range."""
    steps = torch.round(value / units[signal.name]).clamp(signal.low, signal.high)
    return steps.numpy().astype(dtype_of(signal.low, signal.high))
