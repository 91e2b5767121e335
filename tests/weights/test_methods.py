"""Pruning, shared values and the loop that fine-tunes both: tiny networks."""

import copy
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import nn  # noqa: E402

from intact.errors import ArgumentError, CorruptDataError, DivergedError  # noqa: E402
from intact.weights import (  # noqa: E402
    DeadZone,
    Scale,
    Settings,
    cluster,
    cross_entropy,
    distilled,
    ecsq,
    fine_tune,
    importance,
    k_means,
    lead_to,
    prune,
    quantize_weights,
    refit,
    remove,
    remove_masks,
    second_moments,
    uniform,
)
from tiny_network import data, endless, loss_of, network, tuned  # noqa: E402


def test_pruning_takes_the_smallest_of_the_whole_network():
    net = network()
    before = torch.cat([net[0].weight.flatten(), net.last.weight.flatten()]).detach()
    masks = prune(net, 0.8)
    after = torch.cat([net[0].weight.flatten(), net.last.weight.flatten()]).detach()
    assert sorted(masks) == ["0.weight", "last.weight"]
    assert float((after == 0).float().mean()) == pytest.approx(0.8, abs=0.005)
    assert before[after == 0].abs().max() < before[after != 0].abs().min()


def test_what_is_tied_is_pruned_and_stays_tied():
    net: Any = nn.Sequential(nn.Linear(20, 20, bias=False), nn.Linear(20, 20, bias=False))
    net[1].weight = net[0].weight
    masks = prune(net, 0.5)
    assert list(masks) == ["0.weight"]
    assert torch.equal(net[1].weight, net[0].weight)
    assert float((net[1].weight == 0).float().mean()) == 0.5
    remove_masks(net)
    assert net[1].weight is net[0].weight
    assert float((net[1].weight == 0).float().mean()) == 0.5


def test_pruned_weights_stay_zero_while_the_rest_learns():
    net = network()
    prune(net, 0.7)
    first = net[0].weight.detach().clone()
    before = float(loss_of(net).detach())
    tuned(net)
    assert float(loss_of(net).detach()) < before
    assert torch.equal(net[0].weight == 0, first == 0)
    remove_masks(net)
    assert torch.equal(net[0].weight == 0, first == 0)
    assert isinstance(net[0].weight, nn.Parameter)


def forward(model, batch):
    return model(batch)


def test_weights_that_are_left_make_good_for_pruned_ones():
    net = network().eval()
    x = data()[0]
    x[:, :, :, 1:] += x[:, :, :, :-1]  # neighbors that say nearly the same
    before = net[0](x).detach()
    moments = second_moments(net, [x], forward)
    masks = prune(net, 0.7)
    zeros = net[0].weight == 0
    error = float((net[0](x).detach() - before).square().mean())
    refit(net, masks, moments)
    assert torch.equal(net[0].weight == 0, zeros)
    # Biases stay, so that it is about this and no more.
    assert float((net[0](x).detach() - before).square().mean()) < 0.8 * error


def test_refitting_changes_nothing_where_nothing_is_known_or_all_inputs_are_zero():
    net = network().eval()
    masks = prune(net, 0.7)
    first, last = net[0].weight.detach().clone(), net.last.weight.detach().clone()
    refit(net, masks, {"0.weight": torch.zeros(9, 9)})
    assert torch.equal(net[0].weight, first)
    assert torch.equal(net.last.weight, last)
    with pytest.raises(ArgumentError, match=r"moments of 0.weight are \[8, 8\]; legal is \[9, 9\]"):
        refit(net, masks, {"0.weight": torch.eye(8)})


@pytest.mark.parametrize(
    "assign",
    [
        lambda v, w: k_means(v, 6),
        lambda v, w: k_means(v, 6, w),
        lambda v, w: uniform(v, 0.05),
        lambda v, w: ecsq(v, 12, 1e-4),
    ],
    ids=["k-means", "Hessian", "uniform", "ECSQ"],
)
def test_shared_values_learn_and_stay_shared(assign):
    net = network()
    prune(net, 0.6)
    remove_masks(net)
    zeros = net.last.weight.detach() == 0
    counts = importance(
        net, zip(data()[0].split(5), data()[1].split(5), strict=True), cross_entropy
    )
    weights = cluster(net, assign, importance=counts)
    centers = weights.quantizer.centers.detach().clone()
    before = float(loss_of(net.eval()).detach())
    tuned(net, 40)
    assert float(loss_of(net).detach()) < before
    assert not torch.equal(weights.quantizer.centers, centers)
    coded = weights.coded()
    remove(weights)
    assert torch.equal(net.last.weight == 0, zeros)
    for name, parameter in (("0.weight", net[0].weight), ("last.weight", net.last.weight)):
        assert torch.equal(coded[name].values, parameter)
    levels = torch.cat([net[0].weight.flatten(), net.last.weight.flatten()]).unique()
    assert len(levels) == centers.numel()


def test_the_gradient_of_a_shared_value_is_the_mean_of_those_that_share_it():
    net: Any = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.tensor([[1.0, 1.0, 0.0, 2.0]]))
    weights = cluster(net, lambda v, w: k_means(v, 2))
    net(torch.tensor([[1.0, 4.0, 7.0, 9.0]])).sum().backward()
    assert weights.quantizer.centers.grad is not None
    assert weights.quantizer.centers.grad.flatten().tolist() == [0.0, 2.5, 9.0]


