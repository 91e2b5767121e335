"""Training reads folders by the rules of ``intact encode``."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image

from intact.files import IMAGES
from intact.train.data import ImageFolder
from intact.train.folders import find_images


def save(path, side=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (9, 99, 199)).save(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_and_links_to_folders_are_left_out_and_counted(tmp_path):
    save(tmp_path / "f" / "a.png")
    save(tmp_path / "g" / "b.png")
    os.mkfifo(tmp_path / "f" / "pipe.png")  # reading it would wait for ever
    (tmp_path / "f" / "piped.png").symlink_to(tmp_path / "f" / "pipe.png")
    (tmp_path / "f" / "link").symlink_to(tmp_path / "g")
    (tmp_path / "f" / "linked.png").symlink_to(tmp_path / "g" / "b.png")
    data = ImageFolder([tmp_path / "f"], 64)
    assert len(data.images) == 2
    assert data.notes[0].startswith("3 left out, links to folders or no files: ")


def test_hidden_files_and_folders_are_not_read(tmp_path):
    for name in ("a.png", ".trash/b.png", "sub/c.png", "sub/.d.png"):
        save(tmp_path / name)
    names, notes = find_images([tmp_path])
    assert (sorted(names.values()), notes) == (["a.png", "sub/c.png"], [])


def test_every_suffix_that_encode_takes_is_taken(tmp_path):
    for suffix in IMAGES:
        (tmp_path / f"a{suffix.upper()}").touch()
    (tmp_path / "a.txt").touch()
    assert len(find_images([tmp_path])[0]) == len(IMAGES)
    save(tmp_path / "b.gif")
    data = ImageFolder([tmp_path], 64)
    assert len(data.images) == 1
    assert data.notes[0].startswith(f"{len(IMAGES)} of {len(IMAGES) + 1} images are left out")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    save(tmp_path / "a.png")
    for wrong in (tmp_path / "nowhere", tmp_path / "a.png"):
        with pytest.raises(OSError, match=wrong.name):
            ImageFolder([tmp_path, wrong], 64)


def test_a_tilde_is_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "pictures" / "a.png")
    assert list(find_images(["~/pictures"])[0].values()) == ["a.png"]


def test_large_images_give_no_warning_of_pillows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    save(tmp_path / "a.png", 64)
    save(tmp_path / "bomb.png", 128)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = ImageFolder([tmp_path], 64)
    assert [image.shape for image in data.images] == [(64, 64, 3)]
    assert "bomb" in data.notes[0]
    assert data.images[0].dtype == np.uint8
