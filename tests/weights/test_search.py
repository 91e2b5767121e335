"""The search for beta, on trainings that are formulas."""

import math

import pytest

pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError
from intact.weights import search_beta


def made_up(beta):
    """Bits fall slowly, then fast, then stay: like those of a ResNet-32 (5: 1.65, 7.5: 1.44)."""
    return 0.2 + 4.8 / (1 + (beta / 2.5) ** 1.1)


@pytest.mark.parametrize("bits", [0.7, 1.37, 1.6, 3.0, 4.5])
def test_the_wanted_rate_is_found_in_a_few_trainings(bits):
    best, done = search_beta(made_up, bits)
    assert abs(best.bits - bits) <= 0.03 * bits
    assert len(done) <= 7
    assert best in done


def test_a_start_that_is_far_off_is_widened_to_either_side():
    for start in ((1e-3, 1e-2), (300.0, 400.0)):
        best, _ = search_beta(made_up, 1.6, start=start, trials=16)
        assert best.bits == pytest.approx(1.6, rel=0.03)


def test_a_rate_out_of_reach_gives_the_nearest_trial_and_ends():
    calls = []
    best, done = search_beta(lambda beta: calls.append(beta) or made_up(beta), 0.01, trials=5)
    assert len(calls) == len(done) == 5
    assert best.bits == min(trial.bits for trial in done)


def test_noise_does_not_keep_it_from_ending():
    noisy = iter([0.1, -0.1, 0.05, 0.1, -0.05, 0.0, 0.1, 0.0])
    best, done = search_beta(lambda beta: made_up(beta) + next(noisy), 1.6, tolerance=1e-9)
    assert len(done) == 8
    assert abs(best.bits - 1.6) < 0.2


def test_bad_input_is_named():
    with pytest.raises(DivergedError, match="beta 1 ended at nan bits"):
        search_beta(lambda _: math.nan, 1.6)
    with pytest.raises(ArgumentError, match="a lower beta and a higher one"):
        search_beta(made_up, 1.6, start=(2.0, 2.0))
    with pytest.raises(ArgumentError, match="bits is 0"):
        search_beta(made_up, 0.0)
