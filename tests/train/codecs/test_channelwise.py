"""Image codec 2 in training: it starts as what it grew from, and freezes to what it was."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import intact
from intact.bottleneck.grid import Layout
from intact.codec.networks import Networks
from intact.codec.pixels import to_network
from intact.codec.store import load_model, model_path
from intact.errors import ArgumentError
from intact.freeze.channelwise import freeze, make_levels
from intact.freeze.program import to_program
from intact.intnet import ops, program as ir
from intact.intnet.bounds import program_bounds
from intact.train import config as configuration
from intact.train.balance import balance
from intact.train.codecs.channelwise import ChannelwiseNet, ChannelwiseSections
from intact.train.codecs.channelwise_graphs import ChannelwiseConfig
from intact.train.codecs.channelwise_start import (
    adopt,
    from_checkerboard,
    grow_codec,
    old_sizes,
    thaw_codec,
)
from intact.train.codecs.channelwise_thaw import config_of
from intact.train.codecs.checkerboard import CodecNet
from intact.train.codecs.rates import RateConfig
from intact.train.codecs.transforms import LATENT_UNIT, PIXEL_UNIT
from intact.train.convert import convert_codec, narrow, widen
from intact.train.fixed_unit import INT32_ROOM
from intact.train.graph import Conv
from intact.train.integer import IntegerNetwork
from intact.train.network import Network
from intact.train.noise import Noise
from tiny_hyperprior import tiny_hyperprior

SIZES = ChannelwiseConfig(
    blocks_analysis=1, blocks_synthesis=1, latents=16, hyper_latents=8, features=16,
    blocks_context=1,
)  # fmt: skip
RATES = RateConfig(0.4, 5.0)


def pictures(count=2, side=64) -> torch.Tensor:
    random = np.random.default_rng(4)
    y, x = np.mgrid[0:side, 0:side] / 9
    found = [
        128 + 70 * np.sin(x + c + i)[:, :, None] * np.cos(y * (i + 1))[:, :, None] * [1, 0.7, 0.4]
        for i, c in enumerate(range(count))
    ]
    noisy = np.stack(found) + random.normal(0, 6, (count, side, side, 3))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8))


def old_codec() -> CodecNet:
    net = CodecNet(old_sizes(SIZES), RATES, seed=1)
    patches = pictures(8).reshape(8, 4, 16, 4, 16, 3).permute(0, 1, 3, 2, 4, 5)
    net.start_as_transform_code(patches.reshape(-1, 16, 16, 3))
    return net


def channelwise(**sizes: int) -> ChannelwiseNet:
    config = dataclasses.replace(SIZES, **sizes)
    return from_checkerboard(old_codec(), config, RATES, [pictures()])


@pytest.mark.parametrize("more", [{}, {"blocks_renderer": 1}, {"blocks_synthesis": 2}])
def test_it_draws_what_the_codec_drew_that_it_grew_from(more):
    old, t = old_codec(), torch.tensor([-1.0, 0.5])
    new = from_checkerboard(old, dataclasses.replace(SIZES, **more), RATES, [pictures()])
    y = torch.randn(2, 5, 4, 16)
    before = old.networks["synthesis"]({"y": y}, t)["pixels"]
    after = new.networks["synthesis"]({"y": y}, t)["pixels"]
    # The edge is another: it is repeated now.
    torch.testing.assert_close(after[:, 24:-24, 24:-24], before[:, 24:-24, 24:-24])


def test_steps_that_reach_further_mean_to_the_networks_what_they_did():
    old, wider = old_codec(), RateConfig(0.15, 5.0)
    for name in ("bias", "slope"):
        torch.nn.init.normal_(old.network("prior_a").get("h", name))
    new = from_checkerboard(old, SIZES, wider, [pictures()])
    f = torch.randn(1, 3, 3, 16)
    for step in (0.4, 1.0, 5.0):
        t_old, t_new = (
            torch.tensor([(2 * np.log(step) - np.log(r.step_min * r.step_max))
                          / np.log(r.step_max / r.step_min)]).float()
            for r in (RATES, wider)
        )  # fmt: skip
        torch.testing.assert_close(
            new.networks["prior_a"]({"f": f}, t_new), old.networks["prior_a"]({"f": f}, t_old),
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


def test_weights_that_go_on_under_other_rates_mean_by_a_step_what_they_did():
    net, again = channelwise(), channelwise()
    with torch.no_grad():
        for codec in (net, again):
            random = torch.Generator().manual_seed(3)
            for name, parameter in codec.named_parameters():
                if name.endswith(("__slope", "step_slope", "hyper_slope")):
                    parameter.normal_(0, 0.05, generator=random)
    wider = RateConfig(0.2, 5.0)
    adopt(again, ChannelwiseSections(SIZES, wider), 0)
    t = torch.tensor([-1.0, 0.3])
    middle = [(math.log(r.step_min) + math.log(r.step_max)) / 2 for r in (RATES, wider)]
    half = [(math.log(r.step_max) - math.log(r.step_min)) / 2 for r in (RATES, wider)]
    same = (middle[0] + half[0] * t - middle[1]) / half[1]
    a, b = net(pictures(), t, None, hard=True), again(pictures(), same, None, hard=True)
    torch.testing.assert_close(a.bpp, b.bpp, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(a.mse, b.mse, rtol=1e-3, atol=1e-2)


def test_more_blocks_change_nothing_at_first():
    net, image, t = channelwise(), pictures(), torch.tensor([-0.5, 0.5])
    larger = dataclasses.replace(SIZES, blocks_renderer=1, blocks_synthesis=2, blocks_context=2)
    grown = grow_codec(net, ChannelwiseSections(larger, RATES), [])
    before, after = (n(image, t, None, hard=True) for n in (net, grown))
    torch.testing.assert_close(after.bpp_y, before.bpp_y, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.mse, before.mse, rtol=1e-2, atol=1e-2)
    for change, message in (
        ({"features": 32}, "only latents and blocks grow"),
        ({"latents": 12}, "has 16, and"),
        ({"latents": 769}, r"must be in 1\.\.768"),
    ):
        own = ChannelwiseSections(dataclasses.replace(SIZES, **change), RATES)
        with pytest.raises(ArgumentError, match=message):
            grow_codec(net, own, [pictures(8)])


def test_more_latents_of_it_lower_the_error_at_the_finest_level():
    net, image, t = channelwise(), pictures(), torch.tensor([-1.0, -1.0])
    with torch.no_grad():
        net.step_offset.uniform_(-0.1, 0.1)
    larger = dataclasses.replace(SIZES, latents=40)
    grown = grow_codec(net, ChannelwiseSections(larger, RATES), [pictures(8), pictures(6)])
    assert torch.equal(grown.step_offset[:16], net.step_offset)
    before, after = (n(image, t, None, hard=True) for n in (net, grown))
    assert (after.mse < 0.9 * before.mse).all()
    own = {"analysis.y__weight": 0, "synthesis.first__weight": 1}
    for name, axis in own.items():
        part = grown.state_dict()[f"networks.{name}"].narrow(axis, 0, 16)
        torch.testing.assert_close(part, net.state_dict()[f"networks.{name}"])


def test_balancing_a_network_changes_its_layers_and_not_its_function():
    net = old_codec().network("hyper_analysis")
    for node, factor in (("h0", 1.0), ("h1", 0.1), ("z", 300.0)):
        net.get(node, "weight").data.mul_(factor)
        torch.nn.init.normal_(net.get(node, "bias"))
    x, t = {"y": torch.randn(1, 8, 8, 16)}, torch.tensor([0.3])
    before = net(x, t)["z"]
    balance(net)
    torch.testing.assert_close(net(x, t)["z"], before, rtol=1e-4, atol=1e-3)
    norms = [net.get(node, "weight").flatten(1).norm(dim=1).mean() for node in ("h0", "h1", "z")]
    assert max(norms) / min(norms) < 1.3  # it was 3,000
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    balance(net)
    torch.testing.assert_close(net.state_dict(), weights, rtol=1e-4, atol=1e-6)


def test_everything_is_trained():
    net = channelwise()
    net.train()
    t = torch.tensor([-0.3, 0.8])
    result = net(pictures(), t, Noise(0, 0, range(2)))
    net.loss(result, t, result.mse).backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    # The mean of a silent color cannot be wrong: one of its stages may see no position in a crop.
    assert not [name for name in silent if name != "stage_theta"]


def test_levels_follow_the_steps_of_each_channel():
    net = channelwise()
    net.step_slope.data[3], net.hyper_offset.data[2] = 0.5, 1.0
    levels = make_levels(net)
    assert levels.steps.shape == (64, 16)
    assert (levels.hyper_steps[:, 2] == 128).all()
    assert (levels.hyper_steps[:, 1] == 64).all()
    assert levels.steps[0, 3] == pytest.approx(5 * 2**0.5 * 64, rel=0.01)
    assert levels.steps[0, 4] == 320
    assert levels.bands.tolist() == sorted(levels.bands.tolist())


def test_a_frozen_codec_codes_what_the_trained_one_did():
    net, image = channelwise(), pictures(4)
    batches = [(image, torch.linspace(-1, 1, 4))]
    model = freeze(convert_codec(net, batches), "small", list(image.numpy()))
    assert model.bottleneck.FORMAT == net.KIND
    picture = image[0].numpy()
    data = intact.encode(picture, quality=80, model=model)
    pixels = intact.decode(data, model=model).pixels
    level = model.levels.of_quality(80)
    t = torch.tensor([float(model.levels.parameters[level]) / 127])
    with torch.no_grad():
        result = net(image[:1], t, None, hard=True)
    assert np.abs(result.pixels[0].numpy() - pixels).mean() < 2
    networks = Networks(model, 1 << 18, "auto", 1)
    y = networks.run("analysis", {"pixels": to_network(picture, 16)}, level)["y"]
    layout = Layout((4, 4), 4)
    plan = model.bottleneck.plan(networks, y, level, layout)
    payload = model.bottleneck.encode(plan, layout)
    assert 8 * len(payload[0]) / 64**2 == pytest.approx(float(result.bpp), rel=0.35)
    with pytest.raises(ArgumentError, match="rounds to the nearest"):
        freeze(net, "small", [], dead_zone=0.4)


def test_thawing_a_frozen_model_gives_the_steps_and_nearly_the_codec_it_was_frozen_from():
    net, t = channelwise(), torch.tensor([-0.6, 0.4])
    with torch.no_grad():
        for parameter, spread in (
            (net.step_offset, 0.3), (net.step_slope, 0.1), (net.hyper_offset, 0.2),
        ):  # fmt: skip
            torch.nn.init.normal_(parameter, 0, spread)
            parameter -= parameter.mean()  # the range of rates is that of the mean
        net.stage_theta.uniform_(0, 2)
    integer = convert_codec(net, [(pictures(8), torch.linspace(-1, 1, 8))])
    model = freeze(integer, "small", [])
    again = thaw_codec(model, ChannelwiseSections(rate=RATES))
    assert isinstance(again, ChannelwiseNet)
    assert again.config == SIZES
    before, after = (make_levels(codec) for codec in (net, again))
    np.testing.assert_allclose(after.steps, before.steps, rtol=0.03, atol=1)
    np.testing.assert_allclose(after.hyper_steps, before.hyper_steps, rtol=0.03, atol=1)
    torch.testing.assert_close(again.stage_theta, net.stage_theta, atol=0.03, rtol=0)
    with torch.no_grad():
        a, b = (codec(pictures(), t, None, hard=True) for codec in (integer, again))
    torch.testing.assert_close(a.mse, b.mse, rtol=0.1, atol=1.0)
    torch.testing.assert_close(a.bpp, b.bpp, rtol=0.15, atol=0.0)


def test_a_thawed_model_is_read_anew_for_other_rates():
    net = channelwise()
    model = freeze(convert_codec(net, [(pictures(8), torch.linspace(-1, 1, 8))]), "small", [])
    wider = RateConfig(0.2, 6.0)
    sizes = dataclasses.replace(SIZES, stream_steps=63)
    again = thaw_codec(model, ChannelwiseSections(sizes, wider))
    assert isinstance(again, ChannelwiseNet)
    assert again.config == sizes
    assert again.rates == wider
    steps = again.steps(torch.tensor([-1.0, 1.0]))[:, 0, 0]
    torch.testing.assert_close(steps.mean(1), torch.tensor([0.2, 6.0]), rtol=0.05, atol=0.0)


@pytest.mark.parametrize("bits", [9, 12, 14])
def test_a_narrowed_codec_of_more_bits_keeps_its_ranges(bits):
    """Room beyond what was observed is given once, not again by the conversion."""
    net = channelwise(pixel_bits=bits)
    narrow(net, [(pictures(8), torch.linspace(-1, 1, 8))])
    integer = convert_codec(net, [(pictures(2), torch.tensor([-1.0, 0.5]))])
    for name in ("analysis", "synthesis"):
        graph = net.network(name).graph
        for node in ("b0.a", "b0.f"):
            found = integer.network(name).get(node, "divisor") * graph.units["stream"]
            wanted = net.network(name).get(node, "unit")
            assert bool((found >= wanted * (1 - 1e-6)).all())
            assert bool((found <= wanted + 2 * graph.units["stream"]).all())


def test_a_narrowed_codec_is_nearly_its_integers_and_keeps_its_ranges():
    """What it sees while it is trained is what the integers will do, black and white text too."""
    net, t = channelwise(pixel_bits=8), torch.tensor([-1.0, 0.5])
    stripes = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    stripes[:, :, ::3] = 255
    batches = [(pictures(8), torch.linspace(-1, 1, 8))]

    def far(a, b):
        with torch.no_grad():
            x, y = (codec(stripes, t, None, hard=True).pixels for codec in (a, b))
        return float((x - y).square().mean())

    plain = far(net, convert_codec(net, batches))
    narrow(net, batches)
    units = {k: v.clone() for k, v in net.state_dict().items() if k.endswith("__unit")}
    assert any("synthesis" in k for k in units)
    integer = convert_codec(net, [(stripes, t)])  # other pictures, the same ranges
    assert far(net, integer) < 0.5 * plain
    synthesis, node = integer.network("synthesis"), "b0.a"
    found = synthesis.get(node, "divisor") * net.network("synthesis").graph.units["stream"]
    wanted = net.network("synthesis").get(node, "unit")
    assert bool((found >= wanted).all())
    assert bool((found <= wanted + 2 * net.network("synthesis").graph.units["stream"]).all())
    widen(net)
    assert not [k for k in net.state_dict() if k.endswith("__unit")]


@pytest.mark.parametrize("bits", [8, 10, 14])
def test_the_bits_of_pixel_networks_are_those_of_their_programs(bits):
    """Trained, frozen and thawed; what training computes is what the program does."""
    net = channelwise(pixel_bits=bits)
    integer = convert_codec(net, [(pictures(8), torch.linspace(-1, 1, 8))])
    model = freeze(integer, "small", [])
    assert config_of(model) == net.config
    random = np.random.default_rng(2)
    for name, side in (("analysis", 48), ("synthesis", 3)):
        program = model.programs[name]
        inner = [
            op for op in program.ops if isinstance(op, ir.Conv | ir.Requantize)
            and op.target.split(".")[-1] in "abdfg" and op.target != "patches"
        ]  # fmt: skip
        assert {op.high - op.low for op in inner} == {2**bits - 1}
        inputs = {
            v.name: random.integers(
                max(v.low, -999), min(v.high, 999) + 1, (side, side, v.channels)
            )
            for v in program.inputs
        }
        wanted = ops.run(program, {k: v.astype(np.int16) for k, v in inputs.items()}, 64)
        with torch.no_grad():
            network = integer.networks[name]
            assert isinstance(network, IntegerNetwork)
            got = network.run(
                {k: torch.from_numpy(v)[None].float() for k, v in inputs.items()},
                torch.tensor([64.0]),
            )
        for key, value in wanted.items():
            assert np.array_equal(got[key][0].numpy(), value)


def test_a_seldom_channel_of_equal_weights_fits_in_32_bits_with_its_bias():
    """With values of 14 bits its products alone may fill nine tenths, and its bias the others."""
    net, batches = channelwise(pixel_bits=14), [(pictures(8), torch.linspace(-1, 1, 8))]
    first, synthesis = convert_codec(net, batches), net.network("synthesis")
    with torch.no_grad():
        steps = first.network("synthesis").get("b0.a", "divisor")
        synthesis.get("b0.b", "weight")[:2] = 0.1 / steps[:, None, None]
        synthesis.get("b0.b", "bias")[0] = -9.0
        synthesis.get("b0.b", "bias")[1] = -1e6
    network = convert_codec(net, batches).networks["synthesis"]
    assert isinstance(network, IntegerNetwork)
    bounds = program_bounds(to_program(network))
    assert 0.98 * 2**31 < int(bounds["b0.b"].bound[0]) < 2**31
    assert int(bounds["b0.b"].bound[1]) < 2**31


def test_filters_stay_as_they_were_rounded_where_their_sums_fill_the_room():
    """The divisor that a network derives is the one that a filter was rounded for, not a lesser."""
    net = channelwise(pixel_bits=14)
    with torch.no_grad():
        for parameter in net.network("synthesis").parameters():
            drawn = torch.Generator().manual_seed(parameter.numel())
            parameter += 0.02 * torch.randn(parameter.shape, generator=drawn)
    integer = convert_codec(net, [(pictures(8), torch.linspace(-1, 1, 8))])
    network, full = integer.networks["synthesis"], 0
    assert isinstance(network, IntegerNetwork)
    for node in network.graph.nodes:
        if isinstance(node, Conv) and not node.depthwise:
            made = network.parameters_of(node)
            assert torch.equal(made.divisor, network.get(node.target, "cap"))
            wanted = network.get(node.target, "weight") * made.divisor[:, None, None, None]
            torch.testing.assert_close(wanted, made.weight, rtol=0, atol=0.01)
            sums = made.weight.flatten(1).abs().sum(1) * network.graph.largest(node.source)
            full += int((sums > 0.99 * INT32_ROOM).sum())
    assert full > 50


def drawn_by(net: ChannelwiseNet, y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Pixels as the synthesis of a codec draws them, whole numbers from -128 to 127."""
    pixels = net.networks["synthesis"]({"y": y}, t)["pixels"] / PIXEL_UNIT
    return pixels.round().clamp(-128, 127)


