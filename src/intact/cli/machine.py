"""What computes on this machine: which backends there are, which are exact, how fast each is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intact.cli.progress import Bar

if TYPE_CHECKING:
    from intact.codec.model import Model
    from intact.intnet.backends.choose import Name

ABSENT = {"native": "not built: there was no C compiler when this was installed"}
SIDES = {"reference": 64}
"""Pixels on a side of the square that is timed; the reference takes as long for fewer."""
SIDE = 256
RUNS = 2


@dataclass(frozen=True)
class Entry:
    """A backend here.

    Attributes:
        name: of the backend.
        available: it can be loaded.
        exact: all its probes gave the integers of the definition.
        reason: why it is (not), in words.
        speed: megapixels per second of a decoder's networks; 0 where it is not exact, or not timed.
    """

    name: Name
    available: bool
    exact: bool
    reason: str
    speed: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What is known of this machine.

    Attributes:
        backends: all there could be.
        used: the one that decodes where none is asked for.
        why: it is that one, in words.
        instructions: that the native backend uses; "" without it.
        coder: of entropy, "native" or "python".
        threads: that were used for the speeds.
    """

    backends: Sequence[Entry]
    used: str
    why: str
    instructions: str
    coder: str
    threads: int

    @property
    def not_exact(self) -> list[Entry]:
        """Backends that are here and wrong."""
        return [entry for entry in self.backends if entry.available and not entry.exact]

    def lines(self) -> list[str]:
        """For people."""
        found = [f"Decoding is exact on this machine: {self.used} computes, {self.why}."]
        for entry in self.backends:
            text = f"exact, {entry.reason}" if entry.exact else entry.reason
            if entry.available and not entry.exact:
                text = f"NOT exact, not used: {text}"
            if entry.name == "native" and entry.exact:
                text += f", instructions {self.instructions}"
            speed = f"{entry.speed:8.3g} Mpx/s  " if entry.speed else " " * 16
            found.append(f"  {entry.name:10}{speed}{text}")
        plural = "s" if self.threads > 1 else ""
        found.append(
            f"  (networks of a decoder, {self.threads} thread{plural}; entropy coder: {self.coder})"
        )
        return found

    def facts(self) -> dict[str, Any]:
        """For machines."""
        return {
            "exact": not self.not_exact,
            "used": self.used,
            "why": self.why,
            "instructions": self.instructions,
            "entropy_coder": self.coder,
            "threads": self.threads,
            "backends": [
                {
                    "name": entry.name,
                    "available": entry.available,
                    "exact": entry.exact,
                    "reason": entry.reason,
                    "megapixels_per_second": entry.speed or None,
                }
                for entry in self.backends
            ],
        }


def examine(model: Model, threads: int, *, quiet: bool = False, timed: bool = True) -> Verdict:
    """Try every backend on a model's programs, with all probes, and time those that are exact.

    Args:
        model: whose programs.
        threads: for the speeds; 0 takes all cores.
        quiet: show no progress.
        timed: somebody wants to know the speeds; else they are 0.
    """
    from intact.bits import fast
    from intact.codec.runtime import Runtime
    from intact.intnet.backends import choose, native

    threads = Runtime(threads=threads).networks(model, 1, ()).threads
    present, entries = choose.available(), []
    with Bar("proving", len(choose.NAMES), quiet=quiet) as bar:
        for name in choose.NAMES:
            bar.note(name)
            reason = "" if name in present else ABSENT.get(name, "not installed")
            if not reason:
                proofs = (choose.prove(name, p, thorough=True) for p in model.programs.values())
                reason = next((proof.reason for proof in proofs if not proof.ok), "")
                if reason and name not in choose.refusals():
                    choose.refuse(name, reason)
            said = reason or ("by definition" if name == "reference" else "proven")
            speed = _speed(model, name, threads) if timed and not reason else 0.0
            entries.append(Entry(name, name in present, not reason, said, speed))
            bar.advance()
    programs = [model.programs[role] for role in model.decoding]
    used = choose.choose(programs, 1).name
    instructions = native.isa() if "native" in present else ""
    coder = "native" if fast.is_native() else "python"
    return Verdict(entries, used, _why(used, entries), instructions, coder, threads)


def _why(used: str, entries: Sequence[Entry]) -> str:
    """Why a backend is the one that is used."""
    before = entries[: [entry.name for entry in entries].index(used)]
    reasons = []
    for entry in before:
        if entry.exact and entry.name == "onnx":
            reasons.append("onnx is taken only where it is asked for")
        elif entry.exact:  # torch
            reasons.append(f"{entry.name} would only be loaded for large images without native")
        else:
            state = "not exact here" if entry.available else "not here"
            reasons.append(f"{entry.name} is {state}")
    return "; ".join(["the first that is exact", *reasons]) if reasons else "the fastest there is"


def _speed(model: Model, name: Name, threads: int) -> float:
    """Megapixels per second of the networks that decode."""
    from intact.intnet.backends import choose
    from intact.intnet.backends.forms import mixed

    side = SIDES.get(name, SIDE)
    todo = []
    for role in model.roles:
        if role.decoding:
            program, positions = model.programs[role.name], max(side // role.px, 1)
            inputs = {
                value.name: mixed(value.low, value.high, (positions, positions, value.channels), 0)
                for value in program.inputs
            }
            todo.append((choose.Chosen(name)(program), inputs))
    best = float("inf")
    for _ in range(1 if name == "reference" else RUNS):
        begin = time.perf_counter()
        for runner, inputs in todo:
            runner(inputs, level=0, threads=threads)
        best = min(best, time.perf_counter() - begin)
    return side**2 / 1e6 / best
