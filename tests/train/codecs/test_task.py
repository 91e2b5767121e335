"""A step is a function of its number: who computes which part of it changes nothing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.train import config as configuration, start  # noqa: E402
from intact.train.noise import Noise  # noqa: E402
from intact.train.task import Share  # noqa: E402


@pytest.fixture
def task(small_run):
    config = configuration.load(None, small_run(64, "data.batch=4", "data.flat=0.5"))
    return start.trainer_for(config, torch.device("cpu")).task


def test_processes_that_share_a_batch_see_its_crops(task):
    config = task.config
    seen = {}
    for count in (1, 2, 4):
        shares = [Share(i, count).of(config.data.batch) for i in range(count)]
        crops = [task.data.crops(share, 64, 3, 17, flat=0.5) for share in shares]
        seen[count] = np.concatenate(crops)
    assert np.array_equal(seen[1], seen[2])
    assert np.array_equal(seen[1], seen[4])
    assert len(np.unique(seen[1].reshape(4, -1), axis=0)) == 4


def test_processes_that_share_a_batch_draw_its_noise():
    whole = Noise(5, 9, range(4))
    parts = [Noise(5, 9, Share(i, 2).of(4)) for i in range(2)]
    for shape in ((), (3, 2, 7)):
        drawn = torch.cat([part.uniform(*shape) for part in parts])
        assert torch.equal(whole.uniform(*shape), drawn)
    assert not torch.equal(Noise(5, 9, [0]).uniform(8), Noise(5, 10, [0]).uniform(8))


def test_the_gradients_of_shares_average_to_those_of_the_batch(task):
    def gradients(share):
        task.zero_grad()
        task(6, share)["loss"].backward()
        return {name: p.grad.clone() for name, p in task.codec.named_parameters()}

    whole = gradients(Share())
    parts = [gradients(Share(i, 2)) for i in range(2)]
    for name, grad in whole.items():
        mean = (parts[0][name] + parts[1][name]) / 2
        assert torch.allclose(grad, mean, rtol=1e-3, atol=1e-4 * float(grad.abs().max())), name


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    with pytest.raises(ValueError, match="5 crops per step cannot be shared by 2"):
        Share(0, 2).of(5)
