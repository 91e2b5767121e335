"""Models that compute in float, on the command line."""

import pytest
from PIL import Image

from tiny_hyperprior import tiny_hyperprior


@pytest.fixture(params=["prior", "float"])
def model(request, tmp_path):
    path = tmp_path / f"{request.param}.intactm"
    path.write_bytes(tiny_hyperprior(request.param).to_bytes())
    return path


def test_what_is_not_exact_is_refused_unless_it_is_allowed(intact, photo, model, tmp_path):
    file, back = tmp_path / "p.intact", tmp_path / "back.png"
    done = intact("encode", photo, "--model", model, "-o", file)
    assert done.code == 3
    assert f"not exact (profile {model.stem})" in done.err
    assert "--allow-inexact" in done.err
    assert not file.exists()
    assert intact("encode", photo, "--model", model, "-o", file, "--allow-inexact").code == 0
    done = intact("decode", file, "--model", model, "-o", back)
    assert (done.code, back.exists()) == (3, False)
    assert "this file is not exact" in done.err
    assert intact("decode", file, "--model", model, "-o", back, "--allow-inexact").code == 0
    with Image.open(back) as image:
        assert image.size == (60, 40)


def test_info_says_not_exact(intact, photo, file, model, tiny_path, tmp_path):
    inexact = tmp_path / "p.intact"
    intact("encode", photo, "--model", model, "-o", inexact, "--allow-inexact")
    [facts] = intact("info", inexact, "--json").json["files"]
    assert facts["exact"] is False
    assert "exact          no" in intact("info", inexact).out.decode()
    [facts] = intact("info", file, "--json").json["files"]
    assert facts["exact"] is True


def test_models_says_what_is_not_exact(intact, model):
    done = intact("models", model)
    assert done.code == 0
    text = done.out.decode()
    assert f"not exact: profile {model.stem}" in text
    assert "parameters in integers, others in float" in text  # of which nobody counts the work
    assert "kMAC" not in text


def test_verify_takes_no_file_for_exact_that_is_not(intact, photo, model, tmp_path):
    file = tmp_path / "p.intact"
    intact("encode", photo, "--model", model, "-o", file, "--allow-inexact")
    done = intact("verify", file, "--model", model)
    assert done.code == 3
    assert "no machine can say that its pixels are right" in done.err
    assert "--allow-inexact" not in done.err
    assert "not exact" in done.err


def test_gray_stored_as_rgb_is_said(intact, tiny_path, tmp_path):
    Image.new("RGB", (30, 20), (90, 90, 90)).save(tmp_path / "gray.png")
    intact("encode", tmp_path / "gray.png", "--model", tiny_path)
    [facts] = intact("info", tmp_path / "gray.intact", "--json").json["files"]
    assert (facts["mode"], facts["gray"]) == ("RGB", True)
