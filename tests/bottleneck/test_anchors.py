"""Colors predicted over the whole image: every position once, no edge inside a picture."""

import numpy as np
import pytest

from intact.bottleneck.anchors import (
    NUM_STAGES,
    REACH,
    SPACING,
    correct_first,
    correct_second,
    neighbor_mean,
    stages,
)


def test_each_position_of_pass_a_has_a_stage_and_anchors_the_first():
    numbers = stages((0, 0), (33, 40))
    assert numbers.max() == NUM_STAGES - 1
    assert (numbers[::16, ::16] == 0).all()
    assert (numbers[8::16, 8::16] == 1).all()
    assert (numbers[::16, 8::16] == 2).all()
    assert (numbers[2::4, 2::4] == 5).all()
    assert (numbers[1::2, 1::2] == 7).all()
    assert (numbers[1::2, ::2] == 0).all()
    even = numbers[::2, ::2]
    assert (even == 0).sum() == 3 * 3


@pytest.mark.parametrize("start", [(16, 32), (3, 5), (30, 1)])
def test_a_window_has_the_stages_of_the_whole(start):
    whole = stages((0, 0), (64, 64))
    part = stages(start, (20, 25))
    assert np.array_equal(part, whole[start[0] :, start[1] :][:20, :25])


def test_the_mean_of_neighbors_rounds_half_up_and_counts_those_that_exist():
    values = np.array([[1, 2, 4], [0, 9, 0], [-3, 0, 0]])[:, :, None]
    found = neighbor_mean(values, ((-1, 0), (0, -1), (0, 1), (1, 0)))[..., 0]
    assert found[0, 0] == 1  # (2 + 0) / 2
    assert found[1, 1] == 1  # (2 + 0 + 0 + 0) / 4 = 0.5
    assert found[2, 0] == 0
    assert neighbor_mean(values[:1, :1], ((-1, -1), (1, 1)))[0, 0, 0] == 0


def exact(y):
    return lambda means, rows, columns: y[rows, columns]


def test_a_plane_is_guessed_exactly_away_from_the_picture_s_edges():
    rows, columns = np.indices((97, 97))
    y = (5 * rows - 3 * columns + 7)[:, :, None].astype(np.int16)
    mean = np.zeros_like(y)
    found = correct_first(mean, (0, 0), exact(y))
    numbers = stages((0, 0), (97, 97))
    inside = numbers > 0
    inside[[0, -1]] = inside[:, [0, -1]] = False
    error = np.abs(found.astype(int) - y)[..., 0]
    assert error[inside].max() == 0
    later = correct_second(np.zeros_like(y), y)
    assert np.array_equal(later[1:-1, 1:-1], y[1:-1, 1:-1])


def test_a_window_with_its_margin_has_the_means_of_the_whole():
    random = np.random.default_rng(3)
    y = random.integers(-900, 900, (120, 150, 2)).astype(np.int16)
    mean = random.integers(-90, 90, y.shape).astype(np.int16)
    whole = correct_first(mean, (0, 0), exact(y))
    for top, left in ((0, 0), (17, 40), (31, 33)):
        rows, columns = slice(top, top + 80), slice(left, left + 90)
        part = correct_first(mean[rows, columns], (top, left), exact(y[rows, columns]))
        low = REACH if top else 0
        near = REACH if left else 0
        inner = part[low : 80 - REACH, near : 90 - REACH]
        assert inner.size
        assert np.array_equal(
            inner, whole[top + low :, left + near :][: inner.shape[0], : inner.shape[1]]
        )


def test_what_a_position_depends_on_lies_within_reach():
    y = np.zeros((5 * SPACING, 5 * SPACING, 1), np.int16)
    mean = np.zeros_like(y)
    base = correct_first(mean, (0, 0), exact(y))
    furthest = 0
    for row, column in ((32, 32), (40, 40), (32, 40), (36, 36), (34, 34), (32, 33)):
        changed = y.copy()
        changed[row, column] = 32000
        rows, columns, _ = np.nonzero(correct_first(mean, (0, 0), exact(changed)) != base)
        if rows.size:
            furthest = max(furthest, np.abs(rows - row).max(), np.abs(columns - column).max())
    assert 0 < furthest <= REACH
