"""What the format has beyond this version is refused by its name, and never called damage."""

import dataclasses
import zlib

import pytest

from intact.bits import varint
from intact.container.chunks import GAMMA, Chunk
from intact.container.header import FLAGGED, GRAY, PREVIEW, TILE_MODES
from intact.container.image_file import (
    HEADER_BYTES,
    ImageFile,
    ImageHeader,
    Mode,
    Profile,
    pack_image,
    peek,
    unpack_image,
    write_header,
)
from intact.errors import CorruptDataError, UnsupportedError

HEADER = ImageHeader(bytes(range(16)), Mode.RGB, 3, 300, 2, 0x12345678)
TWO_TILES = dataclasses.replace(HEADER, width=1100)


def flagged(flags, rest, header=HEADER):
    """A file with this byte of flags; ``rest`` is what follows the height. Its CRC is right."""
    head = write_header(header)
    sides = varint.encode(header.width) + varint.encode(header.height)
    fixed = bytearray(head[: len(head) - len(sides)])
    fixed[25] |= FLAGGED
    body = bytes(fixed) + bytes([flags]) + sides + rest
    return body + zlib.crc32(body).to_bytes(4, "little") + b"\0"


def with_field(at, value):
    body = bytearray(pack_image(ImageFile(HEADER, (b"paint",)))[:-5])
    body[at] = value
    return bytes(body) + zlib.crc32(body).to_bytes(4, "little") + b"\0"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (flagged(TILE_MODES, b"\x01\x01r"), "raw tiles"),
        (flagged(TILE_MODES, b"\x02\x01p"), "palette tiles"),
        (flagged(TILE_MODES, b"\x03\x01e"), "exact tiles"),
        (flagged(TILE_MODES, b"\x04\x01?"), "mode 4 tiles"),
        (flagged(TILE_MODES, b"\x01\x01\x03\x02ree", TWO_TILES), "raw and exact tiles"),
        (flagged(PREVIEW, b"\x03\x05smapaint"), "a preview of 3 bytes"),
        (flagged(PREVIEW | TILE_MODES, b"\x03\x01\x01smar"), "a preview of 3 bytes and raw tiles"),
        (flagged(6, b"\x05paint"), "profile 3"),
        (flagged(32, b"\x05paint"), "header flags 0x20"),
        (flagged(64 | GRAY, b"\x05paint"), "header flags 0x40"),
        (flagged(128, b"\x05paint"), "header flags 0x80"),
        (with_field(25, 0x30), "1 bit per sample"),
        (with_field(25, 0x3B), "12 bits per sample"),
        (with_field(25, 0x3F), "16 bits per sample"),
        (with_field(27, 0x36), "latents of 128 x 128 pixels"),
    ],
)
def test_what_this_version_lacks_is_refused_by_its_name(data, name):
    message = f"this file has {name}, which this version of Intact cannot decode"
    with pytest.raises(UnsupportedError, match=message):
        unpack_image(data)


@pytest.mark.parametrize("rest", [b"\x01\x01", b"\x01", b"\x01\x02r"])
def test_a_file_cut_short_is_not_called_unsupported(rest):
    with pytest.raises(CorruptDataError, match=r"cut short|needs 3 bytes"):
        unpack_image(flagged(TILE_MODES, rest)[:-5])


def test_damage_is_not_mistaken_for_what_is_lacking():
    data = bytearray(flagged(TILE_MODES, b"\x01\x01r"))
    data[-6] ^= 1
    with pytest.raises(CorruptDataError, match="damaged"):
        unpack_image(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (flagged(0, b"\x05paint"), "flags is 0"),
        (flagged(TILE_MODES, b"\x00\x05paint"), "all are lossy"),
        (flagged(PREVIEW, b"\x00\x05paint"), "length of the preview is 0"),
        (flagged(TILE_MODES, b"\x01\x00"), "length of a tile is 0"),
        (flagged(GRAY, b"\x05paint", dataclasses.replace(HEADER, mode=Mode.L)), "mode L is said"),
    ],
)
def test_what_says_nothing_has_no_spelling(data, message):
    with pytest.raises(CorruptDataError, match=message):
        unpack_image(data)


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("latent_log2", [0, 3, 4, 6])
def test_headers_are_read_as_written(gray, profile, latent_log2):
    header = dataclasses.replace(HEADER, gray=gray, profile=profile, latent_log2=latent_log2)
    tiles = (b"paint",) * header.num_tiles
    data = pack_image(ImageFile(header, tiles))
    assert unpack_image(data) == ImageFile(header, tiles)
    assert peek(data[:HEADER_BYTES]) == header
    # Old files have none of it, and keep their bytes.
    plain = header == HEADER
    assert (len(write_header(header)) == len(write_header(HEADER))) == (
        plain or not (gray or profile is not Profile.EXACT)
    )


def test_the_number_of_tiles_follows_from_the_size_of_a_latent():
    header = dataclasses.replace(HEADER, width=1000, height=500, latent_log2=3)
    assert header.latent_shape == (63, 125)
    assert header.tile_shape == (1, 2)


def test_every_truncation_and_flipped_bit_of_a_flagged_file_is_noticed():
    header = dataclasses.replace(HEADER, gray=True, profile=Profile.PRIOR)
    data = pack_image(ImageFile(header, (b"paint",)))
    for size in range(len(data)):
        with pytest.raises(CorruptDataError):
            unpack_image(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptDataError, UnsupportedError)):
            unpack_image(bytes(damaged))


def test_gamma_is_a_number_that_is_not_0():
    image = ImageFile(HEADER, (b"paint",), (Chunk(GAMMA, (45455).to_bytes(4, "little")),))
    assert unpack_image(pack_image(image)) == image
    with pytest.raises(ValueError, match="must have 4"):
        Chunk(GAMMA, b"\1\0\0")
    with pytest.raises(ValueError, match="must not be"):
        Chunk(GAMMA, bytes(4))
