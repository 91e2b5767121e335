"""How sigma grows, and that it resumes bit for bit."""

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import Exponential, Fixed, GapControlled  # noqa: E402


def test_exponential_growth_is_that_of_section_5():
    annealing = Exponential(0.4, 1.001)
    for _ in range(3128):
        annealing.step()
    assert annealing.sigma.item() == pytest.approx(0.4 * 1.001**3128)  # about 20 times as hard
    assert int(annealing.steps) == 3128


def test_growth_stops_at_the_highest():
    annealing = Exponential(1.0, 2.0, highest=5.0)
    for _ in range(9):
        annealing.step()
    assert annealing.sigma.item() == 5.0


def test_a_fixed_sigma_stays_until_it_is_set():
    annealing = Fixed(2.0)
    annealing.step()
    assert annealing.sigma.item() == 2.0
    annealing.set(3.0)
    assert annealing.sigma.item() == 3.0


def test_the_gap_is_controlled_by_the_formula_of_section_4():
    annealing, sigma, gain, halving = GapControlled(9.0, 0.5, 10.0), 9.0, 0.5, 10.0
    gaps = [4.0, 3.5, 3.9, 2.0, 1.0]
    for t, gap in enumerate(gaps):
        annealing.step(soft_error=1.0, hard_error=1.0 + gap)
        sigma += gain * (gap - halving / (halving + t) * gaps[0])
        assert annealing.sigma.item() == pytest.approx(sigma)


def test_a_gap_on_its_plan_leaves_sigma_alone_and_is_halved_after_t_steps():
    annealing = GapControlled(1.0, 0.5, 10.0)
    for t in range(11):
        annealing.step(0.0, 8.0 * 10 / (10 + t))
    assert annealing.sigma.item() == pytest.approx(1.0)
    assert 8.0 * 10 / (10 + 10) == 8.0 / 2


def test_sigma_never_reaches_zero():
    annealing = GapControlled(1.0, 100.0, 10.0, lowest=0.01)
    annealing.step(0.0, 1.0)
    annealing.step(1.0, 0.0)
    assert annealing.sigma.item() == 0.01


def test_annealing_resumes_bit_for_bit():
    one, two = GapControlled(1.0, 0.3, 7.0), GapControlled(9.0, 0.3, 7.0)
    for t in range(5):
        one.step(0.0, 3.0 - t / 7)
    two.load_state_dict(one.state_dict())
    for annealing in (one, two):
        annealing.step(torch.tensor(0.1, requires_grad=True), 2.0)
    assert torch.equal(one.sigma, two.sigma)


def test_wrong_values_are_named():
    with pytest.raises(ArgumentError, match="factor"):
        Exponential(1.0, 0.0)
    with pytest.raises(ArgumentError, match="sigma is nan"):
        Fixed(float("nan"))
    with pytest.raises(ArgumentError, match="soft and the hard error"):
        GapControlled(1.0, 1.0, 1.0).step()
    with pytest.raises(DivergedError, match="hard error is nan"):
        GapControlled(1.0, 1.0, 1.0).step(1.0, float("nan"))
