"""Cut a program into segments that run band by band, so that intermediates stay in the cache.

A segment is a run of operations on one grid whose intermediates never leave a band of rows: it may
begin with operations that look at neighbors or another grid (3x3, stride 2, Unshuffle), which read
values stored at full size by earlier segments, and goes on with pointwise ones. Only values that
another segment or the caller needs are stored at full size, in 8 or 16 bits: a 24-megapixel image
costs its 16-bit stream and one 8-bit layer, not a float array per layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from intact.intnet.infer import infer
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    sources as op_sources,
)

MAX_BAND = 1 << 22  # elements: 16 megabytes of float32 for a band of 4 rows


@dataclass(frozen=True, eq=False)
class Segment:
    """Operations that run together over one band of rows.

    Attributes:
        ops: in order.
        grid: a value with the height and width that bands cut.
        stores: values to keep at full size.
        slots: register of every value that lives in a band; registers are reused.
        frees: stored values that nobody needs after this segment.
        breadth: elements per grid position at the widest operation, for choosing band heights.
    """

    ops: tuple[Op, ...]
    grid: str
    stores: frozenset[str]
    slots: dict[str, int]
    frees: tuple[str, ...]
    breadth: int

    def band_rows(self, width: int, elements: int) -> int:
        """Rows per band so that the widest operation touches about ``elements``.

        At least 4 where memory allows: a 3x3 layer reads two more rows than it makes, and on a
        wide image a band of one row would read everything three times.
        """
        row = self.breadth * width
        return max(1, elements // row, min(4, MAX_BAND // row))


def gathers(op: Op) -> bool:
    """Whether an operation reads from a stored value: neighbors, another grid, or depthwise."""
    if isinstance(op, Conv):
        return op.weight.shape[2] > 1 or op.stride > 1 or op.groups > 1
    return isinstance(op, Unshuffle)


def plan(program: Program) -> tuple[Segment, ...]:
    """Cut a valid program into segments, in order.

    Raises:
        ModelError: the program is not valid.
    """
    infos = infer(program)
    groups: list[list[Op]] = []
    grids: list[str] = []
    made_here: set[str] = set()  # values the open group makes
    in_band: set[str] = set()  # those of them that a later operation may read from the band
    for op in program.ops:
        grid = op.source if isinstance(op, Shuffle) else op.target
        needs = op_sources(op)
        joins = bool(groups) and infos[grid].steps == infos[grids[-1]].steps
        if joins and gathers(op):
            joins = not made_here.intersection(needs)
        elif joins:
            joins = all(name in in_band or name not in made_here for name in needs)
        if joins:
            groups[-1].append(op)
        else:
            groups.append([op])
            grids.append(grid)
            made_here, in_band = set(), set()
        made_here.add(op.target)
        if not isinstance(op, Shuffle):
            in_band.add(op.target)
    last_reader: dict[str, int] = {}
    maker: dict[str, int] = {}
    for index, group in enumerate(groups):
        for op in group:
            maker[op.target] = index
            last_reader.update(dict.fromkeys(op_sources(op), index))
    segments: list[Segment] = []
    for index, (group, grid) in enumerate(zip(groups, grids, strict=True)):
        stores = frozenset(
            op.target
            for op in group
            if op.target in program.outputs
            or last_reader.get(op.target, -1) > index
            or isinstance(op, Shuffle)
        )
        frees = tuple(
            name
            for name, last in last_reader.items()
            if last == index and name not in program.outputs and maker.get(name, -1) < index
        )
        breadth = max(_breadth(op, infos[op.target].channels) for op in group)
        segments.append(Segment(tuple(group), grid, stores, _slots(group), frees, breadth))
    return tuple(segments)


def _breadth(op: Op, channels: int) -> int:
    if isinstance(op, Conv):
        _, inputs, taps, _ = op.weight.shape
        return channels + op.groups * inputs * (taps**2 if op.groups == 1 else 3)
    return 2 * channels


def _slots(group: list[Op]) -> dict[str, int]:
    """Assign registers: a value keeps its own until the last operation that reads it."""
    last: dict[str, int] = {}
    for index, op in enumerate(group):
        if not gathers(op):
            last.update(dict.fromkeys(op_sources(op), index))
    slots: dict[str, int] = {}
    free: list[int] = []
    count = 0

    def claim(name: str) -> None:
        nonlocal count
        if name in slots:
            return
        if free:
            slots[name] = free.pop()
        else:
            slots[name] = count
            count += 1

    for index, op in enumerate(group):
        needs = () if gathers(op) else tuple(dict.fromkeys(op_sources(op)))
        for name in needs:
            claim(name)
        dying = [slots[name] for name in needs if last[name] == index]
        if isinstance(op, (Requantize, Scale, Add)):  # elementwise: may overwrite its operand
            free.extend(dying)
            claim(op.target)
        else:
            if not isinstance(op, Shuffle):
                claim(op.target)
            free.extend(dying)
        if last.get(op.target, -1) <= index and op.target in slots:
            free.append(slots[op.target])
    return slots
