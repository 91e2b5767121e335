"""A grown codec starts as the smaller one, and better where it has more to say."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.train.codecs.checkerboard import CodecNet  # noqa: E402
from intact.train.codecs.grow import color_latents, grow, lead_with_colors  # noqa: E402
from intact.train.codecs.rates import RateConfig  # noqa: E402
from intact.train.codecs.transforms import TransformConfig  # noqa: E402

SMALL = TransformConfig(
    blocks_analysis=1, blocks_synthesis=1, latents=12, hyper_latents=8, features=16,
    blocks_context=1, predicted=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(5)
    smooth = rng.integers(0, 256, (8, 17, 17, 3)).repeat(8, 1).repeat(8, 2)[:, 4:132, 4:132]
    return torch.from_numpy(
        (smooth + rng.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8)
    )


@pytest.fixture(scope="module")
def small(crops):
    net = CodecNet(SMALL, RateConfig(), seed=1)
    patches = crops.reshape(8, 8, 16, 8, 16, 3).permute(0, 1, 3, 2, 4, 5)
    net.start_as_transform_code(patches.reshape(-1, 16, 16, 3))
    return net


def run(net, crops):
    with torch.no_grad():
        return net(crops, torch.linspace(-1, 1, len(crops)), None, hard=True)


def test_more_blocks_change_next_to_nothing(small, crops):
    larger = grow(small, dataclasses.replace(SMALL, blocks_analysis=2, blocks_context=2), [])
    before, after = run(small, crops), run(larger, crops)
    assert torch.allclose(before.mse, after.mse, rtol=0.02)
    assert torch.allclose(before.bpp, after.bpp, rtol=0.02)


def test_more_latents_lower_the_error_at_the_finest_level(small, crops):
    larger = grow(small, dataclasses.replace(SMALL, latents=24), [crops])
    before, after = run(small, crops), run(larger, crops)
    assert after.mse[0] < 0.8 * before.mse[0]
    assert (after.mse < 1.02 * before.mse).all()


def test_colors_are_found_and_moved_to_the_front(small, crops):
    order = torch.arange(12).roll(4)
    moved = CodecNet(SMALL, RateConfig())
    moved.load_state_dict(small.state_dict())
    first = moved.network("synthesis").get("first", "weight")
    with torch.no_grad():
        first.copy_(first[:, order])
    expected = (color_latents(small, 3) + 4) % 12
    assert color_latents(moved, 3).tolist() == expected.sort().values.tolist()
    led = lead_with_colors(small, 3)
    assert color_latents(led, 3).tolist() == [0, 1, 2]
    # What the means were wrong by may be worth less on made-up crops; the pixels stay.
    assert torch.allclose(run(led, crops).mse, run(small, crops).mse, rtol=0.05)


@pytest.mark.parametrize("change", [{"latents": 8}, {"features": 32}, {"hyper_latents": 16}])
def test_what_cannot_grow_is_named(small, change):
    with pytest.raises(ValueError, match=f"transform.{next(iter(change))}"):
        grow(small, dataclasses.replace(SMALL, **change), [])


@pytest.mark.parametrize(
    ("before", "change", "message"),
    [
        (0, {"latents": 769}, r"must be in 1\.\.768"),
        (0, {"latents": 24, "predicted": 13}, "has 12 latents"),
        (2, {"predicted": 3}, "of which 2 are predicted"),
    ],
)
def test_what_cannot_be_predicted_is_named(small, before, change, message):
    net = lead_with_colors(small, before) if before else small
    with pytest.raises(ValueError, match=message):
        grow(net, dataclasses.replace(net.config, **change), [])


def test_integers_do_not_grow(small):
    net = CodecNet(SMALL, RateConfig())
    net.make_integer()
    with pytest.raises(ValueError, match="an integer codec cannot grow"):
        grow(net, dataclasses.replace(SMALL, latents=24), [])
