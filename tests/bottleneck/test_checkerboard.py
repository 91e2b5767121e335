"""Image codec 1: what one side plans, the other decodes, whoever runs the networks."""

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from intact import CorruptDataError, ModelError
from intact.bottleneck import hyper, order
from intact.bottleneck.checkerboard import ROLES, Checkerboard
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.kinds import KINDS, kind_of
from intact.bottleneck.order import pass_a_mask
from intact.bottleneck.roles import decoding
from intact.container import limits
from intact.intnet import ops
from intact.intnet.reach import reach
from tiny_model import M, N, bell_tables, tiny_bottleneck, tiny_programs

# Below, at and above a tile of 16 latents.
SHAPES = [(1, 1), (3, 5), (16, 16), (17, 33)]


class ByDefinition:
    """Networks that have nothing to do with `intact.codec`: the contract is all they know."""

    def __init__(self, bottleneck: Checkerboard) -> None:
        self.programs, self.bottleneck = tiny_programs(), bottleneck
        self.asked: list[str] = []

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        self.asked.append(role)
        return ops.run(self.programs[role], inputs, int(self.bottleneck.levels.parameters[level]))

    def reach(self, role: str) -> dict[str, int]:
        return reach(self.programs[role])


class Shifted(ByDefinition):
    """Whose means are off by one: another machine's floating point."""

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        outputs = super().run(role, inputs, level)
        if role == "prior_a":
            outputs["mean"] = outputs["mean"] + np.int16(1)
        return outputs


def latents(shape) -> np.ndarray:
    """Smooth, so that neighbors say something of each other."""
    random = np.random.default_rng(9)
    rows, columns = np.indices(shape)
    y = 300 * np.sin(rows / 5)[:, :, None] + 200 * np.cos(columns / 7)[:, :, None]
    return (y + random.normal(0, 40, (*shape, M))).astype(np.int16)


def planned(shape, level=6, tile_log2=4, predicted=3):
    bottleneck = tiny_bottleneck(predicted)
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
def test_a_window_is_the_same_cut_of_the_whole(coder):
    bottleneck, layout, plan = planned((40, 70))
    payloads = bottleneck.encode(plan, layout)
    assert len(payloads) == 3 * 5
    wanted = Window(17, 33, 20, 47)
    networks = ByDefinition(bottleneck)
    found, window = bottleneck.decode(networks, payloads, 6, layout, wanted, coder)
    assert window == Window(16, 32, 32, 48)
    assert np.array_equal(found, plan.latents[window.slices])


def test_a_window_needs_no_tile_beyond_what_the_networks_see():
    bottleneck, layout, plan = planned((16, 160))
    payloads = list(bottleneck.encode(plan, layout))
    payloads[-4:] = [b"\xff"] * 4
    first = Window(0, 0, 16, 16)
    found, _ = bottleneck.decode(ByDefinition(bottleneck), payloads, 6, layout, first)
    assert np.array_equal(found, plan.latents[:, :16])


def test_latents_are_within_half_a_step_of_what_was_analyzed():
    shape = (17, 33)
    bottleneck, _, plan = planned(shape, level=15)
    step = int(bottleneck.levels.steps[15])
    error = np.abs(plan.latents.astype(int) - latents(shape))[plan.index >= bottleneck.skip]
    # The tiny model's dead zone: offsets are two fifths of a step.
    assert error.max() <= step - int(bottleneck.levels.offsets[15])


def test_what_is_not_sent_is_zero_on_both_sides():
    bottleneck = replace(tiny_bottleneck(), skip=40)
    layout, networks = Layout((17, 33), 4), ByDefinition(bottleneck)
    plan = bottleneck.plan(networks, latents((17, 33)), 6, layout)
    silent = plan.index < 40
    assert silent.any()
    assert not silent.all()
    assert not plan.symbols[silent].any()
    payloads = bottleneck.encode(plan, layout)
    found, _ = bottleneck.decode(networks, payloads, 6, layout, layout.whole)
    assert np.array_equal(found, plan.latents)


def test_networks_that_differ_decode_something_else_or_fail():
    """What integers are for: a mean that is off by one is another picture at best."""
    bottleneck, layout, plan = planned((17, 33))
    payloads = bottleneck.encode(plan, layout)
    try:
        found, _ = bottleneck.decode(Shifted(bottleneck), payloads, 6, layout, layout.whole)
    except CorruptDataError:
        return
    assert not np.array_equal(found, plan.latents)


def test_a_payload_that_ends_early_is_noticed():
    bottleneck, layout, plan = planned((3, 5))
    (payload,) = bottleneck.encode(plan, layout)
    with pytest.raises(CorruptDataError):
        bottleneck.decode(ByDefinition(bottleneck), [payload[:-2]], 6, layout, layout.whole)


