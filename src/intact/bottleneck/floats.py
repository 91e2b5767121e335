"""Float networks as data: read, checked, kept bit by bit. Nothing here computes with floats.

They belong to models that are not exact. What runs them stands above the line, `intact.inexact`.
docs/spec/hyperprior.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from intact.bottleneck.roles import Role
from intact.errors import ModelError
from intact.untrusted import integer, mapping, sequence

MAX_LAYERS = 64
MAX_CHANNELS = 4096
MAX_MACS_PER_PIXEL, MAX_BYTES_PER_PIXEL = 1 << 19, 1024
"""Of one network, and of its largest value: it is computed on whole images."""
KEYS = {
    "conv": ("weight", "bias", "stride"),
    "transposed": ("weight", "bias", "stride"),
    "gdn": ("beta", "gamma"),
    "igdn": ("beta", "gamma"),
    "relu": (),
    "abs": (),
    "log": ("floor",),
    "scale": ("factor",),
    "offset": ("value",),
}
"""What each operation has beside its name; all but the stride are arrays."""
_INFINITY, _SMALLEST_BETA = 0x7F800000, 0x35800000
"""Bits of float32, which ascend with numbers that are not negative. The latter is 2**-20."""


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer.

    Attributes:
        op: its operation, a key of `KEYS`.
        arrays: float32, by name.
        stride: 1 or 2.

    Raises:
        ModelError: an array is missing, too much, of a wrong type or shape, or not finite.
    """

    op: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    stride: int = 1

    def __post_init__(self) -> None:
        what = f"layer {self.op!r:.20}"
        if self.op not in KEYS:
            raise ModelError(f"{what}: unknown operation; legal: {sorted(KEYS)}")
        wanted = [key for key in KEYS[self.op] if key != "stride"]
        if set(self.arrays) != set(wanted):
            raise ModelError(f"{what}: arrays {sorted(self.arrays)}, wanted {wanted}")
        for name, array in self.arrays.items():
            _check_array(array, f"{what}: {name}", *_LEAST.get(name, (None,)))
        shapes = {name: array.shape for name, array in self.arrays.items()}
        legal = {"conv": (1, 2), "transposed": (2,)}.get(self.op, (1,))
        if self.stride not in legal:
            raise ModelError(f"{what}: stride is {self.stride}, must be in {legal}")
        if self.op in ("conv", "transposed"):
            weight, out = shapes["weight"], 0 if self.op == "conv" else 1
            side = weight[-1] if len(weight) == 4 else 0
            if len(weight) != 4 or weight[2] != side or side not in (1, 3, 5, 7):
                raise ModelError(
                    f"{what}: weight has the shape {weight}, wanted k x k, k 1, 3, 5, 7"
                )
            if shapes["bias"] != (weight[out],):
                raise ModelError(f"{what}: bias has the shape {shapes['bias']}, not {weight[out]}")
        elif self.op in ("gdn", "igdn"):
            if len(shapes["beta"]) != 1 or shapes["gamma"] != shapes["beta"] * 2:
                raise ModelError(f"{what}: beta {shapes['beta']}, gamma {shapes['gamma']}")
        elif any(len(shape) != 1 for shape in shapes.values()):
            raise ModelError(f"{what}: shapes {shapes}, wanted rows")

    def channels(self, inputs: int) -> int:
        """How many channels come out where ``inputs`` go in.

        Raises:
            ModelError: another number must go in, or too many come out.
        """
        taken = outputs = inputs
        if self.op in ("conv", "transposed"):
            outputs, taken = self.arrays["weight"].shape[:2]
            if self.op == "transposed":
                outputs, taken = taken, outputs
        elif self.arrays:
            size = next(iter(self.arrays.values())).shape[0]
            taken = inputs if size == 1 and self.op not in ("gdn", "igdn") else size
            if self.op == "log" and size != 1:
                raise ModelError(f"layer 'log': floor has {size} values, must have 1")
            outputs = taken
        if taken != inputs:
            raise ModelError(f"layer {self.op!r} takes {taken} channels, gets {inputs}")
        if not 1 <= outputs <= MAX_CHANNELS:
            raise ModelError(f"layer {self.op!r} gives {outputs} channels, at most {MAX_CHANNELS}")
        return outputs


_LEAST = {"beta": (_SMALLEST_BETA,), "gamma": (0,), "floor": (1,)}
"""The least bits of arrays whose values may not be negative."""


