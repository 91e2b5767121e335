"""Paper B's training equations, each held to its definition; and training equal to the runtime."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.errors import ModelError  # noqa: E402
from intact.freeze.program import to_program  # noqa: E402
from intact.intnet import ops  # noqa: E402
from intact.intnet.bounds import program_bounds  # noqa: E402
from intact.train import balle2019, gradients  # noqa: E402
from intact.train.balle2019 import Balle2019  # noqa: E402
from intact.train.entropy import FactorizedPrior  # noqa: E402
from intact.train.graph import Conv, Graph  # noqa: E402
from intact.train.integer import FLOAT32_EXACT, IntegerNetwork  # noqa: E402
from intact.train.network import Network  # noqa: E402
from intact.train.noise import Noise  # noqa: E402
from intact.train.reparametrize import Chain, Gain, Spectral, real_dft  # noqa: E402


def build(name, layers, c_in=4, low=0, high=255, bits=8, seed=3, kernel=None):
    """A network of layers: (channels, activation, options of `Graph.conv`)."""
    g = Graph(name, {})
    value = g.input("u", c_in, low, high, 1.0)
    for k, (channels, activation, options) in enumerate(layers):
        value = g.conv(value, f"w{k}", channels, activation, **options)
    g.output(value, 1.0)
    generator = torch.Generator().manual_seed(seed)
    network = IntegerNetwork(g, Balle2019(bits, kernel or Chain()), generator)
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name.endswith("bias"):
                p.copy_(torch.randn(p.shape, generator=generator))
    return network


def inputs(network, height, width, seed=5):
    (u,) = network.graph.inputs
    rng = np.random.default_rng(seed)
    return rng.integers(u.low, u.high + 1, (height, width, u.channels)).astype(np.int16)


def both(network, x):
    """What training computes, and what the frozen program does."""
    program = to_program(network)
    (name,) = program.outputs
    with torch.no_grad():
        got = network.run({"u": torch.from_numpy(x)[None].float()}, torch.zeros(1))[name]
    return got[0].numpy(), ops.run(program, {"u": x}, 0)[name]


def test_kernel_rescaling_hits_one_bound_and_keeps_zero():
    h = torch.tensor([[0.5, -0.1, 0.0], [0.1, -0.5, 0.0]])
    kernel = balle2019.integer_kernel(h, 8)
    # Eq. 9: -2^(K-1) and 2^(K-1) - 1 are the bounds; one of them is reached, 0 stays 0.
    assert kernel[0].max() == 127
    assert kernel[1].min() == -128
    assert (kernel[:, 2] == 0).all()


def test_kernel_of_zeros_divides_by_epsilon_only():
    assert (balle2019.integer_kernel(torch.zeros(2, 3), 7) == 0).all()


def test_gradient_overrides_are_those_of_equation_10():
    h = torch.tensor([[0.5, -0.25]], requires_grad=True)
    balle2019.integer_kernel(h, 7).sum().backward()
    s = balle2019.kernel_scale(h.detach(), 7)
    assert torch.allclose(h.grad, (1 / s)[:, None].expand(1, 2))
    b = torch.tensor([0.3], requires_grad=True)
    balle2019.integer_bias(b, 7).sum().backward()
    assert b.grad.item() == 2**7
    c = torch.tensor([2.0], requires_grad=True)
    balle2019.integer_divisor(c, 7).sum().backward()
    assert c.grad.item() == pytest.approx(2**7 * 2 * 2.0)  # 2^K r'(c'), r' = 2 c'


def test_divisor_is_odd_and_at_least_two_to_the_k():
    c = torch.linspace(-1, 12, 200)
    divisor = balle2019.integer_divisor(c, 7)
    assert (divisor % 2 == 1).all()
    assert divisor.min() >= 2**7
    assert divisor.max() <= 2**14 - 1


def test_divisor_below_its_bound_still_learns_upwards():
    c = torch.tensor([0.5], requires_grad=True)
    (-balle2019.divisor_map(c)).sum().backward()  # descent would raise c'
    assert c.grad.item() < 0
    c = torch.tensor([0.5], requires_grad=True)
    balle2019.divisor_map(c).sum().backward()
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


def test_beta_of_a_network_is_that_of_its_gradients():
    """Infinite, it is the clip's own: nothing passes outside of 0..255."""
    network = build("layer", [(6, "relu", {})])
    x = torch.from_numpy(inputs(network, 6, 6))[None].float()
    gradient = {}
    for beta in (4.0, 16.0, math.inf):
        network.beta = beta
        network.zero_grad()
        network.run({"u": x}, torch.zeros(1))["w0"].sum().backward()
        gradient[beta] = network.get("w0", "bias").grad
    with torch.no_grad():
        (node,) = network.graph.nodes
        assert isinstance(node, Conv)
        p = network.parameters_of(node)
        acc = torch.einsum("oi,bhwi->bhwo", p.weight[:, :, 0, 0], x) + p.bias
        v = gradients.divide_round(acc, p.divisor)
        inside = ((v >= 0) & (v <= 255)) / p.divisor
    assert torch.allclose(gradient[math.inf], inside.sum((0, 1, 2)) * 2**8, rtol=1e-4)
    assert not torch.allclose(gradient[4.0], gradient[16.0], rtol=1e-2)


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