def test_importance_is_the_mean_square_of_gradients():
    net: Any = nn.Sequential(nn.Linear(2, 1, bias=False))
    batches = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0]])]
    found = importance(net, batches, lambda model, x: model(x).sum())
    assert found["0.weight"].tolist() == [[5.0, 2.0]]


def test_fine_tuning_goes_on_from_its_checkpoint_bit_for_bit(tmp_path):
    whole = tuned(network(), 12)
    rate = Settings(12, 0.05)
    broken = tmp_path / "run.safetensors"
    with pytest.raises(RuntimeError, match="the power went"):
        fine_tune(network(), endless, rate, checkpoint=broken, every=5, after=stop_at(7))
    resumed = fine_tune(network(), endless, rate, checkpoint=broken, every=5)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    finished = fine_tune(network(3), endless, rate, checkpoint=broken).state_dict()
    assert torch.equal(finished["0.weight"], whole.state_dict()["0.weight"])


def stop_at(step):
    def after(done):
        if done == step:
            raise RuntimeError("the power went")

    return after


@pytest.mark.parametrize("damage", [lambda d: d[:100], lambda d: b"", lambda d: d[:-9]])
def test_a_damaged_checkpoint_is_said_and_kept(tmp_path, damage):
    path = tmp_path / "run.safetensors"
    tuned(network(), 2, checkpoint=path)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(CorruptDataError, match=r"run.safetensors is no checkpoint"):
        tuned(network(), 4, checkpoint=path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_checkpoint_of_another_network_is_said(tmp_path):
    path = tmp_path / "run.safetensors"
    tuned(network(), 2, checkpoint=path)
    other = network()
    other.add_module("more", nn.Linear(3, 3))
    with pytest.raises(CorruptDataError, match=r"run.safetensors is of another network"):
        tuned(other, 4, checkpoint=path)


def test_a_student_learns_what_its_teacher_says():
    teacher, student = network(0).eval(), network(5)
    loss = distilled(teacher, temperature=2.0, share=1.0)
    x, y = data()
    before = float(loss(student.eval(), (x, y)).detach())
    tuned(student, 60, loss=loss)
    assert float(loss(student, (x, y)).detach()) < before / 2
    plain = float(distilled(teacher, share=0.0)(student, (x, y)).detach())
    assert plain == pytest.approx(float(cross_entropy(student, (x, y)).detach()))


def test_the_rate_term_takes_part():
    free, paid = network(), network()
    loose = quantize_weights(free, scale=Scale.FORWARD)
    tight = quantize_weights(paid, scale=Scale.FORWARD)
    for whole in (loose, tight):
        whole.quantizer.annealing.set(3.0)
        whole.quantizer.centers.requires_grad = False
    tuned(free, 60)
    tuned(paid, 60, rate_term=lambda: 5.0 * tight.entropy())
    assert tight.hard_entropy() < loose.hard_entropy() - 0.1


def test_a_dead_zone_leads_to_a_rate_and_training_keeps_it():
    net = network()
    weights = quantize_weights(net, quantizer=DeadZone(0.5), scale=Scale.START)
    free = weights.hard_entropy()
    found = lead_to(weights, 1.0)
    assert found <= 1.0 < free
    assert weights.hard_entropy() == pytest.approx(found, abs=1e-5)
    before = float(loss_of(net.eval()).detach())
    tuned(net, 40, after=lambda step: lead_to(weights, 1.0) and None)
    assert float(loss_of(net).detach()) < before
    assert weights.hard_entropy() <= 1.0
    coded = weights.coded()
    remove(weights)
    assert torch.equal(coded["last.weight"].values, net.last.weight)


def test_symbols_of_a_dead_zone_are_those_of_its_formula():
    quantizer = DeadZone(2.0, 3, 0.25)
    z = torch.tensor([[0.0, 1.4, 1.6, -1.6, 3.4, 3.6, 99.0, -99.0]])
    assert (quantizer.encode(z).flatten() - 3).tolist() == [0, 0, 1, -1, 1, 2, 3, -3]
    z.requires_grad_()
    values = quantizer(z).values
    assert values.tolist() == [[0.0, 0.0, 2.0, -2.0, 2.0, 4.0, 6.0, -6.0]]
    values.sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[1.0] * 8]


def test_bad_input_is_named():
    net = network()
    with pytest.raises(ArgumentError, match=r"share is 1\.5"):
        prune(net, 1.5)
    with pytest.raises(ArgumentError, match="importance lacks"):
        cluster(net, lambda v, w: k_means(v, 3), importance={})
    with pytest.raises(ArgumentError, match="only 1 shared values"):
        cluster(net, lambda v, w: uniform(v, 1e6))
    with pytest.raises(ArgumentError, match="end after 1 steps"):
        fine_tune(net, lambda start: [next(endless())][start:], Settings(3))
    with pytest.raises(DivergedError, match="at step 0 the loss is nan"):
        fine_tune(net, endless, Settings(3), loss=lambda m, b: loss_of(m) * math.nan)
    frozen = copy.deepcopy(net).requires_grad_(requires_grad=False)
    with pytest.raises(ArgumentError, match="wants a gradient"):
        fine_tune(frozen, endless, Settings(3))
    with pytest.raises(ArgumentError, match=r"share is 2"):
        distilled(net, share=2)
    weights = quantize_weights(net)
    with pytest.raises(ArgumentError, match="not a DeadZone"):
        lead_to(weights, 1.0)
    with pytest.raises(ArgumentError, match=r"legal is 0\.\.74"):
        weights.freeze(weights.symbols + 75)
