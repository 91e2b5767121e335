"""Programs as ONNX graphs: their form, the cutting of layers, and exactness in ONNX Runtime."""

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.intnet import ops
from intact.intnet.backends import onnx_graph
from intact.intnet.backends.onnx_bytes import Graph, tensor
from intact.intnet.infer import Info
from intact.intnet.program import Conv, Program, Requantize, Shuffle, Unshuffle, Value

Inputs = Callable[[Program, int, int, int], dict[str, np.ndarray]]
LIMIT = 2**24


def one(count: int, value: int = 0) -> np.ndarray:
    return np.full(count, value, np.int64)


def conv(weight: np.ndarray, **more: Any) -> Conv:
    outputs = weight.shape[0]
    fields = {"divisor": one(outputs, 1), "slope": one(outputs), "low": -32768, "high": 32767}
    return Conv("x", "y", weight, bias=one(outputs), **(fields | more))


@given(
    seed=st.integers(0, 2**32 - 1),
    widest=st.sampled_from([1, 127, 128, 8191]),
    inputs=st.sampled_from([1, 2, 31, 700]),
    taps=st.sampled_from([1, 3]),
    ends=st.sampled_from([(0, 255), (-128, 127), (-32768, 32767), (-3, 900)]),
)
def test_parts_add_up_and_each_stays_below_2_to_the_24(
    seed: int, widest: int, inputs: int, taps: int, ends: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    op = conv(random.choice([-widest, widest, 1, 0], (2, inputs, taps, taps)))
    low, high = ends
    total: dict[str, np.ndarray] = {}
    for part in onnx_graph.parts(op, Info(inputs, low, high)):
        assert part.weight.shape[1] == part.last - part.first
        # What a partial sum of this part can reach, with the plane's own ends.
        ends_of = {"": ends, "high": (low >> 8, high >> 8), "low": (0, 255)}[part.plane]
        products = np.stack([part.weight * end for end in (*ends_of, 0)])
        reach = (products.max(0).sum((1, 2, 3)), -products.min(0).sum((1, 2, 3)))
        assert np.stack(reach).max() < LIMIT
        share = total.setdefault(part.plane, np.zeros(op.weight.shape, np.int64))
        share[:, part.first : part.last] += part.weight * part.factor
    for plane, share in total.items():
        factor = 256 if plane == "high" else 1
        assert np.array_equal(share, op.weight.astype(np.int64) * factor), plane
    assert set(total) in ({""}, {"high", "low"})


def test_the_same_program_is_the_same_bytes(block: Callable[..., Program]) -> None:
    contents = {onnx_graph.network(block(), {"note": "a"}).content for _ in range(2)}
    assert len(contents) == 1
    assert b"note" in contents.pop()


def test_the_package_onnx_accepts_every_graph(
    random_program: Callable[[int], Program], block: Callable[..., Program]
) -> None:
    onnx = pytest.importorskip("onnx")
    for program in (*(random_program(seed) for seed in range(12)), block(edge=True)):
        content = onnx_graph.network(program, {"key": "text"}).content
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model, full_check=True)
        assert model.metadata_props[0].value == "text"
        # Operators of every runtime, and no other way to round.
        kinds = {node.op_type for node in model.graph.node}
        assert kinds <= {
            "Add", "Cast", "Clip", "Conv", "DepthToSpace", "Div", "Floor", "Gather", "Mul", "Pad",
            "Round", "Slice", "SpaceToDepth", "Squeeze", "Sub", "Transpose", "Unsqueeze",
        }  # fmt: skip


def test_tensors_are_what_the_package_onnx_reads() -> None:
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    onnx = pytest.importorskip("onnx")
    for kind in (np.uint8, np.int8, np.int16, np.int64, np.float32, np.float64):
        array = np.arange(-3, 9).astype(kind).reshape(3, 4)
        message = onnx.TensorProto.FromString(tensor(array, "a"))
        assert message.name == "a"
        assert np.array_equal(numpy_helper.to_array(message), array)


def test_constants_that_are_equal_are_stored_once() -> None:
    graph = Graph("g")
    zeros = [graph.constant(np.zeros(2, kind)) for kind in (np.int64, np.int64, np.float64)]
    assert zeros[0] == zeros[1] != zeros[2]


