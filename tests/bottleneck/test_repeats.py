"""Repeated hyper-latents: nothing is lost, plain areas are nearly free, photographs pay nothing."""

import numpy as np
import pytest

from intact.bits.fast import Decoder, encode
from intact.bits.tables import COST_BITS
from intact.bottleneck import repeats
from intact.errors import CorruptDataError

BIT = 1 << COST_BITS


def coded(z, bits_each=20):
    """Through the encoder's choice, a message and back: (z, mode, bytes of the flags' message)."""
    costs = np.full(z.shape[0] * z.shape[1], bits_each * BIT)
    mode, repeating = repeats.find_repeats(z, costs)
    payload = encode(repeats.parts(mode, repeating))
    decoder = Decoder(payload)
    again = repeats.read(decoder.decode, repeating.size)
    decoder.finish()
    assert np.array_equal(again, repeating)
    found = np.zeros((again.size, z.shape[2]), np.int8)
    found[~again] = z.reshape(again.size, -1)[~again]
    found = found.reshape(z.shape)
    repeats.fill(found, again)
    return found, mode, len(payload)


# 1: nothing before it; a row and a column; 16: a whole tile.
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3), (16, 16)])
@pytest.mark.parametrize("plain", [0, 0.1, 0.5, 0.95, 1])
def test_nothing_is_lost(shape, plain):
    random = np.random.default_rng(7)
    z = random.integers(-128, 128, (*shape, 3)).astype(np.int8)
    z[random.random(shape) < plain] = 5
    assert np.array_equal(coded(z)[0], z)


def test_a_plain_tile_is_one_position_and_a_few_bytes():
    z = np.full((16, 16, 128), -3, np.int8)
    found, mode, size = coded(z)
    assert np.array_equal(found, z)
    assert mode == 3
    assert size <= 12  # 255 flags of 1/40 bit, a mode and the coder's 5 bytes


def test_without_repeats_the_mode_is_all_there_is():
    z = np.arange(256).reshape(16, 16, 1).astype(np.int8)
    _, mode, size = coded(z)
    assert (mode, size) == (0, 5)


def test_flags_are_left_out_where_they_cost_more_than_they_save():
    z = np.arange(256).reshape(16, 16, 1).astype(np.int8)
    z[0, 1] = z[0, 0]
    assert coded(z, bits_each=5)[1] == 0
    assert coded(z, bits_each=500)[1] == 1


def test_a_row_begins_with_what_is_above():
    z = np.array([[1, 2], [1, 3]], np.int8)[:, :, None]
    costs = np.full(4, 100 * BIT)
    assert repeats.find_repeats(z, costs)[1].tolist() == [False, False, True, False]


@pytest.mark.parametrize("symbol", [-1, 4, 2**31 - 1])
def test_an_unknown_mode_is_refused(symbol):
    payload = encode([(np.array([symbol], np.int32), np.zeros(1, np.uint16), repeats.BANK)])
    with pytest.raises(CorruptDataError, match=r"repeat mode is .*, must be 0 \.\. 3"):
        repeats.read(Decoder(payload).decode, 4)


@pytest.mark.parametrize("flag", [-1, 2])
def test_an_unknown_flag_is_refused(flag):
    flags = np.array([0, flag, 1], np.int32)
    parts = [*repeats.parts(2, np.zeros(4, bool))[:1], (flags, np.full(3, 2), repeats.BANK)]
    with pytest.raises(CorruptDataError, match=rf"repeat flag 1 is {flag}, must be 0 or 1"):
        repeats.read(Decoder(encode(parts)).decode, 4)


def test_tables_are_those_of_the_specification():
    """Literal, because they are part of the format."""
    assert repeats.BANK.freqs.tolist() == [
        6144, 6144, 2048, 2047, 1, 15359, 1024, 1, 10922, 5461, 1, 255, 16128, 1,
    ]  # fmt: skip
