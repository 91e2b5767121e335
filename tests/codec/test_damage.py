"""Whatever happens to a file, decoding gives the right pixels or an `IntactError`."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from intact import IntactError
from intact.codec.image import decode, encode
from intact.container.image_file import HEADER_BYTES, pack_image, unpack_image
from tiny_model import picture, tiny_model

MODEL = tiny_model()
METADATA = {"exif": b"MM\0*", "icc_profile": b"profile"}
DATA = encode(picture(40, 50, 4), model=MODEL, metadata=METADATA)
PIXELS = decode(DATA, model=MODEL).pixels


def test_every_truncation_is_noticed():
    for size in range(len(DATA)):
        with pytest.raises(IntactError):
            decode(DATA[:size], model=MODEL)


def test_a_tail_is_noticed():
    with pytest.raises(IntactError):
        decode(DATA + b"\0", model=MODEL)


@given(st.integers(0, 8 * len(DATA) - 1))
def test_every_flipped_bit_is_noticed(bit):
    damaged = bytearray(DATA)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntactError):
        decode(bytes(damaged), model=MODEL)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_file(data):
    with pytest.raises(IntactError):
        decode(data, model=MODEL)
    with pytest.raises(IntactError):
        decode(DATA[:HEADER_BYTES] + data, model=MODEL)


@given(st.data())
def test_a_payload_under_valid_checksums_decodes_right_or_not_at_all(data):
    """An attacker computes the container's CRCs anew; the coder and the pixels' CRC remain."""
    file = unpack_image(DATA)
    payload = bytearray(file.tiles[0])
    if data.draw(st.booleans()):
        for _ in range(data.draw(st.integers(1, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    else:
        payload = bytearray(data.draw(st.binary(min_size=5, max_size=100)))
    forged = pack_image(replace(file, tiles=(bytes(payload),)))
    try:
        pixels = decode(forged, model=MODEL).pixels
    except IntactError:
        return
    np.testing.assert_array_equal(pixels, PIXELS)


@given(st.data())
def test_a_header_under_valid_checksums_decodes_or_raises(data):
    file = unpack_image(DATA)
    header = replace(
        file.header,
        level=data.draw(st.integers(0, 255)),
        width=data.draw(st.integers(1, 1024)),
        height=data.draw(st.integers(1, 1024)),
        tile_log2=6,
    )
    try:
        decode(pack_image(replace(file, header=header)), model=MODEL)
    except IntactError:
        return
    assert header == file.header


@given(st.binary(max_size=60))
def test_any_alpha_chunk_decodes_or_raises(alpha):
    file = unpack_image(DATA)
    chunks = tuple(
        replace(chunk, data=alpha) if chunk.type == "ALPH" else chunk for chunk in file.chunks
    )
    with pytest.raises(IntactError):
        decode(pack_image(replace(file, chunks=chunks)), model=MODEL)
