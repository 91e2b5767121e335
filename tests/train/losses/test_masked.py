"""The masked error: fine errors hide in busy places, coarse ones do not."""

import pytest

torch = pytest.importorskip("torch")

from intact.train.losses.masked import distance  # noqa: E402


def noise(seed, size=128, cell=1):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randn(1, size // cell, size // cell, 1, generator=generator)
    return cells.repeat_interleave(cell, 1).repeat_interleave(cell, 2).expand(-1, -1, -1, 3)


PLAIN = torch.full((1, 128, 128, 3), 128.0)
BUSY = (PLAIN + 40 * noise(1)).clamp(0, 255)


def ratio(error):
    """How much less an error counts on a busy picture than on a plain one."""
    return float(distance(BUSY, (BUSY + error).clamp(0, 255)) / distance(PLAIN, PLAIN + error))


def test_equal_pictures_have_no_distance():
    assert float(distance(BUSY, BUSY)) < 1e-9


def test_fine_errors_are_masked_by_busy_surroundings():
    assert ratio(3 * noise(2)) < 0.6


def test_coarse_errors_are_masked_less():
    assert ratio(3 * noise(2, cell=32)) > 1.3 * ratio(3 * noise(2))


def test_gradients_are_finite_where_pictures_are_plain():
    decoded = PLAIN.clone().requires_grad_()
    distance(PLAIN, decoded).sum().backward()
    assert decoded.grad is not None
    assert torch.isfinite(decoded.grad).all()


def test_the_gradient_is_that_of_the_distance():
    decoded = (BUSY + 5 * noise(3)).clamp(1, 254).requires_grad_()
    distance(BUSY, decoded).sum().backward()
    assert decoded.grad is not None
    uphill = decoded.grad.sign()
    with torch.no_grad():
        ahead, behind = (float(distance(BUSY, decoded + s * 0.05 * uphill)) for s in (1, -1))
    assert float(decoded.grad.abs().sum()) == pytest.approx((ahead - behind) / 0.1, rel=0.02)
