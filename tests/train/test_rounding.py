"""Filters rounded together: less error where inputs go together, the nearest where they do not."""

import pytest

torch = pytest.importorskip("torch")

from intact.train.graph import Conv  # noqa: E402
from intact.train.rounding import Moments, round_together  # noqa: E402


@pytest.fixture(scope="module")
def inputs():
    """[n, 24]: correlated as neighboring pixels are, and not centered."""
    random = torch.Generator().manual_seed(2)
    walk = torch.randn(4000, 24, generator=random, dtype=torch.float64).cumsum(1)
    return 20 * walk + 7


@pytest.fixture(scope="module")
def weight():
    random = torch.Generator().manual_seed(3)
    return 20 * torch.randn(16, 24, generator=random, dtype=torch.float64)


def pointwise(channels: int) -> Conv:
    return Conv("x", "w", channels, 16, 1, 1, depthwise=False, activation="stream")


def test_error_on_correlated_inputs_is_a_fraction_of_the_nearest(inputs, weight):
    moments = Moments()
    moments.observe(pointwise(24), inputs.reshape(10, 20, 20, 24).float())
    limit = torch.full((16,), 127.0)
    rounded = round_together(weight, moments.covariance, limit)
    assert torch.equal(rounded, rounded.round())
    centered = inputs - moments.mean

    def error(integers):
        return float((centered @ (integers - weight).t()).square().mean())

    assert error(rounded) < 0.25 * error(weight.round())


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.3])
def test_plain_images_leave_a_covariance(noise, weight):
    """Products of values near 200 lose in float32 what little they vary."""
    random = torch.Generator().manual_seed(6)
    moments = Moments()
    for _ in range(3):
        x = 200 + noise * torch.randn(2, 40, 40, 24, generator=random)
        moments.observe(pointwise(24), x)
    covariance = moments.covariance
    assert torch.allclose(moments.mean, torch.full((24,), 200.0).double(), atol=0.02)
    assert covariance.diagonal().sqrt().mean().item() == pytest.approx(noise, rel=0.05)
    assert torch.linalg.eigvalsh(covariance).min() > -1e-6 * max(noise, 1e-9) ** 2
    rounded = round_together(weight, covariance, torch.full((16,), 127.0))
    assert torch.equal(rounded, rounded.round())


def test_uncorrelated_inputs_are_rounded_to_the_nearest(weight):
    rounded = round_together(
        weight, 50 * torch.eye(24, dtype=torch.float64), torch.full((16,), 99.0)
    )
    assert torch.equal(rounded, weight.round())


def test_limits_hold_per_filter(inputs, weight):
    limit = torch.arange(5, 21).double()
    rounded = round_together(weight, torch.cov(inputs.t()), limit)
    assert (rounded.abs().amax(1) <= limit).all()
    assert (rounded.abs().amax(1) == limit).any()


def test_moments_are_those_of_the_columns_that_a_filter_meets():
    """Against a convolution with each tap alone; strides and padding included."""
    random = torch.Generator().manual_seed(4)
    x = torch.randn(2, 6, 9, 3, generator=random)
    node = Conv("x", "w", 3, 27, 3, 2, depthwise=False, activation="latent")
    moments = Moments()
    moments.observe(node, x)
    taps = torch.eye(27).reshape(27, 3, 3, 3)
    columns = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), taps, stride=2, padding=1)
    rows = columns.permute(0, 2, 3, 1).reshape(-1, 27).double()
    assert moments.count == len(rows) == 2 * 3 * 5
    assert torch.allclose(moments.mean, rows.mean(0), atol=1e-6)
    assert torch.allclose(moments.covariance, torch.cov(rows.t(), correction=0), atol=1e-5)