def _check_array(array: object, what: str, least: int | None) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.name != "float32":
        raise ModelError(f"{what} is no float32 array")
    bits = np.ascontiguousarray(array).view(np.uint32)
    if ((bits & _INFINITY) == _INFINITY).any():
        raise ModelError(f"{what} is not finite")
    if least is not None and ((bits < least) | (bits >= _INFINITY)).any():
        raise ModelError(f"{what} has a value below its least")


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """Layers, applied in order.

    Raises:
        ModelError: none, or too many.
    """

    layers: tuple[FloatLayer, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ModelError(
                f"float network of {len(self.layers)} layers, must have 1..{MAX_LAYERS}"
            )

    def check(self, role: Role, known: dict[str, int]) -> None:
        """Check that the network can play a role.

        Args:
            role: with one input and one output.
            known: how many channels each letter stands for; learns new ones.

        Raises:
            ModelError: other channels, or another size of the output.
        """
        (source,), (target,) = role.inputs, role.outputs
        try:
            channels = _number(source.channels, known, self._inputs())
            for layer in self.layers:
                channels = layer.channels(channels)
            wanted = _number(target.channels, known, channels)
        except ModelError as error:
            raise ModelError(f"model: float {role.name}: {error}") from None
        if channels != wanted:
            raise ModelError(f"model: float {role.name} gives {channels} channels, wanted {wanted}")
        halved = sum(layer.op == "conv" and layer.stride == 2 for layer in self.layers)
        doubled = sum(layer.op == "transposed" for layer in self.layers)
        smaller = max(target.px // source.px, 1).bit_length() - 1
        larger = max(source.px // target.px, 1).bit_length() - 1
        if (halved, doubled) != (smaller, larger):
            raise ModelError(
                f"model: float {role.name} halves {halved} times and doubles {doubled} times, "
                f"wanted {smaller} and {larger}"
            )
        macs, most = self.cost(role, _number(source.channels, known, None))
        for found, limit, words in (
            (macs, MAX_MACS_PER_PIXEL, "multiplications"), (most, MAX_BYTES_PER_PIXEL, "bytes"),
        ):  # fmt: skip
            if found > limit:
                what = f"{words} per pixel: {int(found)}, at most {limit}"
                raise ModelError(f"model: float {role.name}: {what}")

    def cost(self, role: Role, inputs: int) -> tuple[Fraction, Fraction]:
        """Multiplications and, of its largest value, bytes for each pixel of an image.

        Args:
            role: that the network plays.
            inputs: channels that go in.
        """
        area, channels = Fraction(1, role.inputs[0].px ** 2), inputs  # positions per pixel
        macs, most = Fraction(0), 4 * channels * area
        for layer in self.layers:
            before, channels = channels, layer.channels(channels)
            side = layer.arrays["weight"].shape[2] if "weight" in layer.arrays else 1
            area *= Fraction(1, layer.stride**2) if layer.op == "conv" else 1
            if layer.op in ("conv", "transposed", "gdn", "igdn"):
                macs += before * channels * side**2 * area
            area *= 4 if layer.op == "transposed" else 1
            most = max(most, 4 * channels * area)
        return macs, most

    def _inputs(self) -> int | None:
        """Channels that go in, if a convolution says so."""
        for layer in self.layers:
            if layer.op in ("conv", "transposed"):
                return layer.arrays["weight"].shape[1 if layer.op == "conv" else 0]
        return None

    def to_tree(self) -> list[dict[str, Any]]:
        """The layers as plain values; inverse of `from_tree`."""
        return [
            {
                "op": layer.op,
                **layer.arrays,
                **({"stride": layer.stride} if "stride" in KEYS[layer.op] else {}),
            }
            for layer in self.layers
        ]

    @classmethod
    def from_tree(cls, tree: object, what: str) -> FloatNetwork:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Raises:
            ModelError: anything is missing, unknown, of a wrong type or out of range.
        """
        layers = []
        for number, item in enumerate(sequence(tree, MAX_LAYERS, what)):
            where = f"{what}: layer {number}"
            op = item.get("op") if isinstance(item, dict) else None
            if not isinstance(op, str) or op not in KEYS:
                raise ModelError(f"{where}: no operation, or an unknown one; legal: {sorted(KEYS)}")
            entry = mapping(item, ("op", *KEYS[op]), where)
            stride = integer(entry["stride"], f"{where}: stride") if "stride" in entry else 1
            arrays: dict[str, Any] = {key: entry[key] for key in KEYS[op] if key != "stride"}
            try:
                layers.append(FloatLayer(op, arrays, stride))
            except ModelError as error:
                raise ModelError(f"{where}: {error}") from None
        return cls(tuple(layers))


def _number(channels: int | str, known: dict[str, int], found: int | None) -> int:
    """The number that a signal's channels stand for; a new letter stands for what was found."""
    if not isinstance(channels, str):
        return channels
    if channels not in known:
        if found is None:
            raise ModelError(f"nothing says how many channels {channels} are")
        known[channels] = found
    return known[channels]