LAYERS = {
    "3x3 stride 2": (7, "relu", {"kernel": 3, "stride": 2}),
    "1x1, 4 bits": (7, "relu", {"bits": 4}),
    "depthwise": (4, "linear", {"kernel": 3, "depthwise": True}),
    "5x5 down": (6, "relu", {"kernel": 5, "stride": 2}),
    "5x5 up": (6, "relu", {"kernel": 5, "stride": 2, "transposed": True}),
    "tanh": (5, "tanh", {"kernel": 3}),
    "tanh up": (5, "tanh", {"kernel": 5, "stride": 2, "transposed": True}),
    "index of 64 levels": (6, "index", {"bits": 6}),
    "symbol": (6, "symbol", {"coded": True}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_training_forward_equals_the_program(name):
    network = build("layer", [LAYERS[name]])
    got, expected = both(network, inputs(network, 8, 10))
    assert np.array_equal(got, expected)
    assert expected.min() < expected.max()


def test_a_large_layer_is_that_of_the_float_network():
    """5x5 of stride 2 and its transpose, lowered for programs, against PyTorch's own."""
    for options in ({}, {"transposed": True}):
        network = build("layer", [(3, "stream", {"kernel": 5, "stride": 2, **options})])
        (node,) = network.graph.nodes
        assert isinstance(node, Conv)
        p = network.parameters_of(node)
        plain = Network(network.graph, torch.Generator().manual_seed(0))
        x = inputs(network, 6, 8)
        with torch.no_grad():
            plain.get("w0", "weight").copy_(p.weight)
            plain.get("w0", "bias").copy_(p.bias)
            acc = plain({"u": torch.from_numpy(x)[None].float()}, torch.zeros(1))["w0"][0]
            wanted = gradients.divide_round(acc, p.divisor).clamp(-32768, 32767)
        assert np.array_equal(both(network, x)[1], wanted.numpy())


def test_sums_beyond_float32_are_exact_in_training():
    """K = 8, 5x5, 256 channels: sums pass 2^24, where float32 has no odd integers."""
    network = build("wide", [(4, "stream", {"kernel": 5, "stride": 2})], c_in=256)
    (node,) = network.graph.nodes
    assert isinstance(node, Conv)
    with torch.no_grad():  # all taps large and of one sign, and c small: every digit counts
        h = network.get("w0", "kernel")
        h.copy_(h.abs() * 0.1 + h.abs().amax())
        network.get("w0", "divisor").fill_(2.0)
    assert network.parameters_of(node).bound(255) > 4 * FLOAT32_EXACT
    x = (inputs(network, 6, 6) | 128).astype(np.int16)
    x[:, :, ::2] = 255
    program = to_program(network)
    conv = program.ops[-1]
    acc = ops.accumulate(conv, ops.unshuffle(x.astype(np.int64), 2), 0)  # type: ignore[arg-type]
    assert acc.max() > 2 * FLOAT32_EXACT
    assert (acc % 2 == 1).any()
    p = network.parameters_of(node)
    with torch.no_grad():
        exact = torch.from_numpy(acc).double()
        again = gradients.divide_round(exact, p.divisor)
        real = network.run({"u": torch.from_numpy(x)[None].float()}, torch.zeros(1))["w0"]
    assert torch.equal(real[0], again.clamp(-32768, 32767))


@pytest.mark.parametrize("n", [1, 3, 255, 16383])
def test_division_is_equation_4(n):
    m = np.concatenate([np.arange(-4 * n, 4 * n + 1), [2**24 - 1, 1 - 2**24, 2**31 - 1]])
    got = gradients.divide_round(torch.from_numpy(m).double(), torch.full((len(m),), float(n)))
    assert np.array_equal(got.numpy(), np.float32((m + n // 2) // n))


def test_division_has_the_gradient_of_the_float_division():
    m = torch.tensor([[10.0, -7.0], [3.0, 99.0]], requires_grad=True)
    n = torch.tensor([3.0, 5.0], requires_grad=True)
    weight = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    (gradients.divide_round(m, n) * weight).sum().backward()
    got = m.grad, n.grad
    m.grad = n.grad = None
    (m / n * weight).sum().backward()
    assert torch.allclose(got[0], m.grad)
    assert torch.allclose(got[1], n.grad)


def test_an_offset_folds_into_the_bias_as_in_equation_20():
    network = build("layer", [(4, "symbol", {"coded": True})])
    offset = torch.tensor([0.25, -0.25, 0.0, 0.4])
    network.get("w0", "offset").copy_(offset)
    x = inputs(network, 8, 8)
    rounded, program = both(network, x)
    assert np.array_equal(rounded, program)
    u = {"u": torch.from_numpy(x)[None].float()}
    with torch.no_grad():
        real = network(u, torch.zeros(1), real=True)["w0"][0]
    assert not torch.equal(real, real.round())  # Eq. 18: the division stays real
    wanted = torch.round(real - offset).clamp(-128, 127).numpy()
    # Eq. 19 rounds the real quotient, Eq. 20 folds a rounded offset: they differ by the rounding.
    assert np.abs(rounded - wanted).max() <= 1
    assert (rounded != wanted).mean() < 0.05


def test_plain_integer_layers_learn_a_code():
    """Trained with the noise of Eq. 17-18, evaluated in integers by Eq. 19-20: the rate holds."""
    random = torch.Generator().manual_seed(5)
    torch.manual_seed(5)  # the decoder's weights
    mix = torch.rand((6, 2), generator=random)

    def batch():
        hidden = torch.rand((1, 16, 16, 2), generator=random)
        return torch.round(255 * torch.einsum("oi,bhwi->bhwo", mix, hidden) / mix.sum(1).max())

    encoder = build("encoder", [(16, "relu", {}), (2, "symbol", {"coded": True})], c_in=6)
    decoder = torch.nn.Linear(2, 6)
    prior = FactorizedPrior(2)
    parameters = [*encoder.parameters(), *decoder.parameters(), *prior.parameters()]
    optimizer = torch.optim.Adam(parameters, 0.02)

    def cost(u, y):
        bits = prior.bits(y).sum() / 256
        return bits, (255 * decoder(y / 16) - u).square().mean()

    history = []
    for step in range(400):
        u = batch()
        y = encoder({"u": u}, torch.zeros(1), real=True)["w1"]
        rate, distortion = cost(u, y + Noise(5, step, range(1)).like(y))
        optimizer.zero_grad()
        (rate + 0.01 * distortion).backward()
        optimizer.step()
        history.append((rate.item(), distortion.item()))
    last = np.mean(history[-50:], 0)
    assert last[1] < 0.2 * history[0][1]
    balle2019.center(encoder, "w1", prior)
    with torch.no_grad():
        u = torch.cat([batch() for _ in range(16)], 1)
        symbols = encoder.run({"u": u}, torch.zeros(1))["w1"]
        assert torch.equal(symbols, symbols.round())
        rate, distortion = cost(u, symbols + encoder.get("w1", "offset"))
    assert rate.item() / 16 == pytest.approx(last[0], rel=0.1)
    assert distortion.item() < 1.3 * last[1]


def test_the_real_fourier_basis_is_orthonormal():
    for size in (1, 3, 4, 5):
        basis = real_dft(size)
        assert torch.allclose(basis @ basis.t(), torch.eye(size), atol=1e-6)


def test_reparametrizations_chain():
    """Sadam and a gain: the kernel is the same, its gradients are those of the chain rule."""
    chain = Chain([Spectral(), Gain(0.25)])
    layer = (5, "relu", {"kernel": 3})
    plain, chained = build("layer", [layer]), build("layer", [layer], kernel=chain)
    h, p = plain.get("w0", "kernel"), chained.get("w0", "kernel")
    assert torch.allclose(chain.value(p), h, atol=1e-5)
    assert torch.allclose(chain.start(chain.value(p)), p, atol=1e-5)
    with torch.no_grad():
        h.copy_(chain.value(p))
    x = torch.from_numpy(inputs(plain, 6, 6))[None].float()
    for network in (plain, chained):
        network.run({"u": x}, torch.zeros(1))["w0"].square().sum().backward()
    basis = real_dft(3)
    assert h.grad is not None
    wanted = 0.25 * (basis @ h.grad @ basis.t())
    assert torch.allclose(p.grad, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    got, expected = both(chained, inputs(chained, 6, 6))
    assert np.array_equal(got, expected)


def second_example(seed=2):
    """§2: H 4 bits signed, b and v 16 bits signed, c 16 bits unsigned, w 4 bits signed, Qtanh."""
    layers = [(8, "tanh", {"kernel": 3}), (8, "tanh", {"kernel": 3}), (2, "tanh", {})]
    return build("qtanh", layers, c_in=2, low=-7, high=7, bits=4, seed=seed)


def test_the_papers_second_example_trains_and_freezes():
    network = second_example()
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    rng = np.random.default_rng(1)
    losses = []
    for _ in range(150):
        u = torch.from_numpy(rng.integers(-7, 8, (1, 12, 12, 2))).float()
        left = torch.nn.functional.pad(u, (0, 0, 1, 0))[:, :, :-1]
        wanted = ((u + left) / 2).clamp(-7, 7)
        got = network.run({"u": u}, torch.zeros(1))["w2"]
        loss = (got - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.25 * np.mean(losses[:3])
    got, expected = both(network, inputs(network, 9, 7))
    assert np.array_equal(got, expected)
    program = to_program(network)
    for conv in program.ops:
        assert np.abs(conv.weight).max() <= 8  # type: ignore[union-attr]
        assert conv.table is not None  # type: ignore[union-attr]
    # b, v and the accumulator have 16 bits.
    assert max(int(b.bound.max()) for b in program_bounds(program).values()) < 2**15


def test_what_has_no_integer_form_is_refused():
    g = Graph("float", {})
    g.output(g.gdn(g.input("u", 3, 0, 255, 1.0), "w"), 1.0)
    with pytest.raises(ModelError, match="w has no integer form"):
        to_program(IntegerNetwork(g, Balle2019()))


def test_divisor_above_its_cap_still_learns_downwards():
    c = torch.tensor([15.0], requires_grad=True)
    balle2019.integer_divisor(c, 7).sum().backward()
    assert c.grad.item() > 0
