"""The operations of the torch backend over one band of rows: oneDNN products and float ones.

A layer with 8-bit inputs and weights is one oneDNN call that returns ``sum + bias`` as float32 with
all scales 1: exact because B < 2**24, so the int32 sum, the bias and their total are all float32
integers. (A bias given to a *scaled* call would be added after the division, in floating point:
wrong in a quarter of the boundary cases.) Signed inputs go in as ``u + 128`` with zero point 128.
Everything else is a float32 or float64 product, as in the NumPy backend.

Dense 3x3 layers are products, too, of gathered bytes: with AMX, oneDNN's convolution of stride 2 is
wrong where its output is one column wide (torch 2.13; every other shape tried was exact).

Import this module only to use it, as `intact.intnet.backends.torch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from intact.intnet.backends.plan import gathers
from intact.intnet.bounds import conv_bounds
from intact.intnet.infer import Info
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    Add,
    Conv,
    Op,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
)


@dataclass(eq=False)
class Band:
    """One band of rows: float32 [positions, channels], and 8-bit ones as unsigned bytes."""

    stored: dict[str, torch.Tensor]
    infos: Mapping[str, Info]
    first: int = 0
    last: int = 0
    width: int = 0
    values: dict[str, torch.Tensor] = field(default_factory=dict)
    shifted: dict[str, torch.Tensor] = field(default_factory=dict)

    def read(self, name: str) -> torch.Tensor:
        """A value at the band's positions, as float32."""
        if name not in self.values:
            rows = self.stored[name][self.first : self.last]
            self.values[name] = rows.reshape(-1, rows.shape[2]).to(torch.float32)
        return self.values[name]

    def read_bytes(self, name: str) -> torch.Tensor:
        """An 8-bit value at the band's positions as uint8, plus its zero point."""
        if name not in self.shifted:
            if name in self.values:
                point = zero_point(self.infos[name])
                value = self.values[name]
                self.shifted[name] = (value + point if point else value).to(torch.uint8)
            else:
                rows = self.stored[name][self.first : self.last]
                self.shifted[name] = _to_bytes(rows.reshape(-1, rows.shape[2]), self.infos[name])
        return self.shifted[name]


Kernel = Callable[[Band, int], None]


def zero_point(info: Info) -> int:
    """What is added to an 8-bit value to make it unsigned."""
    return 0 if info.low >= 0 else 128


def _to_bytes(values: torch.Tensor, info: Info) -> torch.Tensor:
    # Inputs come in any integer dtype, hence the detour over int16.
    point = zero_point(info)
    return (values.to(torch.int16) + point if point else values).to(torch.uint8)


