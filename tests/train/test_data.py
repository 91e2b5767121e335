"""Collections as people have them: too large for memory, with files in them that are no images."""

import numpy as np
import pytest
from PIL import Image

from intact.train.data import ImageFolder, area_limit, window
from tiny_model import deep_png


def save(path, height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_images_that_fit_are_kept_whole(tmp_path):
    expected = [save(tmp_path / f"{i}.png", 64 + i, 80, i) for i in range(3)]
    (tmp_path / "deeper").mkdir()
    expected.append(save(tmp_path / "deeper" / "a.png", 70, 90, 9))
    counts = []
    data = ImageFolder([tmp_path], 64, progress=lambda done, total: counts.append((done, total)))
    assert all(np.array_equal(a, b) for a, b in zip(data.images, expected, strict=True))
    assert data.notes == []
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_cannot_be_used_is_named_and_left_out(tmp_path):
    save(tmp_path / "good.png", 64, 64)
    save(tmp_path / "small.png", 64, 63)
    Image.new("I;16", (99, 99)).save(tmp_path / "deep.png")
    (tmp_path / "junk.jpg").write_bytes(b"\xff\xd8 no image")
    (tmp_path / "notes.txt").write_text("not looked at")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])  # its header is fine
    data = ImageFolder([tmp_path], 64)
    assert len(data.images) == 1
    (note,) = data.notes
    assert note.startswith("4 of 5 images are left out: ")
    assert "63x64 pixels, less than data.crop = 64" in note
    assert "deep.png: mode I;16" in note
    assert "junk.jpg: not an image in one" in note


def test_color_that_pillow_would_cut_to_8_bits_is_left_out(tmp_path):
    save(tmp_path / "good.png", 64, 64)
    (tmp_path / "deep.png").write_bytes(deep_png(99, 99))
    data = ImageFolder([tmp_path], 64)
    assert len(data.images) == 1
    assert "deep.png: samples of 16 bits" in data.notes[0]


def test_no_usable_image_says_why(tmp_path):
    save(tmp_path / "small.png", 10, 10)
    with pytest.raises(ValueError, match=r"no image of at least 64x64.*10x10 pixels"):
        ImageFolder([tmp_path], 64)


def test_large_images_are_cut_to_fit(tmp_path):
    small, large = save(tmp_path / "a.png", 64, 64), save(tmp_path / "b.png", 512, 1024)
    data = ImageFolder([tmp_path], 64, memory_gb=3 * 140_000 / 1e9)
    assert np.array_equal(data.images[0], small)
    height, width, _ = data.images[1].shape
    assert 130_000 < height * width <= 140_000 - 64 * 64
    assert width == pytest.approx(2 * height, abs=2)
    columns = np.lib.stride_tricks.sliding_window_view(large[:, :, 0], (height, width))
    assert (columns[:, :, 0, :9] == data.images[1][0, :9, 0]).all(2).any()
    assert "of 1 large images a window of 0.1 megapixels" in data.notes[0]
    again = ImageFolder([tmp_path], 64, memory_gb=3 * 140_000 / 1e9)
    assert np.array_equal(again.images[1], data.images[1])


def test_too_many_images_are_thinned_out_evenly(tmp_path):
    for i in range(9):
        save(tmp_path / f"{i}.png", 256, 256, i)
    data = ImageFolder([tmp_path], 64, memory_gb=3 * 3 * 256 * 256 / 1e9)
    assert [int(i[0, 0, 0]) for i in data.images] == [
        int(np.random.default_rng(s).integers(0, 256, (256, 256, 3), dtype=np.uint8)[0, 0, 0])
        for s in (0, 4, 8)
    ]
    assert data.notes == ["3 of 9 images are used: see data.memory_gb"]


@pytest.mark.parametrize("total", [3, 10, 29, 30, 31, 59, 60, 61, 1000])
def test_the_limit_is_the_largest_that_fits(total):
    areas = np.array([10, 30, 20])

    def used(limit):
        return np.minimum(areas, limit).sum()

    limit = area_limit(areas, total)
    assert used(limit) <= total
    assert used(limit + 1) > total or limit == 30


def test_windows_lie_inside_and_hold_a_crop():
    for seed in range(20):
        left, top, right, bottom = window((1000, 90), 20_000, 64, seed)
        assert 0 <= left <= right - 64
        assert right <= 1000
        assert 0 <= top <= bottom - 64
        assert bottom <= 90


def test_postscript_in_a_training_folder_starts_no_other_program(tmp_path, monkeypatch):
    started, tools = tmp_path / "started", tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    save(pictures / "good.png", 64, 64)
    Image.new("RGB", (99, 99)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(pictures / "holiday.png")
    data = ImageFolder([pictures], 64)
    assert len(data.images) == 1
    assert "holiday.png: not an image in one of the formats" in data.notes[0]
    assert not started.exists()


def test_a_crop_depends_on_its_own_index_alone(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", 90 + i, 130, i)
    data = ImageFolder([tmp_path], 64)
    batch = data.crops(range(6), 64, 1, 7, flat=0.3)
    assert all(np.array_equal(data.crops([i], 64, 1, 7, flat=0.3)[0], batch[i]) for i in range(6))
    assert not np.array_equal(batch, data.crops(range(6), 64, 1, 8, flat=0.3))
    assert not np.array_equal(batch, data.crops(range(6), 64, 2, 7, flat=0.3))
