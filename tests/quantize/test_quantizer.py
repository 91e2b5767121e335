"""The module: layouts, stages, clipping, resuming."""

import copy

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError, DivergedError  # noqa: E402
from intact.quantize import (  # noqa: E402
    Blocks,
    Exponential,
    Patches,
    Positions,
    Quantizer,
    Stage,
    clip_gradient,
    hard_quantize,
    soft_quantize,
    to_points,
)

LAYOUTS = [
    (Patches(1, 1), (2, 3, 4, 6), (2, 3, 4, 6), 1),
    (Patches(2, 3), (2, 3, 4, 6), (2, 3, 2, 2), 6),
    (Positions(1), (2, 6, 4, 5), (2, 1, 4, 5), 6),
    (Positions(3), (2, 6, 4), (2, 3, 4), 2),
    (Blocks(1), (1, 12), (1, 1, 12), 1),
    (Blocks(4), (2, 3, 8), (2, 1, 6), 4),
]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("layout", "shape", "symbols", "k"), LAYOUTS)
@pytest.mark.parametrize("training", [True, False])
def test_every_layout_keeps_the_shape_and_maps_its_symbols(layout, shape, symbols, k, training):
    quantizer = Quantizer(draw(1, 5, k), layout).train(training)
    z = draw(*shape, seed=1)
    found = quantizer(z)
    assert found.values.shape == z.shape
    assert found.symbols.shape == symbols
    assert found.q.shape == (symbols[1], 5)
    assert found.m * symbols[0] * symbols[1] == found.symbols.numel()
    assert torch.equal(layout.join(layout.split(z)).reshape(shape), z)
    assert torch.equal(quantizer.encode(z), found.symbols)
    hard = quantizer.eval()(z).values
    assert torch.equal(quantizer.decode(found.symbols).reshape(shape), hard)


def test_a_patch_is_read_row_by_row_and_stands_where_it_was():
    z = torch.arange(24.0).reshape(1, 1, 4, 6)
    parts = Patches(2, 3).split(z)
    assert parts[0, 0, 0, 1].tolist() == [3, 4, 5, 9, 10, 11]
    assert to_points(parts)[0, 2].tolist() == [12, 13, 14, 18, 19, 20]


def test_training_is_soft_and_evaluation_is_hard():
    z, c = draw(2, 3, 4, 4), draw(1, 5, 4, seed=1)
    quantizer = Quantizer(c, Patches(2, 2))
    points = to_points(Patches(2, 2).split(z))
    soft, hard = soft_quantize(points, c, 1.0), hard_quantize(points, c)
    found = quantizer(z)
    assert torch.equal(to_points(Patches(2, 2).split(found.values)), soft.values)
    assert torch.equal(found.q, soft.q)
    found = quantizer.eval()(z)
    assert torch.equal(to_points(Patches(2, 2).split(found.values)), hard)
    assert torch.equal(found.q, found.p)


def test_each_channel_can_have_its_own_centers():
    c = torch.stack([draw(5, 1), draw(5, 1) + 100])
    found = Quantizer(c, Patches()).eval()(draw(1, 2, 3, 3))
    assert found.values[:, 1].min() > 50
    assert found.values[:, 0].max() < 50


@pytest.mark.parametrize(
    ("stage", "hard", "z_learns", "centers_learn"),
    [
        (Stage.OFF, False, True, False),
        (Stage.SOFT, False, True, True),
        (Stage.HARD, True, False, True),
        (Stage.HARD_SOFT_GRADIENT, True, True, True),
        (Stage.HARD_IDENTITY_GRADIENT, True, True, True),
    ],
)
def test_each_stage_has_its_values_and_gradients(stage, hard, z_learns, centers_learn):
    z = draw(1, 30).requires_grad_()
    quantizer = Quantizer(draw(1, 5, 1, seed=1))
    quantizer.enter(stage)
    values = quantizer(z).values
    values.square().sum().backward()
    expected = quantizer.eval()(z).values
    assert torch.allclose(values, expected, atol=1e-6) == hard
    assert (z.grad is not None) == z_learns
    grad = quantizer.centers.grad
    assert (grad is not None and bool(grad.abs().sum() > 0)) == centers_learn