def test_integers_of_12_bits_lose_a_fraction_of_what_8_bits_lose():
    """Pictures of other kinds than ranges were observed on among them."""
    t, batches = torch.tensor([-1.0, 0.5]), [(pictures(8), torch.linspace(-1, 1, 8))]
    stripes = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    stripes[:, :, ::3] = 255
    lost = {}
    for bits in (8, 9, 12):
        net = channelwise(pixel_bits=bits)
        with torch.no_grad():
            for parameter in net.network("synthesis").parameters():
                drawn = torch.Generator().manual_seed(parameter.numel())
                parameter += 0.02 * torch.randn(parameter.shape, generator=drawn)
            integer = convert_codec(net, batches)
            for name, image in (("seen", pictures()), ("stripes", stripes)):
                y = (net._analyzed(image, t, None) / LATENT_UNIT).round() * LATENT_UNIT
                a, b = (drawn_by(codec, y, t) for codec in (net, integer))
                lost[name, bits] = float((a - b).square().mean())
    for name in ("seen", "stripes"):
        assert lost[name, 12] < 0.2 * lost[name, 8]
        assert lost[name, 9] < lost[name, 8]  # what room takes leaves what was observed 8 bits


def test_a_new_model_has_room_for_text_in_its_streams():
    """photo-2 cut them off at 520 gray levels: text lost 0.8 dB by that alone."""
    graph = channelwise().network("synthesis").graph
    assert 2**15 * graph.units["stream"] / PIXEL_UNIT > 1000
    thawed = config_of(load_model(model_path("photo-2")))
    assert thawed.stream_steps == 63
    assert thawed.pixel_bits == 8


