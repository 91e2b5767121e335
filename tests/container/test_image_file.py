"""The image file: golden bytes, properties, and one test per attack."""

import dataclasses
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact.bits import rans, varint
from intact.bits.tables import TableBank
from intact.container import limits
from intact.container.chunks import ALPHA, EXIF, ICC, Chunk, write_chunks
from intact.container.image_file import (
    HEADER_BYTES,
    MAGIC,
    ImageFile,
    ImageHeader,
    Mode,
    pack_image,
    peek,
    unpack_image,
    write_header,
)
from intact.errors import CorruptDataError, IntactError, UnsupportedError

ID = bytes(range(16))
TINY = ImageFile(ImageHeader(ID, Mode.RGB, 3, 300, 2, 0x12345678), (b"paint",))

# One line per field; docs/spec/container.md has the same file.
GOLDEN = bytes.fromhex(
    "c9494e540d0a1a0a"  # magic
    "10"  # version 1.0
    "000102030405060708090a0b0c0d0e0f"  # model id
    "37"  # three channels, eight bits
    "03"  # level 3
    "06"  # tiles of 2**6 latents
    "78563412"  # CRC-32 of the pixels
    "ac02"  # width 300
    "02"  # height 2
    "05"  # the only tile has five bytes
    "7061696e74"  # its payload
    "ee00fb19"  # CRC-32 of all the above
    "00"  # end
)
GOLDEN_RICH = bytes.fromhex(
    "c9494e540d0a1a0a 10 000102030405060708090a0b0c0d0e0f 47 ff 04 ffffffff"
    "9102 01"  # 273 x 1: two tiles of 256 pixels, the second clipped
    "05 07"  # lengths first
    "7061696e74 7061696e746572"
    "aa6f42c6"
    "414c5048 00 dc8a6f26"  # ALPH, empty
    "65786966 02 4949 6557c304"  # exif
    "00"
)
RICH = ImageFile(
    ImageHeader(ID, Mode.RGBA, 255, 273, 1, 0xFFFFFFFF, tile_log2=4),
    (b"paint", b"painter"),
    (Chunk(ALPHA, b""), Chunk(EXIF, b"II")),
)


def with_crc(body, chunks=b"\x00"):
    return body + zlib.crc32(body).to_bytes(4, "little") + chunks


def with_size(width, height):
    header = write_header(dataclasses.replace(TINY.header, width=width, height=height))
    return header + bytes(100 - len(header))


@st.composite
def image_arguments(draw):
    """Plain data; the test body builds our objects."""
    return {
        "id": draw(st.binary(min_size=16, max_size=16)),
        "mode": draw(st.sampled_from(["L", "LA", "RGB", "RGBA"])),
        "level": draw(st.integers(0, 255)),
        "size": (draw(st.integers(1, 3000)), draw(st.integers(1, 3000))),
        "crc": draw(st.integers(0, 2**32 - 1)),
        "tile_log2": draw(st.integers(4, 6)),
        "seed": draw(st.binary(max_size=40)),
        "chunks": draw(st.dictionaries(st.sampled_from([EXIF, ICC, "abcd"]), st.binary())),
    }


def build(arguments):
    width, height = arguments["size"]
    header = ImageHeader(
        arguments["id"],
        Mode[arguments["mode"]],
        arguments["level"],
        width,
        height,
        arguments["crc"],
        arguments["tile_log2"],
    )
    seed = arguments["seed"]
    tiles = tuple(b"paint" + seed[: i % (len(seed) + 1)] for i in range(header.num_tiles))
    chunks = dict(arguments["chunks"])
    if header.mode.has_alpha:
        chunks[ALPHA] = seed
    return ImageFile(header, tiles, tuple(Chunk(name, chunks[name]) for name in sorted(chunks)))


def test_golden_bytes():
    assert pack_image(TINY).hex() == GOLDEN.hex()
    assert unpack_image(GOLDEN) == TINY


def test_golden_bytes_with_tiles_and_chunks():
    assert pack_image(RICH).hex() == GOLDEN_RICH.hex()
    assert unpack_image(GOLDEN_RICH) == RICH


@given(image_arguments())
def test_unpack_inverts_pack(arguments):
    image = build(arguments)
    data = pack_image(image)
    assert unpack_image(data) == image
    assert peek(data[:HEADER_BYTES]) == image.header
    assert len(write_header(image.header)) <= HEADER_BYTES


