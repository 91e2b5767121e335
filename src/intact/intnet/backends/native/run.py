"""Native backend: fused C kernels with 8-bit dot products, by the best instructions there are.

Exact by construction: products and sums are integers (modulo 2**32, below 2**31 by proof), the
rounding division is a multiplication that rule 1 proves, in float64 where it does not hold. The
library is `intact.native.library`; without it `prepare` raises and another backend serves.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Mapping
from typing import Literal

import numpy as np

from intact import native
from intact.errors import UnsupportedError
from intact.intnet import ops
from intact.intnet.backends.helpers import Helpers
from intact.intnet.backends.native import instructions
from intact.intnet.backends.native.instructions import ISA_NAMES, best, has
from intact.intnet.backends.native.lower import lower_program
from intact.intnet.backends.native.pack import ZEROS, OpStruct, SlotStruct, fill
from intact.intnet.backends.native.packed import SLACK, Packed, aligned
from intact.intnet.backends.rounding import nearest
from intact.intnet.bounds import check_bounds
from intact.intnet.infer import infer, sizes_of
from intact.intnet.program import Program, dtype_of, sources

Isa = Literal["auto", "portable", "avx2", "avx512", "amx"]

BYTES_KEPT = 1 << 25  # of buffers from one run to the next: fresh pages cost a tenth of a small run
SHARE = 3  # a piece of a segment is 1 / (SHARE * threads) of what is left


def isa() -> str:
    """The instruction set in use: the best of this machine that is allowed and has kernels.

    Raises:
        ArgumentError: the environment (`INTACT_MAX_ISA`) names none.
        UnsupportedError: there is no native library.
    """
    return ISA_NAMES[best(_library())]


def step_down(reason: str) -> bool:
    """Use lesser instructions from now on, because these are wrong; False if there are none."""
    try:
        library = _library()
    except UnsupportedError:
        return False
    return instructions.step_down(library, reason)


def prepare(program: Program, *, isa: Isa = "auto") -> NativeRunner:
    """Check a program's bounds and pack it for the native kernels.

    Args:
        program: any valid program.
        isa: instruction set to use, for tests; by default the best.

    Raises:
        ModelError: the program is not valid or may overflow.
        UnsupportedError: there is no native library, this machine lacks ``isa`` or may not use it,
            or a table leaves 16 bits.
        ValueError: an unknown ``isa``, here or in the environment.
    """
    library = _library()
    if isa != "auto" and isa not in ISA_NAMES:
        raise ValueError(f"instruction set {isa!r}, legal: auto, {', '.join(ISA_NAMES)}")
    most = has(library)
    number = best(library) if isa == "auto" else ISA_NAMES.index(isa)
    if number > most:
        raise UnsupportedError(f"instruction set {isa}; there is {ISA_NAMES[most]} here")
    check_bounds(program)
    with nearest():  # reciprocals are made in NumPy
        return NativeRunner(program, number, library)


def _library() -> ctypes.CDLL:
    library = native.library()
    if library is None:
        raise UnsupportedError("the native library is not built")
    sizes = ctypes.sizeof(OpStruct) * 1024 + ctypes.sizeof(SlotStruct)
    if library.intact_intnet_layout() != sizes:
        raise UnsupportedError("the native library is of another version")
    library.intact_intnet_run.argtypes = (
        ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32,
    )  # fmt: skip
    library.intact_intnet_run.restype = ctypes.c_int32
    return library


class NativeRunner:
    """A packed program; see `intact.intnet.backends.Runner`. Threads may share it.

    Attributes:
        program: the program.
        isa: name of the instruction set it runs with.
    """

    def __init__(self, program: Program, isa: int, library: ctypes.CDLL) -> None:
        self.program = program
        self.isa = ISA_NAMES[isa]
        self._isa = isa
        self._library = library
        self._parts = tuple(Packed(segment) for segment in lower_program(program, isa))
        self._zeros = aligned(2 * ZEROS)
        self._zeros[:ZEROS], self._zeros[ZEROS:] = 0, 128
        self._slots = {
            name: part.segment.slots[name] for part in self._parts for name in part.segment.stores
        }
        # Outputs that nobody reads: kernels may read beyond a value's end, but not beyond an array.
        read = {name for op in program.ops for name in sources(op)}
        read |= {value.name for value in program.inputs}
        self._spare: dict[int, list[np.ndarray]] = {}
        self._spare_lock = threading.Lock()
        self._direct = {
            name for name in program.outputs
            if name not in read and self._slots[name].bytes == self.dtype(name).itemsize
        }  # fmt: skip

    def dtype(self, name: str) -> np.dtype:
        """The dtype in which the caller sees a value."""
        info = infer(self.program)[name]
        return dtype_of(info.low, info.high)

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run all segments; results never depend on ``threads``."""
        ops.check_inputs(self.program, inputs, level)
        height, width, _ = next(iter(inputs.values())).shape
        run = _Run(self, sizes_of(self.program, height, width), int(level))
        for name, array in inputs.items():
            run.outer[f"{name}@input"] = np.ascontiguousarray(array, dtype=self.dtype(name))
        with Helpers(threads - 1) as helpers:
            for part in self._parts:
                run.segment(part, helpers, threads)
        results = {name: run.result(name) for name in self.program.outputs}
        self.put_spare(run.leftovers())
        return results

    def take_spare(self) -> dict[int, list[np.ndarray]]:
        """The buffers of earlier runs; they are the caller's now."""
        with self._spare_lock:
            spare, self._spare = self._spare, {}
        return spare

    def put_spare(self, spare: dict[int, list[np.ndarray]]) -> None:
        """Keep buffers for the next run, in place of those of a run beside this one."""
        with self._spare_lock:
            self._spare = spare

    def call(self, structs: object, slots: object, part: Packed, span: tuple[int, ...]) -> None:
        """Run a segment on ``span``: width of the grid, first pixel, end."""
        scratch = aligned(part.segment.scratch_bytes)
        status = self._library.intact_intnet_run(
            structs, len(part.template), slots, *span, part.segment.chunk, scratch.ctypes.data,
            self._zeros.ctypes.data, self._isa,
        )  # fmt: skip
        assert status == 0, f"step without a kernel for {self.isa}"