@pytest.mark.parametrize("name", [*(f"photo-{n}" for n in range(2, 7)), "photo-psnr", "photo-mse"])
def test_recipes_of_shipped_models_say_their_sizes(name):
    """All of them: defaults of new runs have changed since."""
    recipe = configuration.load(Path(__file__).parents[3] / "docs" / f"{name}.toml")
    assert recipe.own.transform == config_of(load_model(model_path(name)))


def test_models_of_other_kinds_are_no_start():
    with pytest.raises(ArgumentError, match="no start for image codec 2"):
        thaw_codec(tiny_hyperprior(), ChannelwiseSections())


def test_latents_of_any_size_are_coded_and_rounding_can_be_another():
    net, t = channelwise(), torch.tensor([0.0])
    for shape in ((1, 1), (3, 6), (5, 2)):
        y = torch.randn(1, *shape, 16)
        coded = net.code(y, t)
        assert coded.bits_y.shape == y.shape
        assert coded.pixels.shape == (1, 16 * shape[0], 16 * shape[1], 3)
        zeros = net.code(y, t, rounding=torch.zeros_like)
        assert zeros.bits_y.sum() < coded.bits_y.sum()


def test_streams_in_float32_keep_what_bfloat16_takes_from_plain_areas():
    """Half a gray level: with it no training can see what plain areas are off by."""
    net, t = channelwise(), torch.tensor([-1.0])
    image = torch.full((1, 64, 64, 3), 250, dtype=torch.uint8)
    image[:, :, :, 1] = 201

    def off(fine: bool) -> float:
        for network in net.networks.values():
            assert isinstance(network, Network)
            network.fine_streams = fine
        net.set_compute_dtype(torch.bfloat16)
        y = torch.zeros(1, 4, 4, 16)
        y[..., :3] = net._analyzed(image, t, None)[..., :3]
        drawn = net.networks["synthesis"]({"y": y}, t)["pixels"]
        net.set_compute_dtype(torch.float32)
        exact = net.networks["synthesis"]({"y": y}, t)["pixels"]
        return float((drawn - exact).detach().abs().max() / PIXEL_UNIT)

    assert off(fine=False) > 0.3
    assert off(fine=True) < 0.05
