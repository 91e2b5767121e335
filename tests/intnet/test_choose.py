import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.backends import Prepare, Runner, choose, numpy as numpy_backend, parts, probe
from intact.intnet.backends.blas import ONE_BLAS_THREAD
from intact.intnet.backends.helpers import Helpers
from intact.intnet.bounds import conv_bounds
from intact.intnet.infer import infer
from intact.intnet.program import Conv, Program, Requantize, Value, dtype_of, sources

Block = Callable[..., Program]


def broken(change: Callable[[Program], Program]) -> Prepare:
    """A backend that is exact, but for another program."""
    return lambda program: numpy_backend.prepare(change(program))


def edit(program: Program, kind: type, **changes: Callable[[np.ndarray], np.ndarray]) -> Program:
    """Change the arrays of every operation of a kind."""
    operations = [
        replace(op, **{key: change(getattr(op, key)) for key, change in changes.items()})
        if isinstance(op, kind) else op
        for op in program.ops
    ]  # fmt: skip
    return Program(program.name, program.inputs, tuple(operations), program.outputs)


def one_weight_off(weight: np.ndarray) -> np.ndarray:
    weight = weight.copy()
    weight[-1, -1, -1, -1] += 1 if weight[-1, -1, -1, -1] < 64 else -1
    return weight


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Conv, {"weight": one_weight_off}),
        (Conv, {"slope": lambda slope: slope + 40}),
        (Conv, {"divisor": lambda divisor: np.maximum(divisor - 2, 1)}),
        (Requantize, {"divisor": lambda divisor: divisor + 2}),
    ],
)
def test_small_faults_are_found(block: Block, kind: type, changes: dict[str, object]) -> None:
    fault = broken(lambda program: edit(program, kind, **changes))  # type: ignore[arg-type]
    proof = choose.prove_prepare("broken", fault, block())
    assert not proof.ok
    assert "wrong" in proof.reason


def test_every_backend_here_proves_itself(block: Block) -> None:
    program = block()
    for name in choose.available():
        assert choose.prove(name, program) == choose.Proof(name, ok=True, reason="")


def test_accumulators_that_saturate_at_16_bits_are_found(block: Block) -> None:
    """What maddubs does to weights beyond 64, simulated in NumPy."""

    def saturating(program: Program) -> Runner:
        def run(
            inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
        ) -> dict[str, np.ndarray]:
            values = {name: array.astype(np.int64) for name, array in inputs.items()}
            for op in program.ops:
                operands = [values[name] for name in sources(op)]
                if isinstance(op, Conv) and op.weight.shape[1:] == (16, 1, 1):
                    weight = op.weight[:, :, 0, 0].astype(np.int64).T
                    products = operands[0][..., None] * weight  # y, x, i, o
                    pairs = products[:, :, 0::2] + products[:, :, 1::2]
                    acc = np.clip(pairs, -32768, 32767).sum(axis=2) + op.bias + op.slope * level
                    values[op.target] = ops.saturate(
                        ops.divide_round(acc, op.divisor), op.low, op.high
                    )
                else:
                    values[op.target] = ops.apply(op, operands, level)
            infos = infer(program)
            return {
                name: values[name].astype(dtype_of(infos[name].low, infos[name].high))
                for name in program.outputs
            }

        return run

    # Unsigned inputs: the layer after QReLU. With |w| <= 64 pairs fit, and the backend is exact.
    def qrelu(widest: int) -> Program:
        random = np.random.default_rng(widest)
        conv = Conv(
            "x",
            "y",
            random.integers(-widest, widest + 1, (16, 16, 1, 1)),
            np.zeros(16, int),
            np.zeros(16, int),
            np.full(16, 257),
        )
        return Program("qrelu", (Value("x", 16, 0, 255),), (conv,), ("y",))

    assert choose.prove_prepare("maddubs", saturating, qrelu(64)).ok
    assert not choose.prove_prepare("maddubs", saturating, qrelu(127)).ok


ONEDNN = """
import os
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # no VNNI: 16-bit pair sums that saturate
os.environ["OMP_NUM_THREADS"] = "1"
import logging
import numpy as np
from intact.intnet.backends import choose
from intact.intnet.program import Conv, Program, Value
logging.basicConfig(format="%(message)s")
for widest in (64, 127):
    random = np.random.default_rng(0)
    conv = Conv("x", "y", random.integers(-widest, widest + 1, (192, 192, 1, 1)),
                np.zeros(192, int), np.zeros(192, int), np.full(192, 4001), low=0, high=255)
    program = Program(f"w{widest}", (Value("x", 192, 0, 255),), (conv,), ("y",))
    print(widest, choose.prove("torch", program).ok, choose.choose([program], 1, "torch").name)
"""


