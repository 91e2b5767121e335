"""Tensors to blobs: cut to parts, coded on all cores, small ones together, equal ones once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from intact.packing.blobs import Coded, code_symbols, code_values
from intact.packing.coding import Method
from intact.packing.dtypes import Array, Dtype, as_float32
from intact.packing.file import Writer
from intact.packing.index import Kind, Tensor
from intact.packing.limits import BLOB_VALUES, SMALL_VALUES
from intact.packing.parallel import in_order
from intact.packing.quantize import Rounding, error_of

SHARED_VALUES: Final = 1 << 15
"""Values of a blob that small tensors share: it is decoded for each of them."""
HEAD: Final = 64
"""Elements by which candidates for equal tensors are found."""


@dataclass(frozen=True)
class Source:
    """A tensor to be packed.

    Attributes:
        name: unique.
        dtype: of its elements.
        shape: sizes along its axes.
        raw: gives its raw elements [items]; a view of a file, say.
    """

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    raw: Callable[[], Array]

    @property
    def count(self) -> int:
        """Items of the raw form."""
        return self.dtype.num_items(self.shape)


@dataclass(frozen=True)
class Kept:
    """A tensor that stays as it is, and why (an index into `intact.packing.index.NOTES`)."""

    source: Source
    note: int


@dataclass(frozen=True)
class Stepped:
    """A tensor that becomes multiples of a step.

    Attributes:
        source: the tensor.
        step: float32.
        rounding: for that step.
    """

    source: Source
    step: np.float32
    rounding: Rounding


def groups_of_equals(
    sources: Iterable[tuple[Source, Any]],
) -> dict[str, str]:
    """For each tensor the first that has the same type, shape, elements and treatment.

    Args:
        sources: with what makes a treatment.
    """
    found: dict[tuple[Any, ...], list[Source]] = {}
    first: dict[str, str] = {}
    for source, treatment in sources:
        first[source.name] = source.name
        if not source.count:
            continue
        raw = source.raw()
        key = (source.dtype.name, source.shape, treatment, raw[:HEAD].tobytes())
        key += (raw[-HEAD:].tobytes(), raw[:: 1 + len(raw) // HEAD].tobytes())
        same = (other for other in found.get(key, []) if np.array_equal(other.raw(), raw))
        twin = next(same, None)
        if twin is None:
            found.setdefault(key, []).append(source)
        else:
            first[source.name] = twin.name
    return first


def spans(shape: Sequence[int], count: int) -> Iterator[tuple[int, int, int]]:
    """The parts of a tensor: first element, rows, columns; whole rows where these are not long."""
    columns = math.prod(shape[1:]) if len(shape) > 1 else count
    if len(shape) < 2 or not 0 < columns <= BLOB_VALUES:
        for start in range(0, count, BLOB_VALUES):
            yield start, 1, min(BLOB_VALUES, count - start)
        return
    rows = BLOB_VALUES // columns
    for row in range(0, count // columns, rows):
        yield row * columns, min(rows, count // columns - row), columns


def kernel_of(shape: Sequence[int]) -> int:
    """Positions of a convolution's kernel, which coders know as neighbors; 1 otherwise."""
    return math.prod(shape[2:]) if len(shape) > 2 else 1


@dataclass(frozen=True)
class _Job:
    tensor: int
    rows: int
    columns: int
    work: Callable[[], tuple[Coded, float]]


