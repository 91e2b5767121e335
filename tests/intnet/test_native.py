from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact import native
from intact.errors import UnsupportedError
from intact.intnet import ops
from intact.intnet.backends.native import lower, run as backend
from intact.intnet.backends.native.instructions import ISA_NAMES
from intact.intnet.certificate import prove
from intact.intnet.program import (
    Add,
    Conv,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory):
    """The packaged library, or one compiled here where the package was not built."""
    if native.library() is not None and hasattr(native.library(), "intact_intnet_run"):
        yield
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("neither the native library nor a compiler")
    target = tmp_path_factory.mktemp("native") / "libintact.so"
    files = sorted(map(str, (ROOT / "native").glob("intnet*.c")))
    flags = ["-std=c11", "-O3", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, *files, "-o", str(target)], check=True)
    loaded = ctypes.CDLL(str(target))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: loaded)
        yield


def sets():
    return ISA_NAMES[: ISA_NAMES.index(backend.isa()) + 1]


def check(program, inputs, levels=(0,)):
    prove(program)
    for level in levels:
        expected = ops.run(program, inputs, level)
        for isa, (chunk, threads) in itertools.product(sets(), [(None, 1), (37, 1), (5, 2)]):
            with pytest.MonkeyPatch.context() as patch:
                if chunk is not None:  # small images in many chunks, so that threads have work
                    patch.setattr(lower, "CHUNK_MOST", chunk)
                runner = backend.prepare(program, isa=isa)
            assert runner.isa == isa
            found = runner(inputs, level=level, threads=threads)
            assert found.keys() == expected.keys()
            for name, array in expected.items():
                assert found[name].dtype == array.dtype, (isa, name)
                np.testing.assert_array_equal(found[name], array, err_msg=f"{isa} {name} {chunk}")


