"""Turn a program into segments of native steps: fusion, and how wide values are stored.

`intact.intnet.backends.plan` cuts the program; here each segment becomes a list of kernels. Values
are stored in 8 bits (with a zero point) where they fit and in 16 otherwise. Fused on the way: an
Add into the convolution before it, the channel order of a Shuffle likewise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

import numpy as np

from intact.errors import UnsupportedError
from intact.intnet.backends.native.layout import (
    AMX_UNIT,
    CHUNK_MOST,
    CHUNK_UNIT,
    VECTOR,
    NativeSegment,
    Slot,
    find_reuses,
    lay_out,
    reordered,
    stored_slot,
)
from intact.intnet.backends.native.pack import (
    ADD,
    AMX,
    COPY,
    GEMM8,
    IM2COL,
    NARROW,
    REQUANTIZE,
    SCALE,
    SHUFFLE,
    TABLE,
    UNSHUFFLE,
    WIDEN,
    Step,
    by_blocks,
    channel_order,
    depthwise_step,
    gemm_step,
    reciprocals,
    zero_point,
)
from intact.intnet.backends.plan import Segment, gathers, plan
from intact.intnet.bounds import fits_8_bits
from intact.intnet.infer import infer
from intact.intnet.program import (
    INT16_HIGH,
    INT16_LOW,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    sources,
)


class _Planner:
    """Everything about the program that lowering one segment needs to know."""

    def __init__(self, program: Program, isa: int) -> None:
        self.isa = isa
        self.program = program
        self.infos = infer(program)
        self.readers = Counter(name for op in program.ops for name in set(sources(op)))
        self.defined = {value.name: -1 for value in program.inputs}
        self.defined |= {op.target: index for index, op in enumerate(program.ops)}
        self.reader = {name: op for op in program.ops for name in sources(op)}
        self.widths = self._widths()
        self.permuted = {
            op.source: op.factor
            for op in program.ops
            if isinstance(op, Shuffle) and self._sole_reader(op.source) is op
            and isinstance(self._maker(op.source), Conv)
            and self._maker(op.source).groups == 1  # type: ignore[union-attr]
        }  # fmt: skip

    def _maker(self, name: str) -> Op | None:
        index = self.defined[name]
        return None if index < 0 else self.program.ops[index]

    def _sole_reader(self, name: str) -> Op | None:
        if self.readers[name] != 1 or name in self.program.outputs:
            return None
        return self.reader[name]

    def _widths(self) -> dict[str, int]:
        """Bytes per element of every value: sums stay in 16 bits, so that nothing converts them."""
        widths = {
            value.name: 1 if fits_8_bits(value.low, value.high) else 2
            for value in self.program.inputs
        }
        for op in self.program.ops:
            match op:
                case Conv() | Requantize():
                    widths[op.target] = 1 if fits_8_bits(op.low, op.high) else 2
                case Scale() | Add():
                    widths[op.target] = 2
                case Shuffle() | Unshuffle():
                    widths[op.target] = widths[op.source]
                case _:
                    assert_never(op)
        return widths

    def fused_add(self, op: Conv, segment: Segment) -> Add | None:
        """The Add that takes this convolution's result and nothing later, or None."""
        add = self._sole_reader(op.target)
        if not isinstance(add, Add) or add not in segment.ops or op.table is not None:
            return None
        other = add.right if add.left == op.target else add.left
        ready = other != op.target and self.defined[other] < self.defined[op.target]
        return add if ready else None


