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


def below(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


def test_another_export_leaves_no_file_of_the_one_before(intact, tiny_path, tmp_path):
    """`photo` has networks that a model of another kind has not, and other inputs of those both."""
    other, out = tmp_path / "other", tmp_path / "out"
    path = tmp_path / "hyper.intactm"
    path.write_bytes(tiny_hyperprior("exact").to_bytes())
    assert intact("export", path, "-o", other).code == 0
    assert intact("export", tiny_path, "-o", out).code == 0
    assert below(out) - below(other)
    assert intact("export", path, "-o", out, "--force").code == 0
    assert below(out) == below(other)


@pytest.mark.parametrize("interrupted", [False, True])
def test_only_files_of_an_export_are_removed(intact, tiny_path, tmp_path, interrupted):
    out = tmp_path / "out"
    assert intact("export", tiny_path, "-o", out).code == 0
    if interrupted:
        (out / "model.json").unlink()
    first = next(p.parent for p in out.glob("*/model.onnx"))
    first.rename(out / "old")  # as a network that the model now has not
    (out / "old" / "test_data_set_0" / "input_9.pb").write_bytes(b"left over")
    kept = {
        "old/notes.txt", "old/test_data_set_0/input_9.txt", "theirs/model.onnx",
        "theirs/test_data_set_0/input_0.pb", "pictures/a.png",
    }  # fmt: skip
    for name in kept:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    assert intact("export", tiny_path, "-o", elsewhere).code == 0
    (out / "linked").symlink_to(next(p.parent for p in elsewhere.glob("*/model.onnx")))
    before = below(elsewhere)
    assert intact("export", tiny_path, "-o", out, "--force").code == 0
    files = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    written = {p for p in before if (elsewhere / p).is_file()}
    assert {p for p in files if not p.startswith("linked/")} == written | kept
    assert below(elsewhere) == before


def test_a_refused_export_changes_nothing(intact, tiny_path, tmp_path):
    path, out = tmp_path / "float.intactm", tmp_path / "out"
    path.write_bytes(tiny_hyperprior("float").to_bytes())
    assert intact("export", tiny_path, "-o", out).code == 0
    before = below(out)
    assert intact("export", path, "-o", out, "--force").code == 3
    assert below(out) == before


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
