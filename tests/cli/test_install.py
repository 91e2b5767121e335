"""``intact models install``: a model is found by name and by id afterwards, or nothing changed."""

import pytest

from intact import models
from intact.cli.errors import Code
from intact.codec import store
from tiny_model import tiny_model


@pytest.fixture
def home(monkeypatch, tmp_path):
    """An empty home: the folder of the user's models, which does not exist yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "intact" / "models"


@pytest.fixture
def bird(tmp_path):
    path = tmp_path / "bird.intactm"
    path.write_bytes(tiny_model(seed=5).to_bytes())
    return path


def test_an_installed_model_is_found_by_name_and_by_id(intact, home, bird, photo, tmp_path):
    done = intact("models", "install", bird)
    assert (done.code, done.out.decode()) == (
        0, f"{bird} -> {home / 'bird.intactm'}  --model bird\n",
    )  # fmt: skip
    bird.unlink()
    out = tmp_path / "a.intact"
    assert intact("encode", photo, "--model", "bird", "-o", out).code == 0
    assert intact("decode", out, "-o", tmp_path / "b.png").code == 0
    assert b"bird" in intact("models").out


def test_installing_again_changes_nothing_and_another_is_refused(intact, home, bird):
    assert intact("models", "install", bird, "--quiet").out == b""
    assert intact("models", "install", bird).code == 0
    bird.write_bytes(tiny_model(seed=6).to_bytes())
    before = (home / "bird.intactm").read_bytes()
    done = intact("models", "install", bird)
    assert (done.code, "--force replaces it" in done.err) == (Code.USAGE, True)
    assert (home / "bird.intactm").read_bytes() == before
    done = intact("models", "install", bird, "--force", "--json")
    [facts] = done.json["installed"]
    assert (facts["path"], facts["id"]) == (
        str(home / "bird.intactm"), store.load_model("bird").id.hex(),
    )  # fmt: skip
    assert (home / "bird.intactm").read_bytes() == bird.read_bytes()


def test_what_is_no_model_is_not_installed(intact, home, bird, photo, tmp_path):
    torn = tmp_path / "torn.intactm"
    torn.write_bytes(bird.read_bytes()[:-9])
    other = tmp_path / "x" / "bird.intactm"
    other.parent.mkdir()
    other.write_bytes(tiny_model(seed=7).to_bytes())
    for names, code in (
        ([bird, torn], Code.DAMAGED),
        ([photo], Code.USAGE),
        (["-"], Code.USAGE),
        ([], Code.USAGE),
        ([bird, other], Code.USAGE),
        ([tmp_path / "none.intactm"], Code.SYSTEM),
    ):
        assert intact("models", "install", *names).code == code
    assert not home.exists()


def test_the_name_of_a_model_that_ships_is_taken(intact, home, bird, tmp_path):
    mine = bird.rename(tmp_path / "photo.intactm")
    done = intact("models", "install", mine, "--force")
    assert (done.code, "rename the file" in done.err, home.exists()) == (Code.USAGE, True, False)


def test_a_user_without_a_home_has_no_folder_to_install_to(intact, bird, monkeypatch):
    monkeypatch.setattr(store, "search_path", lambda: [models.FOLDER])
    done = intact("models", "install", bird)
    assert (done.code, "no folder for models" in done.err) == (Code.USAGE, True)


@pytest.mark.parametrize("name", ["photo.intactm", "mine.intactm"])
def test_a_model_that_ships_is_not_copied_under_any_name(name, intact, home, tmp_path):
    (tmp_path / name).write_bytes((models.FOLDER / "photo.intactm").read_bytes())
    done = intact("models", "install", tmp_path / name)
    assert (done.code, b"nothing to install  --model photo" in done.out) == (0, True)
    [facts] = intact("models", "install", tmp_path / name, "--json").json["installed"]
    assert facts["already_there"]
    assert facts["path"] == str(models.FOLDER / "photo.intactm")
    assert not home.exists()


def test_a_shipped_model_tells_all_of_its_training(intact):
    names = sorted(path.stem for path in models.FOLDER.glob("*.intactm"))
    for facts in intact("models", *names, "--json").json["models"]:
        history = models.HISTORIES[facts["id"]]
        assert facts["history"] == history
        assert history.endswith(f"docs/models/{facts['name']}.md")
        card = models.FOLDER.parents[2] / "docs" / "models" / f"{facts['name']}.md"
        if card.parents[2].joinpath("pyproject.toml").exists():  # a checkout, not an installation
            assert facts["id"] in card.read_text("utf-8")
    assert "35,950 steps" in intact("models", "photo").out.decode()
