"""What a run starts from, and what is said when it goes on otherwise than it began."""

import json
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402

from intact.errors import ArgumentError  # noqa: E402
from intact.freeze.run import freeze_run  # noqa: E402
from intact.train import checkpoint, config as configuration, start, weights_file  # noqa: E402
from intact.train.codecs.channelwise_thaw import config_of  # noqa: E402
from intact.train.codecs.checkerboard import CodecNet  # noqa: E402


@pytest.fixture
def settings(small_run):
    return small_run(64, "data.batch=1", "optimizer.steps=3")


def trainer(settings, **kwargs):
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"), **kwargs)


def test_a_checkpoint_from_before_a_setting_existed_goes_on(settings, tmp_path, caplog):
    """Old runs know no [loss] and no data.exclude: they had what is the default now."""
    trainer(settings).run(lambda step, scalars: None, until=1)
    tensors, state = checkpoint.read(tmp_path / "run")
    del state["config"]["loss"], state["config"]["data"]["exclude"], state["parent"]
    checkpoint.write(tmp_path / "run", tensors, state)
    resumed = trainer([*settings, "optimizer.learning_rate=0.5"], resume=True)
    assert (resumed.step, resumed.parent) == (1, "")
    assert "optimizer.learning_rate was 0.001, is 0.5" in caplog.text
    assert "loss" not in caplog.text


def test_a_run_says_what_it_started_from(settings, tmp_path):
    first = trainer(settings)
    weights_file.write(tmp_path / "old.safetensors", first.task.codec)
    weights_file.write(tmp_path / "told.safetensors", first.task.codec, {"trained": "9 steps"})
    other = [s.replace("/run", "/other") for s in settings]
    assert trainer(other, init=tmp_path / "told.safetensors").parent == (
        "float weights told.safetensors (9 steps)"
    )
    from_old = trainer(other, init=tmp_path / "old.safetensors")
    assert from_old.parent == "float weights old.safetensors"
    assert checkpoint.read(tmp_path / "other")[1]["parent"] == "float weights old.safetensors"
    # Every leg, and what it began from.
    third = [s.replace("/run", "/third") for s in settings]
    legs = trainer(third, init=tmp_path / "other").parent
    assert re.fullmatch(
        r"run other \(0 steps of \d+ crops of \d+ pixels; from float weights old.safetensors\)",
        legs,
    )
    assert json.loads((tmp_path / "other" / "config.json").read_text())["loss"]["mse"] == 1


def test_the_float_codec_is_the_average_of_a_run_or_a_file_of_weights(settings, tmp_path):
    one = trainer(settings)
    one.run(lambda step, scalars: None, until=2)
    codec = start.float_codec(tmp_path / "run")
    assert isinstance(codec, CodecNet)
    assert all(torch.equal(v, one.average[k]) for k, v in codec.state_dict().items())
    weights_file.write(tmp_path / "it.safetensors", codec)
    again = start.float_codec(tmp_path / "it.safetensors")
    assert again.own == codec.own
    with pytest.raises(FileNotFoundError, match="gone"):
        start.float_codec(tmp_path / "gone.safetensors")


def test_a_narrow_run_goes_on_with_its_ranges_and_hands_on_none(settings, tmp_path):
    narrow = [*settings, "optimizer.narrow=true"]
    whole = trainer(narrow)
    whole.run(lambda step, scalars: None)
    cut = [s.replace("/run", "/cut") for s in narrow]
    trainer(cut).run(lambda step, scalars: None, until=1)
    resumed = trainer(cut, resume=True)
    resumed.run(lambda step, scalars: None)
    for name, weight in whole.task.codec.state_dict().items():
        assert torch.equal(weight, resumed.task.codec.state_dict()[name]), name
    narrowed = start.float_codec(tmp_path / "run")
    assert any(narrowed.network(name).narrowed for name in narrowed.networks)
    other = [s.replace("/run", "/other") for s in settings]
    after = trainer(other, init=tmp_path / "run").task.codec
    assert not any(after.network(name).narrowed for name in after.networks)
    weights_file.write(tmp_path / "w.safetensors", narrowed)
    again = weights_file.read(tmp_path / "w.safetensors")
    assert not any(again.network(name).narrowed for name in again.networks)


def test_a_run_cannot_become_narrow_on_the_way(settings):
    trainer(settings)
    with pytest.raises(ArgumentError, match=r"optimizer.narrow was False"):
        trainer([*settings, "optimizer.narrow=true"], resume=True)


def test_only_float_codecs_that_become_integer_are_narrowed(settings, tmp_path):
    with pytest.raises(ArgumentError, match=r"optimizer.narrow is of float training"):
        trainer([*settings, "optimizer.narrow=true", "optimizer.integer=true"])
    trainer([*settings, "optimizer.integer=true"])
    other = [*(s.replace("/run", "/other") for s in settings), "optimizer.narrow=true"]
    with pytest.raises(ArgumentError, match="'image codec 1' is integer already"):
        trainer(other, init=tmp_path / "run")
    assert not (tmp_path / "other").exists()
    sizes = ("transform.blocks", "transform.hyper_latents", "transform.features")
    hyper = [s for s in other if not s.startswith(sizes)]
    with pytest.raises(ArgumentError, match="'hyperprior' is never converted"):
        trainer([*hyper, "codec.kind=hyperprior", "transform.filters=8", "transform.profile=float"])


