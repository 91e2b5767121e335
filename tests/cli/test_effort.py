"""intact encode --effort."""

import os

import numpy as np
import pytest
from PIL import Image

import intact as package
from intact.cli.errors import Code
from tiny_model import picture

pytest.importorskip("torch")

from intact.refine import refiner
from small_models import small_model


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Enough to see that it works."""
    monkeypatch.setitem(refiner.EFFORTS, 2, refiner.Effort(20, 0.012))


@pytest.fixture(scope="module")
def small_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.intactm"
    path.write_bytes(small_model(1).to_bytes())
    return path


@pytest.fixture
def folder(tmp_path):
    """Three small pictures."""
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        Image.fromarray(picture(30, 40, 3, number)).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


def test_a_folder_is_refined_and_comes_back(intact, folder, small_path, tmp_path):
    options = ("--model", small_path, "--json", "-o", tmp_path / "out")
    done = intact("encode", folder, *options, "--effort", 2)
    assert (done.code, done.json["summary"]["done"]) == (0, 3)
    for number in range(3):
        data = (tmp_path / "out" / f"{number}.intact").read_bytes()
        image = picture(30, 40, 3, number)
        assert data == package.encode(image, model=small_path, effort=2)
        assert package.decode(data, model=small_path).pixels.shape == image.shape


@pytest.mark.parametrize("effort", ["4", "-1", "high"])
def test_an_effort_out_of_range_is_a_wrong_argument(effort, intact, folder, tmp_path):
    done = intact("encode", folder, "-o", tmp_path / "out", "--effort", effort)
    assert done.code == Code.USAGE
    assert "--effort" in done.err
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_refined_writes_nothing(intact, photo, tiny_path, tmp_path):
    output = tmp_path / "a.intact"
    done = intact("encode", photo, "--model", tiny_path, "-o", output, "--effort", 2)
    assert done.code == Code.UNSUPPORTED
    assert "encode without an effort" in done.err
    assert not output.exists()


def test_an_archive_made_without_an_effort_is_gone_on_with(intact, folder, small_path, tmp_path):
    options = ("--model", small_path, "--quiet", "-o", tmp_path / "out")
    assert intact("encode", folder, *options).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for path in (tmp_path / "out").iterdir():  # neither time nor hash tells
        path.write_bytes(before[path.name])
        os.utime(path, (1, 1))
        if hasattr(os, "removexattr") and "user.intact.origin" in os.listxattr(path):
            os.removexattr(path, "user.intact.origin")
    assert intact("encode", folder, *options, "--effort", 2, "--skip-existing").code == 0
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_target_with_an_effort_is_met(intact, photo, small_path, tmp_path):
    output = tmp_path / "a.intact"
    options = ("--model", small_path, "--quiet", "-o", output, "--effort", 2)
    assert intact("encode", photo, *options, "--target-psnr", 28).code == 0
    pixels = package.decode(output, model=small_path).pixels
    with Image.open(photo) as image:
        error = np.square(pixels.astype(float) - np.asarray(image.convert("RGB"))).mean()
    assert 10 * np.log10(255**2 / error) >= 28
