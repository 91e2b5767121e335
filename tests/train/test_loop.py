"""Training resumes bit for bit, also after a kill; configuration errors name what is legal."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

torch = pytest.importorskip("torch")

from intact.errors import CorruptDataError  # noqa: E402
from intact.freeze.run import freeze_run  # noqa: E402
from intact.train import checkpoint, config as configuration, loop, start  # noqa: E402


@pytest.fixture
def settings(small_run):
    return small_run(64, "data.batch=2", "optimizer.steps=12")


def weights(folder):
    tensors, state = checkpoint.read(folder)
    return tensors, state["step"]


def run(settings, **kwargs):
    trainer = start.trainer_for(
        configuration.load(None, settings), torch.device("cpu"), resume=kwargs.pop("resume", False)
    )
    trainer.run(lambda step, scalars: None, **kwargs)


@pytest.mark.parametrize("method", ["soap", "adam"])
def test_resumed_training_gives_the_same_weights(settings, tmp_path, method):
    torch.set_num_threads(1)
    settings = [*settings, f"optimizer.method={method}"]
    run(settings)
    expected, _ = weights(tmp_path / "run")
    other = [s.replace("/run", "/other") for s in settings]
    run(other, until=5)
    run(other, resume=True)
    got, step = weights(tmp_path / "other")
    assert step == 12
    assert all(torch.equal(expected[k], got[k]) for k in expected)


def test_training_resumes_across_a_change_of_bases(settings, tmp_path):
    """SOAP takes new bases every 20 steps: what they are made from must be in the checkpoint."""
    torch.set_num_threads(1)
    settings = [*settings, "optimizer.steps=45", "output.checkpoint_every=50"]
    run(settings)
    expected, _ = weights(tmp_path / "run")
    other = [s.replace("/run", "/other") for s in settings]
    run(other, until=23)
    run(other, resume=True)
    got, step = weights(tmp_path / "other")
    assert step == 45
    assert all(torch.equal(expected[k], got[k]) for k in expected)


def test_a_run_keeps_its_optimizer(settings):
    run(settings, until=1)
    with pytest.raises(
        ValueError, match=r"optimizer\.method was 'soap' in this run, not 'adam'; use"
    ):
        run([*settings, "optimizer.method=adam"], resume=True)


def test_a_frozen_model_grows(settings, tmp_path):
    settings = [*settings, "transform.predicted=0"]
    run(settings, until=1)
    path = tmp_path / "small.intactm"
    path.write_bytes(freeze_run(tmp_path / "run", "small", images=1).to_bytes())
    sizes = ["transform.latents=24", "transform.blocks_synthesis=2", "transform.predicted=3"]
    config = configuration.load(None, [*settings, *sizes])
    device = torch.device("cpu")
    same = start.trainer_for(config, device, init=path)
    assert same.config["transform"]["latents"] == same.task.codec.own.transform.latents == 16
    larger = start.trainer_for(config, device, init=path, larger=True)
    assert larger.task.codec.own.transform == config.own.transform
    larger.run(lambda step, scalars: None, until=1)
    assert larger.step == 1


@pytest.mark.parametrize(
    ("latents", "predicted", "most"), [(192, -1, 16), (192, 17, 16), (8, 9, 8)]
)
def test_predicted_latents_are_among_the_latents(latents, predicted, most):
    settings = [f"transform.latents={latents}", f"transform.predicted={predicted}"]
    with pytest.raises(ValueError, match=rf"predicted = {predicted}, must be in 0\.\.{most}"):
        configuration.load(None, settings)
    settings[1] = f"transform.predicted={most}"
    assert configuration.load(None, settings).own.transform.predicted == most


def test_killed_training_resumes_to_the_same_weights(settings, tmp_path):
    torch.set_num_threads(1)
    run(settings)
    expected, _ = weights(tmp_path / "run")
    other = [s.replace("/run", "/killed") for s in settings]
    script = textwrap.dedent(f"""
        import torch
        torch.set_num_threads(1)
        from intact.train import config, start
        settings = {other!r}
        folder = {str(tmp_path / "killed")!r}
        import os
        resume = os.path.exists(folder + "/checkpoint.safetensors")
        trainer = start.trainer_for(config.load(None, settings), torch.device("cpu"), resume=resume)
        trainer.run(lambda step, scalars: None)
    """)
    path = tmp_path / "killed" / checkpoint.NAME
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], env=dict(os.environ))
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)  # whatever it is doing just now
    process.wait()
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    got, step = weights(tmp_path / "killed")
    assert step == 12
    assert all(torch.equal(expected[k], got[k]) for k in expected)


def test_unknown_key_lists_the_legal_ones():
    with pytest.raises(ValueError, match=r"optimizer\.speed; legal: method, steps, learning_rate"):
        configuration.load(None, ["optimizer.speed=3"])


def test_wrong_type_names_the_key():
    with pytest.raises(ValueError, match=r"data\.batch"):
        configuration.load(None, ['data.batch="many"'])


@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf"])
def test_settings_that_make_no_sense_are_refused(value):
    kind = configuration.Config().kind
    positive = (*configuration.POSITIVE, *kind.positive)
    for place in (
        *positive,
        *configuration.NOT_NEGATIVE,
        *kind.not_negative,
        *configuration.SHARES,
    ):
        if value == "0" and place not in positive:
            continue
        with pytest.raises(ValueError, match=place.replace(".", r"\.")):
            configuration.load(None, [f"{place}={value}"])


def test_settings_that_contradict_are_refused():
    with pytest.raises(ValueError, match=r"data\.flat = 7.0, must be in 0\.\.1"):
        configuration.load(None, ["data.flat=7"])
    with pytest.raises(ValueError, match=r"step_min = 9.0 is not below"):
        configuration.load(None, ["rate.step_min=9", "rate.step_max=8"])


def test_a_new_run_replaces_the_old_checkpoint_at_once(settings, tmp_path):
    run(settings, until=2)
    start.trainer_for(
        configuration.load(None, settings), torch.device("cpu")
    )  # interrupted before a step
    assert weights(tmp_path / "run")[1] == 0
    run(settings, until=1, resume=True)
    assert weights(tmp_path / "run")[1] == 1


def test_a_run_that_goes_on_with_other_settings_says_so(settings, tmp_path, caplog):
    run(settings, until=1)
    run(settings, until=2, resume=True)
    assert not caplog.records
    run([*settings, "optimizer.learning_rate=0.0001"], until=3, resume=True)
    assert "optimizer.learning_rate was 0.001, is 0.0001" in caplog.text


def test_the_folder_shows_the_settings_that_a_run_went_on_with(settings, tmp_path):
    run(settings, until=1)
    run([*settings, "optimizer.learning_rate=0.0001"], until=2, resume=True)
    shown = json.loads((tmp_path / "run" / "config.json").read_text())
    assert shown["optimizer"]["learning_rate"] == 0.0001


def test_configuration_survives_a_round_trip():
    config = configuration.load(None, ["data.crop=256", "rate.step_min=1"])
    assert configuration.from_dict(configuration.to_dict(config)) == config


def test_damaged_checkpoint_is_a_typed_error(settings, tmp_path):
    run(settings, until=1)
    for path in (tmp_path / "run").glob("*.safetensors"):  # the last one and the one before
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CorruptDataError):
        run(settings, resume=True)


def test_learning_rate_warms_up_stays_and_decays():
    config = configuration.OptimizerConfig(steps=1000, warmup=10, learning_rate=1.0)
    rates = [loop.learning_rate(config, s) for s in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == rates[500] == 1.0
    assert rates[-1] == pytest.approx(0.01, rel=0.02)
    assert rates[500:] == sorted(rates[500:], reverse=True)


def test_a_schedule_by_the_clock_ends_the_run_with_its_learning_rate_down(
    settings, tmp_path, monkeypatch
):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    more = ["optimizer.seconds=10", "optimizer.steps=1000", "optimizer.warmup=2"]
    chosen = configuration.load(None, [*settings, *more, "output.log_every=1"])
    rates = []

    def report(step, scalars):
        rates.append(scalars["learning_rate"])
        now[0] += 1.5  # of a step

    trainer = start.trainer_for(chosen, torch.device("cpu"))
    trainer.run(report, until=3)
    assert not trainer.finished
    now[0] += 1000  # between two commands
    trainer = start.trainer_for(chosen, torch.device("cpu"), resume=True)
    assert trainer.elapsed == pytest.approx(3)
    trainer.run(report)
    assert trainer.finished
    assert (trainer.step, trainer.saved) == (9, 9)
    height = chosen.optimizer.learning_rate
    assert rates[:4] == pytest.approx([height / 2, height, height, height])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] < 0.15 * height  # of the step that began at 9 of 10 seconds


def test_a_run_ends_saved_at_its_deadline(settings, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def report(step, scalars):
        now[0] += 10

    trainer = start.trainer_for(
        configuration.load(None, [*settings, "output.log_every=1"]), torch.device("cpu")
    )
    trainer.run(report, deadline=25)
    assert (trainer.step, trainer.saved, trainer.finished) == (3, 3, False)
    trainer.run(report, deadline=25)
    assert trainer.step == 3


def test_without_seconds_the_learning_rate_knows_no_clock():
    optimizer = configuration.OptimizerConfig(steps=100, warmup=10, decay_from=0.5)
    for step in range(100):
        assert loop.learning_rate(optimizer, step) == loop.learning_rate(optimizer, step, 1e9)
    assert loop.learning_rate(optimizer, 75) == pytest.approx(1e-3 * 0.505)
