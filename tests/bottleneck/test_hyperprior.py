"""The kind `hyperprior`: what one side plans, the other decodes; what a model may hold."""

from dataclasses import replace

import numpy as np
import pytest

from intact import Model, ModelError
from intact.bottleneck.floats import FloatLayer, FloatNetwork
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.hyperprior import ROLES, Hyperprior
from intact.bottleneck.roles import decoding
from intact.codec.image import Encoder, Runtime, decode
from intact.codec.networks import Networks
from intact.container.image_file import unpack_image
from intact.container.model_file import pack_model
from intact.inexact import layers
from intact.intnet.backends import reference
from intact.intnet.program import Conv, Program, Shuffle, Unshuffle, Value
from tiny_hyperprior import MODELS, f32, float_networks, layer, tiny_hyperprior
from tiny_model import bell_tables, picture

INTEGER = ("exact", "factorized")


@pytest.fixture(scope="module")
def models():
    return {name: tiny_hyperprior(name) for name in MODELS}


def allowed(model):
    return Runtime("numpy", 1, allow_inexact=not model.is_exact)


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (64, 65), (70, 130)])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_decodes_to_what_the_encoder_saw(models, name, size):
    model = models[name]
    encoded = Encoder(picture(*size), model, runtime=allowed(model)).encode(3)
    decoded = decode(encoded.data, model=model, allow_inexact=not model.is_exact)
    np.testing.assert_array_equal(decoded.pixels, encoded.pixels)


@pytest.mark.parametrize("name", MODELS)
def test_tiles_change_nothing_and_a_region_is_a_cut(models, name, monkeypatch):
    model, allow = models[name], not models[name].is_exact
    image = picture(290, 530)
    one = Encoder(image, model, runtime=allowed(model)).encode(2)
    monkeypatch.setattr("intact.codec.encoder.MAX_TILE_LOG2", 4)
    many = Encoder(image, model, runtime=allowed(model)).encode(2)
    assert unpack_image(many.data).header.tile_shape == (2, 3)
    np.testing.assert_array_equal(many.pixels, one.pixels)
    decoded = decode(many.data, model=model, allow_inexact=allow)
    np.testing.assert_array_equal(decoded.pixels, one.pixels)
    cut = decode(many.data, model=model, allow_inexact=allow, region=(250, 240, 30, 40))
    np.testing.assert_array_equal(cut.pixels, one.pixels[240:280, 250:280])


@pytest.mark.parametrize("name", INTEGER)
def test_a_better_level_is_closer(models, name):
    blocks = np.kron(picture(8, 10), np.ones((8, 8, 1), np.uint8))
    encoder = Encoder(blocks, models[name], runtime=Runtime("numpy", 1))
    psnr = [encoder.psnr(encoder.encode(level)) for level in (0, 1)]
    assert psnr[1] > psnr[0] + 1


def test_a_latent_has_the_table_that_theta_and_the_level_say(models):
    model = models["exact"]
    bottleneck = model.bottleneck_of(Hyperprior)
    networks = Networks(model, 1, "numpy", 1)
    layout = Layout((5, 7), 4)
    y = np.random.default_rng(1).integers(-900, 900, (5, 7, 8)).astype(np.int16)
    for level in (0, 3):
        plan = bottleneck.plan(networks, y, level, layout)
        assert plan.z is not None
        theta = networks.run("hyper_synthesis", {"z": plan.z}, level)["theta"][:5, :7]
        expected = np.clip(theta.astype(int) - bottleneck.levels.shifts[level], 0, 31)
        np.testing.assert_array_equal(plan.index, expected)
        step = int(bottleneck.levels.steps[level])
        np.testing.assert_array_equal(plan.latents, np.clip(plan.symbols * step, -32768, 32767))
        payloads = bottleneck.encode(plan, layout)
        found, window = bottleneck.decode(networks, payloads, level, layout, Window(1, 1, 2, 2))
        assert window == layout.whole
        np.testing.assert_array_equal(found, plan.latents)


def test_with_step_one_a_latent_is_its_symbol(models):
    """The paper's eq. 20."""
    model = models["exact"]
    levels = model.bottleneck_of(Hyperprior).levels
    one = {name: row[:1] * 0 for name, row in levels.to_tree().items()}
    bottleneck = replace(model.bottleneck_of(Hyperprior), levels=type(levels)(**one | {
        "steps": np.ones(1, np.int32)}))  # fmt: skip
    y = np.random.default_rng(1).integers(-40, 40, (4, 4, 8)).astype(np.int16)
    plan = bottleneck.plan(Networks(model, 1, "numpy", 1), y, 0, Layout((4, 4), 4))
    np.testing.assert_array_equal(plan.symbols, y)
    np.testing.assert_array_equal(plan.latents, y)


