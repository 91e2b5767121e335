"""Soft and hard assignment: the formulas, their gradients, and every fast way held to them."""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import (  # noqa: E402
    hard,
    hard_assign,
    hard_quantize,
    look_up,
    soft,
    soft_assign,
    soft_quantize,
)

DOUBLE = torch.float64


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_soft_assignment_is_equation_7():
    z, c, sigma = draw(2, 5, 3), draw(1, 4, 3, seed=1), 0.7
    phi = soft_assign(z, c, sigma)
    for g in range(2):
        for i in range(5):
            weights = [math.exp(-sigma * float((z[g, i] - x).square().sum())) for x in c[0]]
            expected = torch.tensor(weights) / sum(weights)
            assert torch.allclose(phi[g, i], expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 4])
def test_soft_values_become_the_hard_ones_as_sigma_grows(k):
    z, c = draw(1, 50, k), draw(1, 6, k, seed=1)
    found = soft_quantize(z, c, 1e6)
    assert torch.allclose(found.values, hard_quantize(z, c), atol=1e-5)
    assert torch.equal(found.symbols, soft_assign(z, c, 1e6).argmax(2))


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("books", [1, 3])
def test_values_and_histogram_are_those_of_the_whole_matrix(k, books, monkeypatch):
    monkeypatch.setattr(soft, "PIECE", 40)  # several pieces, the last one not full
    monkeypatch.setattr(hard, "PIECE", 40)
    z, c = draw(3, 23, k), draw(books, 7, k, seed=1) + 5
    z = z + 5
    found, phi = soft_quantize(z, c, 1.5, method="exact"), soft_assign(z, c, 1.5)
    assert torch.allclose(found.values, phi @ c, atol=1e-5)
    assert torch.allclose(found.q, phi.mean(1), atol=1e-6)
    assert torch.equal(found.symbols, phi.argmax(2))


@pytest.mark.parametrize(("k", "books"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_gradients_of_points_centers_and_sigma_are_true_ones(k, books, monkeypatch):
    monkeypatch.setattr(soft, "PIECE", 15)
    z = draw(2, 7, k, dtype=DOUBLE).requires_grad_()
    c = draw(books, 5, k, seed=1, dtype=DOUBLE).requires_grad_()
    sigma = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda *a: soft_quantize(*a, method="exact")[:2], (z, c, sigma), fast_mode=True
    )


def test_the_derivative_of_a_scalar_is_two_sigma_times_the_variance_of_centers():
    # d Q~ / dz = 2 sigma Var_phi(c): between two centers D apart it is sigma D^2 / 2 (footnote 2).
    z = torch.zeros(1, 1, 1, requires_grad=True)
    soft_quantize(z, torch.tensor([[[-1.5], [1.5]]]), 10.0, method="exact").values.sum().backward()
    assert z.grad.item() == pytest.approx(10.0 * 3.0**2 / 2)


def gradients(method, c, sigma, count=20000):
    z = (2 * draw(2, count, 1)).requires_grad_()
    c, sigma = c.clone().requires_grad_(), torch.tensor(sigma, requires_grad=True)
    found = soft_quantize(z, c, sigma, method=method)
    loss = (found.values * draw(2, count, 1, seed=2)).sum()
    loss = loss + 1e3 * (found.q * draw(2, c.shape[1], seed=3)).sum()
    loss.backward()
    return found.values, found.q, z.grad, c.grad, sigma.grad


@pytest.mark.parametrize("sigma", [0.1, 2.0, 9.0, 40.0])
@pytest.mark.parametrize("spread", ["even", "random", "crowded"])
def test_the_grid_is_as_near_to_the_exact_way_as_it_says(spread, sigma):
    c = {
        "even": torch.linspace(-37, 37, 75)[None, :, None],
        "random": draw(1, 20, 1, seed=1),
        "crowded": torch.cat([draw(1, 20, 1, seed=1) / 100, torch.full((1, 1, 1), 3.0)], 1),
    }[spread]
    exact, grid = gradients("exact", c, sigma), gradients("grid", c, sigma)
    for name, a, b in zip(["values", "q", "dz", "dc", "dsigma"], exact, grid, strict=True):
        error = (a - b).abs().max() / a.abs().max()
        assert error < (1e-2 if name == "dsigma" else 1e-3), name


def test_a_finer_tolerance_gives_a_finer_grid():
    z, c = draw(1, 5000, 1), draw(1, 9, 1, seed=1)
    exact = soft_quantize(z, c, 5.0, method="exact").values
    errors = [
        (soft_quantize(z, c, 5.0, method="grid", tolerance=t).values - exact).abs().max()
        for t in (1e-3, 1e-5)
    ]
    assert errors[1] < errors[0] / 30


def test_a_grid_that_would_take_too_much_memory_is_refused_and_not_chosen():
    z, c = draw(1, 1000, 1), draw(1, 75, 1, seed=1)
    with pytest.raises(ArgumentError, match="take 'exact'"):
        soft_quantize(z, c, 1e9, method="grid")
    assert torch.allclose(soft_quantize(z, c, 1e9).values, hard_quantize(z, c), atol=1e-6)


def test_points_far_from_all_centers_and_equal_points_are_fine():
    z, c = torch.full((1, 40, 1), 1e4), draw(1, 75, 1)
    for method in ("exact", "grid", "auto"):
        found = soft_quantize(z, c, 1.0, method=method)
        assert torch.allclose(found.values, c.max().expand(1, 40, 1))
        assert found.q.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("k", [1, 2, 16])
def test_ties_go_to_the_lowest_index(k):
    low, high = torch.zeros(k), torch.full((k,), 2.0)
    middle = torch.ones(1, 1, k)
    assert hard_assign(middle, torch.stack([low, high])[None]).item() == 0
    assert hard_assign(middle, torch.stack([high, low])[None]).item() == 0
    assert hard_assign(middle, torch.stack([high + 9, low, high, low])[None]).item() == 1


@pytest.mark.parametrize("k", [1, 3])
def test_hard_assignment_is_the_nearest_in_float64_beside_every_border(k):
    # Integers have many ties; the same with the last bit of a number changed has near ties.
    generator = torch.Generator().manual_seed(0)
    c = torch.randint(-6, 7, (1, 9, k), generator=generator).float()
    z = torch.randint(-12, 13, (1, 4000, k), generator=generator).float() / 2
    up, down = (torch.nextafter(z, torch.full_like(z, end)) for end in (99.0, -99.0))
    z = torch.cat([z, up, down], 1)
    distances = (z[:, :, None].double() - c[:, None].double()).square().sum(3)
    assert torch.equal(hard_assign(z, c), distances.argmin(2))
    assert torch.equal(soft_quantize(z, c, 1.0).symbols, distances.argmin(2))


def test_hard_assignment_of_scalars_finds_crowded_and_far_centers():
    c = torch.tensor([0.0, 1e-7, 2e-7, 3e-7, 1e4, -1e-7])[None, :, None]
    z = torch.cat([c[0, :, 0], torch.tensor([1e30, -1e30, 5000.0, 5001.0])])[None, :, None]
    assert hard_assign(z, c).tolist() == [[0, 1, 2, 3, 4, 5, 4, 5, 3, 4]]


def test_a_gradient_of_hard_values_reaches_the_centers_that_are_used():
    c = draw(1, 4, 2).requires_grad_()
    z = c.detach()[:, [1, 1, 3]] + 0.01
    hard_quantize(z, c).sum().backward()
    assert c.grad[0].tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]


