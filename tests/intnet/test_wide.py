"""Values of 13 to 16 bits, as pixel networks have them, with sums that near the end of 32 bits.

Random programs with dozens of channels, so that the kernels of words work on whole blocks, held to
the definition by the long trial of `intact.intnet.backends.probe`: every layer alone at its bound,
odd sizes, two threads.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from intact.errors import ModelError
from intact.intnet import ops
from intact.intnet.backends import Prepare, choose
from intact.intnet.backends.native import run as native
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.bounds import INT32_LIMIT, check_bounds, program_bounds
from intact.intnet.program import Add, Conv, Op, Program, Requantize, Shuffle, Value

STREAM = (-32768, 32767)
ROOM = 0.9 * INT32_LIMIT
"""What `intact.train.fixed_unit` lets the products of a filter add up to."""
BITS = (13, 14, 15, 16)


class Maker:
    """Layers with random numbers."""

    def __init__(self, seed: int, bits: int) -> None:
        self.random, self.bits = np.random.default_rng(seed), bits

    @property
    def signed(self) -> tuple[int, int]:
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1

    @property
    def unsigned(self) -> tuple[int, int]:
        return 0, min((1 << self.bits) - 1, STREAM[1])

    def weights(self, shape: tuple[int, ...], reach: int) -> np.ndarray:
        """Every second filter as large as the sums allow, the others as trained ones are."""
        weight = self.random.normal(0, 1, shape) + self.random.choice([-1, 1], shape)
        flat = np.abs(weight).reshape(shape[0], -1)
        scale = np.minimum(ROOM / reach / flat.sum(1), 8191 / flat.max(1))
        scale[1::2] /= 20
        return np.trunc(weight * scale[:, None, None, None]).astype(np.int64)

    def conv(
        self, names: str, channels: tuple[int, int], reach: tuple[int, int],
        result: tuple[int, int], taps: int = 1, stride: int = 1, groups: int = 1,
    ) -> Conv:  # fmt: skip
        inputs, outputs = channels
        largest = max(map(abs, reach))
        weight = self.weights((outputs, inputs // groups, taps, taps), largest)
        # Divided by so much that about half of what is typical is within the result's range.
        typical = np.sqrt(np.square(weight * float(largest)).sum((1, 2, 3))) / max(result)
        source, target = names.split()
        return Conv(
            source, target, weight,
            bias=self.random.integers(-(10**7), 10**7, outputs),
            slope=self.random.integers(-(10**4), 10**4, outputs),
            divisor=typical.clip(1, 16382).astype(np.int64) | 1,
            stride=stride, groups=groups, low=result[0], high=result[1], edge=taps > 1,
        )  # fmt: skip


@cache  # what should come out is found once for all backends
def network(bits: int) -> Program:
    """The layers of an analysis or a synthesis: a block on a stream, and what reads it."""
    make = Maker(bits, bits)
    c = {13: 17, 14: 40, 15: 65, 16: 33}[bits]
    signed, unsigned = make.signed, make.unsigned
    odd = 2 * make.random.integers(0, 1 << 16 - bits, c) + 1
    layers: list[Op] = [
        Requantize("x", "a", odd, *signed),
        make.conv("a b", (c, c), signed, unsigned),
        make.conv("b d", (c, c), unsigned, signed, taps=3, groups=c),
        make.conv("d e", (c, c), signed, STREAM),
        Add("x", "e", "s"),
        Requantize("s", "f", odd, *signed),
        make.conv("f g", (c, 2 * c), signed, unsigned),
        make.conv("g h", (2 * c, c), unsigned, STREAM),
        Add("s", "h", "t"),
        make.conv("t u", (c, 4 * 9), STREAM, STREAM),
        Shuffle("u", "shuffled", 2),
        make.conv("f y", (c, 24), signed, STREAM, taps=3, stride=2),
    ]
    return Program(f"wide-{bits}", (Value("x", c, *STREAM),), tuple(layers), ("shuffled", "y", "t"))


def held(prepare: Prepare, program: Program) -> None:
    """A backend is right about a program, whole and layer by layer."""
    proof = choose.prove_prepare("any", prepare, program)
    assert proof.ok, proof.reason


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", choose.available())
def test_every_backend_is_exact(name: choose.Name, bits: int) -> None:
    held(choose.backend(name), network(bits))


@pytest.mark.skipif("native" not in choose.available(), reason="not built")
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("isa", ISA_NAMES)
def test_every_instruction_set_is_exact(isa: native.Isa, bits: int) -> None:
    if ISA_NAMES.index(isa) > ISA_NAMES.index(native.isa()):
        pytest.skip("not on this machine")
    held(lambda program: native.prepare(program, isa=isa), network(bits))


@pytest.mark.parametrize("bits", BITS)
def test_the_programs_are_what_they_are_for(bits: int) -> None:
    """Sums near the end of 32 bits, and results that are mostly no end of their range."""
    program = network(bits)
    check_bounds(program)
    bounds = program_bounds(program)
    assert max(int(b.bound.max()) for b in bounds.values()) > 0.85 * INT32_LIMIT
    assert not any(b.float32 or b.reciprocal for b in bounds.values())
    random = np.random.default_rng(1)
    x = random.integers(-20000, 20000, (6, 8, program.inputs[0].channels)).astype(np.int16)
    for array in ops.run(program, {"x": x}, 3).values():
        assert np.mean((array == array.min()) | (array == array.max())) < 0.7


@pytest.mark.parametrize("name", choose.available())
def test_a_filter_beyond_the_room_is_refused_by_every_backend(name: choose.Name) -> None:
    """The proof is made anew where a program is prepared, whatever trained it."""
    weight = np.full((4, 40, 1, 1), 3400)
    zeros, divisor = np.zeros(4, int), np.full(4, 16383)
    fits = Conv("x", "y", weight[:, :38], zeros, zeros, divisor, low=-8192, high=8191)
    over = Conv("x", "y", weight, zeros, zeros, divisor, low=-8192, high=8191)
    choose.backend(name)(Program("p", (Value("x", 38, 0, 16383),), (fits,), ("y",)))
    with pytest.raises(ModelError, match=r"conv 'y': bound [\d,]+ of channel 0 reaches 2\^31"):
        choose.backend(name)(Program("p", (Value("x", 40, 0, 16383),), (over,), ("y",)))
