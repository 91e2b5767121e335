"""A gray picture stays gray, also where it is stored as RGB."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from intact import CorruptDataError
from intact.codec.icc import Colors, profile
from intact.codec.image import Encoder, decode, encode
from intact.container.chunks import CICP, GAMMA, Chunk
from intact.container.image_file import pack_image, unpack_image
from tiny_model import picture


def gray(height, width, channels=3, seed=5):
    """A gray picture stored in three or four channels."""
    image = picture(height, width, channels, seed)
    image[:, :, 1] = image[:, :, 2] = image[:, :, 0]
    return image


@pytest.mark.parametrize("quality", [0, 50, 100])
@pytest.mark.parametrize("channels", [3, 4])
def test_gray_that_is_stored_as_rgb_comes_back_gray_and_as_rgb(tiny, channels, quality):
    image = gray(70, 130, channels)
    decoded = decode(encode(image, quality=quality, model=tiny), model=tiny)
    assert decoded.mode == ("RGB" if channels == 3 else "RGBA")
    assert decoded.pixels.shape == image.shape
    np.testing.assert_array_equal(decoded.pixels[:, :, 1], decoded.pixels[:, :, 0])
    np.testing.assert_array_equal(decoded.pixels[:, :, 2], decoded.pixels[:, :, 0])


def test_it_is_the_gray_that_mode_l_has(tiny):
    image = gray(50, 60)
    alone = decode(encode(image[:, :, 0], quality=40, model=tiny), model=tiny)
    stored = decode(encode(image, quality=40, model=tiny), model=tiny)
    np.testing.assert_array_equal(stored.pixels[:, :, 1], alone.pixels)


def test_a_region_is_gray_too(tiny):
    data = encode(gray(70, 130), model=tiny)
    cut = decode(data, model=tiny).pixels[10:40, 20:90]
    np.testing.assert_array_equal(decode(data, model=tiny, region=(20, 10, 70, 30)).pixels, cut)


@pytest.mark.parametrize("at", [(0, 0, 0), (69, 129, 2), (35, 70, 1)])
def test_one_colored_pixel_makes_a_color_picture(tiny, at):
    image = gray(70, 130)
    image[at] ^= 1
    assert not unpack_image(encode(image, model=tiny)).header.gray
    assert unpack_image(encode(gray(70, 130), model=tiny)).header.gray


def test_what_has_one_channel_needs_no_flag(tiny):
    for image in (picture(20, 30, 1), picture(20, 30, 2)):
        assert not unpack_image(encode(image, model=tiny)).header.gray


def test_a_palette_of_grays_is_gray(tiny):
    image = Image.fromarray(picture(40, 40, 1)[:, :, 0]).convert("P")
    decoded = decode(encode(image, model=tiny), model=tiny)
    assert decoded.mode == "RGB"
    assert np.ptp(decoded.pixels.astype(int), axis=2).max() == 0


def test_an_encoder_knows_what_a_decoder_shows(tiny):
    encoded = Encoder(gray(40, 50, 4), tiny).encode(7)
    np.testing.assert_array_equal(decode(encoded.data, model=tiny).pixels, encoded.pixels)


@pytest.mark.parametrize("change", [{"latent_log2": 3}, {"latent_log2": 5}])
def test_a_latent_of_another_size_than_the_models_is_refused(tiny, change):
    file = unpack_image(encode(picture(40, 50), model=tiny))
    forged = pack_image(replace(file, header=replace(file.header, **change)))
    with pytest.raises(CorruptDataError, match=r"latents of (8|32) pixels.*its model: 16 pixels"):
        decode(forged, model=tiny)


def with_chunks(tiny, *chunks):
    file = unpack_image(encode(picture(20, 30), model=tiny))
    return pack_image(replace(file, chunks=chunks))


def test_a_gamma_is_given_out_as_a_profile(tiny):
    gamma = Chunk(GAMMA, (50_000).to_bytes(4, "little"))
    expected = profile(Colors("gamma", gamma=2.0), gray=False)
    assert decode(with_chunks(tiny, gamma), model=tiny).icc_profile == expected
    better = decode(with_chunks(tiny, Chunk(CICP, bytes([9, 16, 0, 1])), gamma), model=tiny)
    assert (better.icc_profile, better.cicp) == (b"", bytes([9, 16, 0, 1]))


def test_a_gamma_that_no_profile_holds_is_left_out(tiny, caplog):
    data = with_chunks(tiny, Chunk(GAMMA, (1).to_bytes(4, "little")))
    assert decode(data, model=tiny).icc_profile == b""
    assert "gamma is left out" in caplog.text
