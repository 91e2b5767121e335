"""Segments with their constants at fixed, aligned addresses, as native code reads them."""

from __future__ import annotations

import ctypes

import numpy as np

from intact.intnet.backends.native.layout import VECTOR, NativeSegment
from intact.intnet.backends.native.pack import OpStruct, Step, fill

SLACK = 4 * VECTOR  # kernels may read, never write, this far beyond a value's end
LEVELS_KEPT = 16  # biases differ by level; a codec uses one or a few


def aligned(count: int) -> np.ndarray:
    """Uninitialized bytes at a multiple of the vector size."""
    raw = np.empty(count + VECTOR, dtype=np.uint8)
    begin = -raw.ctypes.data % VECTOR
    return raw[begin : begin + count]


class Packed:
    """A segment with its constants at fixed addresses."""

    def __init__(self, segment: NativeSegment) -> None:
        self.segment = segment
        self.numbers = {name: index for index, name in enumerate(segment.slots)}
        self.keep: list[np.ndarray] = []
        self.template = (OpStruct * len(segment.steps))()
        for struct, step in zip(self.template, segment.steps, strict=True):
            fill(
                struct,
                kind=step.kind,
                source=self.numbers[step.source],
                target=self.numbers[step.target],
                addend=-1 if step.addend is None else self.numbers[step.addend],
                **step.numbers,
            )
            for name, array in step.arrays.items():
                setattr(struct, name, self._pinned(array))
            if step.bias is not None:
                struct.bias = self._pinned(_bias(step, 0))
        self.leveled = [
            index for index, step in enumerate(segment.steps)
            if step.slope is not None and step.slope.any()
        ]  # fmt: skip
        self.levels: dict[int, tuple[ctypes.Array[OpStruct], list[np.ndarray]]] = {}

    def _pinned(self, array: np.ndarray) -> int:
        copy = aligned(array.nbytes + SLACK)
        copy[: array.nbytes] = np.ascontiguousarray(array).view(np.uint8).ravel()
        copy[array.nbytes :] = 0
        self.keep.append(copy)
        return copy.ctypes.data

    def structs(self, level: int) -> tuple[ctypes.Array[OpStruct], list[np.ndarray]]:
        """The operations at a level, and the arrays that must outlive their use."""
        if level == 0 or not self.leveled:
            return self.template, self.keep
        made = self.levels.get(level)
        if made is None:
            structs = type(self.template).from_buffer_copy(self.template)
            biases = [_bias(self.segment.steps[index], level) for index in self.leveled]
            for index, bias in zip(self.leveled, biases, strict=True):
                structs[index].bias = bias.ctypes.data
            made = structs, biases
            if len(self.levels) < LEVELS_KEPT:
                self.levels[level] = made
        return made


def _bias(step: Step, level: int) -> np.ndarray:
    """int32, modulo 2**32: with the zero point's correction it may leave the range."""
    assert step.bias is not None
    assert step.slope is not None
    return (step.bias + step.slope * level).astype(np.uint32).view(np.int32)
