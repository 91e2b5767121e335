import numpy as np
import pytest
import torch
from PIL import Image

from intact.errors import ArgumentError
from intact.train import config as configuration, start
from intact.train.convert import OBSERVED_BATCHES, SYNTHETIC_BATCHES
from intact.train.crops import OnDevice, Place, Source
from intact.train.synthetic import fonts

RNG = np.random.default_rng(3)
IMAGES = [RNG.integers(0, 256, (70 + 9 * i, 120 - 7 * i, 3), dtype=np.uint8) for i in range(5)]


def places(source, count=200, **shares):
    return [source.place(64, np.random.default_rng((9, k)), **shares) for k in range(count)]


@pytest.mark.parametrize("synthetic", [None, [np.full((80, 90, 3), 7, np.uint8)]])
def test_crops_gathered_on_a_device_are_those_of_the_host(synthetic):
    source = Source(IMAGES, synthetic)
    drawn = places(source, 60, flat=0.3, synthetic=0.2)
    gathered = OnDevice(source, torch.device("cpu")).cut(drawn, 64).numpy()
    assert gathered.shape == (60, 64, 64, 3)
    for place, crop in zip(drawn, gathered, strict=True):
        difference = np.abs(source.cut(place, 64).astype(int) - crop)
        assert difference.max() <= (place.contrast != 1)
    turns = {(place.mirrored, place.transposed) for place in drawn if place.pixels is None}
    assert len(turns) == 4
    assert any(place.contrast == 0 for place in drawn)


def test_the_share_of_synthetic_crops_is_the_one_asked_for():
    drawn = places(Source(IMAGES), 80, synthetic=0.25)
    assert 8 < sum(place.pixels is not None for place in drawn) < 32
    assert all(place.pixels is None for place in places(Source(IMAGES)))


def test_synthetic_pictures_of_a_folder_are_neither_turned_nor_faded():
    source = Source(IMAGES, [IMAGES[0], IMAGES[1]])
    drawn = places(source, flat=0.5, synthetic=0.25)
    theirs = [place for place in drawn if place.image >= len(IMAGES)]
    assert 30 < len(theirs) < 70
    assert {place.image for place in theirs} == {5, 6}
    for place in theirs:
        assert place == Place(place.image, place.top, place.left)


def test_a_larger_image_is_drawn_more_often():
    images = [np.zeros((64, 64, 3), np.uint8), np.zeros((640, 640, 3), np.uint8)]
    assert sum(place.image for place in places(Source(images))) > 180


def test_a_run_with_synthetic_crops_needs_their_fonts_or_a_folder(small_run, monkeypatch, tmp_path):
    settings = small_run(64, "data.synthetic=0.5")
    monkeypatch.setattr(fonts, "_installed", dict)
    with pytest.raises(ArgumentError, match=r"data.synthetic needs fonts"):
        start.image_folder(configuration.load(None, settings))
    (tmp_path / "screens").mkdir()
    Image.new("RGB", (99, 99), (1, 2, 3)).save(tmp_path / "screens" / "a.png")
    settings.append(f'data.synthetic_folder="{tmp_path / "screens"}"')
    found = start.image_folder(configuration.load(None, settings))
    observed = start.observed(found, configuration.load(None, settings))
    assert len(observed) == OBSERVED_BATCHES + SYNTHETIC_BATCHES
    plain = torch.tensor([1, 2, 3])
    assert all((crops == plain).all() for crops, _ in observed[OBSERVED_BATCHES:])
    crops = found.crops(range(40), 64, 1, 1, synthetic=0.5)
    assert 8 < sum((crop == (1, 2, 3)).all() for crop in crops) < 32


def test_a_missing_package_of_fonts_is_a_note_of_the_run(small_run, monkeypatch):
    installed = {name: name for name in fonts.FONTS["fonts-hack"]}
    monkeypatch.setattr(fonts, "_installed", lambda: installed)
    found = start.image_folder(configuration.load(None, small_run(64, "data.synthetic=0.1")))
    assert "apt-get install fonts-dejavu-core" in found.notes[-1]


def test_a_step_with_pixels_on_the_device_is_that_of_the_host(small_run):
    losses = []
    more = ("data.batch=2", "data.flat=0", "data.synthetic=0.5")
    settings = small_run(64, *more)
    for on_device in ("false", "true"):
        chosen = configuration.load(None, [*settings, f"data.on_device={on_device}"])
        trainer = start.trainer_for(chosen, torch.device("cpu"))
        losses.append(float(trainer.train_step()["loss"]))
    assert losses[0] == losses[1]
