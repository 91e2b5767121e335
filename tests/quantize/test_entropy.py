"""Histograms and soft entropies, held to the paper's equations."""

import math

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError  # noqa: E402
from intact.quantize import (  # noqa: E402
    MovingHistogram,
    entropy,
    entropy_of_p_by_q,
    entropy_of_q_by_p,
    hard_histogram,
    soft_assign,
    soft_histogram,
    soft_quantize,
)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_hard_histogram_counts_symbols():
    p = hard_histogram(torch.tensor([[0, 2, 2, 2], [1, 1, 0, 0]]), 3)
    assert p.tolist() == [[0.25, 0, 0.75], [0.5, 0.5, 0]]


def test_a_fair_coin_has_one_bit():
    assert entropy(torch.tensor([[0.5, 0.5, 0.0]])).item() == pytest.approx(1)


def test_the_soft_histogram_becomes_the_hard_one_as_sigma_grows():
    z, c = draw(2, 300, 2), draw(1, 6, 2, seed=1)
    found = soft_quantize(z, c, 1e6)
    assert torch.allclose(found.q, hard_histogram(found.symbols, 6), atol=1e-6)
    soft = soft_quantize(z, c, 1.0)
    assert torch.allclose(soft.q, soft_histogram(soft_assign(z, c, 1.0)), atol=1e-6)


def test_h_p_q_is_an_upper_bound_with_the_divergence_above():
    p, q = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.3, 0.2]])
    divergence = (p * (p / q).log2()).sum()
    h = entropy_of_p_by_q(p, q)
    assert h.item() == pytest.approx((entropy(p) + divergence).item())
    assert h > entropy(p)
    assert entropy_of_p_by_q(p, p).item() == pytest.approx(entropy(p).item())


def test_h_q_p_is_the_double_sum_of_equation_8():
    z, c = draw(1, 12, 1), draw(1, 4, 1, seed=1)
    p = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    phi = soft_assign(z, c, 2.0)
    terms = sum(float(phi[0, i, j]) * math.log2(p[0, j]) for i in range(12) for j in range(4))
    q = soft_quantize(z, c, 2.0).q
    assert entropy_of_q_by_p(q, p).item() == pytest.approx(-terms / 12, rel=1e-5)


def test_h_q_p_is_additive_over_items_and_h_p_q_is_not():
    q = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    p = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    mean = q.mean(0, keepdim=True)
    assert torch.allclose(entropy_of_q_by_p(mean, p[:1]), entropy_of_q_by_p(q, p).mean())
    assert not torch.allclose(entropy_of_p_by_q(p[:1], mean), entropy_of_p_by_q(p, q).mean())


def test_p_takes_no_gradient_and_q_takes_the_formulas():
    p = torch.tensor([[0.75, 0.25, 0.0]], requires_grad=True)
    q = torch.tensor([[0.5, 0.5, 0.0]], requires_grad=True)
    entropy_of_p_by_q(p, q).sum().backward()
    assert p.grad is None
    expected = -p.detach() / q.detach().clamp(min=1e-9) / math.log(2)
    assert torch.allclose(q.grad, expected)  # the center that nobody uses: 0, not NaN
    q.grad = None
    p = torch.tensor([[0.7, 0.2, 0.1]], requires_grad=True)
    entropy_of_q_by_p(q, p).sum().backward()
    assert p.grad is None
    assert torch.allclose(q.grad, -torch.log2(p.detach()))


def test_a_histogram_with_a_zero_is_named_where_its_logarithm_is_wanted():
    with pytest.raises(ArgumentError, match=r"1 of 4 .* group 1, symbol 0"):
        entropy_of_q_by_p(torch.full((2, 2), 0.5), torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    with pytest.raises(ArgumentError, match="must be equal"):
        entropy_of_q_by_p(torch.ones(1, 2), torch.ones(1, 3))


def test_the_window_holds_the_last_images_and_is_updated_every_so_often():
    histogram = MovingHistogram(1, 4, images=6, batch=3, every=2, prior=1e-9)
    for symbol in (0, 3, 1, 3, 2, 3):  # every second call counts: 0, 1, 2; two batches are held
        histogram.update(torch.full((1, 5), symbol))
    assert histogram.total.tolist() == [[0, 5, 5, 0]]
    assert torch.allclose(histogram.p(), torch.tensor([[0.0, 0.5, 0.5, 0.0]]), atol=1e-8)
    assert (histogram.p() > 0).all()


def test_the_window_resumes_from_its_state():
    one, two = (MovingHistogram(2, 3, images=4, batch=2, every=1) for _ in range(2))
    symbols = [
        torch.randint(0, 3, (2, 8), generator=torch.Generator().manual_seed(i)) for i in range(5)
    ]
    for s in symbols[:3]:
        one.update(s)
    two.load_state_dict(one.state_dict())
    for s in symbols[3:]:
        one.update(s)
        two.update(s)
    assert torch.equal(one.p(), two.p())


def test_symbols_out_of_range_are_named():
    with pytest.raises(ArgumentError, match=r"from 0 to 3; legal is 0\.\.2"):
        hard_histogram(torch.tensor([[0, 3]]), 3)
    with pytest.raises(ArgumentError, match="1 groups, not 2"):
        MovingHistogram(2, 3).update(torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ArgumentError, match="prior"):
        MovingHistogram(2, 3, prior=0.0)