def test_the_fixed_part_of_a_photograph_is_44_bytes():
    header = ImageHeader(ID, Mode.RGB, 3, 768, 512, 0)
    payload = bytes(20_000)
    data = pack_image(ImageFile(header, (payload,)))
    assert data.index(payload) == 39
    assert len(data) - len(payload) == 44


def test_the_fixed_part_of_the_largest_image_of_one_tile_row_keeps_the_budget():
    header = ImageHeader(ID, Mode.RGB, 255, 2**32 - 1, 1, 2**32 - 1)
    assert len(write_header(header)) + 3 + 4 + 1 <= 64
    largest = dataclasses.replace(header, height=2**32 - 1, gray=True)
    # The preview's length is the rest, which this version does not write.
    assert len(write_header(largest)) == HEADER_BYTES - 4


def test_the_smallest_tile_is_what_the_entropy_coder_needs():
    bank = TableBank.build([0], [[16383, 1]])
    payload = rans.encode([(np.zeros(1, np.int32), np.zeros(1, np.uint8), bank)])
    assert len(payload) == limits.MIN_TILE_BYTES


@given(st.binary(max_size=80))
def test_any_bytes_are_an_image_or_an_intact_error(data):
    for candidate in (data, MAGIC + data, GOLDEN[:25] + data, GOLDEN[:35] + data):
        try:
            image = unpack_image(candidate)
        except IntactError:
            continue
        assert pack_image(image) == candidate


@given(st.integers(0, 43), st.binary(min_size=1, max_size=6), st.booleans())
def test_a_forged_file_with_a_right_crc_is_an_image_or_an_intact_error(at, patch, insert):
    body = GOLDEN_RICH[: GOLDEN_RICH.index(b"ALPH") - 4]
    forged = with_crc(body[:at] + patch + body[at + (0 if insert else len(patch)) :])
    for chunks in (b"", write_chunks(RICH.chunks)[:-1]):
        try:
            image = unpack_image(forged[:-1] + chunks + b"\x00")
        except IntactError:
            continue
        if not image.header.num_pixels:
            pytest.fail("an image without pixels")


@pytest.mark.parametrize("data", [GOLDEN, GOLDEN_RICH])
def test_every_truncation_is_noticed(data):
    for size in range(len(data)):
        with pytest.raises(CorruptDataError):
            unpack_image(data[:size])


@pytest.mark.parametrize("data", [GOLDEN, GOLDEN_RICH])
def test_every_flipped_bit_is_noticed(data):
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntactError):
            unpack_image(bytes(damaged))


@pytest.mark.parametrize("data", [GOLDEN, GOLDEN_RICH])
def test_every_inserted_or_removed_byte_is_noticed(data):
    for at in range(len(data) + 1):
        for byte in (b"\x00", b"\x0a", b"\x80", b"\xff", data[:at][-1:] or data[:1]):
            with pytest.raises(IntactError):
                unpack_image(data[:at] + byte + data[at:])
    for at in range(len(data)):
        with pytest.raises(IntactError):
            unpack_image(data[:at] + data[at + 1 :])


def test_peek_needs_the_header_only():
    end = len(write_header(TINY.header))
    assert peek(GOLDEN[:end]) == peek(GOLDEN) == TINY.header
    for size in range(end):
        with pytest.raises(CorruptDataError):
            peek(GOLDEN[:size])


def test_polyglot_suffix_is_refused():
    for suffix in (b"\x00", b"PK\x05\x06" + bytes(18), GOLDEN):
        with pytest.raises(CorruptDataError, match="follow the end"):
            unpack_image(GOLDEN + suffix)


def test_text_transfer_is_named():
    for damaged in (GOLDEN.replace(b"\r\n", b"\n"), GOLDEN.replace(b"\n", b"\r\n")):
        with pytest.raises(CorruptDataError, match="line ends were changed"):
            unpack_image(damaged)


def test_a_huge_claim_is_refused_at_once():
    data = with_size(60_000, 60_000)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(UnsupportedError, match="60000 x 60000 pixels exceeds the limit"):
        unpack_image(data)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.05  # under 0.1 ms; the machine may be busy
    assert peak < 100_000


def test_a_huge_claim_within_a_raised_limit_needs_its_tiles():
    with pytest.raises(CorruptDataError, match="3481 tiles needs 20886 bytes"):
        unpack_image(with_size(60_000, 60_000), max_pixels=2**40)


def test_a_claim_within_the_limit_needs_its_tiles():
    with pytest.raises(CorruptDataError, match="256 tiles needs 1536 bytes"):
        unpack_image(with_size(16_384, 16_384))
    with pytest.raises(UnsupportedError, match="exceeds the limit of 268435456"):
        unpack_image(with_size(16_384, 16_385))