@pytest.mark.parametrize(("k", "method"), [(1, "grid"), (1, "exact"), (4, "exact")])
def test_autocast_changes_nothing(k, method):
    def run():
        z, c = draw(1, 300, k).requires_grad_(), draw(1, 20, k, seed=1).requires_grad_()
        found = soft_quantize(z, c, 3.0, method=method)
        (found.values.sum() + found.q[0, 0]).backward()
        return *found, z.grad, c.grad

    expected = run()
    with torch.autocast("cpu"):
        found = run()
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, DOUBLE])
def test_values_have_the_type_of_the_points(dtype):
    found = soft_quantize(draw(1, 9, 1).to(dtype), draw(1, 4, 1).to(dtype), 1.0)
    assert found.values.dtype == dtype


@pytest.mark.parametrize("method", ["exact", "grid", "auto"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_point_that_is_no_number_is_named(method, bad):
    z = torch.zeros(1, 9, 1)
    z[0, 4] = bad
    with pytest.raises(DivergedError, match=r"1 of 9 values of the points .* \(0, 4, 0\)"):
        soft_quantize(z, draw(1, 4, 1), 1.0, method=method)
    with pytest.raises(DivergedError, match="centers"):
        hard_assign(torch.zeros(1, 2, 1), z)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(1, 3), torch.zeros(1, 2, 1), 1.0), "points have shape"),
        ((torch.zeros(1, 3, 1), torch.zeros(1, 0, 1), 1.0), "none empty"),
        ((torch.zeros(3, 3, 1), torch.zeros(2, 2, 1), 1.0), "do not fit"),
        ((torch.zeros(1, 3, 2), torch.zeros(1, 2, 1), 1.0), "do not fit"),
        ((torch.zeros(1, 3, 1).int(), torch.zeros(1, 2, 1), 1.0), "floating"),
        ((torch.zeros(1, 3, 1), torch.zeros(1, 2, 1), 0.0), "sigma is 0.0"),
        ((torch.zeros(1, 3, 1), torch.zeros(1, 2, 1), torch.ones(2)), "one number"),
        ((torch.zeros(1, 3, 1), torch.zeros(1, 2, 1), "hard"), "not a number"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        soft_quantize(*arguments)


def test_wrong_methods_and_symbols_are_named():
    z, c = torch.zeros(1, 3, 2), torch.zeros(1, 2, 2)
    with pytest.raises(ArgumentError, match="for k = 1"):
        soft_quantize(z, c, 1.0, method="grid")
    wrong: Any = "fast"
    with pytest.raises(ArgumentError, match="legal are 'auto'"):
        soft_quantize(z, c, 1.0, method=wrong)
    with pytest.raises(ArgumentError, match=r"legal is 0\.\.1"):
        look_up(torch.tensor([[2]]), c)
