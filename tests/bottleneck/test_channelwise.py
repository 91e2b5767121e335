"""Image codec 2: what one side plans, the other decodes, whoever runs the networks."""

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import intact
from intact import ModelError
from intact.bottleneck import hyper, passes
from intact.bottleneck.channelwise import Channelwise, Plan
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.passes import Windows
from intact.bottleneck.tiles import Tiles
from intact.codec.model import Model
from intact.intnet import ops
from intact.intnet.reach import reach
from tiny_channelwise import tiny_channelwise, tiny_channelwise_model, tiny_channelwise_programs
from tiny_model import M, N, picture

SHAPES = [(1, 1), (3, 5), (16, 16), (17, 33)]
BYTES_TO_PLAN, BYTES_TO_READ = 18, 24  # for each latent; 15 and 21 were measured


class ByDefinition:
    """Networks that have nothing to do with `intact.codec`: the contract is all they know."""

    def __init__(self, bottleneck: Channelwise) -> None:
        self.programs, self.bottleneck = tiny_channelwise_programs(), bottleneck
        self.asked: list[str] = []

    def run(self, role, inputs, level):
        self.asked.append(role)
        return ops.run(self.programs[role], inputs, int(self.bottleneck.levels.parameters[level]))

    def reach(self, role):
        return reach(self.programs[role])


def latents(shape) -> np.ndarray:
    """Smooth, so that neighbors say something of each other."""
    random = np.random.default_rng(9)
    rows, columns = np.indices(shape)
    y = 300 * np.sin(rows / 5)[:, :, None] + 200 * np.cos(columns / 7)[:, :, None]
    return (y + random.normal(0, 40, (*shape, M))).astype(np.int16)


def planned(shape, level=6, tile_log2=4, predicted=3):
    bottleneck = tiny_channelwise(predicted)
    layout = Layout(shape, tile_log2)
    plan = bottleneck.plan(ByDefinition(bottleneck), latents(shape), level, layout)
    return bottleneck, layout, plan


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("predicted", [0, 3, 8])
def test_a_decoder_sees_what_the_encoder_planned(shape, predicted):
    bottleneck, layout, plan = planned(shape, predicted=predicted)
    payloads = bottleneck.encode(plan, layout)
    networks = ByDefinition(bottleneck)
    found, window = bottleneck.decode(networks, payloads, 6, layout, layout.whole)
    assert window == layout.whole
    assert found.dtype == np.int16
    assert np.array_equal(found, plan.latents)
    assert networks.asked == ["hyper_synthesis", "prior_a", "prior_b"]


@pytest.mark.parametrize("coder", ["python", None])
@pytest.mark.parametrize("wanted", [(17, 33, 20, 47), (0, 0, 1, 1), (39, 109, 40, 110)])
def test_a_window_is_the_same_cut_of_the_whole(coder, wanted):
    bottleneck, layout, plan = planned((90, 110))
    payloads = bottleneck.encode(plan, layout)
    networks = ByDefinition(bottleneck)
    window = Window(*wanted)
    found, held = bottleneck.decode(networks, payloads, 6, layout, window, coder)
    assert np.array_equal(found, plan.latents[held.slices])
    assert np.array_equal(found[window.within(held)], plan.latents[window.slices])


@pytest.mark.parametrize("predicted", [0, 3, M])
@pytest.mark.parametrize(
    ("wanted", "tile_log2"),
    [((100, 100, 101, 101), 4), ((80, 0, 96, 70), 4), ((64, 130, 65, 199), 5)],
)
def test_a_window_in_the_middle_is_decoded_from_a_part(predicted, wanted, tile_log2):
    """Where what is wanted, what is known of pass A and what is begun are four windows."""
    bottleneck, layout, plan = planned((230, 210), 10, tile_log2, predicted)
    payloads, window = list(bottleneck.encode(plan, layout)), Window(*wanted)
    networks = ByDefinition(bottleneck)
    around = Windows.around(window, networks, layout.shape, 1 << tile_log2, predicted)
    assert around.inner != around.middle != around.begun != around.fed != layout.whole
    far = set(layout.tiles(layout.whole)) - set(
        layout.tiles(around.fed.grow(hyper.reach(networks), 1 << tile_log2, layout.shape))
    )
    assert far
    for number in far:
        payloads[number] = b"\xff"
    found, held = bottleneck.decode(networks, payloads, 10, layout, window)
    assert held == around.inner
    assert np.array_equal(found, plan.latents[held.slices])


