"""One layer of each form that kernels tell apart, on numbers that are the same on every machine."""

from __future__ import annotations

from functools import cache
from math import isqrt
from typing import Any

import numpy as np

from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
)

BYTE, SIGNED, WIDE = (0, 255), (-128, 127), (-32768, 32767)


@cache
def layers() -> Program:
    """Layers of every form that kernels tell apart, each with inputs of its own."""
    return _Forms().program()


class _Forms:
    """Collects layers; constants come from `mixed`, so that they are the same everywhere."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.ops: list[Op] = []
        self.outputs: list[str] = []

    def feed(self, channels: int, reach: tuple[int, int]) -> str:
        """A new input."""
        self.inputs.append(Value(f"i{len(self.inputs)}", channels, *reach))
        return self.inputs[-1].name

    def numbers(self, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
        """Constants of a layer."""
        salt = 1000 + len(self.ops) * 10 + len(shape)
        return mixed(low, high, shape, salt)

    def conv(
        self,
        shape: tuple[int, int, int],
        reach: tuple[int, int],
        weight: int,
        *,
        result: tuple[int, int] = SIGNED,
        **form: Any,
    ) -> str:
        """A convolution; its target.

        Args:
            shape: channels of its input and its output, taps on a side.
            reach: range of its input.
            weight: the largest there is.
            result: range of its output.
            form: what else `Conv` takes.
        """
        inputs, outputs, taps = shape
        width = inputs // form.get("groups", 1)
        weights = self.numbers((outputs, width, taps, taps), -weight, weight)
        slope = self.numbers((outputs, 1), -300, 300)[:, 0]
        typical = weight * max(reach[1], -reach[0]) * isqrt(width * taps**2) // 3
        largest = min(max(typical // (min(result[1], 9999) // 2), 1), 16382)
        fields = {
            "bias": self.numbers((outputs,), -typical, typical),
            "divisor": self.numbers((outputs, 1, 1), largest // 2 + 1, largest).ravel() | 1,
            "low": result[0],
            "high": result[1],
        } | form
        source, target = self.feed(inputs, reach), f"o{len(self.ops)}"
        return self.add(Conv(source, target, weights, slope=slope, **fields))

    def add(self, op: Op) -> str:
        """A layer; its target, which is an output."""
        self.ops.append(op)
        self.outputs.append(op.target)
        return op.target

    def program(self) -> Program:
        """All forms there are."""
        # Bytes: whole blocks of outputs and what is left, sums as deep as 16 bits allow.
        self.conv((16, 70, 1), BYTE, 127)
        self.conv((70, 16, 1), SIGNED, 64, result=BYTE)
        self.conv((40, 33, 1), BYTE, 15)
        self.conv((12, 20, 3), BYTE, 127)
        self.conv((12, 20, 3), SIGNED, 100, stride=2, result=BYTE)
        self.conv((12, 20, 3), BYTE, 90, stride=2, edge=True)
        self.conv((70, 130, 1), BYTE, 127)
        self.conv((24, 24, 3), BYTE, 60, groups=24)
        self.conv((24, 24, 3), BYTE, 60, groups=24, edge=True)
        self.conv((70, 70, 3), SIGNED, 120, groups=70, result=BYTE)
        # Words, near the end of 32 bits, where a float has too few.
        self.conv((20, 33, 1), WIDE, 3000, result=WIDE)
        self.conv((16, 16, 3), BYTE, 300, result=WIDE)
        self.conv((24, 24, 3), WIDE, 500, stride=2, groups=24)
        far, most = self.numbers((24,), -8192, 8192) << 15, np.full(24, 16383)
        self.conv((16, 24, 1), SIGNED, 127, result=WIDE, bias=far, divisor=most)
        far[::2] = 0
        self.conv((24, 24, 3), SIGNED, 50, groups=24, bias=far, divisor=np.full(24, 51))
        self.conv((16, 16, 1), SIGNED, 90, table=self.numbers((256,), *SIGNED), table_low=-100)
        # A sum that a convolution takes along, and one by itself.
        half = self.conv((16, 40, 1), SIGNED, 127, result=(-200, 200))
        self.outputs.remove(half)
        self.add(Add(half, self.feed(40, WIDE), f"o{len(self.ops)}"))
        self.add(Add(self.feed(21, WIDE), self.feed(21, SIGNED), f"o{len(self.ops)}"))
        divisor = self.numbers((35,), 1, 8000) | 1
        self.add(Requantize(self.feed(35, WIDE), f"o{len(self.ops)}", divisor))
        factor = self.numbers((35,), *WIDE)
        self.add(Scale(self.feed(35, SIGNED), f"o{len(self.ops)}", factor))
        # Pixels in another order, which the layer before may see to.
        deep = self.conv((16, 12, 1), SIGNED, 127)
        self.outputs.remove(deep)
        self.add(Shuffle(deep, f"o{len(self.ops)}", 2))
        wide = self.add(Shuffle(self.feed(8, BYTE), f"o{len(self.ops)}", 2))
        self.add(Unshuffle(wide, f"o{len(self.ops)}", 2))
        return Program("layers", tuple(self.inputs), tuple(self.ops), tuple(self.outputs))


def mixed(low: int, high: int, shape: tuple[int, ...], salt: int) -> np.ndarray:
    """int64 in ``low..high``: a good mix of a count, and both ends often."""
    count = np.arange(int(np.prod(shape)), dtype=np.uint32) + np.uint32(salt * 0x9E3779B9 % 2**32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):  # by Wellons, "lowbias32"
        count ^= count >> np.uint32(shift)
        count *= np.uint32(factor)
    count ^= count >> np.uint32(16)
    numbers = (count % np.uint32(high - low + 1)).astype(np.int64) + low
    numbers[count >> np.uint32(29) == 0] = low
    numbers[count >> np.uint32(29) == 1] = high
    return numbers.reshape(shape)