def odd(rng, size, low=1, high=16383):
    return rng.integers(low // 2, (high - 1) // 2 + 1, size) * 2 + 1


def image(rng, shape, reach, kind="any"):
    low, high = reach
    if kind == "extreme":
        return rng.choice([low, high], shape)
    if kind == "low":
        return np.full(shape, low)
    if kind == "high":
        return np.full(shape, high)
    return rng.integers(low, high + 1, shape)


def conv(rng, source, target, inputs, outputs, **kw):
    taps, groups = kw.pop("taps", 1), kw.pop("groups", 1)
    limit, extreme = kw.pop("limit", 64), kw.pop("extreme", False)
    divisor = kw.pop("divisor", None)
    shape = (outputs, inputs // groups, taps, taps)
    if extreme:
        weight = rng.choice([-limit, limit], shape)
    else:
        weight = np.clip(np.rint(rng.normal(0, limit / 4, shape)), -limit, limit)
    return Conv(
        source, target, weight.astype(np.int64), rng.integers(-5000, 5001, outputs),
        rng.integers(-300, 301, outputs),
        odd(rng, outputs, 257) if divisor is None else np.full(outputs, divisor), groups=groups,
        **kw,
    )  # fmt: skip


RANGES = [(0, 255), (-128, 127), (-32768, 32767), (0, 15), (-5, 5), (3, 9), (-300, 40), (0, 300)]
KINDS = st.sampled_from(["any", "extreme", "low", "high"])
CHANNELS = st.integers(1, 70) | st.sampled_from([64, 96, 128, 192])


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(("total", "chunk"), [(1, 16), (16, 16), (17, 16), (96, 64), (6144, 48)])
def test_pieces_cover_all_once_and_get_smaller(total, chunk, threads):
    spans = backend.pieces(total, chunk, threads)
    assert [first for first, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == total
    sizes = [end - first for first, end in spans]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size % chunk == 0 for size in sizes[:-1])


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failure_ends_the_run_and_stops_the_other_threads(monkeypatch, failing):
    rng = np.random.default_rng(3)
    program = Program("p", (Value("x", 16, -128, 127),), (conv(rng, "x", "y", 16, 16),), ("y",))
    runner = backend.prepare(program)
    calls = itertools.count(1)

    def fails(*arguments):
        if next(calls) == failing:
            raise MemoryError("no room for the scratch")
        time.sleep(0.02)

    monkeypatch.setattr(runner, "call", fails)
    size = 512
    cuts = len(backend.pieces(size * size, runner._parts[0].segment.chunk, 2))
    assert cuts > 6
    with pytest.raises(MemoryError):
        runner({"x": np.zeros((size, size, 16), np.int8)}, level=0, threads=2)
    assert next(calls) <= 6  # of so many pieces


@given(
    st.integers(0, 2**32), CHANNELS, CHANNELS, st.integers(1, 9), st.integers(1, 15),
    st.sampled_from(RANGES), st.sampled_from(RANGES), KINDS, st.sampled_from([64, 127, 128, 500]),
    st.booleans(),
)  # fmt: skip
def test_pointwise(seed, inputs, outputs, height, width, reach, result, kind, limit, extreme):
    limit = min(limit, 300 if reach[1] > 300 else limit)  # 192 inputs stay below 2**31
    rng = np.random.default_rng(seed)
    op = conv(rng, "x", "y", inputs, outputs, low=result[0], high=result[1], limit=limit,
              extreme=extreme)  # fmt: skip
    program = Program("p", (Value("x", inputs, *reach),), (op,), ("y",))
    check(program, {"x": image(rng, (height, width, inputs), reach, kind)}, (0, -127))


@given(
    st.integers(0, 2**32), CHANNELS, st.integers(1, 9), st.integers(1, 15),
    st.sampled_from(RANGES), st.sampled_from(RANGES), KINDS, st.sampled_from([64, 127, 128, 500]),
    st.booleans(), st.sampled_from([(3, 1), (3, 1), (3, 2), (1, 1), (1, 2)]),
)  # fmt: skip
def test_depthwise(seed, channels, height, width, reach, result, kind, limit, extreme, form):
    rng = np.random.default_rng(seed)
    op = conv(rng, "x", "y", channels, channels, low=result[0], high=result[1], limit=limit,
              extreme=extreme, groups=channels, taps=form[0], stride=form[1])  # fmt: skip
    program = Program("p", (Value("x", channels, *reach),), (op,), ("y",))
    check(program, {"x": image(rng, (height, width, channels), reach, kind)}, (0, 127))


@given(
    st.integers(0, 2**32), st.integers(1, 70), CHANNELS, st.integers(1, 9), st.integers(1, 9),
    st.sampled_from(RANGES), st.sampled_from(RANGES), KINDS, st.sampled_from([64, 127, 300]),
    st.booleans(), st.sampled_from([(3, 1), (3, 2), (1, 2)]),
)  # fmt: skip
def test_spatial(seed, inputs, outputs, height, width, reach, result, kind, limit, extreme, form):
    limit = min(limit, 100 if reach[1] > 300 else limit)  # 9 * 70 inputs stay below 2**31
    rng = np.random.default_rng(seed)
    op = conv(rng, "x", "y", inputs, outputs, low=result[0], high=result[1], limit=limit,
              extreme=extreme, taps=form[0], stride=form[1])  # fmt: skip
    program = Program("p", (Value("x", inputs, *reach),), (op,), ("y",))
    check(program, {"x": image(rng, (height, width, inputs), reach, kind)})


@given(
    st.integers(0, 2**32), CHANNELS, st.sampled_from(RANGES), st.sampled_from(RANGES), KINDS,
    st.integers(1, 4), st.sampled_from([1, 127, 16383]),
)  # fmt: skip
def test_elementwise(seed, channels, reach, result, kind, factor, divisor):
    rng = np.random.default_rng(seed)
    deep = channels * factor**2
    program = Program(
        "p",
        (Value("x", channels, *reach), Value("u", channels, -128, 127)),
        (
            Requantize("x", "a", odd(rng, channels, 1, divisor), *result),
            Scale("a", "b", rng.integers(-32768, 32768, channels)),
            Add("b", "x", "c"),
            Add("c", "c", "d"),
            Add("u", "u", "e"),
            Requantize("e", "f", odd(rng, channels, 1, 3)),
            Unshuffle("f", "g", factor),
            Unshuffle("d", "h", factor),
            Requantize("h", "i", odd(rng, deep, 1, 99)),
            Shuffle("i", "j", factor),
            Add("j", "f", "k"),
            Shuffle("g", "l", factor),
        ),
        ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "x", "u"),
    )
    shape = (3 * factor, 5 * factor, channels)
    check(program, {"x": image(rng, shape, reach, kind), "u": image(rng, shape, (-128, 127), kind)})
    few = Program("p", program.inputs, program.ops, ("k",))
    check(few, {"x": image(rng, shape, reach, kind), "u": image(rng, shape, (-128, 127), kind)})


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(-40, 0), st.integers(1, 60))
def test_tables(seed, channels, low, count):
    rng = np.random.default_rng(seed)
    for reach in ((-128, 127), (-30000, 30000)):
        table = rng.integers(reach[0], reach[1] + 1, count)
        kw = {"low": reach[0], "high": reach[1], "table": table, "table_low": low}
        program = Program(
            "p",
            (Value("x", channels, -128, 127),),
            (
                conv(rng, "x", "a", channels, 33, **kw),
                conv(rng, "x", "b", channels, channels, groups=channels, taps=3, **kw),
                conv(rng, "a", "c", 33, 8, taps=3, stride=2, **kw),
            ),
            ("a", "b", "c"),
        )
        check(program, {"x": image(rng, (5, 7, channels), (-128, 127))}, (9,))


