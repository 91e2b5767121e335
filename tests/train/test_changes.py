"""What a run may differ in from what it goes on from, and what is said."""

import re

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError  # noqa: E402
from intact.train import config as configuration, start  # noqa: E402


@pytest.fixture
def settings(small_run):
    return small_run(64, "data.batch=1", "optimizer.steps=1")


def trainer(settings, **kwargs):
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"), **kwargs)


def test_a_model_of_another_kind_is_refused_with_what_to_write(settings):
    said = (
        "photo-3 is of kind 'image codec 2', codec.kind = 'image codec 1'; "
        "to go on with it write codec.kind = 'image codec 2'"
    )
    from intact.codec.store import model_path

    for larger in (False, True):
        with pytest.raises(ArgumentError, match=re.escape(said).replace("photo\\-3", "photo-3.*")):
            trainer(settings, init=model_path("photo-3"), larger=larger)


def test_sizes_that_do_not_count_are_said_at_the_start_and_when_it_goes_on(
    settings, tmp_path, caplog
):
    trainer(settings)
    other = [s.replace("/run", "/other") for s in settings]
    started = trainer(other, init=tmp_path / "run")
    assert "sizes" not in caplog.text
    asked = [*other, "transform.latents=24"]
    for how in ({"init": tmp_path / "run"}, {"resume": True}):  # the same file goes on, too
        caplog.clear()
        again = trainer(asked, **how)
        assert "transform.latents is 16, not 24; --init with --grow makes it larger" in caplog.text
        assert again.task.codec.own == started.task.codec.own


def test_a_resumed_run_says_which_bits_and_steps_it_keeps(settings, caplog):
    """They shape no float weights, so that the run could take others, but it does not."""
    settings = [*settings, 'codec.kind="image codec 2"']
    trainer(settings)
    asked = ["transform.pixel_bits=10", "transform.stream_steps=63"]
    again = trainer([*settings, *asked], resume=True).task.codec.own.transform
    assert (again.pixel_bits, again.stream_steps) == (14, 31)
    for words in ("stream_steps is 31, not 63", "pixel_bits is 14, not 10", "--init takes another"):
        assert words in caplog.text
    caplog.clear()
    trainer(settings, resume=True)
    assert "keeps" not in caplog.text


def test_a_resumed_run_of_other_sizes_is_refused_by_name(settings):
    trainer(settings)
    with pytest.raises(ArgumentError) as refused:
        trainer([*settings, "transform.latents=24", "transform.features=9"], resume=True)
    assert str(refused.value).startswith(
        "transform.latents was 16 in this run, not 24; transform.features was 8 in this run, not 9;"
    )
    with pytest.raises(ArgumentError, match=r"optimizer.method was 'soap' in this run, not 'adam'"):
        trainer([*settings, "optimizer.method=adam"], resume=True)
    with pytest.raises(ArgumentError, match=r"was 'image codec 1' in this run, not 'hyperprior'"):
        trainer(
            [s for s in settings if not s.startswith("transform")] + ["codec.kind=hyperprior"],
            resume=True,
        )


def test_a_resumed_run_computes_as_it_says(settings, caplog):
    automatic = [s for s in settings if "precision" not in s]
    assert trainer(settings).precision == torch.float32
    assert trainer(automatic, resume=True).precision == torch.float32  # as it began
    narrow = trainer([*settings, "optimizer.precision=bfloat16"], resume=True)
    assert "optimizer.precision was 'float32', is 'bfloat16'" in caplog.text
    assert narrow.precision == torch.bfloat16
    assert narrow.how.endswith("bfloat16")


@pytest.mark.parametrize("name", ["data.folders", "data.exclude"])
def test_what_is_not_there_is_named_with_its_setting_and_where_it_was_looked_for(
    settings, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    value = '["nowhere"]' if name == "data.folders" else '"nowhere"'
    with pytest.raises(FileNotFoundError) as missing:
        trainer([*settings, f"{name}={value}"])
    assert missing.value.filename == "nowhere"
    assert f"({name}, looked for in {tmp_path})" in str(missing.value)


def test_a_folder_of_images_that_is_a_file_is_named(settings, tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(NotADirectoryError, match=r"data.folders"):
        trainer([*settings, f'data.folders=["{tmp_path / "a.png"}"]'])
