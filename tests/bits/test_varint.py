"""`intact.bits.varint`."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from intact.bits import varint
from intact.errors import CorruptDataError


@pytest.mark.parametrize(
    ("value", "spelling"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), ((1 << 64) - 1, "ff" * 9 + "01")],
)
def test_known_spellings(value: int, spelling: str) -> None:
    assert varint.encode(value).hex() == spelling
    assert varint.decode(bytes.fromhex(spelling)) == (value, len(spelling) // 2)


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_decode_inverts_encode(value: int, before: bytes, after: bytes) -> None:
    data = before + varint.encode(value) + after
    assert varint.decode(data, len(before)) == (value, len(data) - len(after))


@given(st.binary(max_size=12))
def test_any_bytes_decode_canonically_or_are_corrupt(data: bytes) -> None:
    try:
        value, end = varint.decode(data)
    except CorruptDataError:
        return
    assert varint.encode(value) == data[:end]


@pytest.mark.parametrize("spelling", ["", "80", "8000", "ac8200", "ff" * 9 + "02", "80" * 10])
def test_cut_padded_or_too_long_is_corrupt(spelling: str) -> None:
    with pytest.raises(CorruptDataError):
        varint.decode(bytes.fromhex(spelling))


def test_max_bits_is_a_limit() -> None:
    assert varint.decode(varint.encode(255), max_bits=8) == (255, 2)
    with pytest.raises(CorruptDataError, match="8 bits"):
        varint.decode(varint.encode(256), max_bits=8)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_out_of_range_is_a_value_error(value: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        varint.encode(value)


@given(st.integers())
def test_unzigzag_inverts_zigzag(value: int) -> None:
    assert varint.unzigzag(varint.zigzag(value)) == value
    assert [varint.unzigzag(code) for code in range(5)] == [0, -1, 1, -2, 2]
