import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator

from intact.measure import bd_rate, pchip

# Points of two codecs on Kodak as published by CompressAI: JPEG and the scale hyperprior.
JPEG = (
    [0.22115, 0.42313, 0.66013, 0.90600, 1.36883],
    [23.7799, 28.0422, 30.3783, 32.0587, 34.3943],
)
HYPER = ([0.131, 0.209, 0.313, 0.474, 0.672, 0.967], [27.58, 29.20, 30.97, 32.84, 34.53, 36.74])


def test_half_the_rate_is_minus_fifty_percent():
    rates, qualities = JPEG
    assert bd_rate(rates, qualities, [r / 2 for r in rates], qualities) == pytest.approx(-50)


def test_the_same_curve_is_zero():
    assert bd_rate(*JPEG, *JPEG) == 0


def test_exchanging_the_codecs_inverts_the_ratio():
    forth, back = bd_rate(*JPEG, *HYPER), bd_rate(*HYPER, *JPEG)
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)


def test_order_of_the_points_does_not_matter():
    rates, qualities = JPEG
    assert bd_rate(rates[::-1], qualities[::-1], *HYPER) == bd_rate(*JPEG, *HYPER)


def test_equals_scipy_integrated_numerically():
    curves = [PchipInterpolator(q, np.log(r)) for r, q in (JPEG, HYPER)]
    low, high = 27.58, 34.3943
    area = quad(lambda q: curves[1](q) - curves[0](q), low, high, limit=200)[0]
    assert bd_rate(*JPEG, *HYPER) == pytest.approx(
        100 * (np.exp(area / (high - low)) - 1), abs=1e-6
    )


def test_qualities_outside_of_the_counted_range_do_not_count():
    curves = [PchipInterpolator(q, np.log(r)) for r, q in (JPEG, HYPER)]
    area = quad(lambda q: curves[1](q) - curves[0](q), 29, 33, limit=200)[0]
    expected = 100 * (np.exp(area / 4) - 1)
    assert bd_rate(*JPEG, *HYPER, between=(29, 33)) == pytest.approx(expected, abs=1e-6)
    assert bd_rate(*JPEG, *HYPER, between=(0, 99)) == bd_rate(*JPEG, *HYPER)
    with pytest.raises(ValueError, match=r"do not overlap.*counted 40 \.\. 50"):
        bd_rate(*JPEG, *HYPER, between=(40, 50))


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(-9, 9)), min_size=2, max_size=9))
def test_pchip_equals_scipy(steps):
    # Small integers on purpose: ties and turns of direction are the branches of the slope rule.
    x = np.cumsum([step for step, _ in steps]) / 10
    y = np.array([value for _, value in steps], float)
    at = np.linspace(x[0], x[-1], 41)
    assert pchip(x, y, at) == pytest.approx(PchipInterpolator(x, y)(at), abs=1e-9)


def test_pchip_never_overshoots_a_step():
    at = np.linspace(0, 5, 101)
    values = pchip([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1], at)
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize(
    ("test_curve", "message"),
    [
        (([0.1, 0.2], [50, 60]), "do not overlap"),
        (([0.1, 0.2, 0.3], [30, 29, 31]), "test: quality must grow"),
        (([0.1, 0.2], [30, 30]), "test: quality must grow"),
        (([0.0, 0.2], [29, 30]), "must be finite and > 0"),
        (([0.1], [29]), "n >= 2"),
        (([0.1, 0.2], [29]), "rates for"),
    ],
)
def test_unfit_curves_are_refused(test_curve, message):
    with pytest.raises(ValueError, match=message):
        bd_rate(*JPEG, *test_curve)
