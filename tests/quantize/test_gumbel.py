"""Gumbel-softmax, held to Jang et al. 2017."""

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import (  # noqa: E402
    Fixed,
    GumbelQuantizer,
    Patches,
    Positions,
    Stage,
    hard_histogram,
)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_hard_samples_have_the_probabilities_of_the_logits():
    # The Gumbel-max trick, eq. 1: argmax(logits + noise) is distributed as softmax(logits).
    logits = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 3, 1).expand(1, 3, 20000)
    found = GumbelQuantizer(draw(1, 3, 1), stage=Stage.HARD_SOFT_GRADIENT)(logits)
    expected = torch.softmax(torch.tensor([0.0, 1.0, 2.0]), 0)
    assert torch.allclose(found.p[0], expected, atol=0.015)
    assert torch.allclose(found.q[0], expected, atol=1e-5)


def test_a_sample_is_equation_2():
    quantizer = GumbelQuantizer(draw(1, 4, 2), annealing=Fixed(1 / 0.7), seed=5)
    logits = draw(3, 4, 6, seed=1)
    rows, _ = quantizer._rows(logits)
    before = quantizer.draw.clone()
    noise = quantizer._noise(rows)
    quantizer.draw.copy_(before)
    y = torch.softmax((rows + noise) / 0.7, 2)
    values = quantizer(logits).values  # [3, 2, 6]
    assert torch.allclose(values.movedim(1, 2).flatten(0, 1), (y @ quantizer.centers)[0], atol=1e-5)


def test_evaluation_is_the_argmax_and_draws_nothing():
    quantizer = GumbelQuantizer(draw(1, 4, 2)).eval()
    logits = draw(2, 4, 5, seed=1)
    found = quantizer(logits)
    assert torch.equal(found.symbols[:, 0], logits.argmax(1))
    assert torch.equal(quantizer.encode(logits), found.symbols)
    assert torch.equal(quantizer.decode(found.symbols), found.values)
    assert quantizer.draw.tolist() == [0, 0]


def test_patches_are_put_where_their_logits_stood():
    embedding = torch.arange(12.0).reshape(1, 3, 4)
    quantizer = GumbelQuantizer(embedding, Patches(2, 2)).eval()
    logits = torch.zeros(1, 6, 1, 2)  # two channels of three logits, one row of two patches
    logits[0, 2, 0, 0] = logits[0, 1, 0, 1] = logits[0, 3 + 1, 0, 0] = 9
    found = quantizer(logits)
    assert found.symbols.tolist() == [[[[2, 1]], [[1, 0]]]]
    assert found.values[0, 0].tolist() == [[8, 9, 4, 5], [10, 11, 6, 7]]
    assert found.m == 2


def test_each_group_reads_its_own_embedding():
    embedding = torch.stack([torch.zeros(3, 2), torch.ones(3, 2)])
    values = GumbelQuantizer(embedding, Positions(2))(draw(1, 6, 4)).values
    assert torch.allclose(values, torch.tensor([0.0, 0, 1, 1])[None, :, None].expand(1, 4, 4))


@pytest.mark.parametrize("stage", [Stage.SOFT, Stage.HARD_SOFT_GRADIENT])
def test_gradients_reach_logits_and_embedding(stage):
    quantizer = GumbelQuantizer(draw(1, 4, 2), stage=stage)
    logits = draw(2, 4, 5, seed=1).requires_grad_()
    found = quantizer(logits)
    found.values.square().sum().backward()
    assert logits.grad.abs().sum() > 0
    assert quantizer.centers.grad is not None
    assert quantizer.centers.grad.abs().sum() > 0
    if stage is Stage.HARD_SOFT_GRADIENT:
        assert torch.allclose(found.values, quantizer.decode(found.symbols), atol=1e-6)


def test_samples_harden_as_the_temperature_falls():
    logits, distances = draw(1, 4, 500, seed=1), []
    for tau in (5.0, 0.5, 0.01):
        quantizer = GumbelQuantizer(torch.eye(4)[None], annealing=Fixed(1 / tau))
        distances.append(1 - quantizer(logits).values.amax(1).mean().item())
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.02


def test_noise_resumes_bit_for_bit_and_changes_from_step_to_step():
    one, two = GumbelQuantizer(draw(1, 4, 1), seed=3), GumbelQuantizer(draw(1, 4, 1), seed=8)
    logits = draw(1, 4, 9, seed=1)
    first = one(logits).values
    two.load_state_dict(one.state_dict())
    second = one(logits).values
    assert torch.equal(second, two(logits).values)
    assert not torch.equal(first, second)


def test_bad_input_is_named():
    quantizer = GumbelQuantizer(draw(2, 4, 1))
    with pytest.raises(ArgumentError, match=r"legal is \[b, c, ...\] with c 8"):
        quantizer(torch.zeros(1, 4, 3))
    with pytest.raises(ArgumentError, match="a multiple of 4"):
        GumbelQuantizer(draw(1, 4, 1))(torch.zeros(1, 6, 3))
    with pytest.raises(ArgumentError, match="legal for logits"):
        quantizer.enter(Stage.OFF)
    with pytest.raises(ArgumentError, match="seed is -1"):
        GumbelQuantizer(draw(1, 4, 1), seed=-1)
    with pytest.raises(DivergedError, match="logits are not finite"):
        quantizer(torch.full((1, 8, 3), float("nan")))


def test_histograms_agree_with_the_symbols():
    found = GumbelQuantizer(draw(1, 4, 1)).eval()(draw(2, 8, 5))
    assert torch.equal(found.q, hard_histogram(found.symbols.transpose(0, 1).flatten(1), 4))
