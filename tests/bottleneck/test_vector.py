"""The kind `vector`: what one side plans, the other decodes; what a model may hold."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest

from intact import CorruptDataError, Model, ModelError, UnreachableError, decode, encode
from intact.bits.fast import encode as code
from intact.bottleneck.grid import Layout
from intact.bottleneck.vector import Vector, nearest
from intact.codec import image as codec_image
from intact.codec.image import Encoder, Runtime
from intact.codec.networks import Networks
from intact.codec.target import Target
from intact.container.image_file import unpack_image
from intact.container.model_file import pack_model
from tiny_model import bell_tables, picture
from tiny_vector import MODELS, SIZES, tiny_vector


@pytest.fixture(scope="module")
def models():
    return {name: tiny_vector(name) for name in MODELS}


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (64, 65), (70, 130)])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_decodes_to_what_the_encoder_saw(models, name, size):
    model = models[name]
    encoded = Encoder(picture(*size), model, runtime=Runtime("numpy", 1)).encode(0)
    decoded = decode(encoded.data, model=model)
    np.testing.assert_array_equal(decoded.pixels, encoded.pixels)


@pytest.mark.parametrize("name", MODELS)
def test_tiles_change_nothing_and_a_region_is_a_cut(models, name, monkeypatch):
    model, image = models[name], picture(290, 530)
    one = Encoder(image, model).encode(0)
    monkeypatch.setattr("intact.codec.encoder.MAX_TILE_LOG2", 4)
    many = Encoder(image, model).encode(0)
    assert unpack_image(many.data).header.tile_shape == (2, 3)
    np.testing.assert_array_equal(many.pixels, one.pixels)
    np.testing.assert_array_equal(decode(many.data, model=model).pixels, one.pixels)
    cut = decode(many.data, model=model, region=(250, 240, 30, 40))
    np.testing.assert_array_equal(cut.pixels, one.pixels[240:280, 250:280])


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_comes_back(models, name):
    model = models[name]
    again = Model.from_bytes(model.to_bytes())
    assert again.id == model.id
    assert again.bottleneck_of(Vector).decision == model.bottleneck_of(Vector).decision


def test_the_nearest_center_is_the_nearest_and_of_equals_the_lowest():
    random = np.random.default_rng(3)
    points = random.integers(-32768, 32768, (500, 4)).astype(np.int16)
    points[:3] = [[-32768] * 4, [32767] * 4, [0] * 4]
    book = random.integers(-32768, 32768, (40, 4)).astype(np.int16)
    book[17] = book[5]
    book[:2] = [[32767] * 4, [-32768] * 4]
    wide = points.astype(np.float64)[:, None] - book.astype(np.float64)
    wanted = np.square(wide).sum(2).argmin(1)
    found = nearest(points, book)
    np.testing.assert_array_equal(found, wanted)
    assert 17 not in found
    assert 5 in nearest(book[[17]], book)


@pytest.mark.parametrize("name", ["vector", "scalar"])
def test_a_latent_is_the_center_that_its_symbol_stands_for(models, name):
    model = models[name]
    bottleneck = model.bottleneck_of(Vector)
    _, slots, _, numbers = SIZES[name]
    y = np.random.default_rng(1).integers(-2000, 2000, (5, 7, slots * numbers)).astype(np.int16)
    plan = bottleneck.plan(Networks(model, 1, "numpy", 1), y, 0, Layout((5, 7), 4))
    assert plan.symbols.shape == (5, 7, slots)
    for row, column, slot in ((0, 0, 0), (4, 6, 1), (2, 3, slots - 1)):
        book = bottleneck.codebook[slot if len(bottleneck.codebook) > 1 else 0].astype(int)
        part = slice(slot * numbers, (slot + 1) * numbers)
        point = y[row, column, part].astype(int)
        center = int(np.square(book - point).sum(1).argmin())
        assert bottleneck.order[slot, plan.symbols[row, column, slot]] == center
        np.testing.assert_array_equal(plan.latents[row, column, part], book[center])


def test_logits_decide_by_the_largest(models):
    model = models["logits"]
    bottleneck = model.bottleneck_of(Vector)
    _, slots, size, _ = SIZES["logits"]
    y = np.random.default_rng(1).integers(-99, 99, (5, 7, slots * size)).astype(np.int16)
    plan = bottleneck.plan(Networks(model, 1, "numpy", 1), y, 0, Layout((5, 7), 4))
    centers = bottleneck.order[np.arange(slots), plan.symbols]
    np.testing.assert_array_equal(centers, y.reshape(5, 7, slots, size).argmax(3))


def test_a_symbol_without_center_is_refused(models):
    model = models["vector"]
    bottleneck = model.bottleneck_of(Vector)
    layout, networks = Layout((2, 3), 4), Networks(model, 1, "numpy", 1)
    index = np.tile(np.arange(2, dtype=np.uint16), 6)
    for bad in (60, -1, 1 << 30):
        symbols = np.zeros(12, np.int32)
        symbols[7] = bad
        payload = code([(symbols, index, bottleneck.tables)])
        with pytest.raises(CorruptDataError, match=r"not in 0\.\.59"):
            bottleneck.decode(networks, [payload], 0, layout, layout.whole)


def test_the_quality_of_a_model_of_one_rate_has_no_effect_which_is_said_once(models, caplog):
    codec_image._say_one_rate.cache_clear()
    model, image = models["vector"], picture(30, 40)
    with caplog.at_level(logging.WARNING):
        files = {encode(image, model=model, quality=q) for q in (0, 20, 50, 100)}
    assert len(files) == 1
    assert caplog.text.count("has one rate: the quality has no effect") == 1


def test_a_target_that_the_one_rate_misses_is_unreachable(models):
    model, image = models["vector"], picture(30, 40)
    size = len(encode(image, model=model))
    with pytest.raises(UnreachableError, match=f"takes {size} bytes"):
        codec_image.encode(image, model=model, target=Target(size=size - 1))
    assert len(codec_image.encode(image, model=model, target=Target(size=size))) == size
    psnr = Encoder(image, model).psnr(Encoder(image, model).encode(0))
    with pytest.raises(UnreachableError, match="gives"):
        codec_image.encode(image, model=model, target=Target(psnr=math.ceil(psnr)))


def bad(key, value):
    return lambda tree: tree.update({key: value})


BAD = [
    (bad("decision", "best"), "decision 'best'"),
    (bad("decision", 3), "decision"),
    (bad("codebook", np.zeros((1, 60, 4), np.float32)), "codebook is no array of integers"),
    (bad("codebook", [1, 2]), "codebook is no array of integers"),
    (bad("codebook", np.zeros((60, 4), np.int16)), "wanted 3 axes"),
    (bad("codebook", np.full((1, 60, 4), 32768, np.int32)), "beyond int16"),
    (bad("codebook", np.zeros((3, 60, 4), np.int16)), "order"),
    (bad("codebook", np.zeros((1, 59, 4), np.int16)), "order"),
    (bad("codebook", np.zeros((1, 60, 5), np.int16)), "want 10"),
    (bad("codebook", np.zeros((1, 60, 4), np.int32)), "not of the type"),
    (bad("order", np.zeros((2, 60), np.int16)), "no permutation"),
    (bad("order", np.zeros((0, 60), np.int16)), "wanted 2 axes"),
    (bad("order", np.tile(np.arange(60, dtype=np.int16), (3, 1))), "2 tables for 3 slots"),
    (lambda tree: tree.pop("order"), "missing or unknown keys"),
    (lambda tree: tree["programs"].pop("analysis"), "missing or unknown keys"),
    (bad("decision", "largest"), "8 channels, but .* want 120"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_is_no_model_is_refused(models, change, message):
    tree = dict(models["vector"].tree)
    tree["programs"] = dict(tree["programs"])
    change(tree)
    with pytest.raises(ModelError, match=message):
        Model.from_bytes(pack_model(tree))


def test_a_codebook_has_its_limits(models):
    good = models["vector"].bottleneck_of(Vector)
    many = np.zeros((1, 4097, 1), np.int16)
    order = np.arange(4097, dtype=np.int16)[None]
    with pytest.raises(ModelError, match=r"4097 centers of 1 numbers; legal: 2\.\.4096"):
        Vector(many, order, bell_tables([1.0]))
    with pytest.raises(ModelError, match="1 tables for 2 slots"):
        replace(good, tables=bell_tables([1.0]))
