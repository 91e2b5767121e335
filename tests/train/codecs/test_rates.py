"""The weight of each level in the loss."""

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError  # noqa: E402
from intact.train.codecs.rates import RateConfig  # noqa: E402
from intact.train.config import Config, from_dict  # noqa: E402


def each(rates: RateConfig, t: float) -> float:
    """The loss of one crop at level t."""
    one = torch.ones(1)
    return float(rates.loss(one, torch.tensor([t]), one))


@pytest.mark.parametrize(("t", "factor"), [(-1, 1), (-0.5, 1), (0, 1), (0.5, 3**0.5), (1, 3)])
def test_coarse_levels_count_more_where_a_run_says_so(t, factor):
    plain, coarse = RateConfig(), RateConfig(coarse_weight=3)
    assert each(coarse, t) == pytest.approx(factor * each(plain, t))


def test_a_run_from_before_there_was_a_weight_has_none():
    config = from_dict({"rate": {"step_min": 0.4}})
    assert isinstance(config, Config)
    assert config.own.rate.coarse_weight == 1


@pytest.mark.parametrize("weight", [0, -1])
def test_no_level_may_count_nothing(weight):
    with pytest.raises(ArgumentError, match=r"rate\.coarse_weight = .*, must be > 0"):
        from_dict({"rate": {"coarse_weight": weight}})
