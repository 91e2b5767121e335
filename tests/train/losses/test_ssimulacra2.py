"""The differentiable SSIMULACRA2 equals the program of the package, and can be trained with."""

import io

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from intact.train.losses import blur as blurs, ssimulacra2 as ours  # noqa: E402


def as_jpeg(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="module")
def photo(request):
    """uint8 [256, 256, 3] of the CC0 photograph: six scales, the last of 8 pixels."""
    path = request.config.rootpath / "demo" / "original.png"
    return np.asarray(Image.open(path).convert("RGB"))[100:356, 200:456]


def batch(*pictures):
    return torch.from_numpy(np.stack(pictures)).float()


@pytest.mark.parametrize("quality", [5, 30, 80, 95])
def test_scores_are_those_of_the_reference_program(photo, quality, tmp_path, monkeypatch):
    program = pytest.importorskip("ssimulacra2.ssimulacra2")
    # The package mirrors above and below, and has zeros at the sides.
    monkeypatch.setattr(ours, "blur", lambda planes: blurs.blur(planes, "reflect", "zero"))
    coded = as_jpeg(photo, quality)
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(coded).save(tmp_path / "b.png")
    expected = program.compute_ssimulacra2(str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    assert float(ours.score(batch(photo), batch(coded))) == pytest.approx(expected, abs=0.02)


def test_equal_pictures_have_no_distance(photo):
    assert float(ours.distance(batch(photo), batch(photo))) < 0.01


def test_the_distance_grows_with_the_damage(photo):
    coded = batch(*(as_jpeg(photo, quality) for quality in (95, 80, 50, 20, 5)))
    distances = ours.distance(batch(photo).expand_as(coded), coded)
    assert (distances.diff() > 0).all()


def test_the_gradient_is_that_of_the_distance(photo):
    """Against a difference quotient uphill, where float32 resolves it."""
    a, b = batch(photo[:128, :128]), batch(as_jpeg(photo, 20)[:128, :128]).requires_grad_()
    ours.distance(a, b).sum().backward()
    assert b.grad is not None
    uphill = b.grad.sign()
    with torch.no_grad():
        ahead, behind = (float(ours.distance(a, b + s * 0.01 * uphill)) for s in (1, -1))
    assert float(b.grad.abs().sum()) == pytest.approx((ahead - behind) / 0.02, rel=0.02)


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_gradients_are_finite_where_pictures_are_plain(value):
    a = torch.full((1, 128, 128, 3), value)
    b = (a.clone()).requires_grad_()
    ours.distance(a, b).sum().backward()
    assert b.grad is not None
    assert torch.isfinite(b.grad).all()


def test_pixels_beyond_the_range_are_drawn_back():
    a = torch.full((1, 128, 128, 3), 250.0)
    b = torch.full((1, 128, 128, 3), 300.0).requires_grad_()
    ours.distance(a, b).sum().backward()
    assert b.grad is not None
    assert (b.grad >= 0).all()
    assert (b.grad > 0).any()