@pytest.mark.parametrize("skip", [0, 20, 63])
@pytest.mark.parametrize("predicted", [0, M])
def test_the_ends_of_what_can_be_sent(skip, predicted):
    """All, only some, next to nothing; colors none or all."""
    bottleneck = replace(tiny_channelwise(predicted), skip=skip)
    layout, networks = Layout((20, 35), 4), ByDefinition(bottleneck)
    y = latents((20, 35))
    plan = bottleneck.plan(networks, y, 15, layout)
    sent = plan.index >= skip
    if skip == 0 or predicted == M:
        assert sent.all()
    steps = np.broadcast_to(bottleneck.levels.steps[15], y.shape)
    assert (np.abs(plan.latents.astype(int) - y) <= (steps + 1) // 2)[sent].all()
    assert not plan.symbols[~sent].any()
    payloads = bottleneck.encode(plan, layout)
    found, _ = bottleneck.decode(networks, payloads, 15, layout, layout.whole)
    assert np.array_equal(found, plan.latents)


def test_a_plan_depends_on_no_piece_and_changes_no_latents(monkeypatch):
    """However many latents are worked on at a time, and however they lie in memory."""
    _, layout, whole = planned((37, 50))
    bottleneck, y = tiny_channelwise(), latents((37, 50))
    for piece in (1, 3 * 50 * M + 1):
        monkeypatch.setattr(passes, "PIECE", piece)
        for given in (y, np.asfortranarray(y), np.repeat(y, 2, axis=2)[:, :, ::2]):
            before = given.copy()
            plan = bottleneck.plan(ByDefinition(bottleneck), given, 6, layout)
            for name in ("z", "symbols", "index", "latents"):
                assert np.array_equal(getattr(plan, name), getattr(whole, name))
            assert np.array_equal(given, before)


class Given(ByDefinition):
    """Priors that say the same everywhere, at the cost of nothing: all latents are sent."""

    def run(self, role, inputs, level):
        if not role.startswith("prior"):
            return super().run(role, inputs, level)
        shape = (*inputs["f"].shape[:2], M)
        return {"mean": np.zeros(shape, np.int16), "theta": np.full(shape, 255, np.uint8)}


def test_a_walk_takes_little_beside_what_it_makes(monkeypatch):
    """24 megapixels have 42 million latents: each byte for each is 42 MB of the goal of 1.5 GB."""
    monkeypatch.setattr(passes, "PIECE", 1 << 12)
    bottleneck, layout = tiny_channelwise(1), Layout((192, 192), 4)
    networks, y = Given(bottleneck), latents((192, 192))

    def taken(act):
        tracemalloc.start()
        try:
            return act(), tracemalloc.get_traced_memory()[1] / y.size
        finally:
            tracemalloc.stop()

    f = np.zeros((192, 192, 8), np.int16)
    walk = bottleneck._passes(networks, 15).walk
    windows = passes.Windows.of_all(layout.whole)
    source = passes.Chosen(y, bottleneck.levels.steps[15], bottleneck.skip)
    chosen, most = taken(lambda: walk(f, windows, source))
    assert most < BYTES_TO_PLAN
    plan = Plan(np.zeros((48, 48, N), np.int8), source.found, source.index, chosen, 15)
    payloads = bottleneck.encode(plan, layout)
    tiles = Tiles(payloads, layout, None)
    tiles.hyper(layout.whole, bottleneck.tables_z, bottleneck._first(15), N)
    reading = passes.Read(tiles, bottleneck.tables_y, bottleneck.skip, bottleneck.predicted)
    read, most = taken(lambda: walk(f, windows, reading))
    assert np.array_equal(read, chosen)
    assert most < BYTES_TO_READ


def test_a_window_needs_no_tile_beyond_what_its_symbols_depend_on():
    bottleneck, layout, plan = planned((16, 160))
    payloads = list(bottleneck.encode(plan, layout))
    payloads[-5:] = [b"\xff"] * 5
    first = Window(0, 0, 16, 16)
    found, held = bottleneck.decode(ByDefinition(bottleneck), payloads, 6, layout, first)
    assert np.array_equal(found[first.within(held)], plan.latents[:, :16])


def test_latents_are_within_half_a_step_of_what_was_analyzed():
    bottleneck, _, plan = planned((17, 33), level=15)
    steps = bottleneck.levels.steps[15]
    error = np.abs(plan.latents.astype(int) - latents((17, 33)))
    assert (error <= (steps + 1) // 2)[plan.index >= bottleneck.skip].all()


def test_colors_are_always_sent_and_the_rest_is_zero_where_it_is_not():
    bottleneck = replace(tiny_channelwise(), skip=50)
    layout, networks = Layout((17, 33), 4), ByDefinition(bottleneck)
    plan = bottleneck.plan(networks, latents((17, 33)), 6, layout)
    silent = plan.index < 50
    assert silent.any()
    assert not silent[..., :3].any()
    assert not plan.symbols[silent].any()
    payloads = bottleneck.encode(plan, layout)
    found, _ = bottleneck.decode(networks, payloads, 6, layout, layout.whole)
    assert np.array_equal(found, plan.latents)


def test_counts_are_of_all_latents_and_of_the_hyper_latents_that_are_sent():
    for level in (0, 15):
        bottleneck, layout, plan = planned((17, 33), level)
        found = Counter()
        for name, indexes, symbols in bottleneck.counted(plan, layout):
            assert indexes.shape == symbols.shape
            found[name] += symbols.size
            if name == "tables_z":
                assert (indexes // N == bottleneck.levels.bands[level]).all()
        assert found["tables_y"] == 17 * 33 * M
        assert found["tables_z"] > 0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 300), (513, 257)])
