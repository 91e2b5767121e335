"""The shipped codec's integer networks: training pass, conversion and program are equal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from intact.codec.image import Encoder  # noqa: E402
from intact.codec.store import load_model  # noqa: E402
from intact.freeze.checkerboard import freeze  # noqa: E402
from intact.freeze.count import count_symbols  # noqa: E402
from intact.freeze.program import to_program  # noqa: E402
from intact.intnet import ops  # noqa: E402
from intact.train import convert  # noqa: E402
from intact.train.balle2019 import Balle2019  # noqa: E402
from intact.train.codecs.checkerboard import CodecNet  # noqa: E402
from intact.train.codecs.rates import RateConfig  # noqa: E402
from intact.train.codecs.thaw import thaw  # noqa: E402
from intact.train.codecs.transforms import TransformConfig  # noqa: E402
from intact.train.convert import convert_codec  # noqa: E402
from intact.train.graph import Conv, Graph  # noqa: E402
from intact.train.integer import (  # noqa: E402
    LEVEL_SCALE,
    IntegerNetwork,
    Parameters,
    steady,
)
from intact.train.network import convolve as network_convolve  # noqa: E402
from intact.train.noise import Noise  # noqa: E402
from intact.train.rounding import round_together  # noqa: E402

SMALL = TransformConfig(
    blocks_analysis=1,
    blocks_synthesis=1,
    latents=16,
    hyper_latents=8,
    features=16,
    blocks_context=1,
)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(5)
    smooth = rng.integers(0, 256, (4, 9, 9, 3)).repeat(16, 1).repeat(16, 2)[:, :128, :128]
    return torch.from_numpy(
        (smooth + rng.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8)
    )


@pytest.fixture(scope="module")
def float_net(crops):
    net = CodecNet(SMALL, RateConfig(), seed=1)
    net.start_as_transform_code(
        crops.reshape(4, 8, 16, 8, 16, 3).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 16, 3)
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=generator))
    return net


@pytest.fixture(scope="module")
def integer_net(float_net, crops):
    return convert_codec(float_net, [(crops, torch.linspace(-1, 1, 4))])


@pytest.mark.parametrize(
    "name", ["analysis", "hyper_analysis", "hyper_synthesis", "prior_a", "prior_b", "synthesis"]
)
@pytest.mark.parametrize("level", [-127, 3, 127])
def test_training_forward_equals_ops(integer_net, name, level):
    network = integer_net.networks[name]
    program = to_program(network)
    rng = np.random.default_rng(11)
    side = 32 if name == "analysis" else 5
    inputs = {
        v.name: rng.integers(v.low, v.high + 1, (side, side, v.channels)) for v in program.inputs
    }
    expected = ops.run(program, {k: v.astype(np.int16) for k, v in inputs.items()}, level)
    with torch.no_grad():
        got = network.run(
            {k: torch.from_numpy(v)[None].float() for k, v in inputs.items()},
            torch.tensor([float(level)]),
        )
    for key, value in expected.items():
        assert np.array_equal(got[key][0].numpy(), value), key


def test_jointly_rounded_filters_stay_what_they_were(float_net, crops, monkeypatch):
    """They are stored as fractions in float32; the divisors and integers must come back."""
    found = []

    def noted(weight, covariance, limit):
        found.append(round_together(weight, covariance, limit))
        return found[-1]

    monkeypatch.setattr(convert, "round_together", noted)
    converted = convert_codec(float_net, [(crops, torch.linspace(-1, 1, 4))])
    expected = iter(found)
    for name in converted.networks:
        network = converted.network(name)
        assert isinstance(network, IntegerNetwork)
        for node in network.graph.nodes:
            if isinstance(node, Conv) and not node.depthwise:
                p = network.parameters_of(node)
                wanted = next(expected).reshape(p.weight.shape)
                assert torch.equal(p.weight.detach().double(), wanted), node.target
                assert torch.equal(p.divisor, network.get(node.target, "cap")), node.target
    assert not list(expected)


def test_a_plain_image_adds_fewer_hyper_latents_to_the_counts(integer_net):
    model = freeze(integer_net, "small", [])
    plain = np.full((512, 512, 3), 90, np.uint8)
    counts = count_symbols(model, [plain])
    sent = counts["tables_z"].sum() / model.channels["N"]
    assert 4 <= sent < 4 * 64  # four levels of 8 x 8 positions
    assert counts["tables_y"].sum() == 4 * 32 * 32 * 16


def test_conversion_stays_close_to_the_float_twin(float_net, integer_net, crops):
    t = torch.linspace(-1, 1, 4)
    with torch.no_grad():
        a, b = float_net(crops, t, None, hard=True), integer_net(crops, t, None, hard=True)
    assert torch.allclose(a.mse, b.mse, rtol=0.1, atol=1.0)
    assert torch.allclose(a.bpp, b.bpp, rtol=0.1)


def test_thawing_a_frozen_model_and_freezing_again_gives_nearly_the_same_codec(
    float_net, integer_net, crops
):
    model = freeze(integer_net, "small", [])
    again = thaw(model, RateConfig())
    t = torch.linspace(-1, 1, 4)
    with torch.no_grad():
        a, b = integer_net(crops, t, None, hard=True), again(crops, t, None, hard=True)
    assert torch.allclose(a.mse, b.mse, rtol=0.1, atol=1.0)
    assert torch.allclose(a.bpp, b.bpp, rtol=0.15)


def test_the_shipped_model_thaws_to_what_it_is():
    model = load_model("photo-eyes")
    net = thaw(model, RateConfig(step_min=0.42, step_max=5.0))
    with Image.open(Path(__file__).parents[2] / "demo" / "original.png") as image:
        pixels = np.asarray(image.convert("RGB"))[128:256, 192:384]
    level = 31
    t = torch.tensor([float(model.levels.parameters[level]) / LEVEL_SCALE])
    with torch.no_grad():
        result = net(torch.from_numpy(pixels.copy())[None], t, None, hard=True)
    encoded = Encoder(pixels, model).encode(level)
    mse = np.square(encoded.pixels.astype(float) - pixels).mean()
    assert result.mse.item() == pytest.approx(mse, rel=0.1)
    bits = 8 * len(encoded.data) / pixels[:, :, 0].size
    assert 0.85 * bits < result.bpp.item() < 1.05 * bits


def test_gradients_reach_every_parameter(integer_net, crops):
    t = torch.linspace(-1, 1, 4)
    result = integer_net(crops, t, Noise(0, 1, range(4)))
    integer_net.loss(result, t, result.mse).backward()
    silent = [k for k, p in integer_net.named_parameters() if p.grad is None]
    assert not silent
    integer_net.zero_grad()


def test_level_parameter_is_an_eight_bit_integer():
    assert LEVEL_SCALE == 127


@pytest.mark.parametrize(("bias", "offset", "wanted"), [(131000, 0.0, "float32"),
                         (131000, -0.5, "float64"), (132000, 0.0, "float64")])  # fmt: skip
def test_sums_that_o_takes_past_float32_are_taken_in_float64(monkeypatch, bias, offset, wanted):
    """o of Eq. 19 in the first bias counts as the bias itself does."""
    g = Graph("g", {})
    x = g.conv(g.input("y", 4, -32768, 32767, 1.0, typical=4.0), "c", 2, "latent", kernel=1)
    g.output(x, 1.0)
    network = IntegerNetwork(g, Balle2019(8), torch.Generator().manual_seed(0))
    ones = torch.ones(2)
    given = Parameters(127 * torch.ones(2, 4, 1, 1), -bias * ones, None, 257 * ones)
    monkeypatch.setattr(network, "parameters_of", lambda node: given)
    seen = []

    def convolve(x, weight, node):
        seen.append(str(x.dtype).removeprefix("torch."))
        return network_convolve(x, weight, node)

    monkeypatch.setattr("intact.train.integer.convolve", convolve)
    network.moved = torch.full((4,), offset) if offset else None
    y = torch.full((1, 3, 3, 4), -32768.0)
    found = network.run({"y": y}, torch.zeros(1))["c"]
    assert seen[0] == wanted
    total = 127 * 4 * (-32768 + offset) - bias
    assert (found == np.clip(np.floor((total + 128) / 257), -32768, 32767)).all()


@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "depthwise", "transposed"),
                         [(1, 1, False, False), (1, 1, True, False), (1, 2, False, False),
                          (1, 2, False, True), (3, 1, False, False), (3, 1, True, False),
                          (3, 2, False, False), (3, 2, True, False), (3, 2, False, True),
                          (5, 2, False, False), (5, 2, False, True)])  # fmt: skip
def test_what_a_layer_makes_of_constants_is_what_it_makes_inside(
    kernel, stride, depthwise, transposed, edge
):
    node = Conv("x", "c", 3, 3, kernel, stride, depthwise, "linear", transposed=transposed,
                edge=edge)  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    shape = (3, 1 if depthwise else 3, kernel, kernel)
    weight = torch.randint(-128, 128, shape, generator=generator).float()
    values = torch.tensor([0.5, -0.25, 3 / 32])
    found = steady(values, weight, node)
    whole = network_convolve(values.expand(1, 24, 24, -1), weight, node)
    phases = found.shape[1]
    assert phases == 1 + transposed
    tiled = found.repeat(1, whole.shape[1] // phases, whole.shape[2] // phases, 1)
    assert torch.equal(whole[:, 3:-4, 3:-4], tiled[:, 3:-4, 3:-4])
