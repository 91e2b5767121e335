"""Floats without loss: every bit comes back, also those of what is no number."""

import numpy as np
import pytest

from intact.bits import fast
from intact.errors import ArgumentError, CorruptDataError
from intact.packing import coding
from intact.packing.coding import floats

BACKENDS = ("native", "python") if fast.is_native() else ("python",)


def bits_of(kind, count, seed=3):
    """Bits of weights of a normal distribution, and of everything that is special."""
    weights = np.random.default_rng(seed).normal(0, 0.02, count).astype(np.float32)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-42, 3e38, 1], np.float32)
    weights[: min(count, 8)] = special[:count]
    match kind:
        case "float64":
            return weights.astype(np.float64).view(np.uint64)
        case "float32":
            return weights.view(np.uint32)
        case "bfloat16":
            return (weights.view(np.uint32) >> 16).astype(np.uint16)
        case "float16":
            with np.errstate(over="ignore"):
                return weights.astype(np.float16).view(np.uint16)
    return (weights.view(np.uint32) >> 24).astype(np.uint8)


@pytest.mark.parametrize("kind", coding.FLOAT_KINDS)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100, 5000])
def test_every_bit_comes_back_and_backends_write_the_same_bytes(kind, count):
    raw = bits_of(kind, count)
    datas = [coding.encode_floats(raw, kind, backend=backend) for backend in BACKENDS]
    assert len(set(datas)) == 1
    for backend in BACKENDS:
        found = coding.decode_floats(datas[0], kind, count, backend=backend)
        assert found.dtype == raw.dtype
        assert np.array_equal(found, raw)


@pytest.mark.parametrize("kind", coding.FLOAT_KINDS)
def test_random_bits_grow_by_little(kind):
    width = floats.BYTES[kind]
    raw = np.frombuffer(np.random.default_rng(4).bytes(4000 * width), f"u{width}")
    data = coding.encode_floats(raw, kind)
    assert len(data) <= raw.nbytes + width
    assert np.array_equal(coding.decode_floats(data, kind, 4000), raw)


def test_weights_become_as_small_as_their_exponents_allow():
    assert len(coding.encode_floats(bits_of("float32", 20_000), "float32")) < 0.84 * 80_000
    assert len(coding.encode_floats(bits_of("bfloat16", 20_000), "bfloat16")) < 0.68 * 40_000


def test_half_precision_that_was_widened_costs_what_it_is_worth():
    raw = bits_of("float32", 20_000) & np.uint32(0xFFFF0000)
    assert len(coding.encode_floats(raw, "float32")) < 0.68 * 40_000


def test_blocks_are_decoded_on_their_own(monkeypatch):
    monkeypatch.setattr(floats, "BLOCK", 1000)
    raw = bits_of("float32", 4321)
    data = coding.encode_floats(raw.reshape(29, 149), "float32")
    for threads in (1, 2):
        assert np.array_equal(coding.decode_floats(data, "float32", 4321, threads=threads), raw)
    with pytest.raises(CorruptDataError):
        coding.decode_floats(data[:-1], "float32", 4321, threads=2)


@pytest.mark.parametrize("kind", coding.FLOAT_KINDS)
def test_truncation_tails_and_other_counts_are_noticed(kind):
    raw = bits_of(kind, 60)
    data = coding.encode_floats(raw, kind)
    for size in range(len(data)):
        with pytest.raises(CorruptDataError):
            coding.decode_floats(data[:size], kind, 60)
    for wrong, count in ((data + b"\0", 60), (data, 59), (data, 61), (data, 0)):
        with pytest.raises(CorruptDataError):
            coding.decode_floats(wrong, kind, count)


def test_damage_is_a_typed_error_or_other_bits_the_same_on_every_backend():
    rng = np.random.default_rng(5)
    raw = bits_of("bfloat16", 90)
    data = coding.encode_floats(raw, "bfloat16")
    for _ in range(120):
        damaged = bytearray(data)
        damaged[rng.integers(40)] = rng.integers(256)
        outcomes = []
        for backend in BACKENDS:
            try:
                found = coding.decode_floats(bytes(damaged), "bfloat16", 90, backend=backend)
            except CorruptDataError:
                outcomes.append(None)
            else:
                outcomes.append(found.tobytes())
        assert len(set(outcomes)) == 1


def test_an_unknown_mode_is_named():
    with pytest.raises(CorruptDataError, match="mode 3 of a plane"):
        coding.decode_floats(b"\x03\x00", "float8", 1)


@pytest.mark.parametrize(
    ("raw", "kind", "message"),
    [
        (np.zeros(3, np.uint32), "double", "kind is 'double'"),
        (np.zeros(3, np.uint32), "bfloat16", "wanted uint16"),
        (np.zeros(3, np.float32), "float32", "wanted uint32"),
    ],
)
def test_a_wrong_argument_is_named(raw, kind, message):
    with pytest.raises(ArgumentError, match=message):
        coding.encode_floats(raw, kind)


def test_a_negative_count_is_named():
    with pytest.raises(ArgumentError, match="count is -1"):
        coding.decode_floats(b"", "float32", -1)