class _Lowering:
    """One segment on its way from operations to steps."""

    def __init__(self, planner: _Planner, segment: Segment) -> None:
        self.planner = planner
        self.infos = planner.infos
        self.segment = segment
        self.steps: list[Step] = []
        self.slots: dict[str, Slot] = {}
        self.done: set[str] = set()
        for op in segment.ops:
            if op.target not in self.done:
                self._lower(op)

    def slot(self, name: str) -> Slot:
        """The slot of a value of the program."""
        if name not in self.slots:
            info, width = self.infos[name], self.planner.widths[name]
            here = name in (op.target for op in self.segment.ops)
            if here and name not in self.segment.stores:
                self.local(name, info.channels, width, zero_point(info))
            else:
                self.slots[name] = stored_slot(info, width)
        return self.slots[name]

    def local(self, name: str, channels: int, width: int, zero: int = 0) -> str:
        """Make a local slot."""
        stride = -(-channels * width // VECTOR) * VECTOR
        self.slots[name] = Slot(width, zero if width == 1 else 0, channels, stride, offset=0)
        return name

    def step(self, step: Step, source: str, target: str, /, **numbers: int) -> None:
        """Append a step; what its slots say goes into its numbers unless it is there."""
        step.source, step.target = source, target
        read, made = self.slots[source], self.slots[target]
        defaults = {
            "channels_in": read.channels, "channels_out": made.channels,
            "bytes_in": read.bytes, "bytes_out": made.bytes,
            "zero_in": read.zero, "zero_out": made.zero,
        }  # fmt: skip
        step.numbers = defaults | step.numbers | numbers
        self.steps.append(step)

    def converted(self, name: str, width: int, zero: int = 0) -> str:
        """The slot of a value in 1 or 2 bytes, converted here if need be."""
        slot = self.slots[name]
        if slot.bytes == width:
            return name
        other = f"{name}@{width}"
        if other not in self.slots:
            self.local(other, slot.channels, width, zero)
            self.step(Step(WIDEN if width == 2 else NARROW, "", ""), name, other)
        return other

    def operand(self, name: str, width: int) -> str:
        """As `converted` for a value of the program."""
        self.slot(name)
        return self.converted(name, width, zero_point(self.infos[name]))

    def _lower(self, op: Op) -> None:
        match op:
            case Conv():
                self._conv(op)
            case Requantize():
                divisor = by_blocks(op.divisor, np.arange(64)).ravel()
                step = Step(REQUANTIZE, "", "", arrays=reciprocals(divisor))
                source = self.operand(op.source, 2)
                self.slot(op.target)
                self.step(step, source, op.target, low=op.low, high=op.high)
            case Scale():
                factor = by_blocks(op.factor, np.arange(64)).ravel().astype(np.int32)
                source = self.operand(op.source, 2)
                self.slot(op.target)
                self.step(Step(SCALE, "", "", arrays={"order": factor}), source, op.target)
            case Add():
                left, right = self.operand(op.left, 2), self.operand(op.right, 2)
                self.slot(op.target)
                self.step(Step(ADD, "", "", addend=right), left, op.target)
            case Shuffle():
                order = channel_order(self.infos[op.target].channels, op.factor)
                arrays = {} if op.source in self.planner.permuted else {"order": order}
                self.slot(op.source)
                self.slot(op.target)
                step = Step(SHUFFLE, "", "", arrays=arrays)
                self.step(step, op.source, op.target, step=op.factor)
            case Unshuffle():
                order = channel_order(self.infos[op.source].channels, op.factor)
                self.slot(op.source)
                self.slot(op.target)
                step = Step(UNSHUFFLE, "", "", arrays={"order": order})
                self.step(step, op.source, op.target, step=op.factor)
            case _:
                assert_never(op)

    def _conv(self, op: Conv) -> None:
        add = self.planner.fused_add(op, self.segment)
        target, addend, width = op.target, None, self.planner.widths[op.target]
        low, high = op.low, op.high
        if add is not None:
            addend = self.operand(add.right if add.left == op.target else add.left, 2)
            target, width = add.target, 2
            self.done.add(add.target)
        if op.table is not None:
            low, high, width = op.table_low, op.table_low + op.table.size - 1, 2
            if low < INT16_LOW or high > INT16_HIGH:
                raise UnsupportedError(f"conv {op.target!r}: a table of {low}..{high}")
            target = self.local(f"{op.target}@v", op.weight.shape[0], 2)
        else:
            self.slot(target)
        self.slot(op.source)
        if op.groups > 1:
            read = self.slots[op.source]
            step = depthwise_step(
                op, self.infos[op.source], self.planner.isa, bytes_in=read.bytes, bytes_out=width
            )
            source = op.source
        else:
            if op.target in self.planner.permuted:
                op = reordered(op, self.planner.permuted[op.target])
            step = gemm_step(op, self.infos[op.source], self.planner.isa, width)
            source = self._columns(op) if gathers(op) else op.source
            wanted = 1 if step.kind == GEMM8 else 2
            source = self.converted(source, wanted, zero_point(self.infos[op.source]))
        step.addend = addend
        self.step(step, source, target, bytes_out=width, low=low, high=high)
        if op.table is not None:
            self.slot(op.target)
            table = Step(TABLE, "", "", arrays={"table": op.table})
            self.step(table, target, op.target, low=low)

    def _columns(self, op: Conv) -> str:
        """Copy each pixel's taps side by side."""
        read, taps = self.slots[op.source], op.weight.shape[2]
        name = self.local(f"{op.target}@taps", taps**2 * read.channels, read.bytes, read.zero)
        self.step(
            Step(IM2COL, "", ""), op.source, name, size=taps, step=op.stride, edge=int(op.edge)
        )
        return name


def lower_program(program: Program, isa: int) -> Iterator[NativeSegment]:
    """Lower a valid program for an instruction set; the first segment copies the inputs.

    Raises:
        ModelError: the program is not valid.
        UnsupportedError: a table that leaves 16 bits.
    """
    planner = _Planner(program, isa)
    names = [value.name for value in program.inputs]
    slots = {name: stored_slot(planner.infos[name], planner.widths[name]) for name in names}
    steps = []
    for name in names:
        slot = slots[name]
        flip = slot.zero  # int8 to zero point 128
        outer = replace(slot, stride=slot.channels * slot.bytes)
        slots[f"{name}@input"] = outer
        numbers = {"channels_in": slot.channels, "bytes_in": slot.bytes, "zero_out": flip}
        steps.append(Step(COPY, f"{name}@input", name, numbers=numbers))
    yield NativeSegment(names[0], steps, slots, CHUNK_MOST, 4 * VECTOR, tuple(names), {}, ())
    for segment in plan(program):
        lowered = _Lowering(planner, segment)
        chunk, scratch = lay_out(lowered, AMX_UNIT if isa == AMX else CHUNK_UNIT)
        yield NativeSegment(
            grid=segment.grid,
            steps=lowered.steps,
            slots=lowered.slots,
            chunk=chunk,
            scratch_bytes=scratch,
            stores=tuple(sorted(segment.stores)),
            reuses=find_reuses(lowered, segment, program),
            frees=segment.frees,
        )