def pieces(total: int, chunk: int, threads: int) -> list[tuple[int, int]]:
    """Cut a segment's pixels into spans that threads take turns at, ever smaller ones.

    Large ones first, so that there are few calls; small ones last, so that no thread waits long for
    another that began its last one late, or whose core is busy with something else.
    """
    if threads == 1:
        return [(0, total)]
    spans, at = [], 0
    while at < total:
        size = -(-(total - at) // (SHARE * threads) // chunk) * chunk
        spans.append((at, min(at + size, total)))
        at = spans[-1][1]
    return spans


class _Run:
    """One run: its sizes and its values at full size. Buffers of dead values serve again."""

    def __init__(self, runner: NativeRunner, sizes: dict[str, tuple[int, int]], level: int) -> None:
        self.runner = runner
        self.sizes = sizes
        self.level = level
        self.outer: dict[str, np.ndarray] = {}  # the caller's arrays
        self.values: dict[str, np.ndarray] = {}
        self.spare = runner.take_spare()

    def size(self, name: str) -> int:
        """Bytes of a value at full size."""
        height, width = self.sizes[name]
        return height * width * self.runner._slots[name].stride

    def make(self, name: str) -> None:
        """Find memory for a value."""
        if name in self.runner._direct:
            shape = (*self.sizes[name], self.runner._slots[name].channels)
            self.outer[name] = np.empty(shape, dtype=self.runner.dtype(name))
            return
        spare = self.spare.get(self.size(name))
        self.values[name] = spare.pop() if spare else aligned(self.size(name) + SLACK)

    def segment(self, part: Packed, helpers: Helpers, threads: int) -> None:
        """Run one segment, in pieces that threads take turns at."""
        segment = part.segment
        for name in segment.stores:
            if name in segment.reuses:
                self.values[name] = self.values[segment.reuses[name]]
            else:
                self.make(name)
        slots = (SlotStruct * len(segment.slots))()
        for struct, (name, slot) in zip(slots, segment.slots.items(), strict=True):
            fill(struct, offset=slot.offset, stride=slot.stride)
            if slot.offset < 0:
                outer = self.outer.get(name)
                buffer = self.values[name] if outer is None else outer
                struct.data = buffer.ctypes.data
                if outer is not None:
                    fill(struct, stride=slot.channels * slot.bytes)
                height, width = self.sizes[name.removesuffix("@input")]
                fill(struct, height=height, width=width)
        structs, keep = part.structs(self.level)
        height, width = self.sizes[segment.grid]
        total = height * width
        spans = deque((width, *span) for span in pieces(total, segment.chunk, threads))

        def work(held: object = keep) -> None:  # its arrays are read until the last thread is done
            try:
                while True:
                    try:
                        span = spans.popleft()  # gives each to one thread, GIL or not
                    except IndexError:
                        return
                    self.runner.call(structs, slots, part, span)
            except BaseException:
                spans.clear()  # the result is lost: nobody needs to finish it
                raise

        # The caller works, too: until another thread has woken up it has done a piece.
        helpers.share(work, len(spans) - 1)
        for name in segment.frees:
            buffer = self.values.pop(name)
            if name not in segment.reuses.values():
                self.spare.setdefault(self.size(name), []).append(buffer)

    def leftovers(self) -> dict[int, list[np.ndarray]]:
        """Buffers for the next run, small ones first. The results are copies or not among them."""
        for name, buffer in self.values.items():
            self.spare.setdefault(self.size(name), []).append(buffer)
        kept: dict[int, list[np.ndarray]] = {}
        total = 0
        for size in sorted(self.spare):
            fits = self.spare[size][: (BYTES_KEPT - total) // max(size, 1)]
            total += size * len(fits)
            if fits:
                kept[size] = fits
        return kept

    def result(self, name: str) -> np.ndarray:
        """An output as the caller wants it."""
        slot, dtype = self.runner._slots[name], self.runner.dtype(name)
        if name in self.outer:
            array = self.outer[name]
            if slot.zero:
                raw = array.view(np.uint8)
                np.bitwise_xor(raw, np.uint8(slot.zero), out=raw)
            return array
        rows = self.values[name][: self.size(name)].reshape(-1, slot.stride)
        used = np.ascontiguousarray(rows[:, : slot.channels * slot.bytes])
        if slot.bytes == 1:
            array = (used ^ np.uint8(slot.zero)).view(np.int8 if slot.zero else np.uint8)
        else:
            array = used.view(np.int16)
        return array.astype(dtype).reshape(*self.sizes[name], slot.channels)
