"""Take the fastest backend that proves itself.

Every backend must give the integers of `intact.intnet.ops`. Libraries and processors have bugs, so
none is believed: before a backend runs a program in this process it runs the probes of
`intact.intnet.backends.probe`, and a wrong element or an exception puts the next one in its place,
with a line in the log. All backends give the same result, so the choice is one of speed only.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from intact.errors import ArgumentError, ModelError
from intact.intnet.backends import Prepare, Runner, brief, forms, native
from intact.intnet.program import Program
from intact.native import library

Name = Literal["native", "torch", "onnx", "numpy", "reference"]
NAMES: tuple[Name, ...] = ("native", "torch", "onnx", "numpy", "reference")
ASKED_FOR: tuple[Name, ...] = ("torch", "onnx")
"""Not taken by themselves: torch only where it pays, ONNX Runtime nowhere (docs/decisions/0017)."""
OWN_KERNELS: tuple[Name, ...] = ("native",)  # not a library's: see `intact.intnet.backends.brief`
TORCH_PIXELS = 4_000_000  # importing torch takes 1.3 s: only larger images repay it

_LOG = logging.getLogger(__name__)
# All state there is, for the life of the process: backends found wrong at run time (see `refuse`),
# and what has been said.
_REFUSED: dict[str, str] = {}
_SAID: set[tuple[str, str]] = set()  # failures that the log has, so that it has each once
_SAID_MAX = 1000


@dataclass(frozen=True)
class Proof:
    """Outcome of a backend's probes.

    Attributes:
        backend: its name.
        ok: every probe equals `ops`.
        reason: what was wrong, empty if nothing.
    """

    backend: str
    ok: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Chosen:
    """A proven backend; call it with one of the programs to get a runner."""

    name: Name

    def __call__(self, program: Program) -> Runner:
        """Prepare a program; the runner is kept as long as the program.

        Raises:
            ModelError: the program may overflow.
        """
        return _runner(self.name, program)


def available() -> tuple[Name, ...]:
    """Backends that can run here, fastest first; nothing is imported to find out."""
    present = {
        "native": library() is not None,
        "torch": importlib.util.find_spec("torch") is not None,
        "onnx": importlib.util.find_spec("onnxruntime") is not None,
        "numpy": True,
        "reference": True,
    }
    return tuple(name for name in NAMES if present[name])


def backend(name: Name) -> Prepare:
    """The ``prepare`` function of a backend, which is imported now."""
    module = importlib.import_module(f"intact.intnet.backends.{name}")
    return cast(Prepare, module.prepare)


def prove_prepare(name: str, prepare: Prepare, program: Program) -> Proof:
    """Run all probes of a program on any ``prepare`` function.

    Raises:
        ModelError: the program may overflow; no backend could run it.
        MemoryError: there is too little memory to tell.
    """
    from intact.intnet.backends.probe import cases
    from intact.intnet.backends.trial import difference

    todo = program.once("cases", lambda: cases(program))
    return _proof(name, lambda: difference(prepare, todo, program))


def _proof(name: str, find: Callable[[], str]) -> Proof:
    """Find out what a backend gets wrong."""
    try:
        reason = find()
    except (ModelError, ArgumentError, MemoryError):  # a shortage says nothing of exactness
        raise
    except Exception as error:  # a library that fails in any way at all is not to be used
        reason = f"{type(error).__name__}: {error}"
    return Proof(name, not reason, reason)


def prove(name: Name, program: Program, *, thorough: bool = False) -> Proof:
    """Prove a backend on a program, once per process and program.

    Args:
        name: of the backend.
        program: what it is to run.
        thorough: with all probes; else a backend of our own kernels has the brief trial.

    Raises:
        ModelError: the program may overflow.
        ArgumentError: the environment names no instruction set (see `native.instructions`).
        MemoryError: there is too little memory to tell; ask again.
    """
    if name in _REFUSED:
        return Proof(name, ok=False, reason=_REFUSED[name])
    if name == "reference":
        return Proof(name, ok=True, reason="")  # it is the definition
    if name not in OWN_KERNELS:
        thorough = True
    key = f"proof {name}{', thorough' if thorough else ''}"
    return program.once(key, lambda: _prove(name, program, thorough=thorough))


def _prove(name: Name, program: Program, *, thorough: bool) -> Proof:
    try:
        prepare = _keeping(name, program)
    except (ImportError, OSError, RuntimeError) as error:
        return Proof(name, ok=False, reason=f"cannot be loaded: {error}")
    if thorough:
        return prove_prepare(name, prepare, program)
    kernels = forms.layers().once(f"proof {name}", lambda: _kernels(name, prepare))
    return _proof(name, lambda: brief.wrong(prepare, program)) if kernels.ok else kernels


def _kernels(name: Name, prepare: Prepare) -> Proof:
    """Prove kernels of our own; where some instructions are wrong, lesser ones may be right."""
    while True:
        proof = _proof(name, lambda: brief.wrong_kernels(prepare))
        if proof.ok or not native.step_down(proof.reason):
            return proof


def _keeping(name: Name, program: Program) -> Prepare:
    """``prepare`` of a backend, which keeps the program's own runner for use."""
    prepare = backend(name)
    return lambda todo: _runner(name, todo) if todo is program else prepare(todo)


def _runner(name: Name, program: Program) -> Runner:
    """The runner of a program, kept as long as it."""
    return program.once(f"runner {name}", lambda: backend(name)(program))


def refuse(name: Name, reason: str) -> None:
    """Never choose a backend again in this process: its pixels failed a file's checksum."""
    _LOG.warning("backend %s is refused from now on: %s", name, reason)
    _REFUSED[name] = reason


def refusals() -> dict[str, str]:
    """Backends that `refuse` was told of in this process, and why."""
    return dict(_REFUSED)


def choose(
    programs: Sequence[Program], pixels: int, name: Name | Literal["auto"] = "auto"
) -> Chosen:
    """The first backend whose probes pass on all programs.

    Args:
        programs: all that will run.
        pixels: of the image; torch is imported for large ones only, and only if the native
            extension is missing.
        name: ``auto``, or a backend to try before NumPy and the reference.

    Returns:
        A factory of runners.

    Raises:
        ValueError: ``name`` is unknown or not available here, or the environment names no
            instruction set (`intact.intnet.backends.native.instructions`).
        ModelError: a program may overflow.
    """
    present = available()
    order: list[Name]
    if name == "auto":
        order = [item for item in present if item not in ASKED_FOR]
        if "torch" in present and _torch_pays(present, pixels):
            order.insert(order.index("numpy"), "torch")
    elif name not in present:
        raise ArgumentError(f"backend {name!r} is not available; legal: auto, {', '.join(present)}")
    else:
        fallbacks: tuple[Name, ...] = ("numpy", "reference")
        order = [name, *(item for item in fallbacks if item != name)]
    for candidate in order:
        failed = next(
            (proof for program in programs if not (proof := prove(candidate, program)).ok), None
        )
        if failed is None:
            return Chosen(candidate)
        _say_once(candidate, failed.reason)
    raise AssertionError("the reference backend always proves itself")


def _say_once(name: Name, reason: str) -> None:
    """Log why a backend is not used; `choose` runs for every image, and the reason stays."""
    if (name, reason) in _SAID or name in _REFUSED:  # `refuse` has said it
        return
    if len(_SAID) < _SAID_MAX:
        _SAID.add((name, reason))
        _LOG.warning("backend %s is not used: %s", name, reason)


def _torch_pays(present: tuple[Name, ...], pixels: int) -> bool:
    return "torch" in sys.modules or ("native" not in present and pixels > TORCH_PIXELS)