class Builder:
    """Puts tensors into a file.

    Args:
        writer: of the file.
        method: of `intact.packing.coding`.
        threads: to code with.
        tick: called with values that are done.
    """

    def __init__(
        self, writer: Writer, method: Method, threads: int, tick: Callable[[int], None]
    ) -> None:
        self.writer, self._threads, self._tick = writer, threads, tick
        self._method: Method = method

    def keep(self, kept: Sequence[Kept]) -> list[Tensor]:
        """Write tensors as they are; what the index says of them, in order."""
        found: dict[str, Tensor] = {}
        small: dict[str, list[Kept]] = {}
        large: list[Kept] = []
        for item in kept:
            source = item.source
            if not source.count:
                found[source.name] = _values(item, -1, 0)
            elif source.count <= SMALL_VALUES:
                small.setdefault(source.dtype.name, []).append(item)
            else:
                large.append(item)
        bundles = [bundle for items in small.values() for bundle in _bundles(items)]
        firsts: dict[int, int] = {}
        for job, (coded, _), number in self._blobs(self._keep_jobs(bundles, large)):
            if job.tensor < len(bundles):
                start = 0
                for item in bundles[job.tensor]:
                    found[item.source.name] = _values(item, number, start)
                    start += item.source.count
            else:
                firsts.setdefault(job.tensor - len(bundles), number)
            del coded
        for position, number in firsts.items():
            found[large[position].source.name] = _values(large[position], number, 0)
        return [found[item.source.name] for item in kept]

    def _keep_jobs(self, bundles: list[list[Kept]], large: list[Kept]) -> Iterator[_Job]:
        for position, bundle in enumerate(bundles):
            raw = np.concatenate([item.source.raw() for item in bundle])
            yield _Job(position, 1, len(raw), self._values_job(raw, bundle[0].source.dtype, 1))
        for position, item in enumerate(large, len(bundles)):
            raw = item.source.raw()
            for start, rows, columns in spans(item.source.shape, item.source.count):
                part = raw[start : start + rows * columns]
                work = self._values_job(part, item.source.dtype, rows)
                yield _Job(position, rows, columns, work)

    def _values_job(self, raw: Array, dtype: Dtype, rows: int) -> Callable[[], tuple[Coded, float]]:
        return lambda: (code_values(raw, dtype, rows, self._method), 0.0)

    def step(self, stepped: Sequence[Stepped]) -> tuple[list[Tensor], list[float]]:
        """Write tensors as multiples of their steps.

        Returns:
            What the index says of them, and the sum of squared errors of each.
        """
        firsts: dict[int, int] = {}
        errors = [0.0] * len(stepped)
        for job, (_, error), number in self._blobs(self._step_jobs(stepped)):
            firsts.setdefault(job.tensor, number)
            errors[job.tensor] += error
        tensors = [
            Tensor(
                item.source.name,
                item.source.dtype,
                item.source.shape,
                Kind.STEP,
                firsts[position],
                0,
                step=int(item.step.view(np.uint32)),
            )
            for position, item in enumerate(stepped)
        ]
        return tensors, errors

    def _step_jobs(self, stepped: Sequence[Stepped]) -> Iterator[_Job]:
        for position, item in enumerate(stepped):
            raw, kernel = item.source.raw(), kernel_of(item.source.shape)
            for start, rows, columns in spans(item.source.shape, item.source.count):
                part = raw[start : start + rows * columns]
                yield _Job(position, rows, columns, self._step_job(item, part, rows, kernel))

    def _step_job(
        self, item: Stepped, raw: Array, rows: int, kernel: int
    ) -> Callable[[], tuple[Coded, float]]:
        def work() -> tuple[Coded, float]:
            values = as_float32(raw, item.source.dtype)
            symbols = item.rounding.symbols(values, item.step)
            error = error_of(values, symbols, item.source.dtype, item.step)
            return code_symbols(symbols.reshape(rows, -1), self._method, kernel), error

        return work

    def symbols(self, symbols: Array, shape: Sequence[int]) -> int:
        """Write the symbols of a tensor of that shape; the number of the first blob."""
        return self._symbols(symbols, spans(shape, symbols.size), kernel_of(shape))

    def row(self, symbols: Array) -> int:
        """Write symbols of several tensors in one row; the number of the blob."""
        return self._symbols(symbols, [(0, 1, symbols.size)], 1)

    def _symbols(self, symbols: Array, parts: Iterable[tuple[int, int, int]], kernel: int) -> int:
        flat = np.ascontiguousarray(symbols, np.int32).reshape(-1)

        def job(start: int, rows: int, columns: int) -> _Job:
            part = flat[start : start + rows * columns].reshape(rows, columns)
            return _Job(0, rows, columns, lambda: (code_symbols(part, self._method, kernel), 0.0))

        jobs = (job(*part) for part in parts)
        numbers = [number for _, _, number in self._blobs(jobs)]
        return numbers[0]

    def _blobs(self, jobs: Iterator[_Job]) -> Iterator[tuple[_Job, tuple[Coded, float], int]]:
        for job, result in in_order(lambda job: job.work(), jobs, self._threads):
            number = self.writer.add_blob(result[0], job.rows, job.columns)
            self._tick(job.rows * job.columns)
            yield job, result, number


def _values(item: Kept, blob: int, first: int) -> Tensor:
    source = item.source
    return Tensor(source.name, source.dtype, source.shape, Kind.VALUES, blob, first, item.note)


def _bundles(items: Sequence[Kept]) -> Iterator[list[Kept]]:
    """Small tensors that share a blob."""
    bundle: list[Kept] = []
    size = 0
    for item in items:
        if size + item.source.count > SHARED_VALUES:
            yield bundle
            bundle, size = [], 0
        bundle.append(item)
        size += item.source.count
    if bundle:
        yield bundle
