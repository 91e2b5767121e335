"""Array blobs: every method gives the array back, and no blob gives more than it may."""

import contextlib
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.bits import fast, rans, varint
from intact.container import arrays, histograms, limits
from intact.container.arrays import inflate, pack_array, unpack_array
from intact.container.histograms import DELTA_BANK, DELTA_WEIGHTS, MAX_CODE, code_weight
from intact.container.tree import DTYPES, little_endian
from intact.errors import CorruptDataError, IntactError, UnsupportedError

INTEGERS = DTYPES[:-1]


def bell(rows, columns, low, high, seed):
    """int8 weights like a trained layer's: Gaussian rows, scales from ``low`` to ``high``."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.uniform(np.log(low), np.log(high), (rows, 1)))
    return np.clip(np.rint(rng.normal(size=(rows, columns)) * scales), -64, 64).astype(np.int8)


def blobs_of(array):
    """The array by every method that applies."""
    raw = little_endian(array)
    found = {0: raw, 1: zlib.compress(raw), 2: zlib.compress(arrays._to_varints(array))}
    if (blob := arrays._maybe_pack_rans(array)) is not None:
        found[3] = blob
    return found


def by_rans(array) -> bytes:
    """The array by method 3, which must apply."""
    blob = arrays._maybe_pack_rans(array)
    assert blob is not None
    return blob


def check(array):
    for method, blob in blobs_of(array).items():
        back = unpack_array(method, blob, array.dtype.name, array.shape)
        assert back.dtype == array.dtype, method
        assert back.shape == array.shape, method
        assert (back == array).all(), method
        assert not back.flags.writeable
    method, blob = pack_array(array)
    assert len(blob) <= min(map(len, blobs_of(array).values())) + 9  # zlib levels differ


@given(
    st.sampled_from(INTEGERS),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60),
    st.sampled_from([1, 2, 3]),
    st.integers(0, 63),
)
def test_unpack_inverts_pack(dtype, values, rows, shift):
    info = np.iinfo(dtype)
    small = [min(max(value >> shift, info.min), info.max) for value in values]
    check(np.array(small, dtype)[: len(small) // rows * rows].reshape(rows, -1))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_extremes_and_lonely_shapes_survive(dtype):
    info = np.iinfo(dtype)
    check(np.array([info.min, info.max], dtype))
    check(np.array(info.max, dtype))
    check(np.zeros((0, 4), dtype))
    check(np.zeros((4, 0), dtype))
    check(np.full((3, 5, 7), info.min, dtype))


def test_gaps_spans_and_outliers_survive():
    check(np.array([-64, 64] * 50, np.int8))
    check(np.arange(limits.MAX_TABLE_SPAN, dtype=np.int32))
    assert 3 not in blobs_of(np.array([0, limits.MAX_TABLE_SPAN], np.int32))
    assert 3 not in blobs_of(np.array([2**40, 2**40 + 1]))


def test_parts_longer_than_one_survive(monkeypatch):
    monkeypatch.setattr(arrays, "MAX_PART_VALUES", 100)
    for array in (bell(8, 33, 2, 30, 1), np.arange(100, dtype=np.int16), bell(1, 101, 5, 5, 2)):
        blob = by_rans(array)
        assert (unpack_array(3, blob, array.dtype.name, array.shape) == array).all()


@pytest.mark.parametrize(("rows", "columns", "slack"), [(192, 9, 0.05), (192, 192, 0.005)])
def test_weights_of_one_scale_come_close_to_their_entropy(rows, columns, slack):
    array = bell(rows, columns, 12, 12, 3)
    counts = np.unique(array, return_counts=True)[1]
    entropy_bytes = -(counts * np.log2(counts / array.size)).sum() / 8
    method, blob = pack_array(array)
    assert method == 3
    assert len(blob) < entropy_bytes * (1 + slack)


def test_rows_of_different_scale_get_tables_of_their_own():
    array = bell(192, 192, 2, 30, 4)
    one_table = by_rans(array.reshape(-1))
    assert len(pack_array(array)[1]) < 0.94 * len(one_table)


def test_packing_is_the_same_by_the_normative_coder(monkeypatch):
    array = bell(16, 40, 2, 30, 5)
    blob = by_rans(array)
    monkeypatch.setattr(fast, "encode", rans.encode)
    monkeypatch.setattr(fast, "Decoder", rans.Decoder)
    assert arrays._maybe_pack_rans(array) == blob
    assert (unpack_array(3, blob, "int8", (16, 40)) == array).all()


def test_golden_rans_blob():
    array = np.array([[0, 1, 0, 1, 0, 2, 0, 0], [-9, 9, 3, -3, 0, -6, 7, 1]], np.int8)
    blob = bytes.fromhex("0111130042af6701e550d303989b892c3815654b")
    assert arrays._maybe_pack_rans(array) == blob
    assert (unpack_array(3, blob, "int8", (2, 8)) == array).all()


def test_table_codes_are_quarter_octaves():
    assert [code_weight(code) for code in (0, 1, 2, 3, 4, 5)] == [0, 16, 19, 23, 27, 32]
    assert code_weight(MAX_CODE) == 23 << 27
    for code in range(1, MAX_CODE):
        assert 1.17 < code_weight(code + 1) / code_weight(code) < 1.22


def test_the_fixed_table_is_what_the_specification_says():
    assert len(DELTA_WEIGHTS) == 34
    assert DELTA_WEIGHTS[16] == 1 << 16
    assert DELTA_WEIGHTS[0] == DELTA_WEIGHTS[32] == DELTA_WEIGHTS[33] == 16
    assert DELTA_BANK.freqs.sum() == 1 << 14


@given(
    st.integers(0, 4),
    st.binary(max_size=60),
    st.sampled_from(INTEGERS),
    st.sampled_from([(), (0,), (5,), (3, 4), (0, 3), (2, 2, 2), (40, 40)]),
)
def test_any_blob_is_an_array_or_an_intact_error(method, data, dtype, shape):
    payload = b"\x00" + data[:2] + b"\x01\x00" + data
    for blob in (data, zlib.compress(data), b"\x01\x00\x01" + payload, b"\x02\x05\x03" + payload):
        try:
            array = unpack_array(method, blob, dtype, shape)
        except IntactError:
            continue
        assert array.dtype.name == dtype
        assert array.shape == shape


@given(st.integers(0, 199), st.integers(1, 255))
def test_a_damaged_rans_blob_is_an_array_or_an_intact_error(at, change):
    array = bell(8, 20, 2, 20, 6)
    damaged = bytearray(by_rans(array))
    damaged[at % len(damaged)] ^= change
    with contextlib.suppress(IntactError):
        assert unpack_array(3, bytes(damaged), "int8", array.shape).shape == array.shape


def test_a_deflate_bomb_is_stopped():
    bomb = zlib.compress(bytes(100_000_000), 9)
    tracemalloc.start()
    for method, shape in ((1, (1000,)), (2, (1000,))):
        with pytest.raises(CorruptDataError, match="not one zlib stream"):
            unpack_array(method, bomb, "int8", shape)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_rans_bomb_is_stopped():
    blob = by_rans(np.zeros(1000, np.int8))
    tracemalloc.start()
    with pytest.raises(CorruptDataError, match="may not hold"):
        unpack_array(3, blob, "int8", (1 << 27,))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert arrays._maybe_pack_rans(np.zeros(10_000, np.int8)) is None
    assert pack_array(np.zeros(10_000, np.int8))[0] in (1, 2)


def test_varints_of_an_array_too_long_for_them_are_refused():
    with pytest.raises(CorruptDataError, match="at most 1048576"):
        unpack_array(2, b"", "int8", (limits.MAX_PART_VALUES + 1,))


@pytest.mark.parametrize(
    "digits",
    [b"\x80\x00", b"\x01\x80", b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01", b"\x01\x01", b"\x80"],
)
def test_an_overlong_varint_is_refused(digits):
    with pytest.raises(CorruptDataError):
        unpack_array(2, zlib.compress(digits), "int64", (1,))


def test_a_value_outside_the_type_is_refused():
    assert unpack_array(2, zlib.compress(b"\xff\x01"), "int8", (1,))[0] == -128
    with pytest.raises(CorruptDataError, match=r"outside -128 \.\. 127"):
        unpack_array(2, zlib.compress(b"\x80\x02"), "int8", (1,))
    wide = by_rans(np.array([300, 301], np.int16))
    with pytest.raises(CorruptDataError, match=r"outside 0 \.\. 255"):
        unpack_array(3, wide, "uint8", (2,))


def test_a_zlib_stream_with_a_tail_is_refused():
    with pytest.raises(CorruptDataError, match="not one zlib stream"):
        inflate(zlib.compress(b"abc") + b"x", 3, 3, "test")


def forged(num_tables, tables, rows, deltas):
    """A blob with chosen tables and rows, and no values."""
    head = varint.encode(num_tables)
    for minimum, size in tables:
        head += varint.encode(minimum) + varint.encode(size)
    parts = []
    if num_tables > 1:
        bank = histograms.row_bank(num_tables)
        parts.append((np.array(rows, np.int32), np.zeros(len(rows), np.uint8), bank))
    parts.append((np.array(deltas, np.int32), np.zeros(len(deltas), np.uint8), DELTA_BANK))
    return head + fast.encode(parts)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (forged(17, [(0, 1)] * 17, [0, 0], [1] * 17), "number of tables"),
        (forged(1, [(0, limits.MAX_TABLE_SPAN + 1)], [], [1]), "symbols of a table"),
        (forged(1, [(0, 0)], [], [1]), "symbols of a table"),
        (forged(1, [(2 << 30, 1)], [], [1]), "smallest symbol"),
        (forged(1, [(0, 2)], [], [0, 0]), "all are 0"),
        (forged(1, [(0, 2)], [], [1, -2]), "codes are not"),
        (forged(1, [(0, 2)], [], [MAX_CODE + 1, 0]), "codes are not"),
        (forged(2, [(0, 1)] * 2, [0, 2], [1, 1]), "a row uses a table"),
        (forged(2, [(0, 1)] * 2, [0, -1], [1, 1]), "a row uses a table"),
    ],
)
def test_forged_tables_are_refused(blob, message):
    with pytest.raises(CorruptDataError, match=message):
        unpack_array(3, blob, "int8", (2, 2))


def test_one_axis_has_no_rows_to_give_tables_to():
    with pytest.raises(CorruptDataError, match="number of tables"):
        unpack_array(3, forged(2, [(0, 1)] * 2, [0, 1], [1, 1]), "int8", (4,))


def test_floats_are_kept_bit_by_bit():
    """Whatever they are: nothing computes with them here."""
    bits = np.array([0, 1, 0x80000000, 0x3F800000, 0x7F800000, 0x7FC00001, 0xFFFFFFFF], np.uint32)
    for array in (bits.view(np.float32), np.zeros((100, 5), np.float32)):
        method, blob = pack_array(array)
        back = unpack_array(method, blob, "float32", array.shape)
        assert back.dtype == np.float32
        assert back.tobytes() == array.tobytes()
    assert method == 1


@pytest.mark.parametrize("method", [2, 3])
def test_floats_have_no_method_for_integers(method):
    with pytest.raises(CorruptDataError, match=f"method is {method}, must be 0 or 1"):
        unpack_array(method, b"", "float32", (2,))


def test_a_codebook_is_refused_by_its_name():
    with pytest.raises(UnsupportedError, match="this model file has a codebook"):
        unpack_array(4, b"", "int8", (2,))