def test_without_a_hyperprior_the_table_is_the_channels(models):
    model = models["factorized"]
    bottleneck = model.bottleneck_of(Hyperprior)
    y = np.zeros((3, 2, 8), np.int16)
    plan = bottleneck.plan(Networks(model, 1, "numpy", 1), y, 0, Layout((3, 2), 4))
    assert plan.z is None
    assert (plan.index == np.arange(8)).all()
    assert [name for name, *_ in bottleneck.counted(plan, Layout((3, 2), 4))] == ["tables_y"]


@pytest.mark.parametrize(
    ("name", "programs", "networks"),
    [
        ("exact", 4, 0), ("factorized", 2, 0), ("prior", 1, 3), ("float", 0, 4),
    ],
)  # fmt: skip
def test_a_profile_says_which_programs_there_are(models, name, programs, networks):
    model = models[name]
    assert len(model.programs) == len(model.roles) == programs
    assert len(model.bottleneck_of(Hyperprior).networks) == networks
    assert model.is_exact == (networks == 0)
    assert decoding(ROLES) == ("hyper_synthesis", "synthesis")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_read_back_is_the_same(models, name):
    assert Model.from_bytes(models[name].to_bytes()).id == models[name].id


def changed(model, path, value):
    """The model's content with one value changed."""
    tree = dict(model.tree)
    inner = tree
    for key in path[:-1]:
        inner[key] = inner[key].copy()
        inner = inner[key]
    inner[path[-1]] = value
    return Model.from_bytes(pack_model(tree))


