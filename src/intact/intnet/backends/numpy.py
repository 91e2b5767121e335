"""NumPy backend: matrix products in floating point where the bound proves them exact.

`intact.intnet.backends.numpy_kernels` has the operations. ``threads`` splits the bands; meanwhile
BLAS has one thread, or its own would wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intact.intnet import ops
from intact.intnet.backends import Runner
from intact.intnet.backends.bands import through, walk
from intact.intnet.backends.blas import ONE_BLAS_THREAD
from intact.intnet.backends.helpers import Helpers
from intact.intnet.backends.numpy_band import Band
from intact.intnet.backends.numpy_kernels import Kernel, kernel_of
from intact.intnet.backends.plan import Segment, plan
from intact.intnet.backends.rounding import nearest
from intact.intnet.bounds import check_bounds
from intact.intnet.infer import infer, sizes_of
from intact.intnet.program import Program, dtype_of

BAND_ELEMENTS = 1 << 18  # per band and operation: about a megabyte of float32, half a typical L2


@dataclass(frozen=True, eq=False)
class _NumpyRunner:
    program: Program
    segments: tuple[tuple[Segment, tuple[Kernel, ...]], ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run all segments; see `intact.intnet.backends.Runner`."""
        ops.check_inputs(self.program, inputs, level)
        with ONE_BLAS_THREAD:
            return self._run(inputs, int(level), threads)

    def _run(
        self, inputs: Mapping[str, np.ndarray], level: int, threads: int
    ) -> dict[str, np.ndarray]:
        infos = infer(self.program)
        height, width, _ = next(iter(inputs.values())).shape
        sizes = sizes_of(self.program, height, width)
        stored = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        # Buffers are local to a run: a runner may be shared by threads.
        workers = [Band(stored) for _ in range(max(1, threads))]
        with Helpers(len(workers) - 1) as helpers:
            self._segments(workers, sizes, level, helpers)
        return {
            name: stored[name].astype(
                dtype_of(infos[name].low, infos[name].high), copy=name in inputs
            )
            for name in self.program.outputs
        }

    def _segments(
        self,
        workers: list[Band],
        sizes: Mapping[str, tuple[int, int]],
        level: int,
        helpers: Helpers,
    ) -> None:
        """Run all segments; each worker's bands are one piece of work."""
        infos, stored = infer(self.program), workers[0].stored

        def make(name: str) -> np.ndarray:
            info = infos[name]
            return np.empty((*sizes[name], info.channels), dtype_of(info.low, info.high))

        stretches = walk(self.segments, sizes, stored, make, BAND_ELEMENTS)
        for segment, kernels, width, bands in stretches:
            pieces = deque(
                (worker, bands[index :: len(workers)])
                for index, worker in enumerate(workers)
                if index < len(bands)
            )

            def work(
                *,
                pieces: deque[tuple[Band, list[tuple[int, int]]]] = pieces,
                part: Segment = segment,
                steps: tuple[Kernel, ...] = kernels,
                columns: int = width,
            ) -> None:
                with nearest():  # here, because the mode is the thread's
                    while True:
                        try:
                            worker, mine = pieces.popleft()  # gives each to one thread
                        except IndexError:
                            return
                        _run_bands(worker, mine, part, steps, columns, level)

            helpers.share(work, len(pieces) - 1)


def _run_bands(
    band: Band,
    bands: list[tuple[int, int]],
    segment: Segment,
    kernels: tuple[Kernel, ...],
    width: int,
    level: int,
) -> None:
    def keep(name: str) -> None:
        target = band.stored[name][band.first : band.last]
        values = band.values[name][: band.count]
        np.copyto(target, values.reshape(target.shape), casting="unsafe")

    band.slots, band.width = segment.slots, width
    for band.first, band.last in bands:
        band.values = {}
        through(band, segment, kernels, level, keep)


def prepare(program: Program) -> Runner:
    """Check a program's bounds and choose the arithmetic of each layer.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    check_bounds(program)
    infos = infer(program)
    with nearest():
        segments = tuple(
            (segment, tuple(kernel_of(op, infos) for op in segment.ops))
            for segment in plan(program)
        )
    return _NumpyRunner(program, segments)
