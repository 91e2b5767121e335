"""TIFF structures: what is read of hostile ones, and what is built is what others read."""

import io
import struct

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from foreign_files import MAKER, adobe_rgb_exif, camera_exif, directory, long, saved, short
from intact.codec import exif as ex


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_found_in_both_byte_orders(order, value):
    assert ex.orientation(camera_exif(order, value)) == value


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_there_is_not_counts_as_none(value):
    assert ex.orientation(camera_exif(orientation=value)) == 0


@pytest.mark.parametrize(
    "data", [b"", b"II", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff"]
)
def test_no_structure_says_no_orientation(data):
    assert ex.orientation(data) == 0
    assert not ex.is_adobe_rgb(data)


@pytest.mark.parametrize("value", range(2, 9))
def test_only_an_orientation_is_26_bytes_that_pillow_reads(value):
    data = ex.only_orientation(value)
    assert len(data) == 26
    parsed = Image.Exif()
    parsed.load(data)
    assert dict(parsed) == {274: value}
    assert ex.only_orientation(1) == ex.only_orientation(0) == b""


def test_adobe_rgb_is_known_by_the_rules_of_dcf():
    assert ex.is_adobe_rgb(adobe_rgb_exif())
    assert not ex.is_adobe_rgb(camera_exif())
    inner = directory("<", 26, [(40961, 3, 1, short("<", 2))])
    data = b"II*\0\x08\0\0\0" + directory("<", 8, [(34665, 4, 1, long("<", 26))]) + inner
    assert ex.is_adobe_rgb(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_the_exif_of_a_tiff_keeps_every_value(order, big):
    """Also from a BigTIFF, whose entries have another size."""
    if big:
        stream = io.BytesIO()
        info = Image.Exif()
        info[271] = "Maker"
        info.get_ifd(34665)[37500] = MAKER
        info[34665] = info.get_ifd(34665)
        Image.new("RGB", (4, 4)).save(stream, "TIFF", exif=info, big_tiff=True)
        found, lost = ex.of_tiff(stream)
    else:
        found, lost = ex.of_tiff(io.BytesIO(camera_exif(order)))
    assert lost == []
    parsed = Image.Exif()
    parsed.load(found)
    assert parsed[271] in ("Maker", "Camera")
    assert parsed.get_ifd(34665)[37500] == MAKER
    assert 274 not in parsed
    assert found[:2] == (b"II" if order == "<" or big else b"MM")


def test_values_that_lie_outside_are_named_and_left_out():
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
    data += struct.pack("<HHII", 270, 2, 1000, 8) + struct.pack("<HHI4s", 271, 2, 3, b"ab\0\0")
    found, lost = ex.of_tiff(io.BytesIO(data + bytes(4)))
    assert lost == [270]
    parsed = Image.Exif()
    parsed.load(found)
    assert dict(parsed) == {271: "ab"}


def test_a_directory_that_contains_itself_ends():
    inner = [(36867, 2, 20, b"2020:01:01 00:00:00\0"), (40965, 4, 1, long("<", 26)),
             (34853, 4, 1, long("<", 26)), (34665, 4, 1, long("<", 26))]  # fmt: skip
    data = b"II*\0\x08\0\0\0" + directory("<", 8, [(34665, 4, 1, long("<", 26))])
    found, _ = ex.of_tiff(io.BytesIO(data + directory("<", 26, sorted(inner))))
    parsed = Image.Exif()
    parsed.load(found)
    assert parsed.get_ifd(34665)[36867] == "2020:01:01 00:00:00"
    assert len(found) < 300


def test_overlapping_values_do_not_multiply():
    """4,000 tags that all point to the same megabyte are not four gigabytes."""
    count, size = 4000, 1 << 20
    inner = struct.pack("<H", count)
    inner += b"".join(struct.pack("<HHII", 1 + tag, 7, size, 100_000) for tag in range(count))
    data = b"II*\0\x08\0\0\0" + directory("<", 8, [(34665, 4, 1, long("<", 26))]) + inner
    found, lost = ex.of_tiff(io.BytesIO(data.ljust(100_000 + size, b"x")))
    assert len(found) < 17 << 20
    assert len(lost) > 3900


@given(st.binary(max_size=200))
def test_any_bytes_are_a_structure_or_none(data):
    for head in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10" + bytes(7)):
        assert ex.orientation(head + data) in range(9)
        found, _ = ex.of_tiff(io.BytesIO(head + data))
        assert found == b"" or ex.Structure(io.BytesIO(found)).first == 8
        ex.is_adobe_rgb(head + data)


def test_the_exif_of_a_tiff_of_pillows_is_what_pillow_says():
    info = Image.Exif()
    info[315] = "Somebody"
    info.get_ifd(34853)[2] = (52.0, 30.0, 0.5)
    info[34853] = info.get_ifd(34853)
    found, _ = ex.of_tiff(io.BytesIO(saved("TIFF", exif=info)))
    parsed = Image.Exif()
    parsed.load(found)
    assert parsed[315] == "Somebody"
    assert parsed.get_ifd(34853)[2] == (52.0, 30.0, 0.5)
