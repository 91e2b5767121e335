"""The networks of a model that is not exact: programs where it has them, else floats."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from intact.bottleneck.floats import FloatNetwork
from intact.bottleneck.hyperprior import Hyperprior
from intact.bottleneck.roles import Signal
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.errors import ArgumentError
from intact.inexact import layers
from intact.inexact.layers import Precision
from intact.intnet.program import dtype_of

log = logging.getLogger(__name__)

Library = Literal["numpy", "torch", "onnx"]
EVERYWHERE = 1 << 40
"""How far a float network is said to look: the whole image is computed, as the encoder did. Another
window would have other sums."""


class FloatNetworks(Networks):
    """A model's programs on a proven backend and its float networks in NumPy, or another library.

    Args: as of `intact.codec.networks.Networks`; the backend is that of the programs, and with
        "torch" or "onnx" the float networks are computed by PyTorch or ONNX Runtime, too.

    Attributes:
        library: that computes the float networks.
        precision: of them on the way; a file's is float32, another one is for experiments alone.

    Raises:
        ArgumentError: the model has no float networks.
    """

    precision: Precision = "float32"

    def __init__(
        self,
        model: Model,
        pixels: int,
        backend: str,
        threads: int,
        roles: tuple[str, ...] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(model, pixels, backend, threads, roles, progress)
        bottleneck = model.bottleneck_of(Hyperprior)
        self.library: Library = "numpy"
        if backend in ("torch", "onnx"):
            self.library = backend
        self._floats: dict[str, tuple[FloatNetwork, Signal, Signal]] = {
            role.name: (bottleneck.networks[role.name], role.inputs[0], role.outputs[0])
            for role in bottleneck.float_roles
        }
        self._encoding = {role.name for role in bottleneck.float_roles if not role.decoding}

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        """Run a network at a level; float ones are the same at all."""
        if role not in self._floats:
            return super().run(role, inputs, level)
        target = self._floats[role][2]
        whole = np.rint(np.nan_to_num(self.real(role, inputs)))
        rounded = np.clip(whole, target.low, target.high)
        if role in self._encoding and (cut := int((rounded != whole).sum())):
            text = (
                "%s: %d of %d values of %s are cut off at %d..%d: the model is not for this image"
            )
            log.warning(text, role, cut, whole.size, target.name, target.low, target.high)
        return {target.name: rounded.astype(dtype_of(target.low, target.high))}

    def real(self, role: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """float32 [h, w, c]: what a float network gives before it is rounded.

        Raises:
            ArgumentError: the library has not the precision, or nobody has.
        """
        if self.precision not in get_args(Precision):
            legal = ", ".join(get_args(Precision))
            raise ArgumentError(f"precision = {self.precision!r}; legal: {legal}")
        self.enter(f"{role.replace('_', ' ')} (float)")
        network, source, _ = self._floats[role]
        values = inputs[source.name].astype(np.float32)
        if self.library == "torch":
            from intact.inexact import torch_layers  # takes a second to load

            return torch_layers.run(network, values, self.threads, self.precision)
        if self.precision == "bfloat16" or (self.library == "onnx" and self.precision != "float32"):
            raise ArgumentError(f"precision = {self.precision!r}; {self.library} has it not")
        if self.library == "onnx":
            from intact.inexact import onnx_layers

            return onnx_layers.run(network, values, self.threads)
        return layers.run(network, values.astype(self.precision)).astype(np.float32)

    def reach(self, role: str) -> dict[str, int]:
        """How far a network looks."""
        if role not in self._floats:
            return super().reach(role)
        return {self._floats[role][1].name: EVERYWHERE}
