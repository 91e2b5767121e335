"""Scalars that share values: against the definitions, and against an exhaustive search."""

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, CorruptDataError, DivergedError  # noqa: E402
from intact.weights.assign import (  # noqa: E402
    Clusters,
    _cheapest,
    ecsq,
    for_bits,
    k_means,
    uniform,
)
from intact.weights.gaps import from_gaps, to_gaps  # noqa: E402


def values(n=4000, seed=0):
    z = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    return z * z.abs()  # tails like those of weights


def error(x, found: Clusters):
    return float((x - found.centers[found.symbols]).square().sum())


def every_partition(x, size):
    """The least squared error of sorted values in ``size`` intervals, by trying all."""
    ordered = x.sort().values.tolist()
    best = math.inf
    for cut in itertools.combinations(range(1, len(ordered)), size - 1):
        parts = [ordered[a:b] for a, b in itertools.pairwise((0, *cut, len(ordered)))]
        best = min(best, sum(float(np.var(p)) * len(p) for p in parts))
    return best


def test_k_means_ends_where_centers_are_means_and_values_take_the_nearest():
    x = values()
    found = k_means(x, 12)
    for j, center in enumerate(found.centers):
        assert center == pytest.approx(float(x[found.symbols == j].double().mean()), abs=1e-6)
    nearest = (x[:, None] - found.centers).abs().argmin(1)
    assert int((nearest != found.symbols).sum()) == 0


def test_k_means_is_near_the_best_of_all_partitions():
    x = values(14, seed=3)
    assert error(x, k_means(x, 3)) <= 1.2 * every_partition(x, 3)


def test_importance_draws_centers_to_the_values_that_count():
    x = torch.tensor([0.0, 1.0, 10.0, 11.0])
    found = k_means(x, 2, torch.tensor([1.0, 3.0, 0.0, 0.0]))
    assert found.centers.tolist() == pytest.approx([0.75, 10.5])
    assert found.symbols.tolist() == [0, 0, 1, 1]


def test_uniform_clusters_are_cells_of_a_grid_with_their_means():
    x = torch.tensor([-0.9, -0.6, 0.1, 0.2, 2.2])
    found = uniform(x, 1.0)
    assert found.symbols.tolist() == [0, 0, 1, 1, 2]
    assert found.centers.tolist() == pytest.approx([-0.75, 0.15, 2.2])


def test_ecsq_costs_less_than_rounding_at_the_same_rate():
    x = values()
    plain = uniform(x, 2.5)
    found = for_bits(lambda t: ecsq(x, 60, t), plain.bits(), 1e-6, 10.0)
    assert found.bits() == pytest.approx(plain.bits(), abs=0.02)
    assert error(x, found) < 0.98 * error(x, plain)


def test_ecsq_without_a_price_of_bits_is_k_means():
    x = values(300)
    found = ecsq(x, 5, 0.0)
    nearest = (x[:, None] - found.centers).abs().argmin(1)
    assert torch.equal(nearest, found.symbols)


def test_the_cheapest_cluster_is_that_of_a_search_through_all():
    x = values(2000)
    generator = torch.Generator().manual_seed(5)
    for size in (1, 2, 7, 40):
        centers = torch.randn(size, generator=generator).double().sort().values
        costs = torch.rand(size, generator=generator).double()
        found = _cheapest(x, centers, costs, None)
        all_costs = (x.double()[:, None] - centers).square() + costs
        assert torch.allclose(all_costs.gather(1, found[:, None])[:, 0], all_costs.min(1).values)
    twice = torch.tensor([0.0, 0.0, 1.0]).double()
    found = _cheapest(torch.tensor([0.1, 0.9]), twice, torch.tensor([1.0, 0.5, 0.5]).double(), None)
    assert found.tolist() == [1, 2]


def test_ecsq_at_a_high_price_is_one_value():
    found = ecsq(values(300), 9, 1e6)
    assert len(found.centers) == 1
    assert found.bits() == 0


def test_a_rate_is_found():
    x = values()
    found = for_bits(lambda step: uniform(x, step), 2.0, 1e-3, 100.0)
    assert found.bits() == pytest.approx(2.0, abs=0.02)


def test_more_clusters_than_values_leave_each_its_own():
    x = torch.tensor([3.0, 1.0, 2.0, 2.0])
    found = k_means(x, 10)
    assert found.centers[found.symbols].tolist() == pytest.approx(x.tolist())
    assert len(found.centers) == 3


def test_bad_input_is_named():
    x = values(10)
    with pytest.raises(DivergedError, match="not all finite"):
        k_means(torch.tensor([1.0, math.nan]), 2)
    with pytest.raises(ArgumentError, match=r"values are torch.int64 \[2\]"):
        uniform(torch.tensor([1, 2]), 1.0)
    with pytest.raises(ArgumentError, match="importance has shape"):
        k_means(x, 2, torch.ones(3))
    with pytest.raises(ArgumentError, match="negative"):
        k_means(x, 2, -torch.ones(10))
    with pytest.raises(ArgumentError, match="trade is -1"):
        ecsq(x, 2, -1.0)
    with pytest.raises(ArgumentError, match="step"):
        uniform(x, 0.0)


@pytest.mark.parametrize("longest", [1, 3, 255])
def test_gaps_give_the_row_back(longest):
    rng = np.random.default_rng(longest)
    for n in (0, 1, 5, 400):
        row = np.where(rng.random(n) < 0.2, rng.integers(-9, 9, n), 0)
        gaps, left = to_gaps(row, longest)
        assert gaps.size == 0 or gaps.max() <= longest
        assert np.array_equal(from_gaps(gaps, left, n, longest), row)


def test_a_long_gap_is_filled_as_han_et_al_do():
    gaps, left = to_gaps(np.array([0] * 7 + [5, 0, 6]), 3)
    assert gaps.tolist() == [3, 3, 1, 1]
    assert left.tolist() == [5, 6]


def test_gaps_that_reach_beyond_the_row_are_noticed():
    gaps, left = to_gaps(np.array([0, 0, 4]))
    with pytest.raises(CorruptDataError, match="reach to 2"):
        from_gaps(gaps, left, 2)
    with pytest.raises(CorruptDataError, match="followed by 0"):
        from_gaps(gaps, left[:0], 3)
