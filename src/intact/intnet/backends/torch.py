"""torch backend: oneDNN u8 x s8 products with int32 accumulators, or float products by the bound.

`intact.intnet.backends.torch_kernels` has the operations.

Whether oneDNN's own sums are exact depends on the machine: without VNNI it adds pairs of products
in 16 bits and saturates them unless |weight| <= 64. This module does not ask; `choose` proves.
What the caller's torch is set to (autocast, reduced precision, default dtype) is put aside.
torch is imported here and nowhere else below the line: import this module only to use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intact.intnet import ops
from intact.intnet.backends import Runner
from intact.intnet.backends.bands import through, walk
from intact.intnet.backends.plan import Segment, plan
from intact.intnet.backends.rounding import nearest
from intact.intnet.backends.torch_kernels import Band, Kernel, kernel_of
from intact.intnet.bounds import check_bounds
from intact.intnet.infer import infer, sizes_of
from intact.intnet.program import Program, dtype_of

BAND_ELEMENTS = 1 << 19  # larger bands than NumPy's: a call costs more here


class _FullPrecision:
    """While anybody is inside, float32 products are float32 products, in the whole process.

    The caller may have allowed bfloat16 or TF32 for speed. That setting belongs to the process, so
    threads share one saved value: the first one in saves it, the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._restore: list[Callable[[], object]] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._restore = list(_set_full_precision())
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for restore in self._restore:
                    restore()
                self._restore = []


def _set_full_precision() -> Iterator[Callable[[], object]]:
    """Set what is not at full precision, and give what undoes it."""
    mkldnn = torch.backends.mkldnn
    settings: list[Any] = [getattr(mkldnn, name, None) for name in ("matmul", "conv")]
    if not all(hasattr(setting, "fp32_precision") for setting in settings):  # before torch 2.9
        before = torch.get_float32_matmul_precision()
        if before != "highest":
            torch.set_float32_matmul_precision("highest")
            yield lambda: torch.set_float32_matmul_precision(before)
        return
    for setting in settings:
        if setting.fp32_precision not in ("none", "ieee"):
            yield _replaced(setting, setting.fp32_precision)


def _replaced(setting: Any, before: str) -> Callable[[], None]:
    setting.fp32_precision = "ieee"

    def restore() -> None:
        # "none" inherits a wider setting: where that gives the old value, nothing was set here.
        setting.fp32_precision = "none"
        if setting.fp32_precision != before:
            setting.fp32_precision = before

    return restore


_FULL_PRECISION = _FullPrecision()


@contextmanager
def _exact() -> Iterator[None]:
    """Torch as the proof assumes it, whatever modes the caller is in."""
    with torch.autocast("cpu", enabled=False), torch.inference_mode(), _FULL_PRECISION, nearest():
        yield


@dataclass(frozen=True, eq=False)
class _TorchRunner:
    program: Program
    segments: tuple[tuple[Segment, tuple[Kernel, ...]], ...]

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run all segments; see `intact.intnet.backends.Runner`."""
        ops.check_inputs(self.program, inputs, level)
        height, width, _ = next(iter(inputs.values())).shape
        sizes = sizes_of(self.program, height, width)
        before = torch.get_num_threads()
        torch.set_num_threads(max(1, threads))
        try:
            with _exact():
                return self._run(inputs, sizes, int(level))
        finally:
            torch.set_num_threads(before)

    def _run(
        self, inputs: Mapping[str, np.ndarray], sizes: dict[str, tuple[int, int]], level: int
    ) -> dict[str, np.ndarray]:
        infos = infer(self.program)
        stored: dict[str, torch.Tensor] = {}
        for name, array in inputs.items():
            # Copies where torch would warn (read-only) or refuse (uint16, negative strides).
            kind = dtype_of(infos[name].low, infos[name].high)
            stored[name] = torch.from_numpy(np.array(array, dtype=kind, order="C"))
        band = Band(stored, infos)

        def make(name: str) -> torch.Tensor:
            info = infos[name]
            shape = (*sizes[name], info.channels)
            return torch.from_numpy(np.empty(shape, dtype_of(info.low, info.high)))

        def keep(name: str) -> None:
            target = stored[name][band.first : band.last]
            target.copy_(band.values[name].view(target.shape))

        stretches = walk(self.segments, sizes, stored, make, BAND_ELEMENTS)
        for segment, kernels, band.width, bands in stretches:
            for band.first, band.last in bands:
                band.values, band.shifted = {}, {}
                through(band, segment, kernels, level, keep)
        return {name: stored[name].numpy() for name in self.program.outputs}


def prepare(program: Program) -> Runner:
    """Check a program's bounds and pack the weights of each layer for oneDNN.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    check_bounds(program)
    infos = infer(program)
    with _exact():
        segments = tuple(
            (segment, tuple(kernel_of(op, infos) for op in segment.ops))
            for segment in plan(program)
        )
    return _TorchRunner(program, segments)
