"""The cursor: what a short read, a bad number and a wrong checksum become."""

import zlib

import pytest

from intact.container.cursor import Cursor
from intact.errors import CorruptDataError


def test_reads_advance_in_file_order():
    cursor = Cursor(b"\x07\x78\x56\x34\x12\xac\x02xyz", "test")
    assert cursor.u8("a") == 7
    assert cursor.u32("b") == 0x12345678
    assert cursor.varint(0, 300, "c") == 300
    assert cursor.take(3, "d") == b"xyz"
    cursor.finish()


def test_a_short_read_names_file_byte_and_field():
    cursor = Cursor(b"abc", "image file")
    cursor.take(1, "head")
    with pytest.raises(CorruptDataError, match="image file, byte 1: level needs 3 bytes, 2 remain"):
        cursor.take(3, "level")
    assert cursor.position == 1


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x80\x00", "zero in two bytes"),
        (b"\xff\x80\x00", "127 in three bytes"),
        (b"\x80", "cut short"),
        (b"", "absent"),
        (b"\xff" * 9 + b"\x02", "bit 64"),
        (b"\x80" * 11, "eleven bytes"),
        (b"\x0b", "above the range"),
        (b"\x01", "below the range"),
    ],
)
def test_an_overlong_or_illegal_varint_is_refused(data, what):
    with pytest.raises(CorruptDataError, match="width"):
        Cursor(data, "test").varint(2, 10, "width")


def test_a_wrong_crc_is_refused():
    good = b"abc" + zlib.crc32(b"bc").to_bytes(4, "little")
    for data, fine in ((good, True), (good[:-1] + b"\x00", False), (good[:-1], False)):
        cursor = Cursor(data, "test")
        cursor.take(3, "data")
        if fine:
            cursor.check_crc(1, "data")
        else:
            with pytest.raises(CorruptDataError, match="CRC-32 of data"):
                cursor.check_crc(1, "data")


def test_a_tail_is_refused():
    with pytest.raises(CorruptDataError, match="1 bytes follow"):
        Cursor(b"x", "test").finish()
