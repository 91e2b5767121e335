"""Weights of a network quantized while it trains: tiny networks, every promise."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import (  # noqa: E402
    Blocks,
    Exponential,
    Fixed,
    Quantizer,
    Stage,
    entropy_of_p_by_q,
    grid_centers,
    hard_quantize,
    soft_quantize,
)
from intact.weights import Scale, quantize_weights, remove, weights_of  # noqa: E402
from tiny_network import data, loss_of, network  # noqa: E402


def few(sigma=2.0, size=9, k=1):
    centers = grid_centers(size, 0.5).expand(1, size, k).contiguous()
    return Quantizer(centers, Blocks(k), Fixed(sigma))


def test_weights_are_soft_in_training_and_hard_in_evaluation():
    net = network()
    first, last = net[0].weight.detach().clone(), net.last.weight.detach().clone()
    weights = quantize_weights(net, quantizer=few())
    scales = [w.square().mean().sqrt() for w in (first, last)]
    row = torch.cat([(w / s).flatten() for w, s in zip((first, last), scales, strict=True)])
    for training, expected in (
        (True, soft_quantize(row[None, :, None], weights.quantizer.centers, 2.0).values),
        (False, hard_quantize(row[None, :, None], weights.quantizer.centers)),
    ):
        net.train(training)
        found = torch.cat(
            [net[0].weight.flatten() / scales[0], net.last.weight.flatten() / scales[1]]
        )
        assert torch.allclose(found, expected[0, :, 0], atol=1e-4)
    assert [piece.name for piece in weights.pieces] == ["0.weight", "last.weight"]
    assert net[0].bias.dim() == 1  # left alone
    assert not parametrize.is_parametrized(net[1])


def test_a_fine_grid_of_centers_changes_little():
    net = network().eval()
    before = loss_of(net)
    fine = quantize_weights(net, quantizer=Quantizer(grid_centers(801, 0.02)))
    assert abs((loss_of(net) - before).item()) < 0.02
    assert fine.hard_entropy() > 6


def test_the_rate_is_that_of_all_weights_in_one_histogram():
    net = network()
    weights = quantize_weights(net, quantizer=few())
    loss_of(net)
    found = weights._now().found
    assert found.m == weights.size == 4 * 9 + 3 * 144
    assert torch.equal(weights.entropy(), entropy_of_p_by_q(found.p, found.q)[0])
    assert torch.equal(weights.bits(), weights.size * weights.entropy())
    assert weights.entropy() > weights.hard_entropy()
    expected = 32 * 468 / (32 * (9 + 2) + 468 * weights.hard_entropy())
    assert weights.ratio() == pytest.approx(expected)
    assert weights.bits_for(weights.ratio()) == pytest.approx(weights.hard_entropy())
    with pytest.raises(ArgumentError, match=r"legal is less than 42\.5"):
        weights.bits_for(50.0)


def train(net, weights, steps, beta, rate=0.05):
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    for _ in range(steps):
        loss = loss_of(net) + beta * weights.entropy()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        weights.quantizer.annealing.step()
    return optimizer


def test_training_with_the_rate_lowers_the_entropy_of_hard_weights():
    entropies = []
    for beta in (0.0, 5.0):
        net = network()
        weights = quantize_weights(
            net, quantizer=Quantizer(grid_centers(9), annealing=Exponential(0.5, 1.05))
        )
        train(net, weights, 40, beta)
        net.eval()
        entropies.append(weights.hard_entropy())
        assert torch.isfinite(loss_of(net))
    assert entropies[1] < 0.7 * entropies[0]


@pytest.mark.parametrize("k", [1, 5])
def test_after_the_switch_symbols_stay_and_centers_learn(k):
    net = network()
    weights = quantize_weights(net, quantizer=few(k=k))  # 468 numbers: 5 do not divide them
    net.eval()
    hard = net.last.weight.detach().clone()
    weights.harden()
    net.train()
    assert torch.equal(net.last.weight, hard)
    symbols, centers = weights.symbols.clone(), weights.quantizer.centers.detach().clone()
    originals = weights.pieces[0].original.detach().clone()
    bias = net.last.bias.detach().clone()
    train(net, weights, 3, 0.0)
    assert torch.equal(weights.symbols, symbols)
    assert torch.equal(weights.pieces[0].original, originals)
    assert not torch.equal(weights.quantizer.centers, centers)
    assert not torch.equal(net.last.bias, bias)
    assert torch.equal(net.train().last.weight, net.eval().last.weight)


def test_gradients_reach_originals_centers_and_through_the_scale():
    net = network()
    weights = quantize_weights(net, quantizer=few())
    original = weights.pieces[0].original
    loss_of(net).backward()
    assert original.grad is not None
    assert original.grad.abs().sum() > 0
    assert weights.quantizer.centers.grad is not None
    assert weights.quantizer.centers.grad.abs().sum() > 0
    # A weight twice as large makes a quantized weight twice as large: the scale is in the graph.
    original.grad = None
    (net[0].weight * net[0].weight).sum().backward()
    assert original.grad is not None
    along = (original.grad * original.detach()).sum()
    assert along.item() == pytest.approx(2 * net[0].weight.detach().square().sum().item(), rel=1e-3)


@pytest.mark.parametrize("scale", list(Scale))
def test_scales_are_the_chosen_ones(scale):
    net = network()
    weights = quantize_weights(net, quantizer=few(), scale=scale)
    with torch.no_grad():
        weights.pieces[0].original.mul_(3)
    net.eval()
    start = network()[0].weight
    unit = {
        Scale.NONE: 1.0,
        Scale.START: start.square().mean().sqrt(),
        Scale.FORWARD: 3 * start.square().mean().sqrt(),
    }[scale]
    steps = (net[0].weight / unit / 0.5).flatten()  # centers are multiples of 0.5
    assert torch.allclose(steps, steps.round(), atol=1e-4)


def test_gradients_can_be_accumulated_over_batches():
    net = network()
    quantize_weights(net, quantizer=few())
    loss_of(net).backward()
    once = net.last.parametrizations.weight.original.grad.clone()
    loss_of(net).backward()
    assert torch.allclose(net.last.parametrizations.weight.original.grad, 2 * once, atol=1e-6)


def test_the_whole_is_quantized_once_for_all_tensors_of_a_step(monkeypatch):
    net = network()
    weights = quantize_weights(net, quantizer=few())
    calls, forward = [], weights.quantizer.forward
    monkeypatch.setattr(weights.quantizer, "forward", lambda z: calls.append(1) or forward(z))
    (loss_of(net) + weights.entropy()).backward()
    assert len(calls) == 1


def test_what_is_written_past_versions_is_seen_in_the_next_pass():
    net = network()
    quantize_weights(net)
    net.eval()
    x = data()[0]
    with torch.no_grad():
        before = net(x)
        for parameter in net.parameters():
            parameter.data.mul_(-2)  # as averages of weights are put in; no version counts it
        after = net(x)
        twin = copy.deepcopy(net)
        assert not torch.equal(before, after)
        assert torch.equal(after, twin(x))


def test_soft_accuracy_can_be_read_beside_the_hard_one():
    net = network()
    weights = quantize_weights(net, quantizer=few())
    soft = net[0].weight.detach().clone()
    net.eval()
    hard = net[0].weight.detach().clone()
    with weights.soft_evaluation():
        assert torch.equal(net[0].weight, soft)
    assert torch.equal(net[0].weight, hard)
    assert not torch.equal(soft, hard)


def test_training_resumes_bit_for_bit():
    def make(seed):
        net = network(seed)
        quantizer = Quantizer(grid_centers(9), annealing=Exponential(0.5, 1.05))
        return net, quantize_weights(net, quantizer=quantizer)

    one, first = make(0)
    train(one, first, 3, 0.1)
    first.harden()
    two, second = make(5)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    train(one, first, 2, 0.1)
    train(two, second, 2, 0.1)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_a_copied_network_has_weights_of_its_own():
    net = network()
    quantize_weights(net, quantizer=few())
    copied = copy.deepcopy(net)
    with torch.no_grad():
        copied.last.parametrizations.weight.original.mul_(-1)
    assert torch.allclose(copied.last.weight, -net.last.weight, atol=1e-5)
    assert weights_of(copied)[0].pieces[0].owner is copied[0]


def test_taken_out_again_the_network_is_plain_and_hard():
    net = network()
    weights = quantize_weights(net, quantizer=few())
    net.eval()
    hard, names = net.last.weight.detach().clone(), set(network().state_dict())
    remove(weights)
    assert torch.equal(net.last.weight, hard)
    assert set(net.state_dict()) == names
    assert not parametrize.is_parametrized(net)


def test_two_groups_have_a_codebook_each_and_one_annealing():
    net, annealing = network(), Exponential(1.0, 2.0)
    centers = grid_centers(5, 0.5)
    first, second = (
        quantize_weights(net, [name], quantizer=Quantizer(centers, annealing=annealing))
        for name in ("0.*", "last.*")
    )
    annealing.step()
    assert first.quantizer.sigma == second.quantizer.sigma == 2.0
    assert [p.name for p in first.pieces] == ["0.weight", "0.bias"]
    assert torch.isfinite(loss_of(net) + first.bits() + second.bits())


def test_every_parameter_can_be_meant_and_zeros_have_no_scale():
    net = network()
    weights = quantize_weights(net, ["*"], exclude=["*.bias"], quantizer=few(), scale=Scale.FORWARD)
    assert [p.name for p in weights.pieces] == ["0.weight", "1.weight", "last.weight"]
    zeros = quantize_weights(net, ["1.bias"], quantizer=few())
    assert torch.equal(net.eval()[1].bias, torch.zeros(4))
    assert zeros.hard_entropy() == 0


def test_near_hardness_the_rate_pulls_and_the_upper_bound_does_not():
    net = network()
    weights = quantize_weights(net, quantizer=few(sigma=40.0), scale=Scale.START)
    pulls = []
    for term in (weights.entropy, weights.rate):
        net.zero_grad()
        weights.forget()
        value = term()
        value.backward()
        gradients = [net[0].parametrizations.weight.original.grad]
        gradients.append(net.last.parametrizations.weight.original.grad)
        pulls.append(float(torch.cat([g.flatten() for g in gradients]).abs().sum()))
        assert float(value.detach()) == pytest.approx(weights.hard_entropy(), abs=0.1)
    assert pulls[1] > 5 * pulls[0]


def test_gradients_accumulate_over_batches_before_and_after_the_switch():
    net = network()
    weights = quantize_weights(net, quantizer=few())
    centers: Any = weights.quantizer.centers
    for _ in range(2):
        net.zero_grad()
        loss_of(net).backward()
        once = centers.grad.clone()
        loss_of(net).backward()
        assert torch.allclose(centers.grad, 2 * once, rtol=1e-3, atol=1e-6)
        weights.harden()


def test_a_tied_parameter_is_quantized_once_and_stays_tied():
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    kept = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    kept[1].weight = kept[0].weight
    quantize_weights(kept, ["*.weight", "0.bias"], exclude=["1.weight"], quantizer=few())
    assert not parametrize.is_parametrized(kept[1])  # excluded under one of its names
    weights = quantize_weights(tied, quantizer=few())
    assert [p.name for p in weights.pieces] == ["0.weight"]
    assert tied[0].weight is tied[1].weight
    assert len([p for n, p in tied.named_parameters() if "original" in n]) == 1
    tied(torch.ones(2, 3)).sum().backward()
    coded = weights.eval().coded()
    remove(weights)
    assert isinstance(tied[1].weight, nn.Parameter)
    assert tied[0].weight is tied[1].weight
    assert coded["0.weight"].values.equal(tied[1].weight.detach())


def test_bad_input_is_named():
    net = network()
    with pytest.raises(ArgumentError, match=r"no parameter is called 'conv\*'; there are"):
        quantize_weights(net, ["conv*"])
    with pytest.raises(ArgumentError, match="no parameter is left"):
        quantize_weights(net, ["0.bias"], exclude=["0.*"])
    with pytest.raises(ArgumentError, match="2 codebooks"):
        quantize_weights(net, quantizer=Quantizer(torch.tensor([[[0.0], [1]], [[2], [3]]])))
    with pytest.raises(ArgumentError, match="OFF"):
        quantize_weights(net, quantizer=Quantizer(grid_centers(3), stage=Stage.OFF))
    assert not parametrize.is_parametrized(net)
    weights = quantize_weights(net)
    with pytest.raises(ArgumentError, match="no parameter is left"):
        quantize_weights(net)
    with pytest.raises(ArgumentError, match="parametrized already"):
        quantize_weights(net, ["last.*"])
    with torch.no_grad():
        weights.pieces[1].original[0, 0] = float("nan")
    with pytest.raises(DivergedError, match=r"last\.weight are not all finite"):
        loss_of(net)


def test_arguments_of_other_kinds_are_named():
    for patterns in ("*", "0.weight"):  # each letter would be a pattern, and * all
        with pytest.raises(ArgumentError, match=r"include is .*; legal is a list of patterns"):
            quantize_weights(network(), patterns)
        with pytest.raises(ArgumentError, match=r"exclude is .*; legal is a list of patterns"):
            quantize_weights(network(), exclude=patterns)
    with pytest.raises(ArgumentError, match=r"scale is 'forward'; legal is Scale\.NONE"):
        quantize_weights(network(), scale="forward")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="quantizer is 75; legal is a Quantizer"):
        quantize_weights(network(), quantizer=75)  # type: ignore[arg-type]


def test_quantizing_twice_and_taking_out_twice_are_named():
    net = network()
    whole = quantize_weights(net, ["0.weight"])
    with pytest.raises(ArgumentError, match=r"'0\.weight' is parametrized already"):
        quantize_weights(net, ["0.weight"])
    quantize_weights(net, exclude=["0.weight"])
    remove(whole)
    for again in (lambda: remove(whole), whole.row):
        with pytest.raises(ArgumentError, match=r"0\.weight is quantized no more"):
            again()
