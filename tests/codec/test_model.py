"""A model is its programs and its bottleneck; its content is one flat mapping."""

import pytest

from intact.bottleneck.checkerboard import Checkerboard
from intact.codec.model import Model
from intact.errors import ArgumentError, ModelError
from tiny_model import F, M, N


def test_the_content_is_flat(tiny):
    """Ids of shipped models hang on it: the kind's keys stand beside the others."""
    assert set(tiny.tree) == {
        "format", "name", "info", "programs", "tables_y", "tables_z", "levels", "skip", "predicted",
    }  # fmt: skip
    assert tiny.tree["format"] == "image codec 1"


def test_a_tree_gives_the_same_model_back(tiny):
    again = Model.from_tree(tiny.tree)
    assert again.id == tiny.id
    assert (again.name, again.info) == (tiny.name, tiny.info)
    assert again.roles == tiny.roles


def test_a_model_that_is_printed_is_one_short_line(tiny):
    assert repr(tiny) == f"<Model 'tiny' {tiny.id.hex()}>"


def test_letters_of_the_page_are_numbers_of_channels(tiny):
    assert tiny.channels == {"M": M, "N": N, "C": F}


def test_what_works_with_one_kind_alone_says_so(tiny):
    class Another:
        """A kind that this model is not of."""

    assert tiny.bottleneck_of(Checkerboard) is tiny.bottleneck
    with pytest.raises(ArgumentError, match="model 'tiny' is of kind 'image codec 1'"):
        tiny.bottleneck_of(Another)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, r"model: missing or unknown keys \['more'\]"),
        ({"name": 5}, "model: name: expected text"),
        ({"info": []}, "model: info is no mapping"),
        ({"info": {"a": 1}}, "model: info 'a': expected text"),
        ({"programs": {}}, "programs: missing or unknown keys"),
        ({"format": "image codec 9"}, "format 'image codec 9', this package reads"),
        ({"skip": []}, "model: skip: expected an integer"),
    ],
)
def test_hostile_content_is_refused(tiny, change, message):
    with pytest.raises(ModelError, match=message):
        Model.from_tree(tiny.tree | change)


@pytest.mark.parametrize("tree", [None, [], 1, {}, "image codec 1"])
def test_what_is_no_mapping_with_a_format_is_refused(tree):
    with pytest.raises(ModelError, match="model: format None"):
        Model.from_tree(tree)
