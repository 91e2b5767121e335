"""Where models are looked for, and what a bad file there may not do."""

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