def onednn_saturates() -> bool:
    torch = pytest.importorskip("torch")
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() in (
        "AVX2", "AVX512")  # fmt: skip


def test_a_saturating_onednn_is_refused_and_numpy_takes_over() -> None:
    if not onednn_saturates():
        pytest.skip("oneDNN for x86 is not here")
    done = subprocess.run(
        [sys.executable, "-c", ONEDNN], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["64 True torch", "127 False numpy"]
    assert "backend torch is not used: w127" in done.stderr


def test_a_failing_backend_is_logged_and_the_next_one_taken(
    block: Block, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choose, "_SAID", set())

    def explodes(program: Program) -> Runner:
        raise RuntimeError("no such instruction")

    real = choose.backend
    monkeypatch.setattr(choose, "backend", lambda name: explodes if name == "numpy" else real(name))
    program = block()
    with caplog.at_level(logging.WARNING):
        chosen = choose.choose([program], 1, "numpy")
    assert chosen.name == "reference"
    assert "backend numpy is not used: RuntimeError: no such instruction" in caplog.text
    x = {"x": np.zeros((1, 1, 16), np.int16)}
    assert np.array_equal(chosen(program)(x, level=0)["t0"], ops.run(program, x, 0)["t0"])


def test_a_refused_backend_is_not_chosen_again(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_REFUSED", {})
    program = block()
    assert choose.choose([program], 1, "numpy").name == "numpy"
    choose.refuse("numpy", "wrong pixels")
    assert choose.choose([program], 1, "numpy").name == "reference"


def test_small_images_do_not_import_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from intact.intnet.backends import choose\n"
        "from intact.intnet.program import *\n"
        "p = Program('p', (Value('x', 1, 0, 9),), (Add('x', 'x', 'y'),), ('y',))\n"
        "choose.choose([p], 1000)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("native", "loaded", "pixels", "expected"),
    [
        (True, False, 10**8, ["native", "numpy", "reference"]),
        (False, False, 10**6, ["numpy", "reference"]),
        (False, False, 10**7, ["torch", "numpy", "reference"]),
        (False, True, 10**6, ["torch", "numpy", "reference"]),
    ],
)
def test_order_of_auto(
    monkeypatch: pytest.MonkeyPatch, native: bool, loaded: bool, pixels: int, expected: list[str]
) -> None:
    present = [name for name in choose.NAMES if native or name != "native"]
    tried: list[str] = []

    def fail(name: str, program: Program) -> choose.Proof:
        tried.append(name)
        return choose.Proof(name, ok=name == "reference", reason="test")

    monkeypatch.setattr(choose, "available", lambda: tuple(present))
    monkeypatch.setattr(choose, "prove", fail)
    monkeypatch.setattr(sys, "modules", {"torch": sys} if loaded else {})
    p = Program("p", (Value("x", 1, 0, 9),), (), ("x",))
    assert choose.choose([p], pixels).name == "reference"
    assert tried == expected


def test_unknown_names_and_unsafe_programs_are_errors() -> None:
    p = Program("p", (Value("x", 1, 0, 9),), (), ("x",))
    with pytest.raises(ValueError, match="legal: auto"):
        choose.choose([p], 1, "cuda")  # type: ignore[arg-type]
    conv = Conv(
        "x", "y", np.ones((1, 1, 1, 1), int), np.array([2**31 - 1]), np.array([0]), np.array([1])
    )
    unsafe = Program("p", (Value("x", 1, 0, 255),), (conv,), ("y",))
    with pytest.raises(ModelError, match="2\\^31"):
        choose.choose([unsafe], 1, "numpy")


def test_proofs_and_runners_are_made_once(block: Block) -> None:
    program = block()
    first = choose.prove("numpy", program)
    assert choose.prove("numpy", program) is first
    chosen = choose.choose([program], 1, "numpy")
    assert chosen(program) is chosen(program)


def test_probes_reach_the_bounds(block: Block) -> None:
    layers = parts.exploded(block())
    assert layers is not None
    inputs = probe.extreme_inputs(layers, 16)
    for op in layers.ops:
        if isinstance(op, Conv):
            bounds = conv_bounds(op, infer(layers)[op.source])
            acc = ops.accumulate(op, inputs[op.source].astype(np.int64), 0)
            worst = int(bounds.partial.argmax())
            product = acc[:, :, worst] - op.bias[worst]
            assert int(np.abs(product).max()) == int(bounds.partial[worst])


def test_boundary_probe_lies_on_both_sides_of_boundaries() -> None:
    program = parts.boundaries()
    conv = program.ops[0]
    assert isinstance(conv, Conv)
    acc = ops.accumulate(conv, np.ones((1, 1, 16), np.int64), 1)[0, 0]
    quotient = ops.divide_round(acc, conv.divisor)
    assert (2 * np.abs(acc - quotient * conv.divisor) == conv.divisor - 1).all()
    assert int(np.abs(acc).max()) > 2**22 - 2**15


def test_a_float_bias_after_the_division_is_found() -> None:
    """The fault of a fused kernel: acc / c and bias / c are rounded separately."""

    def fused(program: Program) -> Runner:
        def run(
            inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
        ) -> dict[str, np.ndarray]:
            conv = program.ops[0]
            assert isinstance(conv, Conv)
            bias = conv.bias + conv.slope * level
            acc = ops.accumulate(conv, inputs["x"].astype(np.int64), level) - bias
            scale = np.float32(1) / conv.divisor.astype(np.float32)
            v = np.rint(acc.astype(np.float32) * scale + bias.astype(np.float32) * scale)
            return {"y": np.clip(v, conv.low, conv.high).astype(np.int16)}

        return run

    program = parts.boundaries()
    assert not choose.prove_prepare("fused", fused, program).ok


def test_probes_are_cheap(block: Block) -> None:
    program = block(channels=192, count=4)
    begin = time.process_time()
    choose.prove("numpy", program)
    assert time.process_time() - begin < 1.5  # 0.15 s on a quiet machine of 2026


def test_a_fault_of_two_threads_is_found(block: Block) -> None:
    """Bands that overlap, or workers that share a buffer."""

    def racing(program: Program) -> Runner:
        exact = numpy_backend.prepare(program)

        def run(
            inputs: Mapping[str, np.ndarray], *, level: int, threads: int = 1
        ) -> dict[str, np.ndarray]:
            results = exact(inputs, level=level, threads=threads)
            if threads > 1:
                for result in results.values():
                    result[result.shape[0] // 2 :] ^= 1
            return results

        return run

    proof = choose.prove_prepare("racing", racing, block())
    assert not proof.ok
    assert "threads 2" in proof.reason


@pytest.mark.parametrize("name", ["numpy", "native"])
def test_probes_share_work_out_between_threads(
    block: Block, name: choose.Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name not in choose.available():
        pytest.skip("not built")
    from intact.intnet.backends.native import run as native_backend

    class Counted(Helpers):
        def share(self, work, count):
            shared.append(min(count, self._most))
            super().share(work, count)

    shared: list[int] = []
    for module in (numpy_backend, native_backend):
        monkeypatch.setattr(module, "Helpers", Counted)
    program = block(channels=192)  # NumPy takes narrow ones in a single band
    assert choose.prove_prepare(name, choose.backend(name), program).ok
    assert max(shared) == 1


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        if blas_threads() != {2}:
            pytest.skip(f"BLAS takes no number of threads here: {blas_threads()}")
        yield


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_has_one_thread_while_runs_overlap_and_its_own_number_afterwards() -> None:
    limit = ONE_BLAS_THREAD
    first, second = ExitStack(), ExitStack()
    first.enter_context(limit)
    second.enter_context(limit)
    first.close()  # the one that came first leaves first
    assert blas_threads() == {1}
    second.close()
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_a_forked_child_limits_blas_as_well() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    limit = ONE_BLAS_THREAD
    with limit:
        child = os.fork()
        if child == 0:  # nothing here may raise: pytest runs on in the child otherwise
            with threadpool_limits(2, "blas"), limit:
                os._exit(0 if blas_threads() == {1} else 1)
        _, status = os.waitpid(child, 0)
    assert status == 0


@pytest.mark.usefixtures("two_blas_threads")
def test_numpy_runs_with_one_blas_thread(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    true = numpy_backend._run_bands

    def noted(*arguments: Any) -> None:
        seen.append(blas_threads())
        true(*arguments)

    monkeypatch.setattr(numpy_backend, "_run_bands", noted)
    program = block()
    runner = choose.backend("numpy")(program)
    value = program.inputs[0]
    runner({value.name: np.zeros((4, 4, value.channels), np.int16)}, level=0, threads=2)
    assert seen
    assert all(threads == {1} for threads in seen)


def test_a_failure_is_logged_once(
    block: Block, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str, program: Program) -> choose.Proof:
        return choose.Proof(name, ok=name == "reference", reason=f"{program.name} is wrong")

    monkeypatch.setattr(choose, "_SAID", set())
    monkeypatch.setattr(choose, "prove", fail)
    first, second = block(), replace(block(), name="other")
    for program in (first, first, second, second):
        choose.choose([program], 1, "numpy")
    assert [record.getMessage() for record in caplog.records] == [
        "backend numpy is not used: block is wrong",
        "backend numpy is not used: other is wrong",
    ]
