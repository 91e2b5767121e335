"""Latents refined at encode time: better files, and files like any other."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import intact
import intact.pillow  # registers
from intact.bits.tables import TOTAL
from intact.codec.encoder import Encoder
from intact.codec.networks import Networks
from intact.codec.runtime import Runtime
from intact.codec.target import Target, search
from intact.container.image_file import unpack_image
from intact.errors import UnsupportedError
from tiny_channelwise import tiny_channelwise_model
from tiny_hyperprior import tiny_hyperprior
from tiny_model import picture, tiny_model

torch = pytest.importorskip("torch")

from intact import refine  # noqa: E402
from intact.intnet.program import Conv  # noqa: E402
from intact.refine import frozen, judge, refiner  # noqa: E402
from intact.refine.gumbel import Annealed  # noqa: E402
from intact.train.losses import LossConfig  # noqa: E402
from small_models import small_model  # noqa: E402

LEVEL = 40


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Enough to see that it helps."""
    monkeypatch.setitem(refiner.EFFORTS, 2, refiner.Effort(20, 0.012))


@pytest.fixture(scope="module")
def models():
    return {kind: small_model(kind) for kind in (1, 2)}


def encoder(image, model, effort=0):
    return Encoder(image, model, runtime=Runtime("numpy", 1), effort=effort)


def squared_error(encoded, image):
    return np.square(encoded.pixels[..., :3].astype(float) - image[..., :3]).mean()


@pytest.mark.parametrize("kind", [1, 2])
def test_an_effort_makes_files_better_at_the_levels_exchange_of_bits_and_errors(kind, models):
    image, model = picture(90, 130, 3, 7), models[kind]
    plain = encoder(image, model).encode(LEVEL)
    refined = encoder(image, model, effort=2).encode(LEVEL)
    by = refiner.Refiner(model, LEVEL, 2)
    before, after = (by.cost(image, ((e.data,), e.pixels, e.pixels)) for e in (plain, refined))
    assert after < 0.995 * before