@pytest.mark.parametrize("reach", [(0, 255), (-128, 127)])
@pytest.mark.parametrize("limit", [64, 65, 127, 128, -64, -65, -128])
def test_pairs_of_products_never_saturate(reach, limit):
    # All weights and inputs at their ends: what instructions that add two products in 16 bits
    # cannot hold beyond |w| = 64.
    for depthwise in (False, True):
        for result in ((0, 255), (-128, 127), (-32768, 32767)):
            shape = (40, 1, 3, 3) if depthwise else (40, 40, 1, 1)
            ones = np.ones(40, int)
            op = Conv(
                "x", "y", np.full(shape, limit), -9000 * np.sign(limit) * ones, 0 * ones,
                16383 * ones, 1, 40 if depthwise else 1, *result,
            )  # fmt: skip
            few = Conv(
                "x", "z", np.full(shape, limit), 0 * ones, 0 * ones, 2001 * ones, 1, op.groups,
                -32768, 32767,
            )  # fmt: skip
            program = Program("p", (Value("x", 40, *reach),), (op, few), ("y", "z"))
            for kind in ("high", "low", "extreme"):
                check(program, {"x": image(np.random.default_rng(0), (4, 9, 40), reach, kind)})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 16])
def test_sums_of_pairs_as_deep_as_proven(count):
    # AVX2 adds up to four pairs in 16 bits where the weights' signs and sizes allow it.
    rng = np.random.default_rng(count)
    for total in (128, 129):
        weight = np.zeros((70, 64, 1, 1), int)
        for row in weight[:, :, 0, 0]:
            begin = 16 * rng.integers(0, 4)
            places = begin + rng.choice(16, count, replace=False)
            row[places] = total // count * rng.choice([-1, 1])
            row[places[0]] += np.sign(row[places[0]]) * (total % count)
        weight = np.clip(weight, -128, 127)
        ones = np.ones(70, int)
        op = Conv("x", "y", weight, 0 * ones, 0 * ones, 257 * ones, low=-32768, high=32767)
        program = Program("p", (Value("x", 64, 0, 255),), (op,), ("y",))
        check(program, {"x": np.full((2, 7, 64), 255)})


def test_a_table_beyond_16_bits_is_refused():
    rng = np.random.default_rng(0)
    op = conv(rng, "x", "y", 3, 3, table=np.arange(5), table_low=40000)
    with pytest.raises(UnsupportedError, match="table"):
        backend.prepare(Program("p", (Value("x", 3, 0, 255),), (op,), ("y",)))


def test_accumulators_at_the_end_of_32_bits():
    # Products near 2**31 with divisor 1: the float must not leave int32, nor the result wrap.
    for sign in (1, -1):
        for divisor in (1, 3, 127, 16383):
            op = Conv(
                "x", "y", np.full((17, 8, 1, 1), sign * 8191), np.full(17, 59_000),
                np.zeros(17, int), np.full(17, divisor), low=-32768, high=32767,
            )  # fmt: skip
            program = Program("p", (Value("x", 8, -32767, 32767),), (op,), ("y",))
            for kind in ("low", "high", "any"):
                rng = np.random.default_rng(0)
                check(program, {"x": image(rng, (2, 7, 8), (-32767, 32767), kind)})


