import zlib

import numpy as np
import pytest

from intact.errors import ArgumentError
from intact.train import synthetic
from intact.train.synthetic import canvas, fonts, plain

KINDS = [*synthetic.TRAINING, *synthetic.HELD_OUT]


@pytest.fixture
def no_fonts(monkeypatch):
    """A system on which no font is installed."""

    def forget():
        for cached in (fonts._installed, fonts.fonts_of, fonts._mask, fonts.atlas, fonts.icons_of):
            cached.cache_clear()

    forget()
    monkeypatch.setattr(fonts, "ROOTS", ())
    yield
    forget()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [64, 192, 320])
def test_a_crop_of_every_kind_has_the_side_asked_for(kind, side):
    for seed in range(4):
        crop = synthetic.crop(kind, side, np.random.default_rng((seed, zlib.crc32(kind.encode()))))
        assert crop.shape == (side, side, 3)
        assert crop.dtype == np.uint8
        assert crop.flags.c_contiguous or crop.base is not None


def test_plain_colors_are_white_in_a_fourth_and_black_in_a_tenth():
    """What is seen first where a codec is off, and the most pixels of text and screens."""
    rng = np.random.default_rng(8)
    colors = np.array([plain._plain_color(rng) for _ in range(4000)])
    assert colors.min() >= 0
    assert colors.max() <= 255
    assert 0.23 < float((colors == 255).all(axis=1).mean()) < 0.30
    assert 0.08 < float((colors == 0).all(axis=1).mean()) < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_a_crop_is_a_function_of_its_generator(kind):
    first = synthetic.crop(kind, 128, np.random.default_rng(5))
    synthetic.crop(
        "paragraphs", 128, np.random.default_rng(6)
    )  # masks kept from before do not count
    for cached in (fonts._mask, fonts.atlas):
        cached.cache_clear()
    assert np.array_equal(first, synthetic.crop(kind, 128, np.random.default_rng(5)))


@pytest.mark.parametrize("kind", KINDS)
def test_crops_of_a_kind_differ(kind):
    crops = {synthetic.crop(kind, 96, np.random.default_rng(i)).tobytes() for i in range(6)}
    assert len(crops) > 3


def test_what_is_held_out_is_in_no_training_crop():
    assert not set(synthetic.TRAINING) & set(synthetic.HELD_OUT)
    files = {name for listed in fonts.FONTS.values() for name in listed}
    held_out = {name for listed in fonts.HELD_OUT_FONTS.values() for name in listed}
    assert not files & held_out
    assert not set(canvas.THEMES) & set(canvas.HELD_OUT_THEMES)


def test_all_training_kinds_are_drawn_white_and_black_among_them():
    crops = [synthetic.training_crop(64, np.random.default_rng((1, i))) for i in range(400)]
    single = [c[0, 0].tolist() for c in crops if np.ptp(c.reshape(-1, 3), axis=0).max() == 0]
    assert [255, 255, 255] in single
    assert [0, 0, 0] in single
    assert 10 < len(single) < 100


def test_sub_pixels_color_the_edges_of_letters_and_gray_levels_do_not():
    font = fonts.fonts_of("sans", held_out=False)[0]
    for rendering, channels in (("lcd", 3), ("smooth", 1), ("hinted", 1), ("mono", 1)):
        mask = fonts.Face(font, 14, rendering).mask("will")
        assert mask.shape[2] == channels
        assert mask.max() > 150
        levels = set(np.unique(mask).tolist())
        assert (levels == {0, 255}) == (rendering == "mono")
    lcd = fonts.Face(font, 14, "lcd").mask("will").astype(int)
    assert abs(lcd[..., 0] - lcd[..., 2]).max() > 30


def test_text_that_lies_partly_or_wholly_outside_is_cut():
    face = fonts.Face(fonts.fonts_of("sans", held_out=False)[0], 12, "hinted")
    for place in ((-500, 10), (500, 10), (10, -500), (10, 500), (-5, -5), (60, 60)):
        sheet = canvas.Canvas(64, (255, 255, 255))
        sheet.text(place, "Text", face, (0, 0, 0))
        assert (sheet.finish() != 255).any() == (min(place) >= -5 and max(place) <= 60)


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(ArgumentError, match=r"'cats' is no kind of synthetic crop: paragraphs, "):
        synthetic.crop("cats", 64, np.random.default_rng(0))


@pytest.mark.usefixtures("no_fonts")
def test_without_fonts_text_is_in_the_built_in_one_and_training_says_which_to_install():
    for kind in ("paragraphs", "code", "window", "icons", "terminal"):
        assert len(np.unique(synthetic.crop(kind, 128, np.random.default_rng(1)))) > 2
    with pytest.raises(ArgumentError, match=r"apt-get install fonts-dejavu-core fonts-liberation"):
        synthetic.check_fonts()


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: {n: n for n in fonts.FONTS["fonts-hack"]})
    (note,) = synthetic.check_fonts()
    assert "fonts-liberation" in note
    assert "fonts-hack" not in note