@pytest.mark.parametrize("kind", [1, 2])
def test_a_refined_file_decodes_as_any_other(kind, models):
    image, model = picture(90, 130, 3, 7), models[kind]
    encoded = encoder(image, model, effort=2).encode(LEVEL)
    for backend in ("numpy", "reference"):
        decoded = intact.decode(encoded.data, model=model, backend=backend).pixels
        np.testing.assert_array_equal(decoded, encoded.pixels)
    part = intact.decode(encoded.data, model=model, region=(37, 20, 50, 61)).pixels
    np.testing.assert_array_equal(part, encoded.pixels[20:81, 37:87])
    assert encoder(image, model, effort=2).encode(LEVEL).data == encoded.data


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 3), (70, 200)])
@pytest.mark.parametrize("kind", [1, 2])
def test_any_size_and_several_windows_give_sound_files(height, width, kind, models, monkeypatch):
    monkeypatch.setattr(refiner, "SIDE", 4)
    stages = []
    runtime = Runtime("numpy", 1, stages.append)
    image, model = picture(height, width, 3, 3), models[kind]
    data = Encoder(image, model, runtime=runtime, effort=2).encode(LEVEL).data
    assert intact.decode(data, model=model).pixels.shape == image.shape
    columns, rows = (-(-side // 64) for side in (width, height))
    assert f"refining {columns * rows} of {columns * rows}" in stages


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_gray_and_alpha_are_refined_too(channels, models):
    image, model = picture(48, 80, 3, 5), models[2]
    image = np.dstack([image, image[..., :1]])[..., -channels:]
    data = intact.encode(image, model=model, effort=2)
    found = intact.decode(data, model=model).pixels
    assert found.shape[:2] == image.shape[:2]
    if channels in (2, 4):
        np.testing.assert_array_equal(found[..., -1], image[..., -1])


def test_windows_fill_the_grid_and_begin_at_even_places():
    for shape in ((1, 1), (32, 33), (100, 7), (65, 64)):
        count = np.zeros(shape, int)
        for window in refiner.windows(shape):
            count[window.slices] += 1
            assert window.top % 2 == window.left % 2 == 0
            assert max(window.shape) <= refiner.SIDE + 1
        assert (count == 1).all()


@pytest.mark.parametrize(
    ("said", "shares"),
    [
        ("mse 0.4, ms_ssim 0.05, ssimulacra2 0.35, masked 0.2",
         {"mse": 0.4, "ms_ssim": 0.05, "ssimulacra2": 0.35, "masked": 0.2}),
        ("mse 1", {"mse": 1.0}),
        ("", {"mse": 1.0}),
        ("beauty 3, mse nan, ssimulacra2 -1, masked inf, mse", {"mse": 1.0}),
        ("ssimulacra2 2", {"ssimulacra2": 1.0}),
    ],
)  # fmt: skip
def test_a_model_is_refined_for_the_loss_that_it_was_trained_for(said, shares, models):
    model = replace(models[1], info={"loss": said})
    assert judge.loss_of(model).shares() == pytest.approx(shares)


def test_small_pictures_are_judged_by_squared_error():
    mixture = LossConfig(mse=0.5, ssimulacra2=0.5)
    a = torch.full((1, 160, 160, 3), 100.0)
    b = a.clone()
    b[:, ::2] += 8
    squared = judge.Judge(LossConfig(), 2.0)
    small, large = (judge.Judge(mixture, 2.0).bits(a[:, :n], b[:, :n]) for n in (64, 160))
    assert small == squared.bits(a[:, :64], b[:, :64])
    assert small == pytest.approx(0.02 / 4 * 64 * 160 * 32)
    assert large != squared.bits(a, b)


@pytest.mark.parametrize("worse", [0, 1])
def test_what_is_not_better_is_not_kept(worse, models, monkeypatch):
    """The file is the best of three: once, twice, refined; by what the model was trained for."""
    image, model = picture(48, 80, 3, 5), models[1]
    files = [encoder(image, model, effort=effort).encode(LEVEL) for effort in (0, 1)]
    assert files[0].data != files[1].data
    monkeypatch.setattr(refiner.Refiner, "refine", lambda self, pixels, y, shape: y // 2)

    def cost(self, colors, coded):
        same = [np.array_equal(coded[1], file.pixels) for file in files]
        return [1, 2][same.index(True) == worse] if any(same) else 3

    monkeypatch.setattr(refiner.Refiner, "cost", cost)
    assert encoder(image, model, effort=2).encode(LEVEL).data == files[1 - worse].data


@pytest.mark.parametrize("kind", [1, 2])
def test_errors_are_worth_what_they_cost_whatever_the_steps_say(kind, models, monkeypatch):
    """Steps that differ by channel said 4 times too much of `photo-psnr`'s finest levels: files
    lost 1.7 dB for 12 % of their bytes, which another quality does as well."""
    image, model = picture(90, 130, 3, 7), models[kind]
    step = frozen.step_at(model, LEVEL)
    files = []
    for factor in (1, 4):
        monkeypatch.setattr(refiner, "step_at", lambda *_, factor=factor: factor * step)
        files.append(encoder(image, model, effort=2).encode(LEVEL))
    assert len(files[1].data) == pytest.approx(len(files[0].data), rel=0.02)
    assert squared_error(files[1], image) == pytest.approx(squared_error(files[0], image), rel=0.02)


def test_a_curve_that_says_nothing_changes_nothing():
    by = judge.Judge(LossConfig(), 1.0)
    for bits, errors in ((0, 5), (-900, 5), (511, 5), (900, 0), (900, -3)):
        by.calibrate(bits, errors)
        assert by.worth == 1
    by.calibrate(600, 300)
    assert by.worth == 2
    by.calibrate(1e9, 1)
    assert by.worth == 2 * judge.MOST


@pytest.mark.parametrize("target", [Target(size=600), Target(psnr=31)])
def test_targets_are_met_at_least_as_well(target, models):
    image, model = picture(64, 96, 3, 9), models[1]
    plain, refined = (search(encoder(image, model, effort), target) for effort in (0, 2))
    if target.size is not None:
        assert len(refined.data) <= target.size
        assert squared_error(refined, image) <= squared_error(plain, image)
    else:
        assert len(refined.data) <= len(plain.data)
        assert 10 * np.log10(255**2 / squared_error(refined, image)) >= target.psnr


def test_a_target_that_only_refining_reaches_is_reached(models):
    image, model = picture(64, 96, 3, 9), models[1]
    best = encoder(image, model).encode(len(model.levels) - 1)
    refined = encoder(image, model, effort=2).encode(len(model.levels) - 1)
    errors = squared_error(best, image), squared_error(refined, image)
    assert errors[1] < errors[0]
    between = 10 * np.log10(255**2 / np.mean(errors))
    found = search(encoder(image, model, effort=2), Target(psnr=between))
    assert 10 * np.log10(255**2 / squared_error(found, image)) >= between
    assert len(found.data) <= len(refined.data)


def test_models_whose_latents_cannot_be_refined_are_refused_before_work_is_done():
    for model in (tiny_model(), tiny_channelwise_model(), tiny_hyperprior()):
        with pytest.raises(UnsupportedError, match="encode without an effort"):
            Encoder(picture(32, 32), model, runtime=Runtime("numpy", 1, None, True), effort=2)


def test_without_torch_an_effort_is_a_typed_error(models, monkeypatch):
    for name in [n for n in sys.modules if n == "intact.refine" or n.startswith("intact.refine.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        UnsupportedError, match="an effort above 1 needs torch, which is not installed"
    ):
        encoder(picture(32, 32), models[1], effort=2)


@pytest.mark.parametrize("effort", [-1, 4, True, "high", 1.0])
def test_an_effort_is_a_whole_number_from_0_to_3(effort, models):
    with pytest.raises((ValueError, TypeError), match=r"effort is .*, must be an integer"):
        intact.encode(picture(16, 16), model=models[1], effort=effort)


@pytest.mark.parametrize("kind", [1, 2])
def test_the_float_codec_codes_what_the_frozen_one_does(kind, models):
    """At the level's real steps: bits and pixels of unrefined latents agree with the files'."""
    image, model = picture(64, 96, 3, 9), models[kind]
    networks = Networks(model, 1 << 16, "numpy", 1)
    signed = (image ^ 128).view(np.int8)
    y = networks.run("analysis", {"pixels": signed}, LEVEL)["y"]
    codec = frozen.codec_at(model, LEVEL)
    with torch.no_grad():
        coded = codec.net.code(torch.from_numpy(y / 64).float()[None], codec.t)
    encoded = encoder(image, model).encode(LEVEL)
    difference = coded.pixels[0].numpy().round().clip(0, 255) - encoded.pixels
    assert np.square(difference).mean() < 0.2 * squared_error(encoded, image)
    bits = float(coded.bits_y.sum() + coded.bits_z.sum())
    payloads = unpack_image(encoded.data).tiles
    assert 0.85 < bits / (8 * sum(map(len, payloads))) < 1.1


def test_hyper_latents_cost_what_their_tables_say(models):
    bank = models[2].bottleneck.tables_z
    prior = frozen.TablePrior(bank, 8, 8)
    z = torch.zeros(1, 1, 1, 8, requires_grad=True)
    bits = prior.bits(z)
    for channel in range(8):
        place = bank.starts[8 + channel] - bank.minimums[8 + channel]
        assert bits[0, 0, 0, channel].item() == pytest.approx(
            -np.log2(bank.freqs[place] / TOTAL), abs=1e-5
        )
    (gradient,) = torch.autograd.grad(bits.sum() + prior.bits(z + 9).sum(), z)
    assert (gradient > 0).all()


def test_cold_rounding_is_rounding_and_has_a_gradient():
    rounding = Annealed(torch.Generator().manual_seed(1))
    x = torch.tensor([-1.8, -0.2, 0.1, 0.9, 2.01, 7.3], requires_grad=True)
    rounding.temperature = 0.02
    torch.testing.assert_close(rounding(x), x.detach().round(), atol=1e-3, rtol=0)
    rounding.temperature = 0.5
    drawn = torch.stack([rounding(x) for _ in range(400)])
    assert (drawn >= x.detach().floor() - 1e-5).all()
    assert (drawn <= x.detach().floor() + 1 + 1e-5).all()
    (gradient,) = torch.autograd.grad(drawn.sum(), x)
    assert gradient.abs().min() > 0


def test_checking_a_model_costs_nothing_twice(models):
    refine.check(models[1])
    assert frozen._thawed(models[1]) is frozen._thawed(models[1])


def test_networks_of_other_layers_are_no_codec_of_ours(models):
    model = models[1]
    synthesis = model.programs["synthesis"]
    ops = [replace(op, target="other") if isinstance(op, Conv) and op.target == "ends" else op
           for op in synthesis.ops]  # fmt: skip
    ops = [replace(op, right="other") if getattr(op, "right", "") == "ends" else op for op in ops]
    changed = {**model.programs, "synthesis": replace(synthesis, ops=tuple(ops))}
    with pytest.raises(UnsupportedError, match="encode without an effort"):
        refine.check(replace(model, programs=changed))


def test_the_plugin_takes_an_effort(models, tmp_path):
    path = tmp_path / "small.intactm"
    path.write_bytes(models[1].to_bytes())
    image = picture(90, 130, 3, 7)
    files = []
    for effort in (0, 2):
        name = tmp_path / f"{effort}.intact"
        Image.fromarray(image).save(name, quality=64, model=path, effort=effort)
        files.append(name.read_bytes())
    assert files == [intact.encode(image, quality=64, model=path, effort=e) for e in (0, 2)]
    assert files[0] != files[1]
