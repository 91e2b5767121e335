"""`compress`: after training, from a few batches."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import nn  # noqa: E402

from intact.errors import ArgumentError, DivergedError, UnreachableError  # noqa: E402
from intact.packing.file import WeightsFile  # noqa: E402
from intact.weights import (  # noqa: E402
    ChannelAffine,
    Coded,
    Compressed,
    compress,
    cross_entropy,
    finish,
    fold_batch_norm,
    give_channel_affines,
    importance,
    load_into,
    recalibrate,
)
from intact.weights.coded import entropy_bits  # noqa: E402
from intact.weights.gptq import quantize, round_compensated, second_moments  # noqa: E402
from tiny_network import data, loss_of, network, tuned  # noqa: E402


def run(model, batch):
    return model(batch)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(6, 5),
        nn.Conv2d(3, 5, 3, padding=1),
        nn.Conv2d(3, 5, (3, 2), stride=2, padding="valid"),
        nn.Conv2d(3, 5, (3, 2), padding="same", dilation=2),
    ],
)
def test_second_moments_are_those_of_what_weights_are_multiplied_with(layer):
    generator = torch.Generator().manual_seed(0)
    shape = (7, 6) if isinstance(layer, nn.Linear) else (4, 3, 9, 8)
    x = torch.randn(shape, generator=generator)
    net = nn.Sequential(layer)
    moments = second_moments(net, [x], run)["0.weight"]
    # x^T M x is the mean square of the layer's outputs for any weight.
    out = layer(x) if layer.bias is None else layer(x) - layer.bias.view(-1, *(1,) * (x.dim() - 2))
    rows = layer.weight.flatten(1)
    expected = out.transpose(0, 1).flatten(1).square().mean(1)
    assert torch.allclose((rows @ moments * rows).sum(1), expected, rtol=1e-4)


def test_compensation_leaves_outputs_nearer_to_what_they_were():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(400, 3, generator=generator) @ torch.randn(3, 24, generator=generator)
    x += 0.3 * torch.randn(400, 24, generator=generator)
    layer = nn.Linear(24, 16, bias=False)
    moments = second_moments(nn.Sequential(layer), [x], run)["0.weight"]
    weight, step = layer.weight.detach(), 0.1
    errors = [
        float((x @ (round_compensated(weight, m, step).float() * step - weight).T).square().sum())
        for m in (None, moments)
    ]
    assert errors[1] < errors[0] / 2
    # The formula written out for one row: whatever is left over goes to the columns to come.
    alone = round_compensated(weight[:1], moments, step)
    assert torch.equal(alone, round_compensated(weight, moments, step)[:1])


def test_without_moments_weights_are_rounded():
    weight = torch.tensor([[0.26, -0.74], [5.1, 0.0]])
    assert round_compensated(weight, None, 0.5).tolist() == [[1, -1], [10, 0]]


def test_a_wide_weight_without_moments_takes_no_square_of_its_columns():
    wide = torch.randn(2, 300_000)  # whose square would have 90 billion entries
    assert torch.equal(round_compensated(wide, None, 0.5), (wide / 0.5).round().int())


def test_modules_that_were_set_apart_stay_in_evaluation():
    net = network().train()
    net[1].eval()
    x, y = data()
    compress(net, [x], ratio=4)
    recalibrate(net, [x], run)
    importance(net, [(x, y)], cross_entropy)
    with pytest.raises((RuntimeError, IndexError)):  # torch's: no picture
        second_moments(net, [torch.zeros(1)], run)
    assert (net.training, net[1].training, net.last.training) == (True, False, True)


def test_prices_of_bits_lower_the_rate():
    net = network()
    weights = {"last.weight": net.last.weight, "0.weight": net[0].weight}
    plain = quantize(weights, {}, 0.7, passes=0)
    priced = quantize(weights, {}, 0.7, trade=0.3)
    rate = [entropy_bits(c.symbols for c in coded.values()) for coded in (plain, priced)]
    assert rate[1] < 0.97 * rate[0]


def trained():
    return tuned(network(), 200)


def test_a_ratio_is_reached_and_the_network_still_works():
    net = trained()
    state = copy.deepcopy(net.state_dict())
    small = compress(net, list(data()[0].split(10)), 9.0, measure=Compressed.entropy_bytes)
    assert small.ratio(small.entropy_bytes()) >= 9.0 * 0.99
    assert small.ratio(small.entropy_bytes()) < 9.0 * 1.05
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name]), name  # the original is not touched
    assert float(loss_of(small.model)) < float(loss_of(network().eval()).detach())
    # What will be stored is what the network has.
    given = small.model.state_dict()
    assert sorted(given) == sorted([*small.coded, *small.kept])
    for name, coded in small.coded.items():
        assert torch.equal(coded.values, given[name])
    for name, kept in small.kept.items():
        assert torch.equal(kept.to(given[name].dtype), given[name])


@pytest.mark.parametrize("half", [True, False])
def test_the_file_gives_back_what_the_network_has(half, tmp_path):
    path = tmp_path / "network.intactw"
    small = compress(trained(), list(data()[0].split(10)), 3.0, half=half)
    size = small.save(path)
    assert size == path.stat().st_size == small.file_bytes()
    assert small.ratio(size) >= 3.0 * 0.99
    fresh = network(7)
    give_channel_affines(fresh)
    load_into(fresh, path)
    for name, tensor in small.model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_batch_norm_is_folded_or_stored_and_counted():
    net = trained()
    x = data()[0]
    folded = finish(net, {}, half=False)
    stored = finish(net, {}, half=False, fold=False)
    assert isinstance(folded.model.get_submodule("1"), ChannelAffine)
    assert torch.allclose(folded.model(x), net(x), atol=1e-5)
    assert torch.equal(stored.model(x), net(x))
    # 4 channels: mean and variance, and the counter of batches (int64).
    assert stored.entropy_bytes() - folded.entropy_bytes() == 2 * 4 * 4 + 8
    halved = finish(net, {})
    assert halved.kept["last.weight"].dtype == torch.float16
    fresh = network(4)
    give_channel_affines(fresh)
    fresh.load_state_dict(folded.model.state_dict())
    assert torch.equal(fresh.eval()(x), folded.model(x))


def test_counting_batch_norm_again_gives_means_over_batches():
    net: Any = nn.Sequential(nn.BatchNorm1d(2))
    batches = [torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[5.0, 0], [5, 0]])]
    recalibrate(net, batches, run)
    norm = net[0]
    assert norm.running_mean.tolist() == [3.5, 1.5]
    assert norm.running_var.tolist() == [1.0, 1.0]
    assert norm.momentum == 0.1


def test_batch_norm_without_a_scale_is_folded_too():
    net: Any = nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3, affine=False)).eval()
    net[1].running_mean.copy_(torch.tensor([1.0, 2, 3]))
    net[1].running_var.copy_(torch.tensor([4.0, 5, 6]))
    x = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(1))
    expected = net(x)
    assert fold_batch_norm(net) == ["1"]
    assert torch.allclose(net(x), expected, atol=1e-6)


def test_bad_input_is_named():
    net = network()
    with pytest.raises(ArgumentError, match="no batches"):
        compress(net, [])
    with pytest.raises(DivergedError, match=r"layer with 0\.weight are not all finite"):
        compress(net, [torch.full((2, 1, 8, 8), torch.inf)])
    with pytest.raises(UnreachableError, match="kept as they are"):
        compress(net, [data()[0]], 1e5)
    for name, values in {
        "ratio": (0, -1, "8", True, None), "trade": (-1, float("nan"), float("inf"), "x", None),
        "tolerance": (-0.1, 1, float("nan"), "x", None), "one_axis_bits": (1, 17, 2.5, True, "8"),
    }.items():  # fmt: skip
        for value in values:
            with pytest.raises(ArgumentError, match=f"{name} is"):
                compress(net, [data()[0]], **{name: value})
    with pytest.raises(TypeError, match="fold is 'no'"):
        compress(net, [data()[0]], fold="no")  # type: ignore[arg-type]
    for batches in (data()[0], None, 3):
        with pytest.raises(ArgumentError, match="legal is what gives batches"):
            compress(net, batches)  # type: ignore[arg-type]
    bad = network()
    with torch.no_grad():
        next(iter(bad.parameters()))[0] = torch.nan
    with pytest.raises(DivergedError, match=r"values of the weights 0\.weight are not finite"):
        compress(bad, [data()[0]])
    with pytest.raises(ArgumentError, match="neither"):
        _ = Coded(torch.zeros(2, dtype=torch.int32)).values
    with pytest.raises(ArgumentError, match="keeps no statistics"):
        fold_batch_norm(nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)))
    with pytest.raises(ArgumentError, match="itself a batch norm"):
        fold_batch_norm(nn.BatchNorm1d(2))


@pytest.mark.parametrize("bits", [7, 16])
def test_tensors_of_one_axis_become_multiples_of_a_step(bits, tmp_path):
    net = trained()
    plain = finish(net, {}, half=False)
    small = finish(net, {}, one_axis_bits=bits)
    state = plain.model.state_dict()
    one_axis = {name for name, tensor in state.items() if tensor.dim() == 1 and tensor.any()}
    assert set(small.coded) == one_axis
    assert set(small.kept) == set(state) - one_axis
    for name, coded in small.coded.items():
        assert int(coded.symbols.abs().max()) == 2 ** (bits - 1) - 1
        error = (small.model.state_dict()[name] - state[name]).abs().max()
        assert coded.step is not None
        assert float(error) <= 0.501 * coded.step
    assert small.entropy_bytes() < plain.entropy_bytes() or bits == 16
    small.save(tmp_path / "network.intactw", method="static", joint=True)
    fresh = network(7)
    give_channel_affines(fresh)
    load_into(fresh, tmp_path / "network.intactw")
    for name, tensor in small.model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_an_axis_that_is_zero_or_not_finite_stays_as_it_is():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    with torch.no_grad():
        net.get_parameter("0.bias").zero_()
        net.get_parameter("1.bias")[0] = torch.inf
    small = finish(net, {}, one_axis_bits=8)
    assert not small.coded
    assert torch.equal(small.model.get_parameter("1.bias"), net.get_parameter("1.bias"))


@pytest.mark.parametrize("largest", [1e-44, 1e-38, 1e-31])
def test_an_axis_whose_step_would_be_no_float32_stays_as_it_is(largest, tmp_path):
    net = nn.Linear(3, 4)
    with torch.no_grad():
        net.bias.copy_(torch.tensor([1.0, -0.5, 0.0, 0.25]) * largest)
    small = finish(net, {}, half=False, one_axis_bits=16)
    assert not small.coded
    assert torch.equal(small.model.bias, net.bias)
    small.save(tmp_path / "network.intactw")


def test_statistics_of_batch_norm_are_no_multiples_of_a_step():
    """A variance that is rounded to 0 would be divided by: outputs grew threefold."""
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)).eval()
    net.get_buffer("1.running_var").copy_(torch.logspace(-4, 1, 16))
    net.get_buffer("1.running_mean").copy_(torch.linspace(-1, 1, 16))
    small = finish(net, {}, half=False, fold=False, one_axis_bits=7)
    assert set(small.coded) == {"0.bias", "1.weight", "2.bias"}  # 1.bias is 0
    for name in ("1.running_mean", "1.running_var"):
        assert torch.equal(small.model.get_buffer(name), net.get_buffer(name)), name
    x = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    assert (small.model(x) - net(x)).abs().max() < 0.2 * net(x).abs().max()


@pytest.mark.parametrize("bits", [1, 17])
def test_bits_of_one_axis_have_a_range(bits):
    with pytest.raises(ArgumentError, match=r"one_axis_bits is .*integer, 2 \.\. 16"):
        finish(network(), {}, one_axis_bits=bits)


def test_compress_with_coded_axes_leaves_more_for_the_weights():
    batches = list(data()[0].split(10))
    floats = compress(trained(), batches, 9.0, measure=Compressed.entropy_bytes)
    steps = compress(trained(), batches, 9.0, measure=Compressed.entropy_bytes, one_axis_bits=6)
    assert steps.ratio(steps.entropy_bytes()) >= 9.0 * 0.99
    many = [
        entropy_bits(c.symbols for c in small.coded.values() if c.symbols.dim() > 1)
        for small in (floats, steps)
    ]
    assert many[1] > many[0]


class Tied(nn.Module):
    """A language model's ends: an embedding, and the same numbers again as its last layer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Embedding(60, 40), nn.LayerNorm(40)
        self.last = nn.Linear(40, 60)
        self.last.weight = self.first.weight
        self.end = nn.Linear(60, 60)
        self.end.bias = self.last.bias

    def forward(self, x):
        return self.end(self.last(self.norm(self.first(x))))


