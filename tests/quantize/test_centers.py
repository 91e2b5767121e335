"""Centers and sigma_0 from the cluster energy, and its controls."""

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import (  # noqa: E402
    fit_centers,
    grid_centers,
    hard_quantize,
    kmeans_centers,
    sample_centers,
    soft_quantize,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clusters(scale=1.0):
    """Four clusters in the plane, far apart, and where they are."""
    truth = torch.tensor([[-3.0, 0], [3, 0], [0, 4], [0, -4]])
    noise = torch.randn(1, 2000, 2, generator=generator()) / 10
    return scale * (truth.repeat(500, 1) + noise) + scale * 7, scale * truth + scale * 7


def energy(points, fit):
    return (points - soft_quantize(points, fit.centers, fit.sigma).values).square().sum(2).mean()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_sgd_on_the_cluster_energy_lowers_it_at_any_scale(scale):
    points = scale * torch.randn(2, 1000, 2, generator=generator())
    fit = fit_centers(points, 16, steps=120, batch=256, generator=generator(1))
    start = sample_centers(points, 16, generator=generator(1))
    assert fit.energy[-1] < 0.7 * fit.energy[0]
    assert energy(points, fit) < (points - hard_quantize(points, start)).square().sum(2).mean()
    assert fit.sigma > 0


def test_sigma_is_learned_with_the_centers():
    # Soft values of scalars can follow them almost exactly, at one hardness and not at others.
    points = torch.rand(1, 2000, 1, generator=generator()) * 10
    fit = fit_centers(points, 8, steps=200, batch=256, generator=generator(1))
    best = energy(points, fit)
    for factor in (0.25, 4):
        assert energy(points, fit._replace(sigma=fit.sigma * factor)) > best
    assert best < (points - hard_quantize(points, fit.centers)).square().sum(2).mean()


def test_each_group_gets_a_codebook_of_its_own():
    points = (
        torch.randn(2, 2000, 1, generator=generator()) + torch.tensor([0.0, 9.0])[:, None, None]
    )
    fit = fit_centers(points, 5, shared=False, steps=30, batch=128, generator=generator(1))
    assert fit.centers.shape == (2, 5, 1)
    assert fit.centers[0].max() < 5 < fit.centers[1].min()


def test_k_means_finds_clusters_once_each_has_a_center():
    points, truth = clusters()
    found = min(
        (kmeans_centers(points, 4, steps=12, generator=generator(i)) for i in range(3)),
        key=lambda c: float((points - hard_quantize(points, c)).square().mean()),
    )
    distances = torch.cdist(truth, found[0])
    assert distances.amin(1).max() < 0.05


def test_the_same_generator_gives_the_same_centers():
    points, _ = clusters()
    one, two = (fit_centers(points, 4, steps=5, batch=64, generator=generator(3)) for _ in range(2))
    assert torch.equal(one.centers, two.centers)
    assert one.sigma == two.sigma


def test_a_grid_has_zero_in_its_middle():
    assert grid_centers(5, 0.5)[0, :, 0].tolist() == [-1, -0.5, 0, 0.5, 1]


def test_too_few_different_points_and_numbers_that_are_none_are_named():
    with pytest.raises(ArgumentError, match="only 1 different"):
        fit_centers(torch.zeros(1, 100, 2), 4)
    with pytest.raises(ArgumentError, match="group 1 are only 3"):
        sample_centers(
            torch.stack([torch.arange(9.0), torch.arange(9.0) % 3])[:, :, None], 4, shared=False
        )
    with pytest.raises(DivergedError, match="not finite"):
        sample_centers(torch.full((1, 9, 1), float("nan")), 2)
    with pytest.raises(ArgumentError, match="size is 1"):
        grid_centers(1)
