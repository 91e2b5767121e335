"""Entropy models: distributions that sum to one, costs that are information."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.bits.tables import TOTAL  # noqa: E402
from intact.freeze.tables import gaussian_pmf, hyper_tables, scale_tables  # noqa: E402
from intact.train.codec_net import CodecNet, RateConfig  # noqa: E402
from intact.train.entropy import FactorizedPrior, gaussian_bits, scale_from_theta  # noqa: E402
from intact.train.transforms import TransformConfig  # noqa: E402


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
    s = scale_from_theta(torch.arange(0, 256.0))
    assert s[0].item() == pytest.approx(0.1)
    assert torch.allclose(s[1:] / s[:-1], torch.full((255,), 2 ** (1 / 24)), rtol=1e-4)


def test_counts_move_the_tables_towards_what_was_seen():
    counts = np.zeros((64, 21), np.int64)
    counts[20, 10] = 10**6  # table 20 met nothing but zeros
    plain, counted = scale_tables(), scale_tables(counts)

    def zero_share(bank):
        at = int(bank.starts[20]) - int(bank.minimums[20])
        return int(bank.freqs[at]) / TOTAL

    assert zero_share(counted) > 0.98 > zero_share(plain)


def test_hyper_tables_cover_every_channel():
    assert hyper_tables(FactorizedPrior(5)).num_tables == 5


def shifted_prior(offset: float) -> FactorizedPrior:
    """Densities of two channels, the second moved up by ``offset``."""
    prior = FactorizedPrior(2)
    prior.shift(torch.tensor([0.0, -offset]))
    return prior


@pytest.mark.parametrize("offset", [0.25, -0.4375, 3.125])
def test_offset_is_where_the_mode_lies_off_an_integer(offset):
    assert shifted_prior(offset).offsets().tolist() == [0.0, offset - round(offset)]


def test_shift_moves_a_density_and_centering_its_mode():
    prior, x = shifted_prior(0.3), torch.linspace(-5, 5, 41).expand(2, -1)
    before = prior.probability(x + 0.5)
    prior.shift(torch.full((2,), 0.5))
    assert torch.allclose(prior.probability(x), before, atol=1e-6)
    prior.shift(prior.offsets())
    assert prior.offsets().abs().max() == 0


def test_centering_hyper_latents_changes_no_function():
    """Eq. 19 and 20: what was sent as z + o is sent as z, and read as z + o."""
    config = TransformConfig(1, 1, 16, 4, 8, 1)
    net = CodecNet(config, RateConfig(), seed=4)
    net.prior_z.shift(torch.tensor([0.2, -0.4, 0.0, 1.3]))
    offsets, level = net.prior_z.offsets(), torch.zeros(1)
    y, z = torch.randn(1, 8, 8, 16), 5 * torch.randn(1, 2, 2, 4)
    with torch.no_grad():
        sent = net.networks["hyper_analysis"]({"y": y}, level)["z"]
        read = net.networks["hyper_synthesis"]({"z": z + offsets}, level)["f"]
        bits = net.prior_z.bits(z + offsets)
        net.center_hyper_latents()
        assert torch.allclose(net.networks["hyper_analysis"]({"y": y}, level)["z"], sent - offsets)
        again = net.networks["hyper_synthesis"]({"z": z}, level)["f"]
        assert torch.allclose(again, read, atol=1e-5)
        assert torch.allclose(net.prior_z.bits(z), bits, atol=1e-4)
    assert net.prior_z.offsets().abs().max() == 0
