"""Where models are looked for, and what a bad file there may not do."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from intact import ModelError, models
from intact.codec import store
from intact.codec.image import decode, encode
from tiny_model import picture, tiny_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, the only one on the search path."""
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path])
    return tmp_path


@pytest.fixture
def damaged(folder, tiny):
    """A model with the right id in a sound header, and damage behind it."""
    data = bytearray(tiny.to_bytes())
    data[-10] ^= 1
    path = folder / "a.intactm"
    path.write_bytes(data)
    return path


def test_a_damaged_copy_does_not_hide_a_sound_one(folder, damaged, tiny):
    (folder / "b.intactm").write_bytes(tiny.to_bytes())
    assert store.find_model(tiny.id).id == tiny.id


def test_a_damaged_copy_does_not_hide_the_embedded_one(damaged, tiny, caplog):
    data = encode(picture(20, 30), model=tiny, embed_model=True)
    np.testing.assert_array_equal(decode(data).pixels, decode(data, model=tiny).pixels)
    assert f"{damaged} cannot be used" in caplog.text


def test_a_damaged_copy_is_named_where_there_is_no_other(damaged, tiny):
    with pytest.raises(ModelError, match=f"not installed .{damaged} cannot be used"):
        decode(encode(picture(20, 30), model=tiny))


def test_a_model_is_found_by_the_name_of_its_file(folder):
    model = tiny_model(name="own name")
    (folder / "bird.intactm").write_bytes(model.to_bytes())
    assert store.load_model("bird").id == model.id
    with pytest.raises(ModelError, match="found: bird"):
        store.load_model("own name")


def test_the_search_path(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.search_path() == [models.FOLDER, tmp_path / "intact" / "models"]
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    mine = tmp_path / "home" / ".local" / "share" / "intact" / "models"
    for relative in ("", "data"):
        monkeypatch.setenv("XDG_DATA_HOME", relative)
        assert store.search_path() == [models.FOLDER, mine]


def unreadable(folder, monkeypatch):
    """The folder is that of another user."""
    true = os.listdir

    def listdir(path):
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return true(path)

    monkeypatch.setattr(os, "listdir", listdir)


def test_a_folder_that_cannot_be_read_holds_no_models(tmp_path, tiny, monkeypatch, caplog):
    monkeypatch.setattr(store, "search_path", lambda: [models.FOLDER, tmp_path])
    unreadable(tmp_path, monkeypatch)
    data = encode(picture(20, 30), model=tiny)
    assert store.load_model("photo").name == "photo"
    assert store.find_model(store.load_model().id).name == store.DEFAULT
    assert caplog.text == ""  # who needs no model of the user's hears nothing of it
    with pytest.raises(ModelError, match="not installed"):
        decode(data)
    with pytest.raises(ModelError, match="no model named 'bird'; found: photo"):
        store.load_model("bird")
    assert f"models in {tmp_path} cannot be read: Permission denied" in caplog.text
    np.testing.assert_array_equal(
        decode(encode(picture(20, 30), model=tiny, embed_model=True)).pixels,
        decode(data, model=tiny).pixels,
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_what_is_no_file_is_no_model(folder, tiny):
    """Reading a pipe would wait for ever."""
    os.mkfifo(folder / "a.intactm")
    (folder / "b.intactm").symlink_to(folder / "a.intactm")
    (folder / "c.intactm").symlink_to(folder / "nowhere")
    (folder / "d.intactm").mkdir()
    (folder / "e.intactm").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="found: none"):
        store.load_model("a")
    (folder / "z.intactm").write_bytes(tiny.to_bytes())
    (folder / "y.intactm").symlink_to(folder / "z.intactm")
    assert [path.stem for path in store.model_files()] == ["y", "z"]
    assert store.find_model(tiny.id).id == tiny.id


def test_a_user_without_a_home_has_the_models_of_the_package(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert store.search_path() == [models.FOLDER]


@pytest.mark.parametrize(
    ("place", "key", "kind"),
    [
        ("tables_y", "minimums", np.int32),
        ("tables_z", "sizes", np.int32),
        ("tables_y", "freqs", np.int16),
        ("levels", "steps", np.int32),
        ("levels", "shifts", np.int32),
        ("levels", "parameters", np.int32),
        ("levels", "offsets", np.int32),
    ],
)
def test_arrays_of_a_model_have_the_types_of_the_page(tiny, place, key, kind):
    """docs/spec/image.md, "What a model holds"."""
    from intact.codec.model import Model
    from intact.container.model_file import pack_model

    tree = tiny.tree
    assert tree[place][key].dtype == kind
    assert type(tree["skip"]) is int
    wide = {**tree, place: {**tree[place], key: tree[place][key].astype(np.int64)}}
    with pytest.raises(ModelError, match="type"):
        Model.from_bytes(pack_model(wide))
