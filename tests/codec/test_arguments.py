"""A wrong argument is named, with what it was and what is legal, before anything is done."""

import copy
from typing import Any

import numpy as np
import pytest
from PIL import Image

import intact
import intact.pillow
from intact.codec.image import Encoder, Runtime, decode, encode
from intact.errors import LONGEST, ArgumentError, IntactError, ModelNotFoundError, cut, quoted
from tiny_model import picture

PIXELS = picture(20, 30)


@pytest.fixture(scope="module")
def data(tiny):
    return encode(PIXELS, model=tiny)


@pytest.mark.parametrize("threads", [-1, -(10**30), 1025, 10**9])
def test_threads_out_of_range_are_refused_at_once(tiny, data, threads):
    for call in (lambda: encode(PIXELS, model=tiny, threads=threads),
                 lambda: decode(data, model=tiny, threads=threads)):  # fmt: skip
        with pytest.raises(ArgumentError, match=rf"threads is {threads}, must be an integer in 0"):
            call()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("quality", "high", TypeError),
        ("quality", [50], TypeError),
        ("quality", True, TypeError),
        ("quality", 50j, TypeError),
        ("quality", None, TypeError),
        ("quality", np.array([1, 2]), TypeError),
        ("quality", float("nan"), ArgumentError),
        ("quality", 100.001, ArgumentError),
        ("quality", -1, ArgumentError),
        ("quality", 10**400, ArgumentError),
        ("threads", "2", TypeError),
        ("threads", 1.5, TypeError),
        ("threads", None, TypeError),
        ("threads", True, TypeError),
        ("backend", None, TypeError),
        ("backend", 1, TypeError),
        ("backend", "abacus", ArgumentError),
        ("backend", "", ArgumentError),
        ("embed_model", "no", TypeError),
        ("embed_model", 1, TypeError),
        ("check", "yes", TypeError),
        ("progress", "loud", TypeError),
        ("model", 7, TypeError),
        ("model", b"photo", TypeError),
        ("model", "", ModelNotFoundError),
        ("model", "a\0b", ModelNotFoundError),
        ("model", "a\0b.intactm", ModelNotFoundError),
        ("metadata", b"exif", TypeError),
        ("metadata", [("exif", b"")], TypeError),
        ("metadata", {"exif": "text"}, TypeError),
        ("metadata", {"xmp": 5}, TypeError),
        ("metadata", {"icc": b"profile"}, ArgumentError),
        ("metadata", {1: b""}, ArgumentError),
        ("metadata", {"exif": bytes((1 << 24) + 1)}, ArgumentError),
    ],
)
def test_encode_names_what_is_wrong(tiny, name, value, error):
    arguments = {"model": tiny, name: value}
    with pytest.raises(error, match=name) as caught:
        encode(PIXELS, **arguments)
    assert len(str(caught.value)) < 300
    assert "must be" in str(caught.value) or name in ("model", "metadata", "backend")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("region", (0, 0, 5), ArgumentError),
        ("region", (0, 0, 5, 5, 5), ArgumentError),
        ("region", (), ArgumentError),
        ("region", (0.0, 0.0, 5.0, 5.0), TypeError),
        ("region", "0,0,5,5", TypeError),
        ("region", 5, TypeError),
        ("region", (-1, 0, 5, 5), ArgumentError),
        ("region", (0, 0, 0, 5), ArgumentError),
        ("region", (0, 0, 31, 5), ArgumentError),
        ("max_pixels", "many", TypeError),
        ("max_pixels", None, TypeError),
        ("max_pixels", 0, ArgumentError),
        ("max_pixels", float("nan"), ArgumentError),
        ("threads", "2", TypeError),
        ("backend", "abacus", ArgumentError),
        ("progress", 5, TypeError),
        ("model", 7, TypeError),
    ],
)
def test_decode_names_what_is_wrong(tiny, data, name, value, error):
    with pytest.raises(error, match=name):
        decode(data, **{"model": tiny, name: value})


@pytest.mark.parametrize("wrong", ["a.intact", None, 5, [1, 2], object()])
def test_decode_wants_bytes(wrong):
    with pytest.raises(TypeError, match="data is"):
        decode(wrong)


def test_what_is_legal_in_another_dress_is_taken(tiny, tiny_path, data):
    usual = encode(PIXELS, model=tiny)
    dresses: list[dict[str, Any]] = [
        *({"quality": kind} for kind in (np.float32(50), np.int64(50), 50, 50.0)),
        {"model": tiny_path},
        {"threads": np.int8(2)},
        {"check": np.True_},
        {"metadata": {"exif": None, "xmp": bytearray()}},
    ]
    for dress in dresses:
        assert encode(PIXELS, **{"model": tiny, **dress}) == usual
    pixels = decode(data, model=tiny).pixels
    regions: list[Any] = [[1, 2, 3, 4], np.array([1, 2, 3, 4]), (np.int8(1), 2, 3, 4)]
    for region in regions:
        np.testing.assert_array_equal(
            decode(data, model=tiny, region=region).pixels, pixels[2:6, 1:4]
        )
    contents: list[Any] = [bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)]
    most: Any = 1e6
    for content in contents:
        np.testing.assert_array_equal(decode(content, model=tiny, max_pixels=most).pixels, pixels)


