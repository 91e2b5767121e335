"""Coded weights: every method, on both backends, with what an attacker may send."""

import numpy as np
import pytest

from intact.bits import fast, varint
from intact.errors import ArgumentError, CorruptDataError
from intact.packing import coding
from intact.packing.coding import code, limits

METHODS = coding.METHODS
BACKENDS = ("native", "python") if fast.is_native() else ("python",)


def laplace(rows, columns, scale, seed=1):
    """Weights whose rows and columns differ in scale."""
    rng = np.random.default_rng(seed)
    scales = rng.lognormal(0, 0.7, (rows, 1)) * rng.lognormal(0, 0.4, (1, columns))
    return np.rint(rng.laplace(0, scale, (rows, columns)) * scales).astype(np.int32)


CASES = {
    "one weight": (np.array([[-7]]), 1),
    "two": (np.array([[3, -4]]), 1),
    "a column": (laplace(37, 1, 2), 1),
    "a row": (laplace(1, 300, 2), 1),
    "3x3 kernels": (laplace(16, 144, 1.2), 9),
    "sparse": (laplace(32, 288, 0.2), 9),
    "5x5 kernels, few channels": (laplace(40, 75, 3), 25),
    "a linear layer": (laplace(64, 200, 4), 1),
    "all equal": (np.full((5, 12), 3), 3),
    "all zero": (np.zeros((5, 12), np.int8), 1),
    "two far apart": (np.array([[0, 0, 0, 0, 0, 1 << 30]]), 1),
    "the limits": (np.array([[-(1 << 30), 1 << 30, 0, 5]]), 1),
    "wide": (laplace(20, 90, 3000), 9),
    "very wide": (laplace(9, 90, 1 << 22), 1),
    "an outlier": (np.pad(laplace(20, 90, 1), ((0, 0), (0, 1)), constant_values=100_000), 1),
    "outliers on both sides": (np.r_[laplace(40, 100, 0.3), [[-900] * 50 + [70_000] * 50]], 1),
    "unsigned": (np.arange(256, dtype=np.uint8).reshape(4, 64), 1),
    "far from zero": (laplace(20, 90, 2) + 1_000_000, 9),
    "a dead layer": (np.r_[np.zeros((30, 99), int), laplace(2, 99, 3)], 9),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_symbols_come_back_and_backends_write_the_same_bytes(method, name):
    symbols, kernel = CASES[name]
    datas = [coding.encode(symbols, method, kernel=kernel, backend=b) for b in BACKENDS]
    assert len(set(datas)) == 1
    assert coding.span(datas[0]) == (symbols.min(), symbols.max())
    for backend in BACKENDS:
        found = coding.decode(datas[0], *symbols.shape, backend=backend)
        assert found.dtype == np.int32
        assert np.array_equal(found, symbols)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_levels_are_what_symbols_stand_for(method, backend, dtype):
    for name in ("3x3 kernels", "an outlier", "wide", "all equal"):
        symbols, kernel = CASES[name]
        low, high = symbols.min(), symbols.max()
        levels = np.random.default_rng(5).integers(0, 1 << 16, high - low + 1).astype(dtype)
        data = coding.encode(symbols, method, kernel=kernel)
        found = coding.decode(data, *symbols.shape, levels=levels, backend=backend)
        assert found.dtype == dtype
        assert np.array_equal(found, levels[symbols - low])


@pytest.mark.parametrize("method", METHODS)
def test_no_symbols_are_no_bytes(method):
    for shape in ((0, 0), (0, 7), (7, 0)):
        assert coding.encode(np.zeros(shape, np.int32), method) == b""
        assert coding.decode(b"", *shape).shape == shape
    assert coding.span(b"") == (0, 0)
    with pytest.raises(CorruptDataError, match="follow the end"):
        coding.decode(b"\0", 0, 3)


@pytest.mark.parametrize("method", METHODS)
def test_segments_are_decoded_on_their_own(monkeypatch, method):
    symbols = laplace(70, 90, 3)
    whole = coding.encode(symbols, method, kernel=9)
    monkeypatch.setattr(code, "SEGMENT_SYMBOLS", 1000)
    data = coding.encode(symbols, method, kernel=9)
    assert data != whole
    for threads in (1, 2):
        assert np.array_equal(coding.decode(data, 70, 90, threads=threads), symbols)
    levels = np.arange(symbols.max() - symbols.min() + 1, dtype=np.uint32)
    found = coding.decode(data, 70, 90, levels=levels, threads=2)
    assert np.array_equal(found, levels[symbols - symbols.min()])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_truncation_and_every_tail_is_noticed(method, backend):
    symbols = laplace(3, 18, 300)
    data = coding.encode(symbols, method, kernel=9)
    for size in range(len(data)):
        with pytest.raises(CorruptDataError):
            coding.decode(data[:size], 3, 18, backend=backend)
    with pytest.raises(CorruptDataError):
        coding.decode(data + b"\0", 3, 18, backend=backend)


@pytest.mark.parametrize("method", METHODS)
def test_damage_is_a_typed_error_or_other_symbols_in_range_the_same_on_every_backend(method):
    rng = np.random.default_rng(11)
    symbols = np.r_[laplace(8, 36, 3), [[5000] * 36]]
    data = coding.encode(symbols, method, kernel=9)
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(data))] = rng.integers(256)
        outcomes = []
        for backend in BACKENDS:
            try:
                found = coding.decode(bytes(damaged), 9, 36, backend=backend)
            except CorruptDataError:
                outcomes.append(None)
            else:
                low, high = coding.span(bytes(damaged))
                assert low <= found.min()
                assert found.max() <= high
                outcomes.append(found.tobytes())
        assert len(set(outcomes)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_a_typed_error_or_symbols(seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        head = bytes([rng.integers(16), rng.integers(8), rng.integers(20), rng.integers(1, 4)])
        data = head + rng.bytes(int(rng.integers(0, 60)))
        try:
            found = coding.decode(data, 4, 36)
        except CorruptDataError:
            continue
        low, high = coding.span(data)
        assert low <= found.min() <= found.max() <= high


def test_a_wrong_shape_is_noticed():
    data = coding.encode(laplace(16, 144, 1.2), kernel=9)
    for shape in ((16, 143), (15, 144), (17, 144), (16, 135)):
        with pytest.raises(CorruptDataError):
            coding.decode(data, *shape)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x10\0\0", "method 16"),
        (b"\x00", "smallest symbol"),
        (b"\x00" + varint.encode((1 << 31) + 1), "smallest symbol is"),
        (b"\x00\x00" + varint.encode((1 << 30) + 1), "range of symbols is"),
        (b"\x04\x00\x05\x00", "low bits is 0"),
        (b"\x04\x00\x05\x19", "low bits is 25"),
        (b"\x01\x00\x05\x00", "kernel is 0"),
        (b"\x01\x00\x05\x05", "does not divide"),
        (b"\x08\x00\x05\x00", "units of a segment is 0"),
        (b"\x08\x00\x05\x08", "there is but one"),
        (b"\x00\x00\x05\x06\x00", "smallest symbol of the tables is 6"),
        (b"\x00\x00\x05\x03\x03", "symbols of the tables is 3"),
        (b"\x01\x00\x05\x01" + varint.encode((1 << 30) + 1), "center of the tables is"),
        (b"\x01\x00\x05\x01\x00" + varint.encode(256), "reach of the tables is 256"),
        (b"\x01\x00\x05\x01\x00\x05" + varint.encode(161), "mean of the magnitudes is 161"),
        (b"\x01\x00\x05\x01\x00\x05\x01\x54", "width of a step is 84"),
    ],
)
def test_a_field_out_of_its_range_is_named(data, message):
    with pytest.raises(CorruptDataError, match=message):
        coding.decode(data, 2, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros(3, int),), {}, "wanted integers"),
        ((np.zeros((3, 1)),), {}, "wanted integers"),
        ((np.zeros((3, 4), int), "zip"), {}, "method is 'zip'"),
        ((np.zeros((3, 4), int),), {"kernel": 3}, "dividing 4"),
        ((np.zeros((3, 4), int),), {"kernel": 0}, "kernel is 0"),
        ((np.full((1, 1), (1 << 30) + 1),), {}, "-2"),
        ((laplace(3, 4, 3),), {"backend": "gpu"}, "backend is 'gpu'"),
    ],
)
def test_a_wrong_argument_of_encode_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        coding.encode(*arguments, **options)


def test_a_wrong_argument_of_decode_is_named():
    data = coding.encode(laplace(3, 4, 3))
    with pytest.raises(ArgumentError, match="shape is"):
        coding.decode(data, -1, 4)
    with pytest.raises(ArgumentError, match="levels are"):
        coding.decode(data, 3, 4, levels=np.zeros(1, np.uint32))


def test_rows_are_smaller_than_one_histogram_where_rows_and_columns_differ():
    symbols = laplace(64, 576, 1.5)
    assert len(coding.encode(symbols, "rows", kernel=9)) < len(coding.encode(symbols, "static"))


def test_low_bits_keep_a_wide_range_close_to_its_entropy():
    symbols = np.random.default_rng(2).integers(-30_000, 30_000, (50, 1000))
    assert len(coding.encode(symbols, "static")) < 50_000 * 2 * 1.02
    assert len(coding.encode(symbols, "rows")) < 50_000 * 2 * 1.08


def test_limits_hold_together():
    assert limits.SEGMENT_SYMBOLS <= limits.MAX_SEGMENT_SYMBOLS
    assert limits.MAX_TABLE < 1 << 14
