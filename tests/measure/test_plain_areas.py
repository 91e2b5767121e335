"""benchmarks/plain_areas.py: what it calls a seam."""

import numpy as np
import plain_areas
import pytest


def noise(seed=1):
    return np.random.default_rng(seed).integers(0, 3, (256, 256, 3))


def test_a_picture_without_seams_has_about_the_same_differences_everywhere():
    assert plain_areas.ratio(plain_areas.differences(noise(), 16)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1])
def test_steps_at_multiples_of_16_are_a_seam_there_and_not_elsewhere(axis):
    steps = np.moveaxis(noise(), axis, 0) + 4 * (np.arange(256) // 16 % 2)[:, None, None]
    pixels = np.moveaxis(steps, 0, axis)
    assert plain_areas.ratio(plain_areas.differences(pixels, 16)) > 1.5
    assert plain_areas.ratio(plain_areas.differences(pixels, 24)) < 1.5


def test_a_picture_smaller_than_the_period_or_flat_has_nothing_to_compare():
    assert plain_areas.ratio(plain_areas.differences(noise(), 256)) == 1
    assert plain_areas.ratio(plain_areas.differences(np.ones((64, 64, 3)), 16)) == 1


def test_there_are_24_gradients_of_the_sizes_that_are_said():
    found = dict(plain_areas.gradients())
    assert len(found) == 24
    assert {max(image.shape) for image in found.values()} == {256, 512, 640, 1024}


def test_goals_are_met_or_missed():
    assert plain_areas.most("x", [1.0, 1.2], 1.2)[1:] == (1.2, True, 1.2)
    assert plain_areas.most("x", [1.3], 1.2)[2] is False
    assert plain_areas.least("x", [43.0, 50.0])[2] is True
    assert plain_areas.least("x", [42.9])[2] is False
