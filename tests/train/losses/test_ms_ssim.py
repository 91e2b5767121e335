"""The differentiable MS-SSIM equals the measure."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.measure import ms_ssim  # noqa: E402
from intact.train.losses.ms_ssim import one_minus_ms_ssim  # noqa: E402


@pytest.mark.parametrize("noise", [3, 20, 60])
def test_it_is_the_measure(noise):
    rng = np.random.default_rng(noise)
    a = rng.integers(0, 256, (24, 24, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    b = np.clip(a + rng.normal(0, noise, a.shape), 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(p.copy())[None].float() for p in (a, b))
    assert float(one_minus_ms_ssim(x, y)) == pytest.approx(1 - ms_ssim(a, b), abs=2e-5)


@pytest.mark.parametrize("value", [0.0, 128.0])
def test_gradients_are_finite_where_pictures_are_plain(value):
    a = torch.full((1, 192, 192, 3), value)
    b = (a + torch.randn(a.shape, generator=torch.Generator().manual_seed(3))).requires_grad_()
    one_minus_ms_ssim(a, b).sum().backward()
    assert b.grad is not None
    assert torch.isfinite(b.grad).all()