def test_a_number_that_python_will_not_print_is_refused_like_others(tiny):
    for name in ("quality", "threads"):
        for value in (10**9999, -(10**9999)):
            with pytest.raises(ArgumentError, match=f"{name} is <int>, must be"):
                encode(PIXELS, **{"model": tiny, name: value})


def masked():
    return np.ma.masked_array(PIXELS, mask=PIXELS > 100)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ("a.png", TypeError),
        (None, TypeError),
        (b"\x89PNG", TypeError),
        ({}, TypeError),
        (object(), TypeError),
        ([[1, 2], [3]], ArgumentError),
        (masked(), ArgumentError),
        (np.zeros((3, 3, 5), np.uint8), ValueError),
        (np.zeros((0, 3), np.uint8), ValueError),
    ],
)
def test_what_is_no_image_is_refused(tiny, image, error):
    with pytest.raises(error, match=r"image|shape"):
        encode(image, model=tiny)


def test_a_mask_that_hides_nothing_is_no_loss(tiny):
    assert encode(np.ma.masked_array(PIXELS), model=tiny) == encode(PIXELS, model=tiny)


def test_an_encoder_knows_its_levels(tiny):
    encoder = Encoder(PIXELS, tiny)
    for level in (-1, 16, 10**9):
        with pytest.raises(
            ArgumentError, match=rf"level is {level}, must be an integer in 0\.\.15"
        ):
            encoder.encode(level)
    with pytest.raises(ArgumentError, match="threads is -1"):
        Runtime(threads=-1)


def test_metadata_that_no_file_can_hold_is_not_the_callers_mistake(tiny):
    image = Image.fromarray(PIXELS)
    image.info["icc_profile"] = bytes((1 << 24) + 1)
    with pytest.raises(intact.UnsupportedError, match="icc_profile has 16777217 bytes"):
        encode(image, model=tiny)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"quality": "keep"}, TypeError, "quality is 'keep'"),
        ({"quality": None}, TypeError, "quality is None"),
        ({"target_size": 0}, ValueError, "target_size is 0"),
        ({"target_size": 900, "quality": 5}, ValueError, "a quality or a target, not both"),
        ({"exif": 123}, TypeError, "exif"),
        ({"icc_profile": "text"}, TypeError, "icc_profile"),
        ({"model": 5}, TypeError, "model is 5"),
        ({"append_images": [Image.new("L", (3, 3))]}, ValueError, "2 images, a file"),
        ({"save_all": True, "append_images": [Image.new("L", (3, 3))]}, ValueError, "2 images"),
    ],
)
def test_the_plugin_names_what_is_wrong(tiny_path, tmp_path, options, error, message):
    path = tmp_path / "a.intact"
    with pytest.raises(error, match=message):
        Image.fromarray(PIXELS).save(path, **{"model": str(tiny_path), **options})
    assert not path.exists()


def test_save_all_of_one_image_saves_it(tiny_path, tmp_path):
    image = Image.fromarray(PIXELS)
    dresses: list[tuple[str, dict[str, Any]]] = [
        ("a", {}), ("b", {"save_all": True}), ("c", {"save_all": False}),
    ]  # fmt: skip
    for name, options in dresses:
        image.save(tmp_path / f"{name}.intact", model=str(tiny_path), **options)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_missing_model_is_named(tiny, data, monkeypatch):
    from intact.codec import store

    monkeypatch.setattr(store, "search_path", lambda: [])
    with pytest.raises(ModelNotFoundError) as caught:
        decode(data)
    assert caught.value.model_id == tiny.id
    assert copy.copy(caught.value).model_id == tiny.id  # as from another process
    with pytest.raises(ModelNotFoundError, match="no model named 'x'") as caught:
        intact.load_model("x")
    assert caught.value.model_id is None


def test_messages_are_cut_however_much_is_quoted(tiny):
    for kind in (IntactError, ArgumentError, ModelNotFoundError, intact.CorruptDataError):
        assert len(str(kind("x" * 10**6))) == LONGEST
    assert cut("a" * 10 + "b" * 10, 15) == "aaaaa ... bbbbb"
    assert len(quoted("\udcff" * 10**6)) < 500
    assert len(quoted([["x" * 99] * 99])) <= 100
    tree = {**tiny.tree, "format": "\U000e0001" * (1 << 20)}
    with pytest.raises(intact.ModelError, match="format") as caught:
        intact.Model.from_tree(tree)
    assert len(str(caught.value)) <= LONGEST
