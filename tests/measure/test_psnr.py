import math

import numpy as np
import pytest

from intact.measure import bpp, file_bpp, mse, psnr


def test_psnr_is_over_all_channels_jointly():
    # Only one of three channels is wrong, by 6: MSE is 36 / 3 = 12, not the mean of three PSNRs.
    image = np.zeros((5, 7, 3), np.uint8)
    image[:, :, 1] = 6
    assert mse(np.zeros_like(image), image) == 12
    assert psnr(np.zeros_like(image), image) == pytest.approx(10 * math.log10(255**2 / 12))


def test_black_against_white_is_zero_decibels():
    # 255 - 0 and 0 - 255: a difference taken in uint8 would wrap to 1 for one of them.
    black, white = np.zeros((3, 3), np.uint8), np.full((3, 3), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == 0


def test_equal_pictures_are_infinitely_good():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert psnr(image, image.copy()) == math.inf


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.float32), "expected uint8"),
        (np.zeros((4, 5), np.uint8), "shapes differ"),
    ],
)
def test_unfit_pictures_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        psnr(np.zeros((4, 4), np.uint8), image)
    with pytest.raises(ValueError, match="no pixels"):
        psnr(np.zeros((0, 4), np.uint8), np.zeros((0, 4), np.uint8))


def test_bpp_counts_the_whole_file(tmp_path):
    path = tmp_path / "photo.intact"
    path.write_bytes(bytes(300))
    assert file_bpp(path, height=20, width=30) == bpp(300, height=20, width=30) == 4


@pytest.mark.parametrize("arguments", [(-1, 2, 2), (1, 0, 2), (1, 2, 0)])
def test_bpp_refuses_impossible_sizes(arguments):
    with pytest.raises(ValueError, match="expected"):
        bpp(*arguments)