@pytest.fixture
def settings_2(settings):
    return [*settings, 'codec.kind="image codec 2"']


@pytest.mark.parametrize("steps", [0, 2, -1, 257])
def test_steps_of_streams_that_no_integers_could_divide_by_are_refused(settings_2, steps):
    with pytest.raises(ArgumentError, match=r"transform.stream_steps = .* odd, in 1..255"):
        configuration.load(None, [*settings_2, f"transform.stream_steps={steps}"])


@pytest.mark.parametrize("bits", [7, 15])
def test_bits_of_pixel_networks_that_no_sums_have_room_for_are_refused(settings_2, bits):
    with pytest.raises(ArgumentError, match=rf"transform.pixel_bits = {bits}, must be in 8..14"):
        configuration.load(None, [*settings_2, f"transform.pixel_bits={bits}"])


@pytest.mark.parametrize("steps", [1, 255])
def test_the_least_and_most_steps_of_streams_become_integers(settings_2, steps):
    net = trainer([*settings_2, f"transform.stream_steps={steps}", "optimizer.integer=true"])
    assert net.task.codec.is_integer


def test_float_weights_go_on_with_the_steps_of_streams_of_the_new_run(settings_2, tmp_path):
    first = trainer([*settings_2, "transform.stream_steps=63", "transform.pixel_bits=8"]).task.codec
    weights_file.write(tmp_path / "w.safetensors", first)
    other = [s.replace("/run", "/other") for s in settings_2]
    for init in ("run", "w.safetensors"):
        net = trainer(other, init=tmp_path / init).task.codec
        assert net.own.transform.stream_steps == 31
        assert net.network("synthesis").graph.lift == net.network("analysis").graph.lift == 31
        assert net.own.transform.pixel_bits == 14
        assert net.network("analysis").graph.ranges["last"] == (-8192, 8191)


def test_integers_of_a_run_from_before_the_settings_keep_their_streams_and_bits(
    settings_2, tmp_path
):
    old = [*settings_2, "optimizer.integer=true"]  # which do not say it
    first = trainer([*old, "transform.stream_steps=63", "transform.pixel_bits=8"]).task.codec
    tensors, state = checkpoint.read(tmp_path / "run")
    del state["config"]["transform"]["stream_steps"]
    del state["config"]["transform"]["pixel_bits"]
    checkpoint.write(tmp_path / "run", tensors, state)
    other = [s.replace("/run", "/other") for s in old]
    for again in (trainer(old, resume=True), trainer(other, init=tmp_path / "run")):
        assert again.task.codec.own.transform == first.own.transform
        assert again.task.codec.network("synthesis").graph.lift == 63
        assert again.task.codec.network("analysis").graph.ranges["last"] == (-128, 127)


def test_a_run_without_a_kind_is_of_the_first(settings, tmp_path):
    """Configurations, checkpoints and float weights from before there were kinds."""
    one = trainer(settings)
    one.run(lambda step, scalars: None, until=1)
    tensors, state = checkpoint.read(tmp_path / "run")
    del state["config"]["codec"]
    checkpoint.write(tmp_path / "run", tensors, state)
    assert trainer(settings, resume=True).step == 1
    assert isinstance(start.float_codec(tmp_path / "run"), CodecNet)
    with pytest.raises(ValueError, match=r"codec\.kind = 'video'; legal: image codec 1"):
        configuration.load(None, ["codec.kind=video"])


def test_float_weights_from_before_there_were_kinds_are_read():
    path = Path(weights_file.__file__).parents[1] / "models" / "photo-eyes.safetensors"
    with safe_open(path, "pt") as file:
        assert "kind" not in json.loads(file.metadata()["codec"])
    codec = weights_file.read(path)
    assert isinstance(codec, CodecNet)
    assert codec.config.latents == 320


def test_a_trained_run_is_frozen_with_other_integers(settings_2, tmp_path):
    """What shapes no float weight is for freezing to say; nothing else is."""
    trainer([*settings_2, "transform.pixel_bits=8"])
    run = tmp_path / "run"
    model = freeze_run(run, "m", images=1, settings=["transform.pixel_bits=11"])
    assert config_of(model).pixel_bits == 11
    assert config_of(freeze_run(run, "m", images=1)).pixel_bits == 8
    for setting, said in {
        "transform.latents=8": "only these can be another: transform.stream_steps, "
        "transform.pixel_bits",
        "transform.pixel_bits=15": "must be in 8..14",
        "pixel_bits": "write section.key=value",
    }.items():
        with pytest.raises(ArgumentError, match=re.escape(said)):
            freeze_run(run, "m", images=1, settings=[setting])


def test_integers_that_were_trained_stay_what_they_are(settings_2, settings, tmp_path):
    trainer([*settings_2, "optimizer.integer=true"])
    with pytest.raises(ArgumentError, match="the run trained integers"):
        freeze_run(tmp_path / "run", "m", images=1, settings=["transform.pixel_bits=8"])
    trainer(settings)
    with pytest.raises(ArgumentError, match=r"'image codec 1' .* nothing can be another"):
        freeze_run(tmp_path / "run", "m", images=1, settings=["transform.pixel_bits=8"])
