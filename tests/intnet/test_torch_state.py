"""The torch backend gives the same integers whatever the caller's torch is set to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import pytest

from intact.codec.image import encode
from intact.intnet import ops
from intact.intnet.backends import choose
from intact.intnet.program import Conv, Program, Value
from tiny_model import picture, tiny_model

torch = pytest.importorskip("torch")
backend = pytest.importorskip("intact.intnet.backends.torch")
NEW_SETTINGS = hasattr(torch.backends.mkldnn, "matmul")


def bfloat16() -> AbstractContextManager[object]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


@contextmanager
def medium() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def reduced_convolutions() -> Iterator[None]:
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.backends.mkldnn.conv.fp32_precision = "none"


@contextmanager
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES = [
    bfloat16,
    medium,
    doubles,
    pytest.param(
        reduced_convolutions, marks=pytest.mark.skipif(not NEW_SETTINGS, reason="old torch")
    ),
]


def wide_program() -> Program:
    """A dense 1x1, a dense 3x3 and a depthwise layer on 16-bit values: float32 products."""
    random = np.random.default_rng(3)

    def layer(source: str, target: str, taps: int = 1, groups: int = 1) -> Conv:
        weight = random.integers(-9, 10, (32, 32 // groups, taps, taps))
        zeros = np.zeros(32, int)
        divisor = np.full(32, 101)
        return Conv(
            source, target, weight, zeros, zeros, divisor, groups=groups, low=-2000, high=2000
        )

    layers = (layer("x", "a"), layer("a", "b", taps=3), layer("b", "c", taps=3, groups=32))
    return Program("wide", (Value("x", 32, -2000, 2000),), layers, ("a", "b", "c"))


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_results_do_not_depend_on_modes(
    state: Callable[[], AbstractContextManager[object]], early: bool
) -> None:
    program = wide_program()
    x = {"x": np.random.default_rng(4).integers(-2000, 2001, (64, 64, 32)).astype(np.int16)}
    expected = ops.run(program, x, 0)
    with state() if early else nullcontext():
        runner = backend.prepare(program)
    with state():
        found = runner(x, level=0, threads=1)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_encoding_under_autocast_gives_the_same_file() -> None:
    image = picture(40, 50)
    before = encode(image, model=tiny_model(), backend="torch")
    model = tiny_model()
    if not all(choose.prove("torch", program).ok for program in model.programs.values()):
        pytest.skip("this machine's oneDNN is not exact, and torch says so")
    with bfloat16():
        assert encode(image, model=model, backend="torch") == before


def test_settings_are_put_back() -> None:
    program = wide_program()
    x = {"x": np.ones((2, 2, 32), np.int16)}
    with medium():
        backend.prepare(program)(x, level=0)
        assert torch.get_float32_matmul_precision() == "medium"
        if NEW_SETTINGS:
            assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    if NEW_SETTINGS:
        assert torch.backends.mkldnn.conv.fp32_precision == "none"


@pytest.mark.skipif(not NEW_SETTINGS, reason="old torch")
def test_the_last_thread_out_puts_settings_back() -> None:
    matmul = torch.backends.mkldnn.matmul
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with backend._exact():
            entered.set()
            leave.wait(10)

    with medium():
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(10)
        with backend._exact():
            assert matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == "ieee"  # the other thread still counts on it
        leave.set()
        thread.join()
        assert matmul.fp32_precision == "bf16"


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("channels", [8, 192])
def test_a_strided_layer_is_exact_where_its_output_is_one_column(width: int, channels: int) -> None:
    """oneDNN's own convolution is wrong here on processors with AMX (torch 2.13)."""
    random = np.random.default_rng(9)
    weight = random.integers(-64, 65, (channels, channels, 3, 3))
    zeros, divisor = np.zeros(channels, int), np.full(channels, 257)
    layer = Conv("x", "y", weight, zeros, zeros, divisor, stride=2, low=0, high=255)
    program = Program("column", (Value("x", channels, 0, 255),), (layer,), ("y",))
    for height in (3, 9, 10):
        x = {"x": random.integers(0, 256, (height, width, channels)).astype(np.uint8)}
        found = backend.prepare(program)(x, level=0)
        np.testing.assert_array_equal(found["y"], ops.run(program, x, 0)["y"])