def test_the_soft_gradient_of_hard_values_is_that_of_soft_values():
    z, weight, grads = draw(1, 30), draw(1, 30, seed=2), []
    for stage in (Stage.SOFT, Stage.HARD_SOFT_GRADIENT):
        x = z.clone().requires_grad_()
        (Quantizer(draw(1, 5, 1, seed=1), stage=stage)(x).values * weight).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_clipping_bounds_the_gradient_of_points_on_a_border_and_of_no_others():
    c = torch.tensor([[[-1.0], [1.0]]])
    z = torch.cat([torch.zeros(1), torch.linspace(0.7, 1.3, 99)])[None]
    plain, clipped = z.clone().requires_grad_(), z.clone().requires_grad_()
    annealing = Exponential(20.0)
    Quantizer(c, annealing=annealing)(plain).values.sum().backward()
    Quantizer(c, annealing=annealing, clip=3.0)(clipped).values.sum().backward()
    mean = plain.grad.mean()
    assert plain.grad[0, 0] > 50 * mean  # sigma D^2 / 2 = 40, and next to nothing elsewhere
    assert clipped.grad[0, 0].item() == pytest.approx(3 * mean.item(), rel=1e-5)
    assert torch.equal(plain.grad[0, 1:], clipped.grad[0, 1:])


def test_clipping_takes_the_length_of_vectors_and_bears_zeros():
    x = torch.zeros(3, 2, requires_grad=True)
    (clip_gradient(x, 1.0) * torch.tensor([[3.0, 4.0], [0, 0], [0, 1]])).sum().backward()
    assert torch.allclose(x.grad[0], torch.tensor([1.2, 1.6]))  # length 5 cut to the mean, 2
    assert x.grad[1:].tolist() == [[0, 0], [0, 1]]
    x.grad = None
    (clip_gradient(x, 1.0) * 0).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3, 2))


def test_training_resumes_bit_for_bit():
    def train(quantizer, z, steps):
        for _ in range(steps):
            loss = (quantizer(z).values - z.flip(1)).square().mean()
            quantizer.centers.grad = None
            loss.backward()
            assert quantizer.centers.grad is not None
            with torch.no_grad():
                quantizer.centers -= 0.1 * quantizer.centers.grad
            quantizer.annealing.step()

    z = draw(1, 50)
    one = Quantizer(draw(1, 5, 1, seed=1), annealing=Exponential(1.0, 1.1))
    train(one, z, 3)
    one.enter(Stage.HARD_SOFT_GRADIENT)
    state = copy.deepcopy(one.state_dict())
    two = Quantizer(draw(1, 5, 1, seed=9), annealing=Exponential(7.0, 1.1))
    two.load_state_dict(state)
    train(one, z, 3)
    train(two, z, 3)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_the_rate_of_an_item_is_m_times_the_entropy_of_each_channel():
    found = Quantizer(draw(1, 5, 4), Patches(2, 2))(draw(2, 3, 4, 8))
    assert found.m == 8
    assert found.rows.shape == (3, 16)
    p = torch.full((3, 5), 0.2)
    expected = 8 * 3 * torch.log2(torch.tensor(5.0))  # all groups at log2 L, whatever q is
    assert torch.allclose(found.bits(p), expected)
    assert torch.allclose(found.p.sum(1), torch.ones(3))


def test_half_precision_features_stay_so():
    found = Quantizer(draw(1, 5, 1))(draw(1, 9).bfloat16())
    assert found.values.dtype == torch.bfloat16
    assert found.q.dtype == torch.float32


def test_bad_input_is_named():
    with pytest.raises(ArgumentError, match="3 centers, of which 2 differ"):
        Quantizer(torch.tensor([[[1.0], [2.0], [1.0]]]))
    with pytest.raises(ArgumentError, match="L from 2"):
        Quantizer(torch.zeros(1, 0, 1))
    with pytest.raises(DivergedError, match="centers are not finite"):
        Quantizer(torch.tensor([[[1.0], [float("nan")]]]))
    quantizer = Quantizer(draw(1, 5, 4), Patches(2, 2))
    with pytest.raises(ArgumentError, match="pad them"):
        quantizer(torch.zeros(1, 1, 5, 4))
    with pytest.raises(
        DivergedError, match=r"features are not finite, the first at \(0, 0, 0, 0\)"
    ):
        quantizer(torch.full((1, 1, 4, 4), float("nan")))
    with pytest.raises(ArgumentError, match="width is 0"):
        Patches(2, 0)
    with pytest.raises(ArgumentError, match="c a multiple of 3"):
        Positions(3).split(torch.zeros(1, 4, 2))
    with pytest.raises(ArgumentError, match=r"from 0 to 5; legal is 0\.\.4"):
        quantizer.decode(torch.full((1, 1, 2, 2), 5).index_fill_(3, torch.tensor([0]), 0))
