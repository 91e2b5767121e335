"""A step is a function of its number: who computes which part of it changes nothing."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError  # noqa: E402
from intact.train import config as configuration, start  # noqa: E402
from intact.train.codecs.task import ImageTask, are_flat, are_smooth, bends  # noqa: E402
from intact.train.data import ImageFolder  # noqa: E402
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


@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2"])
@pytest.mark.parametrize("wanted", [("synthesis",), ("prior_a", "prior_z")])
def test_networks_that_are_not_to_be_trained_stay_as_they_are(small_run, kind, wanted):
    names = ", ".join(f'"{name}"' for name in wanted)
    settings = small_run(64, f'codec.kind="{kind}"', f"optimizer.networks=[{names}]")
    trainer = start.trainer_for(configuration.load(None, settings), torch.device("cpu"))
    before = {name: p.detach().clone() for name, p in trainer.net.named_parameters()}
    for _ in range(2):
        trainer.train_step()
    changed = {
        name.removeprefix("networks.").split(".")[0]
        for name, p in trainer.net.named_parameters()
        if not torch.equal(before[name], p)
    }
    assert changed == set(wanted)


def test_the_rate_alone_is_that_of_the_whole_codec(small_run):
    config = configuration.load(None, small_run(64, 'codec.kind="image codec 2"'))
    codec = start.trainer_for(config, torch.device("cpu")).task.codec
    image = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(3))
    image, t = image.to(torch.uint8), torch.tensor([-0.5, 0.5])
    whole = codec(image, t, Noise(1, 2, range(2)))
    alone = codec.rate(image, t, Noise(1, 2, range(2)))
    assert torch.equal(whole.bpp_y, alone.bpp_y)
    assert torch.equal(whole.bpp_z, alone.bpp_z)


@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2"])
def test_a_rate_of_rounded_latents_needs_no_noise(small_run, kind):
    """Two draws of the noise give one rate, which is that of coding."""
    settings = small_run(64, f'codec.kind="{kind}"', "optimizer.rounded=true")
    codec = start.trainer_for(configuration.load(None, settings), torch.device("cpu")).task.codec
    image = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(4))
    image, t = image.to(torch.uint8), torch.tensor([-0.5, 0.5])
    y = codec.network("analysis")({"pixels": (image.float() - 128) / 64}, t)["y"]
    drawn = [codec.code(y, t, Noise(1, step, range(2))) for step in (2, 3)]
    coded = codec.code(y, t, None)
    for one in drawn:
        assert torch.equal(one.bits_y, coded.bits_y)
        assert torch.equal(one.bits_z, coded.bits_z)


def test_a_part_that_no_codec_has_is_refused(small_run):
    settings = small_run(64, 'optimizer.networks=["prior_a", "prior_c"]')
    with pytest.raises(ArgumentError, match=r"prior_c.*analysis.*prior_a.*prior_z"):
        start.trainer_for(configuration.load(None, settings), torch.device("cpu"))


def test_what_changes_the_picture_is_drawn(small_run):
    """Steps have a gradient from it: by the rate alone they would only grow."""
    settings = small_run(64, 'codec.kind="image codec 2"', 'optimizer.networks=["step_offset"]')
    scalars = start.trainer_for(
        configuration.load(None, settings), torch.device("cpu")
    ).train_step()
    assert float(scalars["distortion"]) > 0


def test_what_does_not_change_the_picture_is_trained_without_one(small_run, monkeypatch):
    settings = small_run(64, 'codec.kind="image codec 2"', 'optimizer.networks=["prior_a"]')
    trainer = start.trainer_for(configuration.load(None, settings), torch.device("cpu"))
    synthesis = trainer.task.codec.networks["synthesis"]
    monkeypatch.setattr(synthesis, "forward", lambda *_: pytest.fail("the picture was drawn"))
    scalars = trainer.train_step()
    assert torch.isfinite(scalars["loss"])
    assert torch.isnan(scalars["mse"])  # not known, which 0 would hide


@pytest.mark.parametrize("kind", ["hyperprior", "vector"])
def test_a_rate_that_cannot_be_rounded_is_refused(small_run, kind):
    tree = {"codec": {"kind": kind}, "optimizer": {"rounded": True}}
    config = configuration.from_dict(tree)
    codec = config.kind.build(config.own, 0)
    with pytest.raises(ArgumentError, match=f"optimizer.rounded.*{kind}"):
        ImageTask(config, codec, ImageFolder.__new__(ImageFolder))


def test_a_run_goes_on_with_the_parts_that_it_trained(small_run):
    first, then = (f'optimizer.networks=["{name}"]' for name in ("prior_a", "prior_b"))
    settings = small_run(64)
    start.trainer_for(configuration.load(None, [*settings, first]), torch.device("cpu")).save()
    with pytest.raises(ValueError, match=r"optimizer.networks was \('prior_a',\)"):
        start.trainer_for(
            configuration.load(None, [*settings, then]), torch.device("cpu"), resume=True
        )


@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2"])
def test_a_run_of_fine_streams_has_them_in_all_networks_and_when_it_goes_on(small_run, kind):
    settings = small_run(64, f'codec.kind="{kind}"', "optimizer.fine_streams=true")
    config = configuration.load(None, settings)
    for resume in (False, True):
        codec = start.trainer_for(config, torch.device("cpu"), resume=resume).task.codec
        assert all(codec.network(name).fine_streams for name in codec.networks)


def test_integers_have_no_fine_streams(small_run):
    settings, fine = small_run(64, "optimizer.integer=true"), "optimizer.fine_streams=true"
    with pytest.raises(ArgumentError, match=r"optimizer.fine_streams is of float training"):
        configuration.load(None, [*settings, fine])
    run = start.trainer_for(configuration.load(None, settings), torch.device("cpu"))
    other = [s.replace("/run", "/other") for s in settings]
    config = configuration.load(None, [*other, "optimizer.integer=false", fine])
    with pytest.raises(ArgumentError, match=r"optimizer.fine_streams: all networks .* integer"):
        start.trainer_for(config, torch.device("cpu"), init=Path(run.output.folder))
    assert not (Path(run.output.folder).parent / "other").exists()


OWN_SIZES = {
    "hyperprior": ["transform.filters=8", "transform.latents=8"],
    "vector": ["transform.filters=8", "transform.channels=3", "transform.blocks=1"],
}


@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2", "hyperprior", "vector"])
def test_crops_weigh_in_the_loss_by_what_they_are(small_run, kind, monkeypatch):
    """A flat one, a gradient and noise: each its own weight, of every kind of codec."""
    settings = small_run(
        64, f'codec.kind="{kind}"', "data.batch=3", "data.flat_weight=7", "data.smooth_weight=3"
    )
    if own := OWN_SIZES.get(kind):
        settings = [s for s in settings if not s.startswith("transform")] + own
    config = configuration.load(None, settings)
    image = torch.full((3, 64, 64, 3), 77, dtype=torch.uint8)
    image[1] = torch.arange(64, dtype=torch.uint8)[:, None]
    image[2] = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(5))
    codec = config.kind.build(config.own, 0)
    task = ImageTask(config, codec, start.image_folder(config))
    monkeypatch.setattr(task, "_cut", lambda *_: image)
    given = []
    monkeypatch.setattr(codec, "loss", lambda *args: given.append(args) or args[2].sum())
    task(0, Share())
    monkeypatch.undo()
    result, t, distance, weight = given[0]
    assert weight.tolist() == [7, 3, 1]
    weighed, plain = (codec.loss(result, t, distance, w).detach() for w in (weight, None))
    assert float(weighed) > float(plain)


def test_edges_of_blocks_in_gradients_are_distortion(small_run, monkeypatch):
    """`data.smooth_edges` adds the error's bends to the distortion of smooth crops, alone."""
    image = torch.full((3, 64, 64, 3), 77, dtype=torch.uint8)
    image[1] = torch.arange(64, dtype=torch.uint8)[:, None]
    image[2] = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(5))
    settings, found = small_run(64, "data.batch=3"), []
    for weight in (0, 2):
        config = configuration.load(None, [*settings, f"data.smooth_edges={weight}"])
        codec = config.kind.build(config.own, 0)
        task = ImageTask(config, codec, start.image_folder(config))
        monkeypatch.setattr(task, "_cut", lambda *_: image)
        given = []
        monkeypatch.setattr(codec, "loss", lambda *args, g=given: g.append(args) or args[2].sum())
        task(0, Share())
        result, _, distance, _ = given[0]
        found.append(distance.detach())
    error = (result.pixels - image.float()).detach()
    assert torch.allclose(found[1][:2], found[0][:2] + 2 * bends(error)[:2])
    assert float((found[1] - found[0])[0]) > 0
    assert torch.equal(found[1][2], found[0][2])


def test_an_edge_bends_and_an_offset_does_not():
    error = torch.zeros(2, 8, 8, 3)
    error[0] += 5
    error[1, :, 4:] = 2  # two second differences of 2 in each of 8 rows of 6
    assert bends(error).tolist() == [0, pytest.approx(2 * 4 / 6)]


def test_gradients_are_smooth_and_photographs_are_not():
    """What weighs more in the loss is what changes slowly everywhere, flat or not."""
    y, x = np.mgrid[0:64, 0:64]
    gradient = np.rint(20 + 1.7 * x + 0.9 * y)
    edge = np.where(x < 30, gradient, gradient + 9)
    noise = gradient + np.random.default_rng(0).normal(0, 1.5, x.shape)
    pictures = [np.full_like(gradient, 77), gradient, edge, edge.T, noise]
    image = torch.from_numpy(np.stack(pictures).clip(0, 255).astype(np.uint8))
    image = image[..., None].expand(-1, -1, -1, 3)
    assert are_smooth(image).tolist() == [True, True, False, False, False]
    assert are_flat(image).tolist() == [True, False, False, False, False]
