"""`pack`: tensors of a file as it lies, without data, to a `.intactw` file of a wanted size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import BinaryIO, Final

import numpy as np

from intact.errors import ArgumentError, UnreachableError, quoted
from intact.packing.build import Builder, Kept, Source, Stepped, groups_of_equals
from intact.packing.choose import Settings, Target, note_by_index, note_by_values
from intact.packing.file import Writer
from intact.packing.index import NOTES, Tensor
from intact.packing.parallel import in_order, num_threads
from intact.packing.quantize import (
    FINEST_SHARE,
    LARGEST_SHARE,
    Rounding,
    Statistics,
    estimate_bits,
    holds,
    share_for_bits,
    share_for_error,
    statistics,
)
from intact.packing.report import Content, Fate, Report
from intact.packing.safetensors import is_name
from intact.packing.sizes import shares

MISS: Final = 0.01
"""A size up to so much below the one that was asked for is taken."""
AIM: Final = 0.997
"""What is aimed at."""
ATTEMPTS: Final = 6
MOST_ATTEMPTS: Final = 24
"""Where headers of blobs, which the estimate does not know, are most of it, strides are small."""
NAMED: Final = 3
"""Tensors that are named where they stand in the way of a ratio."""
TRIED_VALUES: Final = 1 << 21
"""Values that are coded to see how far a coder is from the estimate, before all are."""


def pack(
    sources: Sequence[Source],
    file: BinaryIO,
    settings: Settings,
    content: Content,
    *,
    threads: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Report:
    """Write tensors into an empty file.

    Args:
        sources: the tensors, with unique names, in their order.
        file: to write and seek in.
        settings: what is asked for.
        content: what is kept besides, and the size of the input.
        threads: 0 takes all cores.
        tick: called with the share of the work that is done, 0 .. 1.

    Raises:
        UnreachableError: no step meets a target; says what the most is.
        ArgumentError: a pattern fits no tensor, or a name is one that no file can have.
    """
    for source in sources:
        if not is_name(source.name):
            raise ArgumentError(f"{quoted(source.name)} cannot be the name of a tensor")
    settings.check_patterns([source.name for source in sources])
    return _Packing(sources, file, settings, content, num_threads(threads), tick).run()


class _Packing:
    """One run of `pack`."""

    def __init__(
        self,
        sources: Sequence[Source],
        file: BinaryIO,
        settings: Settings,
        content: Content,
        threads: int,
        tick: Callable[[float], None] | None,
    ) -> None:
        self._sources, self._settings, self._threads = sources, settings, threads
        self._writer = Writer(file)
        self._writer.index.metadata = content.metadata
        self._writer.index.features = list(content.features)
        self._tick, self._done = tick or (lambda _: None), 0
        self._total = max(sum(source.count for source in sources), 1)
        method = "best" if settings.best else "rows"
        self._builder = Builder(self._writer, method, threads, self._progress)
        self._report = Report(content.input_bytes)
        self._stats: dict[str, Statistics] = {}
        self._tensors: dict[str, Tensor] = {}
        self._errors: dict[str, float] = {}
        self._erased: set[str] = set()
        self._twins: dict[str, str] = {}

    def _progress(self, count: int) -> None:
        self._done += count
        self._tick(min(self._done / self._total, 0.99))

    def run(self) -> Report:
        notes = self._decide()
        treatments = [(s, (notes[s.name], self._settings.target_of(s.name))) for s in self._sources]
        self._twins = groups_of_equals(treatments)
        first = [source for source in self._sources if self._twins[source.name] == source.name]
        kept = [Kept(source, notes[source.name]) for source in first if notes[source.name]]
        for tensor in self._builder.keep(kept):
            self._tensors[tensor.name] = tensor
        groups: dict[int, list[Source]] = {}
        for source in first:
            if not notes[source.name]:
                groups.setdefault(self._settings.rule_of(source.name), []).append(source)
        targets = [*(rule.target for rule in self._settings.rules), self._settings.target]
        if targets[-1].ratio is not None:
            groups.setdefault(len(targets) - 1, [])
        for number, group in sorted(groups.items()):  # last, since a ratio counts all the others
            self._pack_group(targets[number], group)
        self._fill_index()
        self._report.output_bytes = self._writer.finish()
        index = self._writer.index
        self._report.fates = [
            Fate(tensor, share, self._errors.get(twin), erased=twin in self._erased)
            for tensor, share in zip(index.tensors, shares(index), strict=True)
            for twin in [self._twins[tensor.name]]
        ]
        self._tick(1.0)
        return self._report

    def _decide(self) -> dict[str, int]:
        """Why each tensor is left alone; 0 where it is not."""
        notes = {s.name: note_by_index(s.name, s.dtype, s.shape, self._settings)
                 for s in self._sources}  # fmt: skip
        left = [source for source in self._sources if not notes[source.name]]

        def look(source: Source) -> tuple[Statistics, int]:
            raw = source.raw()
            found = statistics(raw, source.dtype)
            return found, note_by_values(found, raw)

        for source, (found, note) in in_order(look, left, self._threads):
            notes[source.name] = note
            if note == 0:
                self._stats[source.name] = found
        return notes

    def _fill_index(self) -> None:
        self._writer.index.tensors = [
            replace(self._tensors[self._twins[source.name]], name=source.name)
            for source in self._sources
            if self._twins[source.name] in self._tensors
        ]

    def _pack_group(self, target: Target, group: list[Source]) -> None:
        """Write tensors that share a target."""
        if target.max_error is not None:
            error = target.max_error
            found = in_order(lambda s: self._share_for_error(s, error), group, self._threads)
            self._write(group, [share for _, share in found])
            return
        self._search(target, group)

    def _share_for_error(self, source: Source, error: float) -> float:
        return share_for_error(self._stats[source.name], source.raw(), source.dtype, error)

    def _search(self, target: Target, group: list[Source]) -> None:
        """Write a group so that what is quantized of it, or the whole file, meets a target."""
        mark, whole_file = self._writer.mark(), target.bits is None
        stats = [self._stats[source.name] for source in group]
        goal, other = self._goal(target, stats), 0.0
        if whole_file:  # with what the index will say of the group, before that is known
            other = self._size() + 24 * len(group)
        factor = self._try(group, stats, max(goal - other, 0.0)) if group else 1.0
        size, done, share = math.inf, self._done, LARGEST_SHARE
        for attempt in range(MOST_ATTEMPTS):
            self._done, share = done, LARGEST_SHARE
            if group and AIM * goal > other:
                share = share_for_bits(stats, 8 * (AIM * goal - other) / factor)
            self._writer.rewind(mark)
            held, coded = self._write(group, [share] * len(group))
            stats = held or stats
            goal, size = self._goal(target, held), self._size() if whole_file else coded
            if size <= goal and (size >= (1 - MISS) * goal or attempt >= ATTEMPTS // 2):
                return
            if size <= goal and share <= 1.001 * FINEST_SHARE:
                return
            if share >= LARGEST_SHARE:
                break
            other = size - coded
            # Where all of it stays as it was a coarser step is the only way on.
            estimate = estimate_bits(held, share) / 8
            factor = coded / max(estimate, 1e-9) if held else 2 * factor
        if size > goal:
            raise self._unreachable(target, size, goal, coarsest=share >= LARGEST_SHARE)

    def _unreachable(
        self, target: Target, size: float, goal: float, *, coarsest: bool
    ) -> UnreachableError:
        """Says what is the most that can be asked for, and what stands in the way of more."""
        told = f"would take {size:,.0f}"
        if coarsest and self._errors:
            told += " at the coarsest step, where nearly all weights are 0"
        if target.bits is not None:
            least = math.ceil(1000 * target.bits * size / goal) / 1000
            return UnreachableError(
                f"{target.bits:g} bits a weight cannot be reached, {least:g} are the least: "
                f"asked for are {goal:,.0f} bytes, these weights {told}"
            )
        most = math.floor(100 * self._report.input_bytes / size) / 100
        index = self._writer.index
        kept = [
            (share.size, tensor)
            for share, tensor in zip(shares(index), index.tensors, strict=True)
            if tensor.note
        ]
        kept.sort(key=lambda pair: -pair[0])
        largest = ", ".join(
            f"{quoted(tensor.name)} {taken:,} ({NOTES[tensor.note]})"
            for taken, tensor in kept[:NAMED]
        )
        way = f"; {sum(taken for taken, _ in kept):,} of these are tensors that stay as they were: "
        way += largest + (f" and {len(kept) - NAMED} more" if kept[NAMED:] else "")
        return UnreachableError(
            f"ratio {target.ratio:g} cannot be reached, {most:g} is the most: "
            f"asked for are {goal:,.0f} bytes, the file {told}{way if kept else ''}"
        )

    def _goal(self, target: Target, stats: Sequence[Statistics]) -> float:
        """Bytes of weights that are quantized, or of the whole file."""
        if target.bits is not None:
            return target.bits * sum(part.count for part in stats) / 8
        return self._report.input_bytes / (target.ratio or 1.0)

    def _size(self) -> float:
        """Bytes of the file if it ended here."""
        self._fill_index()
        return self._writer.size()

    def _try(self, group: list[Source], stats: list[Statistics], goal: float) -> float:
        """Bytes of the coder for one of the estimate, on some of the tensors where all are many."""
        weights = sum(part.count for part in stats)
        if weights <= 2 * TRIED_VALUES or goal <= 0:
            return 1.0
        share = share_for_bits(stats, 8 * goal)
        tried, values = [], 0
        for source in group[:: max(len(group) // 8, 1)]:
            if values < TRIED_VALUES:
                tried.append(source)
                values += source.count
        mark, done = self._writer.mark(), self._done
        held, coded = self._write(tried, [share] * len(tried))
        self._writer.rewind(mark)
        self._done = done
        return coded / max(estimate_bits(held, share) / 8, 1e-9) if held else 1.0

    def _write(
        self, group: Sequence[Source], shares: Sequence[float]
    ) -> tuple[list[Statistics], int]:
        """Write tensors with these steps; one that has too many multiples of it stays as it is.

        Returns:
            Those that were quantized, and the bytes of their blobs.
        """
        stepped, kept, held = [], [], []
        for source, share in zip(group, shares, strict=True):
            found = self._stats[source.name]
            with np.errstate(over="ignore"):
                step = np.float32(share * found.std)
            if holds(source.dtype, found.largest, step):
                rounding = Rounding(found.sample, share)
                stepped.append(Stepped(source, step, rounding))
                erases = rounding.erases(found.sample, share)
                (self._erased.add if erases else self._erased.discard)(source.name)
                held.append(found)
            else:
                kept.append(Kept(source, NOTES.index("out of range of its step")))
        start = self._writer.mark().position
        tensors, errors = self._builder.step(stepped)
        coded = self._writer.mark().position - start
        for tensor, error in zip(tensors, errors, strict=True):
            found = self._stats[tensor.name]
            self._errors[tensor.name] = math.sqrt(error / found.count) / found.std
            self._tensors[tensor.name] = tensor
        for tensor in self._builder.keep(kept):
            self._tensors[tensor.name] = tensor
            self._errors.pop(tensor.name, None)
        return held, coded