def test_names_of_the_graph_give_way_to_the_programs() -> None:
    """A program may call its own values as the graph calls the level and its outputs."""
    op = conv(np.ones((1, 1, 1, 1), int), slope=one(1, 3))
    values = (Value("level", 1, 0, 9), Value("x", 1, 0, 9), Value("x_out", 1, 0, 9))
    program = Program("p", values, (op,), ("y", "x"))
    found = onnx_graph.network(program)
    assert found.level == "level_"
    assert found.outputs == {"y": "y", "x": "x_out_"}
    pytest.importorskip("onnxruntime")
    from intact.intnet.backends.onnx import prepare

    inputs = {value.name: np.full((2, 3, 1), 5, np.uint8) for value in values}
    expected = ops.run(program, inputs, -7)
    for name, array in prepare(program)(inputs, level=-7).items():
        assert np.array_equal(array, expected[name])


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"])
def test_no_optimization_of_the_runtime_changes_a_number(
    block: Callable[..., Program], random_inputs: Inputs, level: str
) -> None:
    """An exported graph is run with whatever its reader has set."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
    program = block(widest=127)
    found = onnx_graph.network(program)
    session = runtime.InferenceSession(found.content, options, providers=["CPUExecutionProvider"])
    inputs = random_inputs(program, 3, 19, 14)
    outputs = session.run(None, {**inputs, found.level: np.array(100, np.int64)})
    expected = ops.run(program, inputs, 100)
    for name, array in zip(found.outputs, outputs, strict=True):
        assert np.array_equal(array, expected[name])


def test_layers_beyond_2_to_the_24_equal_ops_in_every_form() -> None:
    pytest.importorskip("onnxruntime")
    from intact.intnet.backends.onnx import prepare

    random = np.random.default_rng(8)
    for taps, groups, stride, edge in ((1, 1, 1, 0), (3, 1, 2, 1), (3, 12, 1, 1), (3, 12, 2, 0)):
        weight = random.choice([-700, 700, 699, -3], (12, 12 // groups, taps, taps))
        divisor = random.integers(2000, 8000, 12) * 2 + 1
        op = conv(weight, divisor=divisor, stride=stride, groups=groups, edge=bool(edge))
        program = Program("wide", (Value("x", 12, -32768, 32767),), (op,), ("y",))
        x = random.choice([-32768, 32767, -1, 0, 255, 256], (11, 8, 12)).astype(np.int16)
        for threads in (1, 2):
            found = prepare(program)({"x": x}, level=0, threads=threads)["y"]
            assert np.array_equal(found, ops.run(program, {"x": x}, 0)["y"])


def test_pixels_in_blocks_come_in_our_order() -> None:
    pytest.importorskip("onnxruntime")
    from intact.intnet.backends.onnx import prepare

    rearrange = (Unshuffle("x", "u", 3), Shuffle("u", "s", 3))
    program = Program("p", (Value("x", 5, 0, 255),), rearrange, ("u", "s"))
    x = np.arange(6 * 9 * 5).reshape(6, 9, 5) % 256
    found = prepare(program)({"x": x}, level=0)
    assert np.array_equal(found["u"], ops.unshuffle(x, 3))
    assert np.array_equal(found["s"], x)


def test_a_forked_child_computes_with_threads_of_its_own() -> None:
    pytest.importorskip("onnxruntime")
    from intact.intnet.backends.onnx import prepare

    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    op = Requantize("x", "y", one(4, 3))
    runner = prepare(Program("p", (Value("x", 4, 0, 255),), (op,), ("y",)))
    x = np.arange(400).reshape(10, 10, 4) % 256
    expected = runner({"x": x}, level=0, threads=2)["y"]
    child = os.fork()
    if not child:
        try:
            os._exit(not np.array_equal(runner({"x": x}, level=0, threads=2)["y"], expected))
        finally:
            os._exit(9)
    assert os.waitpid(child, 0)[1] == 0


def test_only_the_processor_is_asked() -> None:
    pytest.importorskip("onnxruntime")
    backend = importlib.import_module("intact.intnet.backends.onnx")
    content = onnx_graph.network(
        Program("p", (Value("x", 1, 0, 9),), (Requantize("x", "y", one(1, 3)),), ("y",))
    ).content
    assert backend._session(content, 1).get_providers() == ["CPUExecutionProvider"]
