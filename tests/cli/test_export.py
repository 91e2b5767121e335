"""`intact export`."""

import pytest

from tiny_hyperprior import tiny_hyperprior


def test_a_model_becomes_a_folder(intact, tiny_path, tmp_path):
    done = intact("export", tiny_path, "-o", tmp_path / "out", "--json")
    assert done.code == 0
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert set(done.json["files"]) <= written
    assert "synthesis/model.onnx" in written
    assert done.json["bytes"] > 1000


def test_a_folder_with_something_in_it_is_left_alone(intact, tiny_path, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = intact("export", tiny_path, "-o", tmp_path)
    assert done.code == 2
    assert "not empty" in done.err
    assert intact("export", tiny_path, "-o", tmp_path, "--force").code == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_file_in_the_way_is_left_alone(intact, tiny_path, tmp_path):
    (tmp_path / "out").write_text("mine")
    done = intact("export", tiny_path, "-o", tmp_path / "out", "--force")
    assert done.code == 2
    assert "in the way" in done.err


@pytest.mark.parametrize("profile", ["prior", "float"])
def test_a_float_model_is_refused_with_a_sentence(intact, tmp_path, profile):
    path = tmp_path / "float.intactm"
    path.write_bytes(tiny_hyperprior(profile).to_bytes())
    done = intact("export", path, "-o", tmp_path / "out")
    assert done.code == 3
    assert "only exact models" in done.err
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_said(intact, tmp_path):
    assert intact("export", "no-such-model", "-o", tmp_path / "out").code == 4
    assert not (tmp_path / "out").exists()