@pytest.mark.parametrize("bits", [None, 8])
def test_tied_weights_are_coded_once_and_stay_tied(bits, tmp_path):
    torch.manual_seed(0)
    net, tokens = Tied().eval(), torch.arange(60)
    small: Any = compress(net, [tokens], 8, one_axis_bits=bits)
    assert small.coded["last.weight"] is small.coded["first.weight"]
    assert small.model.last.weight is small.model.first.weight
    ends = small.kept if bits is None else small.coded
    assert ends["last.bias"] is ends["end.bias"]
    # With the second name as floats, 8 was out of reach of the estimate.
    assert 0.8 < small.entropy_bytes() / small.file_bytes() < 1.1
    small.save(tmp_path / "x.intactw")
    found = WeightsFile(tmp_path / "x.intactw").tensors
    for one, other in (("first.weight", "last.weight"), ("last.bias", "end.bias")):
        assert (found[one].blob, found[one].first) == (found[other].blob, found[other].first)
    fresh = Tied().eval()
    load_into(fresh, tmp_path / "x.intactw")
    assert torch.equal(fresh(tokens), small.model(tokens))
    assert torch.equal(small.model.first.weight, small.coded["first.weight"].values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_types_are_compressed(dtype, tmp_path):
    net, x = network().to(dtype), data()[0].to(dtype)
    small = compress(net, [x], 6)
    assert {t.dtype for t in small.model.state_dict().values() if t.is_floating_point()} == {dtype}
    small.save(tmp_path / "x.intactw")
    fresh = network(1).to(dtype)
    give_channel_affines(fresh)
    load_into(fresh, tmp_path / "x.intactw")
    assert torch.equal(fresh(x), small.model(x))
