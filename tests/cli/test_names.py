"""Names of outputs that follow from those of inputs: each input has one of its own."""

import os

import pytest

from intact.cli.errors import UsageError
from intact.cli.io import Rules, outputs

RULES = Rules(".intact", [".png", ".jpg"])


@pytest.fixture
def named(tmp_path, monkeypatch):
    """The outputs of files that are made here, by their inputs."""
    monkeypatch.chdir(tmp_path)

    def run(inputs, output=None, files=None):
        for name in inputs if files is None else files:
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            open(name, "w").close()
        return dict(outputs(inputs, output, RULES))

    return run


def test_the_suffix_is_replaced(named):
    assert named(["a.png", "b", "c.d.jpg"]) == {
        "a.png": "a.intact",
        "b": "b.intact",
        "c.d.jpg": "c.d.intact",
    }


def test_two_of_one_stem_keep_their_suffixes(named):
    found = named(["e"], files=["e/a.jpg", "e/a.png", "e/a.jpg.png", "e/other.png"])
    assert found == {
        "e/a.jpg": "e/a.jpg.intact",
        "e/a.png": "e/a.png.intact",
        "e/a.jpg.png": "e/a.jpg.png.intact",
        "e/other.png": "e/other.intact",
    }


def test_names_that_differ_by_case_or_accents_alone_get_numbers_in_one_folder(named, capsys):
    files = ["c/IMG.png", "c/img.png", "c/é.png", "c/e\u0301.png", "c/img.png.2.png"]
    found = named(["c"], "out", files)
    folded = {name.casefold() for name in found.values()}
    assert len(folded) == 5
    assert found["c/IMG.png"] == "out/IMG.png.intact"
    assert found["c/img.png"] == "out/img.png.3.intact"  # img.png.2 is another's
    assert (
        "c/img.png: becomes out/img.png.3.intact: c/IMG.png has its name" in capsys.readouterr().err
    )
    assert named(["c"], files=[]) == {  # beside their inputs they are as different as those
        "c/IMG.png": "c/IMG.intact",
        "c/img.png": "c/img.intact",
        "c/é.png": "c/é.intact",
        "c/e\u0301.png": "c/e\u0301.intact",
        "c/img.png.2.png": "c/img.png.2.intact",
    }


def test_files_of_one_name_from_several_folders_get_numbers(named):
    found = named(["x/a.png", "y/a.png", "z/a.png"], "out")
    assert list(found.values()) == [
        "out/a.png.intact",
        "out/a.png.2.intact",
        "out/a.png.3.intact",
    ]


def test_one_file_named_twice_is_one_input(named):
    assert named(["a.png", "./a.png", "a.png"], files=["a.png"]) == {"a.png": "a.intact"}


def test_a_file_in_a_subfolders_place_stops_its_files_alone(named, tmp_path):
    os.makedirs("out")
    open("out/sub", "w").close()
    found = named(["p"], "out", ["p/a.png", "p/sub/b.png"])
    assert sorted(found.values()) == ["out/a.intact", "out/sub/b.intact"]
    with pytest.raises(UsageError, match="out/sub is in the way"):
        named(["p"], "out/sub", [])


@pytest.mark.parametrize("count", [1, 40])
def test_many_of_one_name_all_get_one_of_their_own(named, count):
    inputs = [f"{i}/a.png" for i in range(count)] + [f"{i}/A.png" for i in range(count)]
    assert len({name.casefold() for name in named(inputs, "out").values()}) == 2 * count
