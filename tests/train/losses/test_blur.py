"""Blurs by matrices are Gaussian filters with the borders they name."""

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch")

from intact.train.losses.blur import RADIUS, SIGMA, blur  # noqa: E402


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_it_is_the_filter_of_scipy(mode):
    planes = np.random.default_rng(5).normal(size=(2, 3, 24, 37))
    expected = ndimage.gaussian_filter(planes, SIGMA, mode=mode, radius=RADIUS, axes=(2, 3))
    border = "zero" if mode == "constant" else "reflect"
    got = blur(torch.from_numpy(planes).float(), border, border)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_valid_windows_are_the_inside():
    planes = torch.randn(2, 24, 37, generator=torch.Generator().manual_seed(5))
    inside = blur(planes)[..., RADIUS:-RADIUS, RADIUS:-RADIUS]
    torch.testing.assert_close(blur(planes, "valid", "valid"), inside)


def test_small_planes_are_mirrored_once():
    planes = torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(5))
    assert torch.isfinite(blur(planes)).all()
