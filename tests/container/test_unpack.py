"""Native unpacking gives the arrays of `intact.container.arrays`, or leaves it to Python."""

import numpy as np
import pytest

from intact.bits import fast, varint
from intact.container import arrays, histograms, unpack
from intact.container.arrays import pack_array, unpack_array
from intact.errors import CorruptDataError

built = pytest.mark.skipif(unpack._proven() is None, reason="the native library was not built")


def blob_of(array, tables, lanes):
    """A method-3 blob in which rows have given tables; what these do not hold are escapes.

    Args:
        array: int16 [r, c].
        tables: (minimum, codes, rows that have it) of each.
        lanes: of the payload.
    """
    rows = np.zeros(len(array), np.int32)
    for number, (_, _, which) in enumerate(tables):
        rows[which] = number
    head = varint.encode(len(tables))
    for minimum, codes, _ in tables:
        head += varint.encode(varint.zigzag(minimum)) + varint.encode(len(codes))
    codes = [np.asarray(codes) for _, codes, _ in tables]
    deltas = histograms.code_deltas(codes)
    bank = histograms.build_bank([minimum for minimum, _, _ in tables], codes)
    parts = [(deltas, arrays._zeros(deltas.size), histograms.DELTA_BANK)]
    if len(tables) > 1:
        parts.insert(0, (rows, arrays._zeros(rows.size), histograms.row_bank(len(tables))))
    spread = np.repeat(rows, array.shape[1]).astype(np.uint8)
    parts.append((array.ravel().astype(np.int32), spread, bank))
    return head + fast.encode(parts, lanes, backend="python")


def table_of(values, which):
    low = int(values.min())
    return low, histograms.table_codes(np.bincount(values.ravel() - low)), which


def test_the_probe_is_what_it_says():
    array = unpack.probe_array()
    small = np.arange(16) % 3 == 0
    values = [part[part != 3000].astype(int) for part in (array[small], array[~small])]
    tables = [table_of(values[0], small), table_of(values[1], ~small)]
    assert blob_of(array, tables, 4) == unpack.PROBE
    assert np.array_equal(arrays._unpack_rans(unpack.PROBE, "int16", (16, 48), "x"), array)


@built
@pytest.mark.parametrize("dtype", ["int16", "int32"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 1024])
@pytest.mark.parametrize("columns", [1, 7, 64, 333])
def test_native_blobs_are_those_of_python(monkeypatch, dtype, lanes, columns):
    random = np.random.default_rng(lanes * columns)
    array = (random.standard_normal((37, columns)) * 40).astype(dtype)
    array[random.random(array.shape) < 0.01] = 32767  # escapes
    narrow = np.arange(37) < 20
    values = [part[part < 32767].astype(int) for part in (array[narrow], array[~narrow])]
    tables = [table_of(values[0], narrow), table_of(values[1], ~narrow)]
    blob = blob_of(array, tables, lanes)
    found = unpack.maybe_rans(blob, dtype, array.shape)
    assert found is not None
    assert (found.dtype, np.array_equal(found, array)) == (dtype, True)
    monkeypatch.setattr(unpack, "_proven", lambda: None)
    assert np.array_equal(unpack_array(3, blob, dtype, array.shape), array)


@built
@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_native_unpacks_whatever_the_packer_writes(dtype):
    random = np.random.default_rng(5)
    for scale in (0, 1, 30, 4000):
        for shape in [(1,), (5000,), (64, 100), (3, 5, 3, 3)]:
            array = (random.standard_normal(shape) * scale).astype(dtype)
            method, blob = pack_array(array)
            assert np.array_equal(unpack_array(method, blob, dtype, shape), array)
            blob = arrays._maybe_pack_rans(array)
            if blob is not None:
                found = unpack.maybe_rans(blob, dtype, shape)
                assert found is not None
                assert np.array_equal(found, array)


@built
def test_native_refuses_all_that_python_refuses():
    array = np.arange(-60, 60).reshape(6, 20).astype(np.int16)
    blob = arrays._maybe_pack_rans(array)
    assert blob is not None
    damaged = [blob[:end] for end in range(len(blob))] + [blob + b"\0"]
    for at in range(len(blob)):
        damaged += [blob[:at] + bytes([blob[at] ^ bit]) + blob[at + 1 :] for bit in (1, 16, 128)]
    refused = 0
    for bad in damaged:
        found = unpack.maybe_rans(bad, "int16", array.shape)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(unpack, "_proven", lambda: None)
                wanted = unpack_array(3, bad, "int16", array.shape)
        except CorruptDataError:
            wanted, refused = None, refused + 1
        assert (found is None) == (wanted is None)
        assert found is None or wanted is None or np.array_equal(found, wanted)
    assert refused > len(blob)


@built
@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_native_varints_are_those_of_python(dtype):
    limits = np.iinfo(dtype)
    array = np.array([0, -1, 1, 63, -64, 64, limits.min, limits.max], dtype)
    digits = arrays._to_varints(array)
    found = unpack.maybe_varints(digits, dtype, array.shape)
    assert found is not None
    assert np.array_equal(found, array)
    for bad in (
        digits[:-1],
        digits + b"\0",
        b"\x80\x00",
        arrays._to_varints(array.astype(np.int64) - 2**40),
    ):
        assert unpack.maybe_varints(bad, dtype, array.shape) is None
    assert unpack.maybe_varints(b"\xfe\xff\xff\xff\x1f", "int16", (1,)) is None


@built
def test_a_library_that_unpacks_wrong_is_not_used(monkeypatch):
    monkeypatch.setattr(unpack, "probe_array", lambda: np.zeros((16, 48), np.int16))
    unpack._is_right.cache_clear()
    try:
        array = np.arange(9, dtype=np.int16)
        assert unpack._proven() is None
        assert np.array_equal(unpack_array(*pack_array(array), "int16", (9,)), array)
    finally:
        unpack._is_right.cache_clear()
