"""Where the symbols of tiles lie in a window of them."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from intact.bits.fast import encode
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.tiles import Tiles, sent_places
from tiny_model import bell_tables

BANK = bell_tables([2.0, 5.0, 9.0])
SKIP = 1


def message(symbols, index, wanted):
    """A tile's message of one pass."""
    sent = sent_places(index, wanted, SKIP)
    return encode([(symbols.take(sent), index.take(sent), BANK)])


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 33), (40, 16), (16, 50), (3, 47)])
def test_symbols_come_to_their_places(shape, channels):
    """Of windows wider than a tile and as wide, last tiles of odd sizes, and tiles without any."""
    random, layout = np.random.default_rng(4), Layout(shape, 4)
    symbols = random.integers(-9, 10, (*shape, channels)).astype(np.int32)
    index = random.integers(0, 3, symbols.shape).astype(np.uint8)
    wanted = random.random(symbols.shape) < 0.5
    index[:16, 16:32] = 0  # nothing of this tile is sent
    payloads = [
        message(*(array[layout.tile(number).slices] for array in (symbols, index, wanted)))
        for number in layout.tiles(layout.whole)
    ]
    expected = np.where(wanted & (index >= SKIP), symbols, 0)
    last = Window((shape[0] - 1) // 16 * 16, (shape[1] - 1) // 16 * 16, *shape)
    for window in (layout.whole, layout.tile(0), last):
        place = window.slices
        for given in (index[place], np.asfortranarray(index[place])):
            tiles = Tiles(payloads, layout, None)
            tiles.begin(window)
            found = tiles.symbols(window, given, wanted[place], BANK, SKIP)
            assert np.array_equal(found, expected[place])
            tiles.finish(window)


@dataclass(frozen=True)
class LastAlone(Layout):
    """Whose window has one tile, the last one."""

    def tiles(self, window: Window) -> list[int]:
        return super().tiles(
            Window(window.bottom - 1, window.right - 1, window.bottom, window.right)
        )


class Ones:
    """A decoder of ones."""

    def decode(self, indexes, bank):
        return np.ones(indexes.size, np.int32)


@pytest.mark.skipif(sys.maxsize < 1 << 32, reason="an array of so many elements fits nowhere")
def test_places_beyond_31_bits_are_whole_numbers():
    """Of a window that is not in memory: all its positions are one byte."""
    shape, channels = (70, 1 << 20), 64
    layout = LastAlone(shape, 4)
    index = np.broadcast_to(np.uint8(2), (*shape, channels))
    wanted = np.broadcast_to(np.bool_(True), index.shape)
    tiles = Tiles([], layout, None)
    (number,) = layout.tiles(layout.whole)
    tiles._decoders[number] = Ones()  # type: ignore[assignment]
    places, symbols = next(tiles.sent(layout.whole, index, wanted, BANK, SKIP))
    assert index.size > 1 << 32
    assert symbols.size == 6 * 16 * channels
    assert int(places[-1]) == index.size - 1
    assert int(places[0]) == (64 * shape[1] + shape[1] - 16) * channels
