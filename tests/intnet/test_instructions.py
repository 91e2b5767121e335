"""Instructions can be taken away, by name, and are given up where they are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from intact.errors import ArgumentError, UnsupportedError
from intact.intnet import ops
from intact.intnet.backends import brief, choose, forms, native
from intact.intnet.backends.native import instructions, run
from intact.intnet.backends.native.instructions import ISA_NAMES, VARIABLE
from intact.intnet.program import Program

built = pytest.mark.skipif("native" not in choose.available(), reason="not built")


class Library:
    """Says that the machine has everything."""

    def intact_intnet_isa(self) -> int:
        return len(ISA_NAMES) - 1


ALL = Library()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "amx"), (" ", "amx"), ("amx", "amx"), ("avx512vnni", "avx512"), ("AVX512", "avx512"),
     ("avx2", "avx2"), ("portable", "portable")],
)  # fmt: skip
def test_the_environment_takes_instructions_away(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.setattr(instructions, "_wrong", len(ISA_NAMES))
    monkeypatch.setenv(VARIABLE, text)
    assert ISA_NAMES[instructions.best(ALL)] == expected  # type: ignore[arg-type]


@built
@pytest.mark.parametrize("text", ["avx3", "best", "avx512 avx2", "x" * 5000])
def test_a_name_that_is_none_is_an_error_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, block: Callable[..., Program], text: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    for use in (native.isa, lambda: choose.choose([block()], 1), lambda: native.prepare(block())):
        with pytest.raises(ArgumentError, match=r"INTACT_MAX_ISA is .*legal: portable, avx2") as e:
            use()
        assert len(str(e.value)) < 300


@built
@pytest.mark.parametrize("isa", ISA_NAMES)
def test_a_process_runs_with_what_is_left_and_is_exact(isa: str) -> None:
    here = run._library().intact_intnet_isa()
    code = (
        "from intact.intnet.backends import choose, forms, native\n"
        "print(choose.choose([forms.layers()], 1, 'native').name, native.isa())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, VARIABLE: isa},
    )  # fmt: skip
    assert done.stdout.split() == ["native", ISA_NAMES[min(here, ISA_NAMES.index(isa))]]


@built
def test_what_is_taken_away_cannot_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, block: Callable[..., Program]
) -> None:
    monkeypatch.setenv(VARIABLE, "portable")
    with pytest.raises(UnsupportedError, match="instruction set avx2; there is portable here"):
        native.prepare(block(), isa="avx2")


@built
@pytest.mark.parametrize("wrong", range(1, len(ISA_NAMES)))
def test_where_the_best_instructions_are_wrong_lesser_ones_are_used(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    block: Callable[..., Program],
    wrong: int,
) -> None:
    """A kernel that sums wrong stands in for a processor that does (AMX once, under oneDNN)."""
    if ISA_NAMES.index(native.isa()) < wrong:
        pytest.skip("this machine does not have them")
    monkeypatch.setattr(instructions, "_wrong", len(ISA_NAMES))
    fresh = forms.layers.__wrapped__()
    for module in (brief, forms):
        monkeypatch.setattr(module, "layers", lambda: fresh)
    true = run.NativeRunner.__call__

    def sums_wrong(
        self: run.NativeRunner, inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
    ) -> dict[str, np.ndarray]:
        results = true(self, inputs, level=level, threads=threads)
        if ISA_NAMES.index(self.isa) >= wrong:
            next(iter(results.values()))[0, 0, 0] ^= 1
        return results

    monkeypatch.setattr(run.NativeRunner, "__call__", sums_wrong)
    program = block()
    chosen = choose.choose([program], 1, "native")
    assert (chosen.name, native.isa()) == ("native", ISA_NAMES[wrong - 1])
    assert f"instructions {ISA_NAMES[wrong]} are not used: " in caplog.text
    x = {"x": np.ones((3, 2, 16), np.int16)}
    assert np.array_equal(chosen(program)(x, level=1)["t0"], ops.run(program, x, 1)["t0"])


def test_below_the_last_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_wrong", len(ISA_NAMES))
    monkeypatch.setenv(VARIABLE, "portable")
    assert not instructions.step_down(ALL, "wrong")  # type: ignore[arg-type]
