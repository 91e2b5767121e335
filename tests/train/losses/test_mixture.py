"""``[loss]``: what is mixed, what is refused, and what happens when it diverges."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from intact.errors import DivergedError  # noqa: E402
from intact.train import checkpoint, config as configuration, start  # noqa: E402
from intact.train.losses import LOSSES, LossConfig, distortion  # noqa: E402


def pair():
    generator = torch.Generator().manual_seed(2)
    a = torch.rand(2, 192, 192, 3, generator=generator) * 255
    return a, a + torch.randn(a.shape, generator=generator) * 9


def mixed(config):
    a, b = pair()
    step = torch.tensor([0.5, 4.0])
    return distortion(config, a, b, step, LOSSES["mse"].distance(a, b))


def test_the_squared_error_alone_is_what_it_was():
    a, b = pair()
    assert torch.equal(mixed(LossConfig()), (b - a).square().mean((1, 2, 3)))


def test_weights_count_relative_to_their_sum():
    torch.testing.assert_close(
        mixed(LossConfig(mse=1, ms_ssim=2, ssimulacra2=3)),
        mixed(LossConfig(mse=10, ms_ssim=20, ssimulacra2=30)),
    )


def test_a_mixture_is_the_sum_of_its_parts():
    parts = [mixed(LossConfig(mse=0, **{name: 1})) for name in ("ms_ssim", "ssimulacra2")]
    expected = (2 * mixed(LossConfig()) + parts[0] + parts[1]) / 4
    torch.testing.assert_close(mixed(LossConfig(mse=2, ms_ssim=1, ssimulacra2=1)), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["loss.psnr=1"], r"unknown key loss.psnr; legal: mse, ms_ssim, ssimulacra2, masked"),
        (["loss.mse=-0.5"], r"loss.mse = -0.5, must be >= 0"),
        (["loss.mse=nan"], r"loss.mse = nan, must be >= 0"),
        (["loss.mse=inf"], r"loss.mse = inf, must be >= 0"),
        (["loss.mse=0"], r"all weights of loss are 0, one must be > 0: mse, ms_ssim, ssimul"),
        (["loss.ms_ssim=1", "data.crop=128"], r"data.crop = 128 is too small for loss.ms_.* 192"),
        (["loss.ssimulacra2=1", "data.crop=64"], r"data.crop = 64 is too small for loss.ssi.* 128"),
        (["loss.mse='much'"], r"loss.mse: 'much' should be a number"),
    ],
)  # fmt: skip
def test_mixtures_without_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        configuration.load(None, settings)


@pytest.fixture
def settings(small_run):
    mixture = ["loss.mse=0.4", "loss.ssimulacra2=0.3", "loss.ms_ssim=0.2", "loss.masked=0.1"]
    return small_run(192, "data.batch=1", "optimizer.steps=4", *mixture)


def begin(settings, **kwargs):
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"), **kwargs)


def test_a_mixture_trains_and_resumes(settings, tmp_path):
    torch.set_num_threads(1)
    begin(settings).run(lambda step, scalars: None)
    expected, _ = checkpoint.read(tmp_path / "run")
    other = [s.replace("/run", "/other") for s in settings]
    begin(other).run(lambda step, scalars: None, until=2)
    begin(other, resume=True).run(lambda step, scalars: None)
    got, _ = checkpoint.read(tmp_path / "other")
    assert all(torch.equal(expected[k], got[k]) for k in expected)


def test_a_gradient_that_is_no_number_ends_the_run_and_keeps_what_was_saved(settings, tmp_path):
    trainer = begin(settings)
    trainer.run(lambda step, scalars: None, until=2)
    with torch.no_grad():
        weight = trainer.task.codec.network("synthesis").get("first", "weight")
        weight[0, 0] = float("nan")
    with pytest.raises(
        DivergedError,
        match=r"diverged at step 3.* are not finite .*checkpoint of step 2 is sound",
    ):
        trainer.run(lambda step, scalars: None)
    tensors, state = checkpoint.read(tmp_path / "run")
    assert state["step"] == 2
    assert all(torch.isfinite(t).all() for t in tensors.values())


def test_excluded_images_are_not_read(settings, tmp_path):
    (tmp_path / "list.txt").write_text("# kept for choices\n1.png\n")
    trainer = begin([*settings, f'data.exclude="{tmp_path / "list.txt"}"'])
    kept = [np.asarray(Image.open(tmp_path / "images" / f"{i}.png")) for i in (0, 2)]
    assert len(trainer.task.data.images) == 2
    assert all(np.array_equal(a, b) for a, b in zip(trainer.task.data.images, kept, strict=True))


def test_an_excluded_image_that_does_not_exist_is_named(settings, tmp_path):
    (tmp_path / "list.txt").write_text("1.png\nlost.png\n")
    with pytest.raises(ValueError, match=r"1 of 2 excluded images .*lost.png"):
        begin([*settings, f'data.exclude="{tmp_path / "list.txt"}"'])