def test_tile_lengths_beyond_the_file_are_refused():
    header = write_header(TINY.header)
    for length in (6, 1000, 2**63):
        with pytest.raises(CorruptDataError):
            unpack_image(with_crc(header + varint.encode(length) + b"paint"))


def test_a_tile_too_short_to_hold_a_symbol_is_refused():
    with pytest.raises(CorruptDataError, match="must be 5"):
        unpack_image(with_crc(write_header(TINY.header) + b"\x04pain\x00\x00\x00"))
    with pytest.raises(ValueError, match="must have >= 5"):
        ImageFile(TINY.header, (b"pain",))


@pytest.mark.parametrize("field", [b"\x80\x00", b"\x85\x00", b"\x85\x80\x00"])
def test_an_overlong_varint_is_refused(field):
    fixed = GOLDEN[:32]
    for body in (
        fixed + field + b"\x02\x05paint",
        fixed + b"\x02" + field + b"\x05paint",
        fixed + b"\x02\x02" + field + b"paint",
    ):
        with pytest.raises(CorruptDataError, match="shortest form"):
            unpack_image(with_crc(body))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (8, 0x20, "version 2.0"),
        (8, 0x0F, "version 0.15"),
        (25, 0x07, "0 channels"),
        (25, 0x57, "5 channels"),
        (25, 0x38, "9 bits"),
        (25, 0x3F, "16 bits"),
        (27, 3, "tiling"),
        (27, 7, "tiling"),
        (27, 0x76, "latents of 2048 x 2048 pixels"),
    ],
)
def test_a_later_versions_file_is_unsupported(at, value, message):
    body = bytearray(GOLDEN[:-5])
    body[at] = value
    with pytest.raises(UnsupportedError, match=message):
        unpack_image(with_crc(bytes(body)))


def test_a_later_minor_version_is_read():
    body = bytearray(GOLDEN[:-5])
    body[8] = 0x1F
    assert unpack_image(with_crc(bytes(body))) == TINY


@pytest.mark.parametrize("size", [b"\x00\x02", b"\x02\x00", b"\x80\x80\x80\x80\x10\x02"])
def test_an_empty_or_overlong_side_is_refused(size):
    with pytest.raises(CorruptDataError, match=r"must be 1 \.\. 4294967295"):
        unpack_image(with_crc(GOLDEN[:32] + size + b"\x05paint"))


def test_alpha_chunk_and_mode_must_agree():
    alpha = write_chunks([Chunk(ALPHA, b"alpha")])
    body = bytearray(GOLDEN[:-5])
    with pytest.raises(CorruptDataError, match="mode RGB and the alpha chunk disagree"):
        unpack_image(with_crc(bytes(body), alpha))
    body[25] = 0x47
    with pytest.raises(CorruptDataError, match="mode RGBA and the alpha chunk disagree"):
        unpack_image(with_crc(bytes(body)))
    assert unpack_image(with_crc(bytes(body), alpha)).chunk(ALPHA) == b"alpha"


@pytest.mark.parametrize("side", [1, 15, 16, 17, 255, 256, 257, 1023, 1024, 1025, 4099])
@pytest.mark.parametrize("tile_log2", [4, 5, 6])
def test_the_number_of_tiles_follows_from_the_size(side, tile_log2):
    header = dataclasses.replace(TINY.header, width=side, height=300, tile_log2=tile_log2)
    assert header.latent_shape == ((300 + 15) // 16, (side + 15) // 16)
    starts = [range(0, size, 16 << tile_log2) for size in (300, side)]
    assert header.tile_shape == (len(starts[0]), len(starts[1]))
    assert header.num_tiles == len(starts[0]) * len(starts[1])


@pytest.mark.parametrize(
    "change",
    [
        {"model_id": b"short"},
        {"level": 256},
        {"width": 0},
        {"height": 2**32},
        {"pixel_crc": -1},
        {"tile_log2": 7},
        {"depth": 16},
        {"latent_log2": 7},
        {"gray": True, "mode": Mode.LA},
    ],
)
def test_wrong_header_fields_are_value_errors(change):
    with pytest.raises(ValueError, match="must be"):
        dataclasses.replace(TINY.header, **change)


def test_wrong_tile_counts_are_value_errors():
    with pytest.raises(ValueError, match="must be 1"):
        ImageFile(TINY.header, (b"paint", b"paint"))
    with pytest.raises(ValueError, match="alpha"):
        ImageFile(TINY.header, (b"paint",), (Chunk(ALPHA, b""),))
