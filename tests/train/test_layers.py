"""Paper B's training equations, each held to its definition; and training equal to the runtime."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.intnet import ops, program as ir  # noqa: E402
from intact.train import gradients, layers  # noqa: E402
from intact.train.entropy import FactorizedPrior  # noqa: E402


def test_kernel_rescaling_hits_one_bound_and_keeps_zero():
    h = torch.tensor([[0.5, -0.1, 0.0], [0.1, -0.5, 0.0]])
    kernel = layers.integer_kernel(h, 8)
    # Eq. 9: -2^(K-1) and 2^(K-1) - 1 are the bounds; one of them is reached, 0 stays 0.
    assert kernel[0].max() == 127
    assert kernel[1].min() == -128
    assert (kernel[:, 2] == 0).all()


def test_kernel_of_zeros_divides_by_epsilon_only():
    assert (layers.integer_kernel(torch.zeros(2, 3), 7) == 0).all()


def test_gradient_overrides_are_those_of_equation_10():
    h = torch.tensor([[0.5, -0.25]], requires_grad=True)
    layers.integer_kernel(h, 7).sum().backward()
    s = layers.kernel_scale(h.detach(), 7)
    assert torch.allclose(h.grad, (1 / s)[:, None].expand(1, 2))
    b = torch.tensor([0.3], requires_grad=True)
    layers.integer_bias(b, 7).sum().backward()
    assert b.grad.item() == 2**7
    c = torch.tensor([2.0], requires_grad=True)
    layers.integer_divisor(c, 7).sum().backward()
    assert c.grad.item() == pytest.approx(2**7 * 2 * 2.0)  # 2^K r'(c'), r' = 2 c'


def test_divisor_is_odd_and_at_least_two_to_the_k():
    c = torch.linspace(-1, 12, 200)
    divisor = layers.integer_divisor(c, 7)
    assert (divisor % 2 == 1).all()
    assert divisor.min() >= 2**7
    assert divisor.max() <= 2**14 - 1


def test_divisor_below_its_bound_still_learns_upwards():
    c = torch.tensor([0.5], requires_grad=True)
    (-layers.divisor_map(c)).sum().backward()  # descent would raise c'
    assert c.grad.item() < 0
    c = torch.tensor([0.5], requires_grad=True)
    layers.divisor_map(c).sum().backward()
    assert c.grad.item() == 0


@pytest.mark.parametrize("beta", [2.0, 4.0, 100.0])
def test_qrelu_gradient_is_the_generalized_gaussian_of_equation_11(beta):
    v = torch.linspace(-100, 355, 64, requires_grad=True)
    out = gradients.qrelu(v, 8, beta)
    assert torch.equal(out, v.detach().clamp(0, 255))
    out.sum().backward()
    alpha = math.gamma(1 / beta) / beta
    wanted = [math.exp(-((alpha * abs(2 * x / 255 - 1)) ** beta)) for x in v.tolist()]
    assert torch.allclose(v.grad, torch.tensor(wanted), atol=1e-6)


def test_qrelu_gradient_integrates_to_the_outputs_range():
    # Eq. 11 is "a scaled generalized Gaussian": its integral is the clip's height, 2^L - 1.
    v = torch.linspace(-2000, 2300, 400_001, dtype=torch.float64, requires_grad=True)
    gradients.qrelu(v, 8, 4.0).sum().backward()
    assert torch.trapezoid(v.grad, v.detach()).item() == pytest.approx(255, rel=1e-3)


def test_qtanh_is_the_papers_example_and_its_table_agrees():
    v = torch.arange(-100, 101)
    wanted = [round(7 * math.tanh(x / 15)) for x in range(-100, 101)]
    assert gradients.qtanh(v.float()).tolist() == wanted
    table, first = gradients.qtanh_table()
    index = (v.clamp(first, first + len(table) - 1) - first).long()
    assert table[index].tolist() == wanted


def test_training_forward_equals_ops_for_the_papers_layer():
    generator = torch.Generator().manual_seed(3)
    layer = layers.IntegerConv2d(5, 7, kernel=3, stride=2, generator=generator)
    with torch.no_grad():
        layer.b.copy_(torch.randn(7, generator=generator))
    u = torch.randint(0, 256, (1, 5, 9, 11), generator=generator).float()
    weight, bias, divisor = (p.detach().numpy() for p in layer.integers())
    conv = ir.Conv(
        "u", "w", weight.astype(np.int64), bias.astype(np.int64), np.zeros(7, np.int64),
        divisor.astype(np.int64), stride=2, low=0, high=255,
    )  # fmt: skip
    program = ir.Program("layer", (ir.Value("u", 5, 0, 255),), (conv,), ("w",))
    x = u[0].permute(1, 2, 0).numpy().astype(np.uint8)
    expected = ops.run(program, {"u": x}, 0)["w"]
    assert np.array_equal(layer(u)[0].permute(1, 2, 0).detach().numpy(), expected)


def test_represent_folds_the_offset_as_in_equation_20():
    layer = layers.IntegerConv2d(
        3, 4, kernel=1, activation="none", generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        layer.offset.copy_(torch.tensor([0.25, -0.25, 0.0, 0.4]))
    u = torch.randint(0, 256, (1, 3, 8, 8), generator=torch.Generator().manual_seed(2)).float()
    real = layer(u) - layer.offset[:, None, None]
    # Eq. 19 rounds the real quotient, Eq. 20 folds a rounded offset: they differ by the rounding.
    assert (layer.represent(u) - torch.round(real)).abs().max() <= 1
    assert (layer.represent(u) != torch.round(real)).float().mean() < 0.05


def test_plain_integer_layers_learn_a_code():
    """Trained with the noise of Eq. 17-18, evaluated in integers by Eq. 19-20: the rate holds."""
    random = torch.Generator().manual_seed(5)
    torch.manual_seed(5)  # the decoder's weights
    mix = torch.rand((6, 2), generator=random)

    def batch():
        hidden = torch.rand((1, 2, 16, 16), generator=random)
        return torch.round(255 * torch.einsum("oi,bihw->bohw", mix, hidden) / mix.sum(1).max())

    encoder = torch.nn.Sequential(
        layers.IntegerConv2d(6, 16, kernel=1, generator=random),
        layers.IntegerConv2d(16, 2, kernel=1, activation="none", generator=random),
    )
    decoder = torch.nn.Conv2d(2, 6, 1)
    prior = FactorizedPrior(2)
    parameters = [*encoder.parameters(), *decoder.parameters(), *prior.parameters()]
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], 0.02)

    def cost(u, y):
        bits = prior.bits(y.permute(0, 2, 3, 1)).sum() / 256
        return bits, (255 * decoder(y / 16) - u).square().mean()

    history = []
    for _ in range(400):
        u = batch()
        y = encoder(u)
        noisy = y + torch.rand(y.shape, generator=random) - 0.5
        rate, distortion = cost(u, noisy)
        optimizer.zero_grad()
        (rate + 0.01 * distortion).backward()
        optimizer.step()
        history.append((rate.item(), distortion.item()))
    last = np.mean(history[-50:], 0)
    assert last[1] < 0.2 * history[0][1]
    first, final = encoder[0], encoder[1]
    final.center(prior)
    offset = final.offset.reshape(1, -1, 1, 1)
    with torch.no_grad():
        u = torch.cat([batch() for _ in range(16)], 2)
        symbols = final.represent(first(u))
        assert torch.equal(symbols, symbols.round())
        rate, distortion = cost(u, symbols + offset)
    assert rate.item() / 16 == pytest.approx(last[0], rel=0.1)
    assert distortion.item() < 1.3 * last[1]


def test_divisor_above_its_cap_still_learns_downwards():
    c = torch.tensor([15.0], requires_grad=True)
    layers.integer_divisor(c, 7).sum().backward()
    assert c.grad.item() > 0