def test_a_picture_comes_back_as_the_encoder_saw_it(height, width):
    model = tiny_channelwise_model()
    data = intact.encode(picture(height, width), quality=70, model=model)
    whole = intact.decode(data, model=model)
    again = intact.decode(data, model=Model.from_bytes(model.to_bytes()))
    assert whole.pixels.shape == (height, width, 3)
    assert np.array_equal(whole.pixels, again.pixels)
    x, y, w, h = width // 3, height // 3, width // 2 + 1, height // 2 + 1
    part = intact.decode(data, model=model, region=(x, y, w, h))
    assert np.array_equal(part.pixels, whole.pixels[y : y + h, x : x + w])


def test_a_tree_gives_the_same_model_back():
    model = tiny_channelwise_model()
    assert Model.from_bytes(model.to_bytes()).id == model.id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skip": -1}, r"skip is -1, must be in 0\.\.63"),
        ({"predicted": 9}, r"predicted is 9, must be in 0\.\.8"),
        ({"predicted": 2}, r"stages is no array of integers of shape \(8, 2\)"),
        ({"stages": np.full((8, 3), 256)}, "stages has values beyond"),
        ({"stages": np.zeros((8, 3))}, "stages is no array of integers"),
        ({"levels": {}}, "levels: missing or unknown keys"),
    ],
)
def test_content_out_of_range_is_refused(change, message):
    tree = tiny_channelwise().to_tree() | change
    with pytest.raises(ModelError, match=message):
        Channelwise.from_tree(tree)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 0, r"steps has values beyond 1\.\.32767"),
        ("steps", 40000, r"steps has values beyond"),
        ("bands", 16, r"bands has values beyond 0\.\.15"),
        ("shifts", 2000, r"shifts has values beyond"),
        ("parameters", 128, r"parameters has values beyond"),
        ("hyper_steps", -1, r"hyper_steps has values beyond"),
    ],
)
def test_levels_out_of_range_are_refused(name, value, message):
    levels = tiny_channelwise().levels.to_tree()
    levels[name] = levels[name].copy()
    levels[name].flat[-1] = value
    with pytest.raises(ModelError, match=message):
        Channelwise.from_tree(tiny_channelwise().to_tree() | {"levels": levels})


def test_tables_must_be_as_many_as_bands_and_channels():
    tree = tiny_channelwise().to_tree()
    levels = tree["levels"] | {"bands": np.full(16, 2)}
    with pytest.raises(ModelError, match="8 hyper tables for 3 bands of 4 channels"):
        Model(
            "x", tiny_channelwise_programs(), Channelwise.from_tree(tree | {"levels": levels}), {}
        )
