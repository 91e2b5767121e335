import math

import numpy as np
import pytest

from intact.measure import ms_ssim, ssim

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def noisy_pair(height, width, seed=0):
    """A smooth picture and the same with noise."""
    generator = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(height), 2 * np.arange(width))[:, :, None] + [0, 40, 80]
    picture = 100 + 80 * np.sin(ramp / 17)
    noise = generator.integers(-30, 31, picture.shape)
    return picture.astype(np.uint8), np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_equal_pictures_score_one():
    picture, _ = noisy_pair(171, 181)
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-12)
    assert ms_ssim(picture, picture) == pytest.approx(1, abs=1e-12)


def test_flat_pictures_differ_in_luminance_only():
    # No variance anywhere: the contrast factor is C2 / C2, the rest is one fraction by hand.
    dark, light = np.full((167, 163), 50, np.uint8), np.full((167, 163), 100, np.uint8)
    luminance = (2 * 50 * 100 + C1) / (50**2 + 100**2 + C1)
    assert ssim(dark, light) == pytest.approx(luminance)


def test_flat_pictures_enter_ms_ssim_at_the_coarsest_scale_only():
    dark, light = np.full((176, 192), 50, np.uint8), np.full((176, 192), 100, np.uint8)
    luminance = (2 * 50 * 100 + C1) / (50**2 + 100**2 + C1)
    assert ms_ssim(dark, light) == pytest.approx(luminance ** WEIGHTS[-1])


def test_one_window_is_the_formula():
    # 11 x 11 pixels hold exactly one window, so SSIM is Wang's Eq. 13 with weighted moments.
    a, b = noisy_pair(11, 11)
    offsets = np.arange(-5, 6)
    weights = np.exp(-np.add.outer(offsets**2, offsets**2) / (2 * 1.5**2))[:, :, None]
    weights = weights / weights.sum()
    mean_a, mean_b = (weights * a).sum((0, 1)), (weights * b).sum((0, 1))
    var_a, var_b = (
        (weights * (a - mean_a) ** 2).sum((0, 1)),
        (weights * (b - mean_b) ** 2).sum((0, 1)),
    )
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum((0, 1))
    expected = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    expected /= (mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)
    assert ssim(a, b) == pytest.approx(expected.mean())


@pytest.mark.parametrize(
    ("side", "expected_ssim", "expected_ms_ssim"),
    [
        # pytorch-msssim 1.0.0 in float64 on these pictures; odd sides show its padding.
        ((161, 161), 0.4622836, 0.9331546),
        ((171, 203), 0.4622911, 0.9334517),
        ((192, 256), 0.4616771, 0.9334476),
    ],
)
def test_agrees_with_pytorch_msssim(side, expected_ssim, expected_ms_ssim):
    a, b = noisy_pair(*side)
    assert ssim(a, b) == pytest.approx(expected_ssim, abs=1e-5)
    assert ms_ssim(a, b) == pytest.approx(expected_ms_ssim, abs=1e-5)


def test_inverted_pictures_stay_finite():
    # Negative covariance: a fractional power of it would be a complex number or nan.
    a, _ = noisy_pair(161, 161)
    assert 0 <= ms_ssim(a, 255 - a) < 0.5
    assert not math.isnan(ssim(a, 255 - a))


def test_too_small_pictures_are_refused():
    a, b = noisy_pair(160, 400)
    with pytest.raises(ValueError, match="sides >= 161"):
        ms_ssim(a, b)
    with pytest.raises(ValueError, match="sides >= 11"):
        ssim(a[:10], b[:10])
