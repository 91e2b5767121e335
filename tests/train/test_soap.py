"""SOAP: Adam where there is nothing to rotate, and better than Adam where there is."""

import pytest

torch = pytest.importorskip("torch")

from intact.train.soap import Soap, _eigenvectors  # noqa: E402


def descend(optimizer, parameter, loss, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(parameter)
        value.backward()
        optimizer.step()
    return float(loss(parameter).detach())


def test_vectors_get_plain_adam():
    target = torch.linspace(-1, 2, 7)
    ours, theirs = (torch.nn.Parameter(torch.zeros(7)) for _ in range(2))

    def loss(p):
        return ((p - target) ** 2 * torch.arange(1, 8)).sum()

    descend(Soap([ours], 0.05), ours, loss, 30)
    descend(torch.optim.Adam([theirs], 0.05, betas=(0.95, 0.95), eps=1e-8), theirs, loss, 30)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_rotated_ill_conditioned_problem_is_easier_than_for_adam():
    """Inputs and outputs of very different, hidden directions, as behind correlated pixels."""
    results = {}
    for name, make in (
        ("soap", lambda p: Soap([p], 0.1)),
        ("adam", lambda p: torch.optim.Adam([p], 0.1, betas=(0.95, 0.95))),
    ):
        random = torch.Generator().manual_seed(3)
        left, right = (
            torch.logspace(0, -2, n)[:, None]
            * torch.linalg.qr(torch.randn(n, n, generator=random))[0]
            for n in (24, 40)
        )
        target = torch.randn(24, 40, generator=random)
        parameter = torch.nn.Parameter(torch.zeros(24, 40, 1, 1))
        optimizer = make(parameter)
        for step in range(300):
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
            optimizer.zero_grad()
            inputs = torch.randn(64, 40, generator=random) @ right
            error = inputs @ (parameter[:, :, 0, 0] - target).t() @ left.t()
            (error**2).mean().backward()
            optimizer.step()
        error = right @ (parameter.detach()[:, :, 0, 0] - target).t() @ left.t()
        results[name] = float((error**2).mean())
    assert results["soap"] < 0.1 * results["adam"]


def test_bases_stay_orthogonal_and_long_sides_are_left_alone():
    generator = torch.Generator().manual_seed(4)
    parameter = torch.nn.Parameter(torch.randn(20, 300, 1, 1, generator=generator))
    optimizer = Soap([parameter], 0.01, max_side=256)
    descend(optimizer, parameter, lambda p: (p[:, :5] ** 4).sum() + (p * p[:1]).sum(), 25)
    state = optimizer.state[parameter]
    assert "right" not in state
    basis = state["left_basis"]
    assert torch.allclose(basis.t() @ basis, torch.eye(20), atol=1e-5)


def test_narrow_matrices_get_plain_adam():
    parameter = torch.nn.Parameter(torch.ones(192, 1, 3, 3))  # a depthwise filter bank
    optimizer = Soap([parameter], 0.01)
    descend(optimizer, parameter, lambda p: (p**2).sum(), 2)
    assert set(optimizer.state[parameter]) == {"step", "moment", "square"}


@pytest.mark.parametrize("failures", [1, 9])
def test_a_decomposition_that_fails_does_not_end_the_training(failures, monkeypatch):
    real, left = torch.linalg.eigh, [failures]

    def eigh(matrix):
        left[0] -= 1
        if left[0] >= 0:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        return real(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", eigh)
    average = torch.diag(torch.tensor([1.0, 3.0, 2.0]))
    basis = _eigenvectors(average)
    torch.testing.assert_close(basis @ basis.t(), torch.eye(3, dtype=torch.float64))
    if failures == 1:  # a little damping changes no direction
        torch.testing.assert_close(basis[1, 0].abs(), torch.ones((), dtype=torch.float64))


def test_no_step_is_longer_than_adams():
    """Rows that seldom have a gradient, columns of very different size: sparse latents.

    Second moments of the old bases would make a step of the new ones 147,000 times as long.
    """
    generator = torch.Generator().manual_seed(5)
    parameter = torch.nn.Parameter(torch.zeros(32, 48, 1, 1))
    optimizer = Soap([parameter], 1.0, refresh=20)
    longest = 0.0
    for _ in range(60):
        seen = (torch.rand(32, 1, generator=generator) < 0.1).float()
        gradient = seen * torch.randn(32, 48, generator=generator) * torch.logspace(0, -4, 48)
        parameter.grad = gradient.reshape(parameter.shape)
        before = parameter.detach().clone()
        optimizer.step()
        longest = max(longest, float((parameter.detach() - before).norm()))
    assert longest <= 1.001 * parameter.numel() ** 0.5
