"""Windows and tiles: nothing is lost at edges, nothing counted twice."""

import numpy as np
import pytest

from intact.bottleneck.grid import Layout, Window

# Below, at and above a tile of 16 latents; a prime.
SHAPES = [(1, 1), (15, 17), (16, 16), (17, 31), (33, 64)]


def test_a_window_knows_its_place_in_another():
    grid = np.arange(7 * 9).reshape(7, 9)
    outer, inner = Window(1, 2, 6, 9), Window(3, 4, 5, 9)
    assert outer.shape == (5, 7)
    part = grid[outer.slices]
    assert np.array_equal(part[inner.within(outer)], grid[inner.slices])


@pytest.mark.parametrize(
    ("margin", "multiple", "expected"),
    [
        (0, 1, Window(5, 6, 8, 9)),
        (2, 1, Window(3, 4, 10, 11)),
        (0, 4, Window(4, 4, 8, 12)),
        (3, 4, Window(0, 0, 12, 12)),  # the margin first, then whole cells
        (99, 4, Window(0, 0, 13, 12)),  # what is beyond the grid is cut off
    ],
)
def test_a_window_grows_by_a_margin_then_to_whole_cells(margin, multiple, expected):
    assert Window(5, 6, 8, 9).grow(margin, multiple, (13, 12)) == expected


def test_shrinking_widens_to_whole_cells():
    assert Window(3, 4, 9, 8).shrink(4) == Window(0, 1, 3, 2)
    assert Window(0, 0, 1, 1).shrink(16) == Window(0, 0, 1, 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tile_log2", [4, 5])
def test_tiles_cover_the_grid_once(shape, tile_log2):
    layout = Layout(shape, tile_log2)
    count = np.zeros(shape, int)
    numbers = layout.tiles(layout.whole)
    assert numbers == list(range(len(numbers)))
    for number in numbers:
        count[layout.tile(number).slices] += 1
    assert (count == 1).all()


def test_tiles_are_numbered_row_by_row_and_cut_at_the_edge():
    layout = Layout((20, 40), 4)
    assert layout.columns == 3
    assert layout.tile(2) == Window(0, 32, 16, 40)
    assert layout.tile(4) == Window(16, 16, 20, 32)


def test_the_tiles_of_a_window_are_those_that_it_touches():
    layout = Layout((64, 64), 4)
    assert layout.tiles(Window(15, 16, 17, 32)) == [1, 5]
    assert layout.tiles(Window(0, 0, 1, 1)) == [0]
