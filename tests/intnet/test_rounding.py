"""The rounding mode of the processor may be anything when we are called: libraries change it.

In a mode other than round to nearest the fast division is off by one wherever it is not whole, and
no probe that ran before would know.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pytest

from intact.codec.image import decode, encode
from intact.errors import NotExactError
from intact.intnet import ops
from intact.intnet.backends import choose, rounding
from intact.intnet.program import Conv, Program, Requantize, Value
from tiny_model import picture, tiny_model

# FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO of fenv.h.
MODES: tuple[int, ...] = {
    "x86_64": (0x800, 0x400, 0xC00),
    "aarch64": (0x400000, 0x800000, 0xC00000),
}.get(platform.machine(), ())
LIBRARY = rounding._library()
pytestmark = pytest.mark.skipif(
    not MODES or LIBRARY is None, reason="the numbers of the modes are not known here"
)
ISAS: list[Literal["portable", "avx2", "avx512", "amx"]] = ["portable", "avx2", "avx512", "amx"]


@contextmanager
def mode(number: int) -> Iterator[None]:
    assert LIBRARY is not None
    before = LIBRARY.fegetround()
    assert LIBRARY.fesetround(number) == 0
    try:
        assert not rounding.is_nearest()
        yield
        assert LIBRARY.fegetround() == number, "the caller's mode was not put back"
    finally:
        LIBRARY.fesetround(before)


def program(divisor: int) -> Program:
    """Quotients in float32 (small divisor) or float64, and a Requantize."""
    weight = np.arange(-8, 8).reshape(4, 4, 1, 1) * (1 if divisor < 999 else 900)
    slope = np.zeros(4, int)
    conv = Conv("x", "y", weight, slope, slope, np.full(4, divisor), low=-32768, high=32767)
    narrow = Requantize("y", "z", np.full(4, 77), -128, 127)
    return Program("p", (Value("x", 4, -3000, 3000),), (conv, narrow), ("y", "z"))


def values() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"x": random.integers(-3000, 3001, (64, 65, 4)).astype(np.int16)}


@pytest.mark.parametrize("number", MODES)
@pytest.mark.parametrize("name", ["native", "numpy", "torch", "onnx"])
@pytest.mark.parametrize("divisor", [7, 16383])
def test_every_backend_is_exact_in_every_rounding_mode(number, name, divisor):
    if name not in choose.available():
        pytest.skip("not installed")
    network = program(divisor)
    expected = ops.run(network, values())
    prepare = choose.backend(name)
    before = prepare(network)  # made and proven as usual; then somebody changes the mode
    with mode(number):
        after = prepare(network)
        for runner in (before, after):
            for threads in (1, 3):
                found = runner(values(), level=0, threads=threads)
                for key in expected:
                    np.testing.assert_array_equal(found[key], expected[key])


@pytest.mark.parametrize("number", MODES)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("divisor", [7, 16383])
def test_every_instruction_set_is_exact_in_every_rounding_mode(number, isa, divisor):
    native = pytest.importorskip("intact.intnet.backends.native")
    if "native" not in choose.available() or ISAS.index(isa) > ISAS.index(native.isa()):
        pytest.skip("not here")
    network = program(divisor)
    expected = ops.run(network, values())
    runner = native.prepare(network, isa=isa)
    with mode(number):
        found = runner(values(), level=0, threads=2)
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])


@pytest.mark.parametrize("number", MODES)
@pytest.mark.parametrize("name", ["native", "numpy", "torch", "onnx"])
def test_a_file_is_the_same_in_every_rounding_mode(number, name):
    if name not in choose.available():
        pytest.skip("not installed")
    model, image = tiny_model(), picture(70, 90)
    expected = encode(image, model=model, backend="reference")
    assert encode(image, model=model, backend=name) == expected  # proven in the usual mode
    pixels = decode(expected, model=model, backend="reference").pixels
    with mode(number):
        for fresh in (model, tiny_model()):  # a model that is proven only now, too
            assert encode(image, model=fresh, backend=name) == expected
            found = decode(expected, model=fresh, backend=name).pixels
            np.testing.assert_array_equal(found, pixels)


def test_a_mode_that_cannot_be_changed_is_an_error(monkeypatch):
    monkeypatch.setattr(rounding, "_library", lambda: None)
    with mode(MODES[0]), pytest.raises(NotExactError, match="round to nearest"):
        choose.backend("numpy")(program(7))


def test_the_check_itself_can_fail():
    """NumPy does follow the mode, and without the guard results are others."""
    with mode(MODES[0]):
        assert (np.ones(1) + 2.0**-60)[0] > 1
        product = np.float32(1) / np.arange(1, 99, 2, dtype=np.float32)
    assert (product != np.float32(1) / np.arange(1, 99, 2, dtype=np.float32)).any()
