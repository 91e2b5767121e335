"""The analysis twice: effort 1."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import intact
from intact.codec import twicing
from intact.codec.encoder import Encoder
from intact.codec.runtime import Runtime
from intact.codec.store import load_model
from intact.codec.target import Target, search
from intact.measure.psnr import mse, psnr
from tiny_channelwise import tiny_channelwise_model
from tiny_hyperprior import tiny_hyperprior
from tiny_model import picture, tiny_model
from tiny_vector import MODELS, tiny_vector

PHOTO = Path(__file__).parents[2] / "demo" / "original.png"


@pytest.fixture(scope="module")
def photo():
    """The demo's photograph, smaller, which takes its grain away; of no multiple of 16."""
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").resize((192, 192), Image.Resampling.BOX))[5:, 3:]


def files(image, quality, model=None, backend="auto"):
    """Without and with."""
    model = load_model(model)
    runtime = Runtime(backend, 1, None, True)
    level = model.levels.of_quality(quality)
    return [Encoder(image, model, runtime=runtime, effort=e).encode(level) for e in (0, 1)]


@pytest.mark.parametrize("model", ["photo", "photo-6", "photo-psnr"])
def test_at_high_qualities_files_are_better(model, photo):
    once, twice = files(photo, 97, model)
    product = [len(e.data) * mse(photo, e.pixels) for e in (once, twice)]
    assert product[1] < 0.99 * product[0]
    assert psnr(photo, twice.pixels) > psnr(photo, once.pixels) + 0.1


def test_below_quality_60_nothing_changes(photo):
    once, twice = files(photo, 55)
    assert once.data == twice.data


def test_every_backend_writes_the_same_file_and_reads_it(photo):
    image = photo[:100, :90]
    data = [files(image, 90, None, backend)[1].data for backend in ("auto", "numpy")]
    assert data[0] == data[1] == intact.encode(image, quality=90, effort=1)
    one, other = (intact.decode(data[0], backend=name).pixels for name in ("auto", "numpy"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("model", "again"),
    [(tiny_model(), True), (tiny_channelwise_model(), True), (tiny_hyperprior(), True),
     *((tiny_vector(which), which != "logits") for which in MODELS)],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_a_second_pass_of_any_kind_of_model(model, again, monkeypatch):
    """Of logits nothing can be drawn: such models have one pass."""
    image, shares = picture(50, 70), []
    monkeypatch.setattr(twicing, "share_of", lambda *_: shares.append(90) or 90)
    for quality in (0, 100):
        data = intact.encode(image, quality=quality, model=model, effort=1, allow_inexact=True)
        found = intact.decode(data, model=model, allow_inexact=True).pixels
        assert found.shape == image.shape
    # Models of one rate have no coarse level.
    assert len(shares) == again * (1 + (len(model.levels) == 1))


def test_from_the_level_of_quality_60_on():
    bottleneck = load_model().bottleneck
    level = bottleneck.levels.of_quality(60)
    assert twicing.is_twiced(bottleneck, level)
    assert not twicing.is_twiced(bottleneck, level - 1)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_gray_and_alpha(channels, photo, monkeypatch):
    monkeypatch.setattr(twicing, "share_of", lambda *_: 90)
    image = np.dstack([photo, photo[..., :1]])[:64, :80, -channels:]
    costs = iter((1, 1, 2, 1))  # lost, wrong, once, twice
    monkeypatch.setattr(sys.modules["intact.measure.psnr"], "mse", lambda *_: next(costs))
    once, twice = (intact.encode(image, quality=97, effort=e) for e in (0, 1))
    assert twice != once
    assert next(costs, None) is None
    decoded, before = (np.atleast_3d(intact.decode(data).pixels) for data in (twice, once))
    assert mse(image[..., :1], decoded[..., :1]) < mse(image[..., :1], before[..., :1])
    if channels in (2, 4):
        np.testing.assert_array_equal(decoded[..., -1], image[..., -1])


def test_gray_stays_gray(photo, monkeypatch):
    gray = np.repeat(photo[..., 1:2], 3, axis=2)
    monkeypatch.setattr(twicing, "share_of", lambda *_: 90)
    once, twice = files(gray, 90, "photo")
    assert twice.data != once.data
    assert (twice.pixels == twice.pixels[..., :1]).all()


def test_it_needs_no_torch(photo, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert intact.encode(photo[:40, :40], quality=90, effort=1)


def searched(image, target, effort):
    runtime = Runtime(threads=1)
    return search(Encoder(image, load_model(), runtime=runtime, effort=effort), target)


def test_a_size_is_met_with_a_better_picture(photo):
    once, twice = (searched(photo, Target(size=13800), effort) for effort in (0, 1))
    assert len(twice.data) <= 13800
    assert mse(photo, twice.pixels) < mse(photo, once.pixels)


def test_so_many_decibels_are_met_by_a_file_that_is_no_larger(photo):
    top = psnr(photo, searched(photo, Target(size=10**6), 0).pixels)
    for wanted in (38, top - 0.5, top - 0.01):
        once, twice = (searched(photo, Target(psnr=wanted), effort) for effort in (0, 1))
        assert len(twice.data) <= len(once.data)
        assert psnr(photo, twice.pixels) >= wanted
    # Beyond what one pass reaches the finest level is not the only one that will do.
    beyond = searched(photo, Target(psnr=top + 0.05), 1)
    finest = files(photo, 100)[1]
    assert psnr(photo, beyond.pixels) >= top + 0.05
    assert len(beyond.data) < len(finest.data)


def test_an_error_of_nothing(monkeypatch):
    """A picture that comes back exactly is not coded again."""
    image = np.full((64, 64, 3), 128, np.uint8)
    monkeypatch.setattr(twicing, "boosted", None)
    once, twice = files(image, 100)
    assert (once.pixels == image).all()
    assert twice.data == once.data


def test_the_worse_of_both_is_not_kept(photo, monkeypatch):
    once = files(photo, 95)[0].data
    monkeypatch.setattr(twicing, "boosted", lambda pixels, found, share: ~pixels)
    assert files(photo, 95)[1].data == once


@pytest.mark.parametrize(
    ("lost", "wrong", "share"),
    [(0, 0, 0), (0, 9, 0), (27, 100, 0), (2.6, 10, 0), (47, 100, 128), (60, 100, 179),
     (100, 100, 179), (500, 1, 179)],
)  # fmt: skip
def test_how_much_is_added(lost, wrong, share):
    assert abs(twicing.share_of(lost, wrong) - share) <= 1  # 0.47 - 0.27 is not quite 0.2


@pytest.mark.parametrize("rows", [1, 64, 65, 200])
def test_what_is_lost_is_added_rounded_and_saturated(rows, monkeypatch):
    random = np.random.default_rng(rows)
    pixels, found = random.integers(-128, 128, (2, rows, 5, 3), np.int8)
    lost = pixels.astype(int) - found
    expected = np.clip(pixels + np.floor(lost * 100 / 256 + 0.5), -128, 127)
    np.testing.assert_array_equal(twicing.boosted(pixels, found, 100), expected)
    np.testing.assert_array_equal(twicing.boosted(pixels, found, 0), pixels)
