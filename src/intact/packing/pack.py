"""`pack`: tensors of a file as it lies, without data, to a `.intactw` file of a wanted size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

import numpy as np

from intact.errors import UnreachableError
from intact.packing.build import Builder, Kept, Source, Stepped, groups_of_equals
from intact.packing.choose import Settings, Target, note_by_index, note_by_values
from intact.packing.file import Writer
from intact.packing.index import NOTES, Feature, Tensor, coded_bytes
from intact.packing.parallel import in_order, num_threads
from intact.packing.quantize import (
    FINEST_SHARE,
    LARGEST_SHARE,
    LARGEST_SYMBOL,
    Rounding,
    Statistics,
    estimate_bits,
    share_for_bits,
    share_for_error,
    statistics,
)

MISS: Final = 0.01
"""A size up to so much below the one that was asked for is taken."""
AIM: Final = 0.997
"""What is aimed at."""
ATTEMPTS: Final = 6
TRIED_VALUES: Final = 1 << 21
"""Values that are coded to see how far a coder is from the estimate, before all are."""


@dataclass(frozen=True)
class Fate:
    """What became of a tensor.

    Attributes:
        tensor: as the index has it.
        coded_bytes: of its blobs.
        error: root mean square error over the standard deviation; None where it is as it was.
    """

    tensor: Tensor
    coded_bytes: float
    error: float | None


@dataclass
class Report:
    """What became of a file.

    Attributes:
        input_bytes: of all files that it came from.
        output_bytes: of the one that was written.
        fates: of tensors, in order.
    """

    input_bytes: int
    output_bytes: int = 0
    fates: list[Fate] = field(default_factory=list)

    @property
    def coded_bits(self) -> float | None:
        """Mean coded bits of the weights that were quantized; None if there are none."""
        found = [fate for fate in self.fates if fate.error is not None]
        weights = sum(fate.tensor.num_items for fate in found)
        return 8 * sum(fate.coded_bytes for fate in found) / weights if weights else None


@dataclass(frozen=True)
class Content:
    """What is packed besides tensors.

    Attributes:
        metadata: text to text.
        features: what else the file keeps.
        input_bytes: of the files that all comes from.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    features: Sequence[Feature] = ()
    input_bytes: int = 0


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
        UnreachableError: no step meets a target.
        ArgumentError: a pattern fits no tensor.
    """
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
        groups: dict[Target, list[Source]] = {}
        for source in first:
            if not notes[source.name]:
                groups.setdefault(self._settings.target_of(source.name), []).append(source)
        if self._settings.target.ratio is not None:
            groups.setdefault(self._settings.target, [])
        for target, group in sorted(groups.items(), key=lambda item: item[0].ratio is not None):
            self._pack_group(target, group)
        self._fill_index()
        self._report.output_bytes = self._writer.finish()
        index = self._writer.index
        self._report.fates = [
            Fate(tensor, coded_bytes(index, tensor), self._errors.get(self._twins[tensor.name]))
            for tensor in index.tensors
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
        stats = [self._stats[source.name] for source in group]
        weights = sum(part.count for part in stats)
        goal = (
            target.bits * weights / 8
            if target.bits is not None
            else self._report.input_bytes / (target.ratio or 1.0)
        )
        self._search(group, stats, goal, whole_file=target.bits is None)

    def _share_for_error(self, source: Source, error: float) -> float:
        return share_for_error(self._stats[source.name], source.raw(), source.dtype, error)

    def _search(
        self, group: list[Source], stats: list[Statistics], goal: float, *, whole_file: bool
    ) -> None:
        """Write a group so that its blobs, or the whole file, have ``goal`` bytes at most."""
        mark = self._writer.mark()
        other = self._size(whole_file=whole_file, mark_position=mark.position)
        if whole_file:
            other += 24 * len(group)  # what the index will say of them, before it is known
        factor = self._try(group, stats, max(goal - other, 0.0)) if group else 1.0
        aim, size, done, share = AIM * goal, math.inf, self._done, LARGEST_SHARE
        for attempt in range(ATTEMPTS):
            self._done = done
            share = LARGEST_SHARE
            if aim > other:
                share = share_for_bits(stats, 8 * (aim - other) / factor) if group else share
            self._writer.rewind(mark)
            self._write(group, [share] * len(group))
            size = self._size(whole_file=whole_file, mark_position=mark.position)
            coded = self._writer.mark().position - mark.position
            other, estimate = size - coded, estimate_bits(stats, share) / 8
            if size <= goal and (size >= (1 - MISS) * goal or attempt >= ATTEMPTS // 2):
                return
            if size <= goal and share <= 1.001 * FINEST_SHARE:
                return
            if share >= LARGEST_SHARE:
                break
            factor = coded / max(estimate, 1e-9)
        if size > goal:
            what = "the file" if whole_file else "these weights"
            raise UnreachableError(
                f"{what} would take {size:,.0f} bytes at the coarsest step, asked for: {goal:,.0f}"
                if share >= LARGEST_SHARE
                else f"{what} came to {size:,.0f} bytes, asked for: {goal:,.0f}"
            )

    def _size(self, *, whole_file: bool, mark_position: int) -> float:
        if whole_file:
            self._fill_index()
            return self._writer.size()
        return self._writer.mark().position - mark_position

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
        self._write(tried, [share] * len(tried))
        coded = self._writer.mark().position - mark.position
        self._writer.rewind(mark)
        self._done = done
        estimate = estimate_bits([self._stats[source.name] for source in tried], share) / 8
        return coded / max(estimate, 1e-9)

    def _write(self, group: Sequence[Source], shares: Sequence[float]) -> None:
        """Write tensors with these steps; one that has too many multiples of it stays as it is."""
        stepped, kept = [], []
        for source, share in zip(group, shares, strict=True):
            found = self._stats[source.name]
            step = np.float32(share * found.std)
            if not 0 < step < np.inf or found.largest / step > LARGEST_SYMBOL:
                kept.append(Kept(source, NOTES.index("out of range of its step")))
            else:
                stepped.append(Stepped(source, step, Rounding(found.sample, share)))
        tensors, errors = self._builder.step(stepped)
        for tensor, error in zip(tensors, errors, strict=True):
            found = self._stats[tensor.name]
            self._errors[tensor.name] = math.sqrt(error / found.count) / found.std
            self._tensors[tensor.name] = tensor
        for tensor in self._builder.keep(kept):
            self._tensors[tensor.name] = tensor
            self._errors.pop(tensor.name, None)
