import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.backends import Prepare, Runner, choose
from intact.intnet.backends.plan import gathers, plan
from intact.intnet.infer import infer, sizes_of
from intact.intnet.program import Conv, Program, Shuffle, Value, sources
from intact.native import library

BACKENDS = [
    pytest.param("native", marks=pytest.mark.skipif(library() is None, reason="not built")),
    pytest.param("torch", marks=pytest.mark.skipif(not importlib.util.find_spec("torch"),
                                                   reason="not installed")),
    pytest.param("onnx", marks=pytest.mark.skipif(not importlib.util.find_spec("onnxruntime"),
                                                  reason="not installed")),
    "numpy",
    "reference",
]  # fmt: skip
Inputs = Callable[[Program, int, int, int], dict[str, np.ndarray]]


@pytest.fixture(params=BACKENDS)
def prepare(request: pytest.FixtureRequest) -> Prepare:
    def prepare(program: Program) -> Runner:
        if not may_be_held_to_ops(request.param, program):
            pytest.skip("this machine's oneDNN is not exact, and torch says so")
        return choose.backend(request.param)(program)

    return prepare


def may_be_held_to_ops(name: choose.Name, program: Program) -> bool:
    """Not torch where its library sums wrong (old or emulated instructions): its proof must say so.

    That torch does prove itself otherwise is held by the tests of `choose`.
    """
    return name != "torch" or choose.prove(name, program).ok


def unit(program: Program) -> int:
    return max(info.resolution.denominator for info in infer(program).values())


@pytest.mark.parametrize("name", BACKENDS)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    level=st.integers(-127, 127),
)
def test_random_programs_equal_ops(
    random_program: Callable[[int], Program],
    random_inputs: Inputs,
    name: choose.Name,
    seed: int,
    height: int,
    width: int,
    level: int,
) -> None:
    program = random_program(seed)
    try:
        sizes_of(program, height, width)
    except ValueError:
        height, width = height * unit(program), width * unit(program)
    inputs = random_inputs(program, seed, height, width)
    expected = ops.run(program, inputs, level)
    assume(may_be_held_to_ops(name, program))
    found = choose.backend(name)(program)(inputs, level=level)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == array.dtype
        assert np.array_equal(found[key], array), key


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 70), (70, 1), (37, 41), (64, 33)])
def test_blocks_equal_ops(
    block: Callable[..., Program], random_inputs: Inputs, prepare: Prepare, height: int, width: int
) -> None:
    program = block(count=2)
    inputs = random_inputs(program, height, height, width)
    expected = ops.run(program, inputs, -50)
    for threads in (1, 3):
        found = prepare(program)(inputs, level=-50, threads=threads)
        assert np.array_equal(found["t1"], expected["t1"])


def test_bands_of_one_row_change_nothing(
    block: Callable[..., Program], random_inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy_backend = importlib.import_module("intact.intnet.backends.numpy")
    monkeypatch.setattr(numpy_backend, "BAND_ELEMENTS", 1)
    monkeypatch.setattr("intact.intnet.backends.plan.MAX_BAND", 1)
    program = block()
    inputs = random_inputs(program, 0, 11, 6)
    found = numpy_backend.prepare(program)(inputs, level=1, threads=2)
    assert np.array_equal(found["t0"], ops.run(program, inputs, 1)["t0"])


def test_a_runner_serves_several_threads(
    block: Callable[..., Program], random_inputs: Inputs, prepare: Prepare
) -> None:
    program = block()
    runner = prepare(program)
    images = [random_inputs(program, seed, 9 + seed, 14) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda item: runner(item, level=3), images))
    for image, result in zip(images, results, strict=True):
        assert np.array_equal(result["t0"], ops.run(program, image, 3)["t0"])