LAYERS = ("networks", "analysis")
BAD_FLOATS = [
    ((*LAYERS, 0, "factor"), f32([np.inf]), "not finite"),
    ((*LAYERS, 0, "factor"), f32([np.nan]), "not finite"),
    ((*LAYERS, 0, "factor"), np.array([1], np.int32), "no float32 array"),
    ((*LAYERS, 0, "factor"), f32([1, 1]), "takes 2 channels, gets 3"),
    ((*LAYERS, 0, "op"), "power", "unknown"),
    ((*LAYERS, 1, "stride"), 3, "stride is 3"),
    ((*LAYERS, 1, "stride"), 1, "halves 3 times"),
    ((*LAYERS, 1, "bias"), f32([0, 0]), r"bias has the shape \(2,\), not 4"),
    ((*LAYERS, 1, "weight"), f32(np.zeros((4, 3, 4, 4))), "k 1, 3, 5, 7"),
    ((*LAYERS, 1, "weight"), f32(np.zeros((4, 2, 5, 5))), "takes 2 channels|takes 3|gets"),
    ((*LAYERS, 2, "beta"), f32([1, 1, 1, 0]), "beta has a value below"),
    ((*LAYERS, 2, "gamma"), -np.ones((4, 4), np.float32), "gamma has a value below"),
    ((*LAYERS, 2, "gamma"), f32(np.ones((4, 3))), "gamma"),
    (LAYERS, [], "0 layers"),
    (("networks",), {}, "missing or unknown keys"),
    (("profile",), "float", "missing or unknown keys"),
    (("profile",), "exact", "missing or unknown keys"),
    (("profile",), "half", "profile 'half'"),
    (("tables_z",), {}, "missing or unknown keys"),
    (("programs",), {}, "missing or unknown keys"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_FLOATS)
def test_what_is_no_model_is_refused(models, path, value, message):
    with pytest.raises(ModelError, match=message):
        changed(models["prior"], path, value)


def test_a_float_prior_without_hyperprior_is_none(models):
    bottleneck = models["factorized"].bottleneck_of(Hyperprior)
    with pytest.raises(ModelError, match="needs a hyperprior"):
        replace(bottleneck, profile="float", networks=float_networks())


def test_tables_must_fit_the_programs(models):
    exact, factorized = (models[n].bottleneck_of(Hyperprior) for n in INTEGER)
    channels = models["exact"].channels
    with pytest.raises(ModelError, match="7 tables for 8 channels"):
        replace(factorized, tables_y=bell_tables([1.0] * 7)).check({"M": 8})
    with pytest.raises(ModelError, match="2 hyper tables for 3 channels"):
        replace(exact, tables_z=bell_tables([1.0] * 2)).check(channels)
    with pytest.raises(ModelError, match=r"257 scale tables, must be 2\.\.256"):
        replace(exact, tables_y=bell_tables([1.0] * 257))


@pytest.mark.parametrize("where", ["bias", "weight", "divisor"])
def test_floats_have_no_place_in_programs(tiny, where):
    tree = tiny.tree
    program = tree["programs"]["synthesis"]
    ops = [dict(op) for op in program["ops"]]
    ops[0][where] = ops[0][where].astype(np.float32)
    programs = {**tree["programs"], "synthesis": {**program, "ops": ops}}
    with pytest.raises(ModelError, match="expected integers"):
        Model.from_bytes(pack_model({**tree, "programs": programs}))


@pytest.mark.parametrize("where", ["levels", "tables_y", "tables_z"])
def test_floats_have_no_place_in_tables_and_levels(tiny, where):
    rows = {name: row.astype(np.float32) for name, row in tiny.tree[where].items()}
    with pytest.raises(ModelError, match="row of integers"):
        Model.from_bytes(pack_model({**tiny.tree, where: rows}))


def test_layers_are_checked_alone_too():
    with pytest.raises(ModelError, match="unknown operation"):
        FloatLayer("power")
    with pytest.raises(ModelError, match="wanted"):
        layer("scale", value=[1])
    with pytest.raises(ModelError, match="0 layers"):
        FloatNetwork(())


def as_unshuffled(weight):
    """A 5x5 layer of stride 2 as a 3x3 one behind Unshuffle(2); docs/spec/hyperprior.md."""
    out, inputs = weight.shape[:2]
    result = np.zeros((out, inputs, 2, 2, 3, 3), int)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            place = (dy // 2 + 1, dx // 2 + 1)
            result[:, :, dy % 2, dx % 2, *place] = weight[:, :, dy + 2, dx + 2]
    return result.reshape(out, 4 * inputs, 3, 3)


def as_shuffled(weight):
    """The transpose of a 5x5 layer of stride 2, [in, out, 5, 5], as a 3x3 one before Shuffle(2)."""
    inputs, out = weight.shape[:2]
    result = np.zeros((out, 2, 2, inputs, 3, 3), int)
    for py in range(2):
        for px in range(2):
            for ky in range(py, 5, 2):
                for kx in range(px, 5, 2):
                    place = ((py + 2 - ky) // 2 + 1, (px + 2 - kx) // 2 + 1)
                    result[:, py, px, :, *place] = weight[:, :, ky, kx].T
    return result.reshape(4 * out, inputs, 3, 3)


def three_by_three(source, target, weight):
    out = len(weight)
    zeros, ones = np.zeros(out, int), np.ones(out, int)
    return Conv(source, target, weight, zeros, zeros, ones, low=-32768, high=32767)


@pytest.mark.parametrize("size", [(2, 2), (6, 10)])
def test_the_papers_layers_are_exactly_those_of_a_program(size):
    """5x5 of stride 2 and its transpose, the borders included."""
    random = np.random.default_rng(2)
    u = random.integers(-9, 10, (*size, 3))
    weight = random.integers(-9, 10, (4, 3, 5, 5))
    expected = layers.apply(layer("conv", 2, weight=weight, bias=np.zeros(4)), f32(u))
    ops = (Unshuffle("u", "x", 2), three_by_three("x", "v", as_unshuffled(weight)))
    program = Program("half", (Value("u", 3, -9, 9),), ops, ("v",))
    found = reference.prepare(program)({"u": u.astype(np.int8)}, level=0, threads=1)["v"]
    np.testing.assert_array_equal(found, expected)

    weight = random.integers(-9, 10, (3, 4, 5, 5))
    expected = layers.apply(layer("transposed", 2, weight=weight, bias=np.zeros(4)), f32(u))
    ops = (three_by_three("u", "x", as_shuffled(weight)), Shuffle("x", "v", 2))
    program = Program("double", (Value("u", 3, -9, 9),), ops, ("v",))
    found = reference.prepare(program)({"u": u.astype(np.int8)}, level=0, threads=1)["v"]
    np.testing.assert_array_equal(found, expected)
