"""intact encode --effort 1, which needs no PyTorch."""

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from PIL import Image

import intact as package
import intact.pillow as plugin
from intact.cli.encode import _course
from intact.cli.progress import Bar, Stages
from intact.codec.encoder import Encoder
from intact.codec.runtime import Runtime
from intact.codec.store import load_model
from tiny_model import picture

assert plugin  # registers
PHOTO = Path(__file__).parents[2] / "demo" / "original.png"


@pytest.fixture(scope="module")
def pixels():
    """The demo's photograph, smaller, which takes its grain away."""
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").resize((192, 192), Image.Resampling.BOX))[5:, 3:]


@pytest.fixture
def image(pixels, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    return path


def test_a_file_is_what_the_library_and_the_plugin_make(intact, image, pixels, tmp_path):
    output, saved = tmp_path / "a.intact", tmp_path / "b.intact"
    assert intact("encode", image, "-o", output, "-q", 95, "--effort", 1).code == 0
    expected = package.encode(pixels, quality=95, effort=1)
    assert output.read_bytes() == expected != package.encode(pixels, quality=95)
    Image.fromarray(pixels).save(saved, quality=95, effort=1)
    assert saved.read_bytes() == expected
    again = intact("encode", image, "-o", output, "-q", 95, "--effort", 1, "--skip-existing")
    assert again.code == 0


def test_a_target_is_met(intact, image, pixels, tmp_path):
    output = tmp_path / "a.intact"
    options = ("--effort", 1, "--target-psnr", 36, "--json")
    assert intact("encode", image, "-o", output, *options).code == 0
    error = np.square(package.decode(output).pixels.astype(float) - pixels).mean()
    assert 10 * np.log10(255**2 / error) >= 36


@pytest.mark.parametrize(("effort", "quality"), [(0, 50), (0, 90), (1, 50), (1, 90)])
def test_the_bar_comes_to_its_end_and_never_goes_back(effort, quality):
    model, bar = load_model(), MagicMock(spec=Bar)
    stages = Stages(bar, "a.png", *_course(effort, quality))
    encoder = Encoder(picture(60, 80), model, runtime=Runtime("auto", 1, stages), effort=effort)
    encoder.encode(model.levels.of_quality(quality))
    shares = [call.args[0] for call in bar.within.call_args_list]
    assert shares == sorted(shares)
    assert 0.6 < shares[-1] <= 1
