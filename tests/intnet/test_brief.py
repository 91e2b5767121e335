"""The short trial notices what the long one does, and trusts no hash that does not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from intact import models
from intact.codec import store
from intact.intnet import ops
from intact.intnet.backends import Prepare, Runner, brief, choose, forms, numpy as numpy_backend
from intact.intnet.backends.forms import layers, mixed
from intact.intnet.backends.native import instructions, pack
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.backends.native.lower import lower_program
from intact.intnet.program import Conv, Program

Block = Callable[..., Program]


def test_what_is_remembered_of_the_layers_is_what_the_reference_computes() -> None:
    assert brief.result_of(layers()) == brief.LAYERS_RESULT


def test_what_is_remembered_of_shipped_models_is_what_the_reference_computes() -> None:
    shipped = [store.read_model(path) for path in sorted(models.FOLDER.glob("*.intactm"))]
    assert {model.id.hex(): store.results_of(model) for model in shipped} == models.RESULTS


def test_numbers_are_the_same_everywhere() -> None:
    found = mixed(-128, 127, (12,), 3)
    assert found.tolist() == [-128, 1, 118, 18, 127, -128, -9, -128, -128, -126, 118, 127]
    wide = mixed(-32768, 32767, (30_000,), 0)
    assert (wide.min(), wide.max()) == (-32768, 32767)
    assert abs(float(wide.mean())) < 500


@pytest.mark.parametrize("isa", range(len(ISA_NAMES)))
def test_the_layers_reach_every_kernel(isa: int) -> None:
    steps = [step for segment in lower_program(layers(), isa) for step in segment.steps]
    found = Counter((step.kind, step.numbers.get("divide")) for step in steps)
    pointwise = {pack.COPY, pack.WIDEN, pack.REQUANTIZE, pack.SCALE, pack.ADD}
    pointwise |= {pack.TABLE, pack.SHUFFLE, pack.UNSHUFFLE, pack.IM2COL}
    assert pointwise <= {kind for kind, _ in found}
    products = {pack.GEMM16, pack.DEPTHWISE}
    for kind in products | ({pack.GEMM8, pack.DEPTHWISE8} if isa else set()):
        divisions = {divide for found_kind, divide in found if found_kind == kind}
        # The one layer that is rounded in float64 goes another way.
        only_float = {(pack.AVX2, pack.GEMM8)} | {
            (number, pack.DEPTHWISE) for number in range(pack.AVX2, len(ISA_NAMES))
        }
        assert divisions == ({pack.FLOAT} if (isa, kind) in only_float else {0, 1}), (kind, found)
    for kind in (pack.IM2COL, pack.DEPTHWISE8 if isa else pack.DEPTHWISE):
        assert {step.numbers["edge"] for step in steps if step.kind == kind} == {0, 1}
    if isa >= pack.AMX:  # more than a tile of inputs and of outputs, and tiles that are not full
        shapes = {step.arrays["weights"].shape[:2] for step in steps if step.kind == pack.GEMM8}
        assert {(1, 1), (3, 2)} <= shapes


def broken(change: Callable[[dict[str, np.ndarray], int], None]) -> Prepare:
    """An exact backend whose results are changed: what comes out and the number of threads."""

    def prepare(program: Program) -> Runner:
        exact = numpy_backend.prepare(program)

        def run(
            inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
        ) -> dict[str, np.ndarray]:
            results = exact(inputs, level=level, threads=threads)
            change(results, threads)
            return results

        return run

    return prepare


def off_by_one(results: dict[str, np.ndarray], threads: int) -> None:
    last = results[list(results)[-1]]
    last[-1, -1, -1] ^= 1


def off_with_two_threads(results: dict[str, np.ndarray], threads: int) -> None:
    if threads > 1:
        off_by_one(results, threads)


@pytest.mark.parametrize("fault", [off_by_one, off_with_two_threads])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_single_wrong_element_is_found(block: Block, fault: Callable, remembered: bool) -> None:
    program = block()
    if remembered:
        brief.remember(program, brief.result_of(program))
    assert brief.wrong(numpy_backend.prepare, program) == ""
    reason = brief.wrong(broken(fault), program)
    assert "1 of" in reason
    assert ("threads 2" in reason) == (fault is off_with_two_threads)
    assert "1 of" in brief.wrong_kernels(broken(fault))


@pytest.mark.parametrize("index", range(len(layers().ops)))
def test_a_kernel_that_is_wrong_in_one_layer_is_found(index: int) -> None:
    op = layers().ops[index]
    if not isinstance(op, Conv):
        pytest.skip("no weights")
    weight = op.weight.copy()
    weight[::8] *= -1
    changed = list(layers().ops)
    changed[index] = replace(op, weight=weight)
    twin = replace(layers(), ops=tuple(changed))
    wrong = numpy_backend.prepare(twin)
    found = brief.wrong_kernels(
        lambda program: wrong if program is layers() else numpy_backend.prepare(program)
    )
    assert "layers: " in found


def test_a_wrong_hash_makes_no_backend_wrong_and_no_wrong_one_right(block: Block) -> None:
    program = block()
    brief.remember(program, "0" * 64)
    assert brief.wrong(numpy_backend.prepare, program) == ""
    assert brief.wrong(broken(off_by_one), program) != ""


def test_where_the_hash_matches_the_reference_is_not_asked(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = block()
    brief.remember(program, brief.result_of(program))
    monkeypatch.setattr(ops, "run", lambda *_: pytest.fail("it was asked"))
    assert brief.wrong(numpy_backend.prepare, program) == ""


@pytest.mark.skipif("native" not in choose.available(), reason="not built")
def test_kernels_that_are_wrong_are_used_for_no_program(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "_wrong", instructions._wrong)  # put back afterwards
    fresh = forms.layers.__wrapped__()
    for module in (brief, forms):
        monkeypatch.setattr(module, "layers", lambda: fresh)
    monkeypatch.setattr(brief, "LAYERS_RESULT", "0" * 64)
    monkeypatch.setattr(choose, "_SAID", set())
    real = choose.backend
    fault = broken(off_by_one)
    monkeypatch.setattr(choose, "backend", lambda name: fault if name == "native" else real(name))
    first, second = block(), block(channels=32)
    for program in (first, second):
        proof = choose.prove("native", program)
        assert (proof.ok, "1 of" in proof.reason) == (False, True)
        assert choose.choose([program], 1, "native").name == "numpy"
