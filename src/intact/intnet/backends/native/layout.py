"""Where values and channels lie: at full size, or chunk by chunk in scratch memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from intact.intnet.backends.native.pack import Step, channel_order, zero_point
from intact.intnet.backends.plan import Segment, gathers
from intact.intnet.infer import Info
from intact.intnet.program import Conv, Program, sources

VECTOR = 64  # bytes of the widest register
SCRATCH_BYTES = 160 * 1024  # what a chunk's local values may take: a part of the L2 cache
CHUNK_MOST = 240
CHUNK_UNIT = 12  # a multiple of all kernels' row counts, but for AMX's
AMX_UNIT = 32


@dataclass(frozen=True)
class Slot:
    """How a value lies in memory.

    Attributes:
        bytes: of an element, 1 (unsigned, with a zero point) or 2 (int16).
        zero: 0 or 128.
        channels: per pixel.
        stride: bytes from one pixel to the next.
        offset: of a chunk's first pixel in the scratch memory; -1 for values at full size.
    """

    bytes: int
    zero: int
    channels: int
    stride: int
    offset: int = -1


@dataclass(eq=False)
class NativeSegment:
    """Steps over one grid.

    Attributes:
        grid: name of a value that has the grid's size.
        steps: in order.
        slots: by name, in the order of their numbers.
        chunk: pixels that go through all steps at a time.
        scratch_bytes: memory for the local slots.
        stores: values made here at full size.
        reuses: for some of those the value that dies here and whose memory they take over.
        frees: values at full size that are not needed afterwards.
    """

    grid: str
    steps: list[Step]
    slots: dict[str, Slot]
    chunk: int
    scratch_bytes: int
    stores: tuple[str, ...]
    reuses: dict[str, str]
    frees: tuple[str, ...]


def stored_slot(info: Info, width: int) -> Slot:
    """The slot of a value at full size, elements of ``width`` bytes."""
    used = info.channels * width
    stride = -(-used // VECTOR) * VECTOR
    if stride > used * 9 // 8:  # padding three channels to a register would cost gigabytes
        stride = used
    return Slot(width, zero_point(info) if width == 1 else 0, info.channels, stride)


class Lowered(Protocol):
    """A segment that became steps on slots which have no places yet."""

    @property
    def infos(self) -> Mapping[str, Info]:
        """What is known of the program's values."""
        ...

    @property
    def steps(self) -> list[Step]:
        """In order."""
        ...

    @property
    def slots(self) -> dict[str, Slot]:
        """By name."""
        ...


def lay_out(lowered: Lowered, unit: int) -> tuple[int, int]:
    """Choose the chunk and give every local slot its place: (pixels, scratch bytes)."""
    last: dict[str, int] = {}
    for index, step in enumerate(lowered.steps):
        for name in (step.source, step.addend, step.target):
            if name is not None:
                last[name] = index
    local = [name for name, slot in lowered.slots.items() if slot.offset >= 0 and name in last]
    chunk, size = CHUNK_MOST, 0
    # Places are multiples of the chunk, so one pass with single pixels gives the size of all.
    for pixels in (1, 0):
        if pixels == 0:
            fit = SCRATCH_BYTES // max(size, 1) // unit * unit
            pixels = chunk = min(max(fit, unit), CHUNK_MOST)
        size = 0
        live: list[tuple[int, int, str]] = []  # begin, end, name
        for index, step in enumerate(lowered.steps):
            live = [item for item in live if last[item[2]] >= index]
            name = step.target
            if name not in local or any(item[2] == name for item in live):
                continue
            slot = lowered.slots[name]
            begin, need = 0, slot.stride * pixels
            for first, end, _ in sorted(live):
                if begin + need <= first:
                    break
                begin = max(begin, end)
            live.append((begin, begin + need, name))
            lowered.slots[name] = replace(slot, offset=begin)
            size = max(size, begin + need)
    return chunk, size + 4 * VECTOR  # kernels may read a register beyond a pixel's end


def find_reuses(lowered: Lowered, segment: Segment, program: Program) -> dict[str, str]:
    """Pairs (new, old) of stored values that may share memory: each pixel is read, then written."""
    infos, slots = lowered.infos, lowered.slots
    gathered = {name for op in segment.ops if gathers(op) for name in sources(op)}
    reads: dict[str, int] = {}
    writes: dict[str, int] = {}
    for index, step in enumerate(lowered.steps):
        reads.update({name: index for name in (step.source, step.addend) if name is not None})
        writes.setdefault(step.target, index)
    pairs: dict[str, str] = {}
    for new in sorted(segment.stores - set(program.outputs), key=lambda name: writes[name]):
        for old in segment.frees:
            taken = old in gathered or old in pairs.values() or old not in reads
            if taken or infos[old].steps != infos[new].steps:
                continue
            # Strictly earlier: a matrix product reads a pixel once per block of its outputs.
            same_step = lowered.steps[writes[new]].addend == old and reads[old] == writes[new]
            earlier = reads[old] < writes[new] or same_step
            if slots[old].stride == slots[new].stride and earlier:
                pairs[new] = old
                break
    return pairs


def reordered(op: Conv, factor: int) -> Conv:
    """The same layer with its channels as a Shuffle's rows and columns come."""
    order = channel_order(op.weight.shape[0] // factor**2, factor)
    return replace(
        op, weight=op.weight[order], bias=op.bias[order], slope=op.slope[order],
        divisor=op.divisor[order],
    )  # fmt: skip
