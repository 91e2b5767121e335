"""Chunks: what a reader must refuse, may skip, and never takes twice."""

import zlib

import pytest
from hypothesis import given, strategies as st

from intact.bits import varint
from intact.container import limits
from intact.container.chunks import ALPHA, CICP, EXIF, ICC, XMP, Chunk, read_chunks, write_chunks
from intact.container.cursor import Cursor
from intact.errors import CorruptDataError, IntactError, UnsupportedError


def raw_chunk(letters, data=b"", size=None):
    head = letters + varint.encode(len(data) if size is None else size)
    return head + data + zlib.crc32(head + data).to_bytes(4, "little")


def read(data):
    cursor = Cursor(data, "test")
    chunks = read_chunks(cursor)
    cursor.finish()
    return chunks


def test_no_chunks_are_one_byte():
    assert write_chunks([]) == b"\x00"
    assert read(b"\x00") == ()


def test_golden_chunk():
    data = bytes.fromhex("65786966 02 4949 6557c304 00")
    assert write_chunks([Chunk(EXIF, b"II")]) == data
    assert read(data) == (Chunk(EXIF, b"II"),)


@given(st.dictionaries(st.sampled_from([ALPHA, EXIF, ICC, XMP, "abcd", "zzZZ"]), st.binary()))
def test_read_inverts_write(parts):
    chunks = tuple(Chunk(name, parts[name]) for name in sorted(parts))
    assert read(write_chunks(chunks)) == chunks


@given(st.binary(max_size=60))
def test_any_bytes_are_chunks_or_an_intact_error(data):
    try:
        chunks = read(data)
    except IntactError:
        return
    assert write_chunks(chunks) == data


def test_an_unknown_ancillary_chunk_is_kept():
    chunks = read(raw_chunk(b"newX", b"later") + b"\x00")
    assert chunks == (Chunk("newX", b"later"),)


def test_an_unknown_ancillary_chunk_is_still_checked():
    data = bytearray(raw_chunk(b"newX", b"later") + b"\x00")
    data[6] ^= 1
    with pytest.raises(CorruptDataError, match="CRC-32"):
        read(bytes(data))


def test_an_unknown_critical_chunk_is_refused():
    with pytest.raises(UnsupportedError, match="'Newx'"):
        read(raw_chunk(b"Newx") + b"\x00")


def test_a_damaged_critical_type_is_called_damage_and_not_a_newer_version():
    data = raw_chunk(b"exif", b"II")
    with pytest.raises(CorruptDataError):
        read(b"E" + data[1:] + b"\x00")


@pytest.mark.parametrize("second", [b"exif", b"ALPH", b"abcd"])
def test_duplicate_and_disordered_chunks_are_refused(second):
    with pytest.raises(CorruptDataError, match="must ascend"):
        read(raw_chunk(b"exif") + raw_chunk(second) + b"\x00")


def test_too_many_chunks_are_refused():
    names = [f"a{chr(97 + i // 26)}{chr(97 + i % 26)}a".encode() for i in range(65)]
    chunks = [raw_chunk(name) for name in names]
    assert len(read(b"".join(chunks[:64]) + b"\x00")) == limits.MAX_CHUNKS == 64
    with pytest.raises(CorruptDataError, match="more than 64"):
        read(b"".join(chunks) + b"\x00")


def test_a_length_beyond_the_file_or_the_limit_is_refused():
    with pytest.raises(CorruptDataError, match="remain"):
        read(raw_chunk(b"exif", b"II", size=1000) + b"\x00")
    with pytest.raises(CorruptDataError, match="must be 0"):
        read(raw_chunk(b"exif", b"II", size=limits.MAX_METADATA_BYTES + 1) + b"\x00")


@pytest.mark.parametrize("letters", [b"Newx", b"newx"])
def test_unknown_chunks_have_a_limit_too(letters):
    with pytest.raises(CorruptDataError, match="length of chunk"):
        read(raw_chunk(letters, size=(1 << 24) + 1) + b"\x00")


@pytest.mark.parametrize("name", ["exi", "exif5", "ex1f", "éxif", "", "ABCD"])
def test_wrong_types_are_value_errors(name):
    with pytest.raises(ValueError, match="chunk"):
        Chunk(name, b"")


def test_writing_out_of_order_is_a_value_error():
    with pytest.raises(ValueError, match="ascend"):
        write_chunks([Chunk(XMP, b""), Chunk(EXIF, b"")])
    with pytest.raises(ValueError, match="ascend"):
        write_chunks([Chunk(EXIF, b""), Chunk(EXIF, b"")])


@pytest.mark.parametrize("full_range", [0, 1])
def test_code_points_of_colors_are_four_bytes(full_range):
    chunks = (Chunk(CICP, bytes([9, 16, 0, full_range])), Chunk(EXIF, b"II"))
    assert read(write_chunks(chunks)) == chunks


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes, must have 4"),
        (b"\x09\x10\x00", "has 3 bytes, must have 4"),
        (b"\x09\x10\x09\x01", "the third must be 0"),
        (b"\x09\x10\x00\x02", "the fourth 0 or 1"),
    ],
)
def test_code_points_that_mean_nothing_for_rgb_are_refused(data, message):
    with pytest.raises(CorruptDataError, match=message):
        read(raw_chunk(b"cicp", data) + b"\x00")
    with pytest.raises(ValueError, match=message):
        Chunk(CICP, data)


def test_more_than_four_code_points_are_refused():
    with pytest.raises(CorruptDataError, match="length of chunk 'cicp'"):
        read(raw_chunk(b"cicp", bytes(5)) + b"\x00")


def test_damaged_code_points_are_called_damage():
    data = bytearray(raw_chunk(b"cicp", bytes([9, 16, 0, 1])) + b"\x00")
    data[5] ^= 1
    with pytest.raises(CorruptDataError, match="CRC-32"):
        read(bytes(data))