def test_encoder_and_decoder_walk_the_same_way(monkeypatch):
    """One function has the order; were it copied again, one side would not pass here."""
    walked = []
    true_walk = order.Order.walk

    def noted(self, networks, source, windows):
        walked.append(type(source).__name__)
        return true_walk(self, networks, source, windows)

    monkeypatch.setattr(order.Order, "walk", noted)
    bottleneck, layout, plan = planned((3, 5))
    payloads = bottleneck.encode(plan, layout)
    bottleneck.decode(ByDefinition(bottleneck), payloads, 6, layout, layout.whole)
    assert walked == ["Chosen", "Read"]


def test_pass_a_is_half_of_the_whole_image_s_grid():
    mask = pass_a_mask(Window(0, 0, 6, 8), 5, predicted=2)
    rows, columns, channels = np.indices(mask.shape)
    parity = np.where(channels < 2, rows + columns, rows + columns + channels)
    assert np.array_equal(mask, parity % 2 == 0)
    part = Window(3, 2, 6, 7)
    assert np.array_equal(pass_a_mask(part, 5, predicted=2), mask[part.slices])


def test_counts_are_of_all_latents_and_of_the_hyper_latents_that_are_sent():
    bottleneck, layout, plan = planned((17, 33))
    found = Counter()
    for name, indexes, symbols in bottleneck.counted(plan, layout):
        assert indexes.shape == symbols.shape
        assert int(indexes.max()) < bottleneck.banks[name].num_tables
        found[name] += symbols.size
    assert found["tables_y"] == 17 * 33 * M
    parts = [
        hyper.parts(plan.z[layout.tile(n).shrink(4).slices], bottleneck.tables_z)[-1]
        for n in layout.tiles(layout.whole)
    ]
    assert found["tables_z"] == sum(symbols.size for symbols, _, _ in parts)


def test_a_tree_gives_the_same_bottleneck_back():
    tree = tiny_bottleneck().to_tree()
    assert set(tree) == set(Checkerboard.KEYS)
    again = Checkerboard.from_tree(tree).to_tree()
    for name in ("tables_y", "tables_z", "levels"):
        assert all(np.array_equal(again[name][key], tree[name][key]) for key in tree[name])
    assert (again["skip"], again["predicted"]) == (tree["skip"], tree["predicted"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skip": -1}, r"skip is -1, must be in 0\.\.63"),
        ({"skip": 64}, r"skip is 64, must be in 0\.\.63"),
        ({"skip": "1"}, "skip: expected an integer"),
        ({"predicted": 17}, r"predicted is 17, must be in 0\.\.16"),
        ({"predicted": -1}, "predicted is -1"),
        ({"predicted": None}, "predicted: expected an integer"),
        ({"tables_y": {}}, "tables_y: missing or unknown keys"),
        ({"tables_y": tiny_bottleneck().to_tree()["tables_z"]}, "4 scale tables, not 64"),
        ({"levels": 3}, "levels: expected a mapping"),
    ],
)
def test_illegal_content_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        Checkerboard.from_tree(tiny_bottleneck().to_tree() | change)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"M": M, "N": N + 1}, "4 hyper tables for 5 channels"),
        ({"M": 2, "N": N}, r"predicted is 3, must be in 0\.\.2"),
    ],
)
def test_tables_must_fit_the_programs(channels, message):
    tiny_bottleneck().check({"M": M, "N": N})
    with pytest.raises(ModelError, match=message):
        tiny_bottleneck().check(channels)


def test_a_table_is_a_channel_s_number_in_8_bits():
    tree = tiny_bottleneck()
    wide = Checkerboard(tree.tables_y, bell_tables([2.0] * 257), tree.levels)
    with pytest.raises(ModelError, match="257 hyper-latent channels, at most 256"):
        wide.check({"M": M, "N": 257})


def test_decoders_run_all_but_the_analyses():
    assert decoding(ROLES) == ("hyper_synthesis", "prior_a", "prior_b", "synthesis")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_what_the_codec_relies_on(name):
    kind = kind_of(name)
    assert name == kind.FORMAT
    roles = {role.name: role for role in sys.modules[kind.__module__].ROLES}
    analysis, synthesis = roles["analysis"], roles["synthesis"]
    assert [s.name for s in analysis.signals] == ["pixels", "y"]
    assert [s.name for s in synthesis.signals] == ["y", "pixels"]
    assert synthesis.inputs[0].channels == "M"
    assert analysis.inputs[0].multiple == synthesis.px == kind.LATENT_PX
    # The number of tiles follows from it, and the header has its logarithm.
    assert kind.LATENT_PX in [1 << log2 for log2 in range(limits.MAX_LATENT_LOG2 + 1)]


@pytest.mark.parametrize("name", ["image codec 9", None, 1, np.zeros(2, int), ["image codec 1"]])
def test_an_unknown_format_is_refused(name):
    with pytest.raises(ModelError, match=r"format .*, this package reads .*'image codec 1'"):
        kind_of(name)