def test_wide_layers_equal_ops(prepare: Prepare) -> None:
    """16-bit inputs at the bound of 2**31, where float32 sums and reciprocals are both wrong."""
    random = np.random.default_rng(3)
    weight = random.choice([-2047, 2047, 2046, -2045], (8, 31, 1, 1))
    bias = random.integers(-9999, 9999, 8)
    conv = Conv(
        "x",
        "y",
        weight,
        bias,
        np.zeros(8, int),
        random.integers(4000, 8000, 8) * 2 + 1,
        low=-32768,
        high=32767,
    )
    program = Program("wide", (Value("x", 31, -32768, 32767),), (conv,), ("y",))
    x = random.choice([-32768, 32767, 32766, -32767], (40, 33, 31)).astype(np.int16)
    for channel in range(8):
        x[channel, 0] = np.where(weight[channel, :, 0, 0] > 0, 32767, -32768)
        x[channel, 1] = np.where(weight[channel, :, 0, 0] > 0, -32768, 32767)
    expected = ops.run(program, {"x": x}, 0)["y"]
    assert np.array_equal(prepare(program)({"x": x}, level=0)["y"], expected)


@pytest.mark.parametrize("order", ["F", "negative", "int64", "readonly"])
def test_inputs_may_have_any_layout(
    block: Callable[..., Program], random_inputs: Inputs, prepare: Prepare, order: str
) -> None:
    program = block()
    x = random_inputs(program, 5, 6, 7)["x"]
    expected = ops.run(program, {"x": x}, 0)["t0"]
    given = {
        "F": np.asfortranarray(x),
        "negative": np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
        "int64": x.astype(np.int64),
        "readonly": x.copy(),
    }[order]
    given.flags.writeable = order != "readonly"
    before = given.copy()
    assert np.array_equal(prepare(program)({"x": given}, level=0)["t0"], expected)
    assert np.array_equal(given, before)


def test_an_input_may_be_an_output(prepare: Prepare) -> None:
    program = Program("p", (Value("x", 4, 0, 255),), (Shuffle("x", "y", 2),), ("x", "y"))
    x = np.arange(24).reshape(2, 3, 4)
    found = prepare(program)({"x": x}, level=0)
    assert found["x"].dtype == np.uint8
    assert np.array_equal(found["x"], x)
    assert not np.shares_memory(found["x"], x)
    assert np.array_equal(found["y"], ops.shuffle(x, 2))


def test_wrong_inputs_are_refused(block: Callable[..., Program], prepare: Prepare) -> None:
    runner = prepare(block())
    with pytest.raises(ValueError, match="shape"):
        runner({"x": np.zeros((2, 2, 3), np.int16)}, level=0)
    with pytest.raises(ValueError, match="level"):
        runner({"x": np.zeros((2, 2, 16), np.int16)}, level=200)


def test_programs_that_may_overflow_are_refused(prepare: Prepare) -> None:
    conv = Conv(
        "x", "y", np.ones((1, 1, 1, 1), int), np.array([2**31 - 1]), np.array([0]), np.array([1])
    )
    with pytest.raises(ModelError, match="2\\^31"):
        prepare(Program("p", (Value("x", 1, 0, 255),), (conv,), ("y",)))


@given(seed=st.integers(0, 2**32 - 1))
def test_plans_read_only_what_is_there(random_program: Callable[[int], Program], seed: int) -> None:
    program = random_program(seed)
    stored = {value.name for value in program.inputs}
    done = []
    for segment in plan(program):
        held: dict[int, str] = {}
        made: set[str] = set()
        begin = set(stored)
        for op in segment.ops:
            for name in sources(op):
                if gathers(op):
                    assert name in begin
                elif name in made:
                    assert held[segment.slots[name]] == name  # nobody overwrote its register
                else:
                    assert name in begin
                    held[segment.slots[name]] = name
                    made.add(name)
            if op.target in segment.slots:
                held[segment.slots[op.target]] = op.target
                made.add(op.target)
            stored |= {op.target} & segment.stores
            done.append(op)
        stored -= set(segment.frees)
    assert done == list(program.ops)
    assert set(program.outputs) <= stored
