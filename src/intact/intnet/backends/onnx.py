"""ONNX Runtime backend: a program as the graph of `intact.intnet.backends.onnx_graph`, on the CPU.

Graphs are made here and given as bytes: no file is read, no name of another file in one is
followed. The CPU's provider is the only one asked for, whatever else is installed.

Whether a library's sums are what the graph says is for `choose` to prove, as of any other.
onnxruntime is imported here and nowhere else: import this module only to use it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingImports] - optional, and not for developing

from intact.intnet import ops
from intact.intnet.backends import Runner
from intact.intnet.backends.onnx_graph import Network, network
from intact.intnet.backends.rounding import nearest
from intact.intnet.infer import infer, sizes_of
from intact.intnet.program import Program, dtype_of
from intact.locks import Lock

PROVIDERS = ["CPUExecutionProvider"]
_SESSIONS = 2  # that a program keeps: each has threads of its own
_LOCK = Lock()
_ERRORS = 3  # of ONNX Runtime's severities: it warns of what is no concern


def session(content: bytes, threads: int) -> Any:
    """An InferenceSession of a graph's bytes, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _ERRORS
    options.enable_mem_pattern = False  # a plan for each size of image would be kept for ever
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=PROVIDERS)


@dataclass(frozen=True, eq=False)
class _OnnxRunner:
    program: Program
    network: Network
    _sessions: dict[tuple[int, int], Any] = field(default_factory=dict)

    def __call__(
        self, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        """Run the graph; see `intact.intnet.backends.Runner`."""
        ops.check_inputs(self.program, inputs, level)
        height, width, _ = next(iter(inputs.values())).shape
        sizes_of(self.program, height, width)
        infos, feed = infer(self.program), {}
        for name, array in inputs.items():
            kind = dtype_of(infos[name].low, infos[name].high)
            feed[self.network.inputs[name]] = np.array(array, dtype=kind, order="C")
        if self.network.level:
            feed[self.network.level] = np.array(level, np.int64)
        names = list(self.network.outputs.values())
        with nearest():  # its threads inherit the rounding mode when they are made
            found = self._session_of(max(1, threads)).run(names, feed)
        results = zip(self.network.outputs, found, strict=True)
        return {name: np.asarray(array) for name, array in results}

    def _session_of(self, threads: int) -> Any:
        key = os.getpid(), threads  # a forked child has none of its parent's threads
        with _LOCK:
            if key not in self._sessions:
                if len(self._sessions) >= _SESSIONS:  # whoever runs one holds it on
                    self._sessions.clear()
                self._sessions[key] = session(self.network.content, threads)
            return self._sessions[key]


def prepare(program: Program) -> Runner:
    """Check a program's bounds and write its graph; sessions are made when they are asked for.

    Raises:
        ModelError: the program is not valid or may overflow.
    """
    return _OnnxRunner(program, network(program))
