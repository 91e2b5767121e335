"""Hyper-latents through a message and back."""

import numpy as np
import pytest

from intact.bits.fast import Decoder, encode
from intact.bottleneck import hyper, repeats
from tiny_model import bell_tables

BANK = bell_tables([20.0] * 3)


# 1: nothing before it; rows and columns; 16: a whole tile.
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (16, 16)])
@pytest.mark.parametrize("plain", [0, 0.9, 1])
def test_reading_inverts_parts(shape, plain):
    random = np.random.default_rng(3)
    z = random.integers(-128, 128, (*shape, 3)).astype(np.int8)
    z[random.random(shape) < plain] = 7
    decoder = Decoder(encode(hyper.parts(z, BANK)))
    assert np.array_equal(hyper.read(decoder.decode, shape, BANK), z)
    decoder.finish()


def test_the_table_is_the_channel():
    assert hyper.indexes(2, 3).tolist() == [0, 1, 2, 0, 1, 2]
    assert hyper.indexes(2, 3).dtype == np.uint8


def test_symbols_beyond_int8_are_clipped():
    """docs/spec/image.md, section 3: a payload may hold any."""
    symbols = np.array([-(2**31), 2**31 - 1, 5], np.int32)
    parts = [*repeats.parts(0, np.zeros(1, bool)), (symbols, hyper.indexes(1, 3), BANK)]
    found = hyper.read(Decoder(encode(parts)).decode, (1, 1), BANK)
    assert found.tolist() == [[[-128, 127, 5]]]
