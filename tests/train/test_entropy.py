"""Entropy models: distributions that sum to one, costs that are information."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.bits.tables import TOTAL  # noqa: E402
from intact.freeze.checkerboard import SIGMAS  # noqa: E402
from intact.freeze.tables import gaussian_pmf, hyper_tables, scale_tables  # noqa: E402
from intact.train.codecs.checkerboard import sigma_of  # noqa: E402
from intact.train.entropy import FactorizedPrior, ScaleMixture, gaussian_bits  # noqa: E402


def test_untrained_prior_is_a_symmetric_distribution_with_its_mode_at_zero():
    prior = FactorizedPrior(3)
    p = prior.probability(torch.arange(-400.0, 401.0).expand(3, -1)).detach()
    assert torch.allclose(p.sum(1), torch.ones(3), atol=1e-3)
    assert torch.allclose(p, p.flip(1), atol=1e-5)
    assert (p.argmax(1) == 400).all()  # a sign of zero once made this the least likely


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0, 40.0])
def test_gaussian_pmf_sums_to_one_and_matches_the_training_cost(sigma):
    radius = math.ceil(9 * sigma) + 3
    pmf = gaussian_pmf(sigma, radius)
    assert pmf.sum() == pytest.approx(1, abs=1e-9)
    q = np.arange(-2, 3)
    bits = gaussian_bits(torch.tensor(q, dtype=torch.float64), torch.tensor(sigma).double())
    wanted = np.minimum(-np.log2(np.maximum(pmf[radius + q], 1e-300)), -math.log2(1e-9))
    assert np.allclose(bits.numpy(), wanted, atol=1e-3)


def test_scales_are_log_spaced():
    # Eq. 15: equal ratios between neighbors.
    s = np.array([sigma_of(theta) for theta in range(256)])
    assert s[0] == pytest.approx(0.1)
    assert np.allclose(s[1:] / s[:-1], 2 ** (1 / 24), rtol=1e-9)


def test_counts_move_the_tables_towards_what_was_seen():
    counts = np.zeros((64, 21), np.int64)
    counts[20, 10] = 10**6  # table 20 met nothing but zeros
    plain, counted = scale_tables(SIGMAS), scale_tables(SIGMAS, counts)

    def zero_share(bank):
        at = int(bank.starts[20]) - int(bank.minimums[20])
        return int(bank.freqs[at]) / TOTAL

    assert zero_share(counted) > 0.98 > zero_share(plain)


def test_hyper_tables_cover_every_channel():
    assert hyper_tables(FactorizedPrior(5)).num_tables == 5


def shifted_prior(offset: float) -> FactorizedPrior:
    """Densities of two channels, the second moved up by ``offset``."""
    prior = FactorizedPrior(2)
    with torch.no_grad():
        first = torch.nn.functional.softplus(prior.matrices[0])
        prior.biases[0].sub_(first * torch.tensor([0.0, offset])[:, None, None])
    return prior


@pytest.mark.parametrize("offset", [0.25, -0.4375, 3.125])
def test_offset_is_where_the_mode_lies_off_an_integer(offset):
    assert shifted_prior(offset).offsets().tolist() == [0.0, offset - round(offset)]


def test_a_scale_mixture_is_a_mixture_of_gaussians_and_a_unit_box():
    mixture = ScaleMixture(torch.tensor([0.0, 1.3]), torch.tensor([1.0, 3.0]), scales=3)
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([[0.0, 1.0, -1.0], [0.3, 0.0, 0.2]]))
    whole = torch.arange(-150.0, 151.0).expand(1, 2, -1)
    # 1e-9 is the least mass of a symbol, so that tails add up to 3e-7
    torch.testing.assert_close(
        (2 ** -mixture.bits(whole)).sum(2), torch.ones(1, 2), atol=2e-6, rtol=0
    )
    x, shares = 0.7, torch.softmax(mixture.logits[1].detach().double(), 0)
    steps = torch.linspace(x - 0.5, x + 0.5, 20001, dtype=torch.float64)
    scales = mixture.log_scales[1].detach().double().exp()
    normal = torch.distributions.Normal(1.3, scales[:, None])
    mass = torch.trapezoid((shares[:, None] * normal.log_prob(steps).exp()).sum(0), steps)
    bits = mixture.bits(torch.tensor([[[0.0], [x]]]))[0, 1, 0].detach()
    assert float(bits) == pytest.approx(float(-torch.log2(mass)), rel=1e-5)
