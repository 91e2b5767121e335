"""What people hand to the quantizer by mistake is refused in our words, wherever it comes in."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact import quantize as q  # noqa: E402
from intact.errors import ArgumentError, DivergedError  # noqa: E402

POINTS = torch.randn(2, 40, 4, generator=torch.Generator().manual_seed(0))
CENTERS = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(1))
FEATURES = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(2))
SYMBOLS = torch.zeros(2, 2, 4, 4, dtype=torch.int64)


def quantizer(**options):
    return q.Quantizer(CENTERS, q.Patches(2, 2), **options)


def gumbel():
    return q.GumbelQuantizer(CENTERS)


TAKERS = {
    "Quantizer": lambda x: quantizer()(x),
    "Quantizer in evaluation": lambda x: quantizer().eval()(x),
    "encode": lambda x: quantizer().encode(x),
    "Positions": lambda x: q.Quantizer(CENTERS, q.Positions())(x),
    "Blocks": lambda x: q.Quantizer(CENTERS)(x),
    "Patches.split": lambda x: q.Patches(2, 2).split(x),
    "Positions.split": lambda x: q.Positions().split(x),
    "Blocks.split": lambda x: q.Blocks(4).split(x),
    "GumbelQuantizer": lambda x: gumbel()(x),
    "GumbelQuantizer.encode": lambda x: gumbel().encode(x),
    "soft_assign": lambda x: q.soft_assign(x, CENTERS, 1.0),
    "soft_quantize": lambda x: q.soft_quantize(x, CENTERS, 1.0),
    "hard_assign": lambda x: q.hard_assign(x, CENTERS),
    "fit_centers": lambda x: q.fit_centers(x, 2, steps=1),
    "kmeans_centers": lambda x: q.kmeans_centers(x, 2),
    "centers of a Quantizer": q.Quantizer,
    "embedding": q.GumbelQuantizer,
    "soft_histogram": q.soft_histogram,
    "entropy": q.entropy,
    "bits": lambda x: quantizer()(FEATURES).bits(x),
    "entropy_of_p_by_q": lambda x: q.entropy_of_p_by_q(x, x),
}
EMPTY = {"Quantizer": (0, 2, 8, 8), "hard_assign": (2, 0, 4), "GumbelQuantizer": (0, 8, 3, 3)}


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("value", [None, [[1.0, 2.0]], np.zeros((2, 8, 4)), "features"])
def test_what_is_no_tensor_is_refused_everywhere(name, value):
    with pytest.raises(ArgumentError, match=r"not a torch\.Tensor"):
        TAKERS[name](value)


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("shape", [(0, 2, 8, 8), (2, 0, 8, 8), (2, 2, 0, 8), (0, 8), (2, 0, 4)])
def test_empty_tensors_are_refused_everywhere(name, shape):
    with pytest.raises(ArgumentError, match="shape"):
        TAKERS[name](torch.zeros(shape))


@pytest.mark.parametrize("name", TAKERS)
def test_integers_are_refused_where_numbers_are_wanted(name):
    with pytest.raises(ArgumentError, match=r"not floating point|shape"):
        TAKERS[name](torch.ones(2, 8, 4, dtype=torch.int64))


@pytest.mark.parametrize("call", [q.Quantizer.forward, q.Quantizer.encode])
def test_a_feature_that_is_not_finite_is_named_where_it_stands_in_the_features(call):
    features = FEATURES.clone()
    features[1, 0, 3, 2] = float("nan")
    with pytest.raises(DivergedError, match=r"1 of 256 .* features .* \(1, 0, 3, 2\): nan"):
        call(quantizer(), features)


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(("scale", "sigma"), [(1e25, 1.0), (1.0, 1e300)])
def test_distances_beyond_floating_point_are_refused_and_do_not_become_nan(scalar, scale, sigma):
    points, centers = (t[..., :1] if scalar else t for t in (POINTS, CENTERS))
    with pytest.raises(DivergedError, match=r"leave the range of torch\.float32"):
        q.soft_quantize(points * scale, centers, sigma)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_a_fit_whose_sigma_no_float_holds_says_so(scale):
    with pytest.raises(DivergedError, match="scale them"):
        q.fit_centers(POINTS * scale, 4, steps=2)


def test_a_fit_that_diverges_names_its_rate():
    with pytest.raises(DivergedError, match="a lower rate than 1000000"):
        q.fit_centers(POINTS, 8, steps=30, rate=1e6)


@pytest.mark.parametrize("stage", ["soft", 9, None, 1.5])
def test_a_stage_that_is_none_is_refused_at_once(stage):
    with pytest.raises(ArgumentError, match=r"legal are Stage\.OFF, Stage\.SOFT"):
        quantizer(stage=stage)
    with pytest.raises(ArgumentError, match=r"Stage\.OFF"):
        quantizer().enter(stage)
    with pytest.raises(ArgumentError, match="legal for logits"):
        gumbel().enter(stage)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fast"}, "legal are 'auto'"),
        ({"method": "grid"}, "for k = 1"),
        ({"annealing": 1.0}, "annealing is 1.0"),
        ({"clip": 0}, "clip is 0"),
    ],
)
def test_arguments_of_a_quantizer_are_checked_when_it_is_made(options, message):
    with pytest.raises(ArgumentError, match=message):
        quantizer(**options)


def test_a_layout_a_seed_and_a_generator_that_are_none_are_refused():
    wrong: Any = "patches"
    with pytest.raises(ArgumentError, match="layout is 'patches'"):
        q.Quantizer(CENTERS, wrong)
    with pytest.raises(ArgumentError, match="seed is 'patches'"):
        q.GumbelQuantizer(CENTERS, seed=wrong)
    with pytest.raises(ArgumentError, match="generator is 'patches'"):
        q.fit_centers(POINTS, 4, generator=wrong)


@pytest.mark.parametrize("make", [quantizer, gumbel])
def test_symbols_of_a_wrong_shape_or_kind_are_refused(make):
    for wrong in (None, [0, 1], SYMBOLS.float(), SYMBOLS[0, 0, 0], SYMBOLS - 1, SYMBOLS + 8):
        with pytest.raises(ArgumentError, match="symbols"):
            make().decode(wrong)


@pytest.mark.parametrize(
    ("layout", "symbols"), [(q.Patches(2, 2), SYMBOLS[:, 0]), (q.Blocks(4), SYMBOLS)]
)
def test_maps_that_a_layout_does_not_join_are_refused(layout, symbols):
    with pytest.raises(ArgumentError, match="this layout joins"):
        q.Quantizer(CENTERS, layout).decode(symbols)
    with pytest.raises(ArgumentError, match="this layout joins"):
        layout.join(torch.zeros(1, 1, 2, 2, 3))


def test_symbols_may_be_small_integers_as_files_hold_them():
    symbols = torch.full_like(SYMBOLS, 7)
    wanted = quantizer().decode(symbols)
    for kind in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(quantizer().decode(symbols.to(kind)), wanted)
        rows = symbols.to(kind).transpose(0, 1).flatten(1)
        assert torch.equal(q.hard_counts(rows, 8)[:, 7], torch.tensor([32, 32]))


@pytest.mark.parametrize("value", [0.0, -0.5, float("nan"), float("inf"), 40.0])
def test_what_is_no_probability_has_no_entropy(value):
    p = torch.tensor([[0.5, 0.5], [0.5, value]])
    with pytest.raises(ArgumentError, match=r"1 of 4 .* group 1, symbol 1"):
        q.entropy_of_q_by_p(torch.full((2, 2), 0.5), p)
    if value == 0:
        assert torch.isfinite(q.entropy(p)).all()  # 0 log 0 is 0
        return
    with pytest.raises(ArgumentError, match="legal is from 0 to 1"):
        q.entropy(p)
    with pytest.raises(ArgumentError, match="legal is from 0 to 1"):
        q.entropy_of_p_by_q(p, torch.full((2, 2), 0.5))


def test_every_annealing_takes_the_errors_so_that_one_can_stand_for_another():
    for annealing in (q.Fixed(), q.Exponential(1.0), q.GapControlled(1.0, 1.0, 10.0)):
        annealing.step(torch.tensor(1.0), torch.tensor(1.5))
        assert int(annealing.steps) == 1


@pytest.mark.parametrize("error", [torch.ones(3), "a", None])
def test_an_error_that_is_no_number_is_refused(error):
    for errors in ((error, 1.0), (1.0, error)):
        with pytest.raises(ArgumentError, match="error"):
            q.GapControlled(1.0, 1.0, 10.0).step(*errors)


def test_a_sigma_outside_its_own_bounds_is_refused_and_not_moved_into_them():
    with pytest.raises(ArgumentError, match=r"legal is at least lowest, 0\.001"):
        q.GapControlled(1e-4, 1.0, 10.0)
    assert float(q.GapControlled(1e-4, 1.0, 10.0, lowest=1e-7).sigma) == 1e-4
    with pytest.raises(ArgumentError, match="legal is at most highest, 2"):
        q.Exponential(3.0, highest=2.0)
    endless = q.GapControlled(1.0, 1e300, 10.0)
    endless.step(1.0, 1.0)
    with pytest.raises(DivergedError, match="gain of 1e"):
        endless.step(0.0, 1e300)