class _Accumulate:
    """``sum + bias`` of a convolution over a band: float32 or float64 [positions, o]."""

    def __init__(self, op: Conv, source: Info) -> None:
        bounds = conv_bounds(op, source)
        self.op, self.source = op, source
        self.bytes = bounds.u8s8 and bounds.float32
        self.dtype = torch.float32 if bounds.float32 else torch.float64
        self.point = zero_point(source) if self.bytes else 0
        self.biases: dict[int, torch.Tensor] = {}
        outputs, inputs, taps, _ = op.weight.shape
        weight = torch.from_numpy(op.weight.astype(np.int32))
        self.ones = torch.from_numpy(np.ones(outputs, np.float32))
        self.zeros = torch.from_numpy(np.zeros(outputs, np.int64))
        if self.bytes and op.groups > 1:
            self.weight = torch.ops.onednn.qconv_prepack(
                weight.to(torch.int8),
                self.ones,
                1.0,
                self.point,
                [op.stride] * 2,
                [0, 0],
                [1, 1],
                op.groups,
                None,
            )
        elif self.bytes:
            # In the order in which `_gathered` lays out what the taps see.
            matrix = weight.permute(0, 2, 3, 1).reshape(outputs, -1).to(torch.int8)
            self.weight = torch.ops.onednn.qlinear_prepack(matrix.contiguous(), None)
        elif op.groups > 1:
            self.weight = weight.to(self.dtype)
        else:
            matrix = weight.reshape(outputs, inputs * taps**2).to(self.dtype)
            self.weight = matrix.t().contiguous()

    def bias(self, level: int) -> torch.Tensor:
        """The level folded into the bias."""
        if level not in self.biases:
            bias = torch.from_numpy(self.op.bias + self.op.slope * level)
            self.biases[level] = bias.to(self.dtype)
        return self.biases[level]

    def __call__(self, band: Band, level: int) -> torch.Tensor:
        if gathers(self.op):
            return self.spatial(self.padded(band), self.bias(level))
        if not self.bytes:
            matrix = band.read(self.op.source).to(self.dtype)
            return torch.addmm(self.bias(level), matrix, self.weight)
        return self.product(band.read_bytes(self.op.source), self.bias(level))

    def product(self, rows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """The accumulators of uint8 [positions, inputs]."""
        return torch.ops.onednn.qlinear_pointwise(
            rows,
            1.0,
            self.point,
            self.weight,
            self.ones,
            self.zeros,
            bias,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )

    def padded(self, band: Band) -> torch.Tensor:
        """What the band's taps see, padded, as channels-last [1, c, rows, columns]."""
        taps, stride = self.op.weight.shape[2], self.op.stride
        margin = taps // 2
        height, width, channels = band.stored[self.op.source].shape
        rows = (band.last - band.first - 1) * stride + taps
        columns = (band.width - 1) * stride + taps
        top = band.first * stride - margin
        begin, end = max(top, 0), min(top + rows, height)
        right = min(columns - margin, width)
        values = band.stored[self.op.source][begin:end, :right]
        values = _to_bytes(values, self.source) if self.bytes else values.to(self.dtype)
        padded = torch.full((1, rows, columns, channels), self.point, dtype=values.dtype)
        padded[0, begin - top : end - top, margin : margin + right] = values
        if self.op.edge:
            # Columns first: the rows above and below repeat them, too.
            whole = padded[0, begin - top : end - top]
            whole[:, :margin] = whole[:, margin : margin + 1].clone()
            whole[:, margin + right :] = whole[:, margin + right - 1 : margin + right].clone()
            padded[0, : begin - top] = padded[0, begin - top].clone()
            padded[0, end - top :] = padded[0, end - top - 1].clone()
        return padded.permute(0, 3, 1, 2)

    def spatial(self, grid: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """The accumulators of a padded grid."""
        op = self.op
        if self.bytes and op.groups == 1:
            return self.product(_gathered(grid, op.weight.shape[2], op.stride), bias)
        if self.bytes:
            acc = torch.ops.onednn.qconv2d_pointwise(
                grid, 1.0, self.point, self.weight, self.ones, self.zeros, bias, [op.stride] * 2,
                [0, 0], [1, 1], op.groups, 1.0, 0, torch.float32, "none", [], "",
            )  # fmt: skip
        elif op.groups > 1:
            acc = torch.nn.functional.conv2d(grid, self.weight, bias, op.stride, groups=op.groups)
        else:
            # Not conv2d: a library may choose Winograd, whose intermediates are not these integers.
            columns = torch.nn.functional.unfold(grid, op.weight.shape[2], stride=op.stride)
            return torch.addmm(bias, columns[0].t(), self.weight)
        return acc.permute(0, 2, 3, 1).reshape(-1, op.weight.shape[0])


def _gathered(grid: torch.Tensor, taps: int, stride: int) -> torch.Tensor:
    """What the taps see of a padded grid [1, c, rows, columns]: [positions, taps * taps * c]."""
    rows, columns = ((size - taps) // stride + 1 for size in grid.shape[2:])
    pixels = grid[0].permute(1, 2, 0)
    seen = [
        pixels[y : y + rows * stride : stride, x : x + columns * stride : stride]
        for y in range(taps)
        for x in range(taps)
    ]
    # A slice may reach beyond the last position by less than a stride.
    return torch.cat([part[:rows, :columns] for part in seen], 2).reshape(rows * columns, -1)


def _conv(op: Conv, source: Info) -> Kernel:
    accumulate, bounds = _Accumulate(op, source), conv_bounds(op, source)
    reciprocal = bounds.float32 and bounds.reciprocal
    divisor = torch.from_numpy(np.array(op.divisor)).to(torch.float64)
    if reciprocal:
        divisor = torch.from_numpy(np.float32(1) / op.divisor.astype(np.float32))
    low, high, table = op.low, op.high, None
    if op.table is not None:
        low, high = op.table_low, op.table_low + op.table.size - 1
        table = torch.from_numpy(op.table.astype(np.float32))

    def kernel(band: Band, level: int) -> None:
        acc = accumulate(band, level)
        acc = acc.mul_(divisor) if reciprocal else acc.to(torch.float64).div_(divisor)
        acc = acc.round_().clamp_(low, high)
        if table is not None:
            acc = table[acc.to(torch.int64) - low]
        band.values[op.target] = acc.to(torch.float32)

    return kernel


def _elementwise(op: Requantize | Scale | Add) -> Kernel:
    low, high = INT16_LOW, INT16_HIGH
    factor = torch.from_numpy(np.ones(1, np.float32))
    if isinstance(op, Requantize):
        low, high = op.low, op.high
        # Rule 1 holds for every legal Requantize (bounds.requantize_reciprocal).
        factor = torch.from_numpy(np.float32(1) / op.divisor.astype(np.float32))
    elif isinstance(op, Scale):
        factor = torch.from_numpy(op.factor.astype(np.float32))

    def kernel(band: Band, level: int) -> None:
        if isinstance(op, Add):
            result = band.read(op.left) + band.read(op.right)
        else:
            result = band.read(op.source) * factor
        if isinstance(op, Requantize):
            result = result.round_()
        band.values[op.target] = result.clamp_(low, high)

    return kernel


def _rearrange(op: Shuffle | Unshuffle) -> Kernel:
    factor = op.factor

    def blocks(band: Band, name: str) -> torch.Tensor:
        """The fine grid's rows of the band as [rows, columns, channels, dy, dx]."""
        rows = band.stored[name][band.first * factor : band.last * factor]
        split = rows.view(band.last - band.first, factor, band.width, factor, rows.shape[2])
        return split.permute(0, 2, 4, 1, 3)

    def kernel(band: Band, level: int) -> None:
        if isinstance(op, Unshuffle):
            fine = blocks(band, op.source)
            values = fine.reshape(fine.shape[0] * fine.shape[1], -1)
            band.values[op.target] = values.to(torch.float32)
        else:
            fine = blocks(band, op.target)
            fine.copy_(band.read(op.source).view(fine.shape))

    return kernel


def kernel_of(op: Op, infos: Mapping[str, Info]) -> Kernel:
    """The kernel of an operation, with its constants.

    Args:
        op: of a program whose bounds were checked.
        infos: what is known of the program's values.
    """
    match op:
        case Conv():
            return _conv(op, infos[op.source])
        case Requantize() | Scale() | Add():
            return _elementwise(op)
        case Shuffle() | Unshuffle():
            return _rearrange(op)