def test_every_quotient_of_16_bit_results():
    # Rule 1 at its boundary and, for larger divisors, past it: acc = c * v + c // 2 (+ 1).
    for divisor in (1, 3, 63, 127, 129, 1023, 16383):
        op = Conv(
            "x", "y", np.array([[8191, 1]]).reshape(1, 2, 1, 1).repeat(5, 0), np.zeros(5, int),
            np.zeros(5, int), np.full(5, divisor), low=-32768, high=32767,
        )  # fmt: skip
        program = Program("p", (Value("x", 2, -32768, 32767),), (op,), ("y",))
        v = np.arange(-32768, 32768, 7)
        acc = (divisor * v[:, None] + divisor // 2 + np.arange(2)).ravel()
        acc = acc[np.abs(acc) < 8191 * 32000]
        high = np.clip(acc // 8191, -32768, 32767)
        pixels = np.stack([high, acc - 8191 * high], axis=1)
        check(program, {"x": pixels.reshape(1, -1, 2)})


def synthesis(rng, channels, blocks, low=-3000, high=3000):
    """A decoder as in docs: a wide layer, shuffle, residual blocks, pixels."""
    c = channels
    full = {"low": -32768, "high": 32767}
    program_ops = [
        conv(rng, "y", "y1", c, 4 * c, limit=30, divisor=1001, **full),
        Shuffle("y1", "first", 2),
    ]
    stream = "first"
    for index in range(blocks):
        n = [f"{name}{index}" for name in ("a", "b", "d", "e", "t", "p", "q", "r", "s")]
        program_ops += [
            Requantize(stream, n[0], odd(rng, c, 9, 127)),
            conv(rng, n[0], n[1], c, c, divisor=301, low=0, high=255),
            conv(rng, n[1], n[2], c, c, groups=c, taps=3, divisor=257),
            conv(rng, n[2], n[3], c, c, divisor=43, **full),
            Add(stream, n[3], n[4]),
            Requantize(n[4], n[5], odd(rng, c, 9, 127)),
            conv(rng, n[5], n[6], c, 2 * c, divisor=301, low=0, high=255),
            conv(rng, n[6], n[7], 2 * c, c, divisor=77, **full),
            Add(n[4], n[7], n[8]),
        ]
        stream = n[8]
    program_ops += [
        Requantize(stream, "z1", odd(rng, c, 9, 127)),
        conv(rng, "z1", "z2", c, c, divisor=77, **full),
        Add(stream, "z2", "z3"),
        Requantize("z3", "z4", np.full(c, 63)),
        Shuffle("z4", "out", 2),
    ]
    inputs = (Value("y", c, low, high),)
    return Program("synthesis", inputs, tuple(program_ops), ("out",))


@pytest.mark.parametrize("channels", [4, 12, 36, 68, 192])
def test_residual_networks(channels):
    rng = np.random.default_rng(channels)
    program = synthesis(rng, channels, 2)
    shape = (5, 7, channels) if channels == 192 else (11, 13, channels)
    check(program, {"y": image(rng, shape, (-3000, 3000))}, (0, 5))
    check(program, {"y": image(rng, shape, (-3000, 3000), "extreme")})


def test_encoders():
    rng = np.random.default_rng(3)
    full = {"low": -32768, "high": 32767}
    program = Program(
        "analysis",
        (Value("x", 3, -128, 127),),
        (
            Unshuffle("x", "u", 8),
            Scale("u", "s", np.full(192, 63)),
            conv(rng, "u", "v", 192, 192, divisor=55, **full),
            Add("v", "s", "t"),
            Requantize("t", "a", np.full(192, 65)),
            conv(rng, "a", "y", 192, 70, taps=3, stride=2, divisor=127, **full),
        ),
        ("y",),
    )
    check(program, {"x": image(rng, (40, 56, 3), (-128, 127))})


def test_runs_do_not_share_memory():
    rng = np.random.default_rng(4)
    program = synthesis(rng, 12, 1)
    runner = backend.prepare(program)
    first = runner({"y": np.zeros((4, 4, 12), np.int16)}, level=0)["out"]
    before = first.copy()
    runner({"y": np.full((4, 4, 12), 999, np.int16)}, level=0)
    np.testing.assert_array_equal(first, before)


def test_unknown_instruction_sets_are_refused():
    program = synthesis(np.random.default_rng(0), 4, 1)
    if backend.isa() != "amx":
        with pytest.raises(UnsupportedError):
            backend.prepare(program, isa="amx")
    with pytest.raises(ValueError, match="legal: auto"):
        backend.prepare(program, isa="neon")  # pyright: ignore[reportArgumentType]


def test_runs_side_by_side_never_share_a_spare_buffer():
    program = Program("p", (Value("x", 1, 0, 9),), (Add("x", "x", "y"),), ("y",))
    runner = backend.prepare(program)
    buffer = np.zeros(1, np.uint8)
    inside, taken = threading.Event(), []

    def take():
        inside.set()
        taken.append(runner.take_spare())

    runner.put_spare({1: [buffer]})
    thread = threading.Thread(target=take)
    with runner._spare_lock:  # a thread in the middle of the exchange
        thread.start()
        assert inside.wait(10)
        thread.join(0.05)
        assert not taken
    thread.join(10)
    assert taken[0][1][0] is buffer
    assert runner.take_spare() == {}
