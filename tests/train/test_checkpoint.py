"""Two checkpoints: one damaged, one torn off while it was written, and a run still goes on."""

import errno
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intact.errors import CorruptDataError, DivergedError  # noqa: E402
from intact.train import checkpoint, config as configuration, start  # noqa: E402
from intact.train.checkpoint import DAMAGED, NAME, NEXT, PREVIOUS  # noqa: E402


def content(step):
    tensors = {
        "a": torch.arange(6, dtype=torch.float32).reshape(2, 3) + step,
        "b": torch.tensor(step),
        "c": torch.ones(4, dtype=torch.bfloat16),
        "none": torch.zeros(0, 3),
    }
    return tensors, {"step": step, "words": "Wörter"}


def write(folder, *steps):
    for step in steps:
        checkpoint.write(folder, *content(step))


def step_of(folder):
    tensors, state = checkpoint.read(folder)
    wanted, _ = content(state["step"])
    assert all(torch.equal(tensors[k], wanted[k]) for k in wanted)
    assert state == {"step": state["step"], "words": "Wörter"}
    return state["step"]


def damage(path):
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)


def test_the_last_two_checkpoints_are_kept(tmp_path):
    assert not checkpoint.exists(tmp_path / "run")
    write(tmp_path / "run", 1, 2, 3)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [PREVIOUS, NAME]
    assert step_of(tmp_path / "run") == 3
    (tmp_path / "run" / NAME).unlink()
    assert step_of(tmp_path / "run") == 2


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(tmp_path, caplog):
    write(tmp_path, 1, 2)
    damage(tmp_path / NAME)
    assert step_of(tmp_path) == 1
    assert f"{tmp_path / NAME} is damaged" in caplog.text
    assert "of step 1, is used" in caplog.text
    damage(tmp_path / PREVIOUS)
    with pytest.raises(CorruptDataError, match="has another hash"):
        checkpoint.read(tmp_path)


def test_any_flipped_bit_is_noticed(tmp_path):
    write(tmp_path, 5)
    data = (tmp_path / NAME).read_bytes()
    random = np.random.default_rng(3)
    for bit in random.integers(0, 8 * len(data), 300):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        (tmp_path / NAME).write_bytes(flipped)
        with pytest.raises(CorruptDataError):
            checkpoint.read(tmp_path)


def test_going_on_puts_a_damaged_checkpoint_aside(tmp_path, caplog):
    """Or the next one would be written over the sound one before it."""
    write(tmp_path, 1, 2)
    damage(tmp_path / NAME)
    checkpoint.repair(tmp_path)
    assert step_of(tmp_path) == 1
    assert (tmp_path / DAMAGED).exists()
    write(tmp_path, 2)
    damage(tmp_path / NAME)
    assert step_of(tmp_path) == 1


def test_a_kill_between_the_renames_loses_nothing(tmp_path):
    write(tmp_path / "a", 1, 2)
    write(tmp_path / "b", 2, 3)
    (tmp_path / "b" / NAME).rename(tmp_path / "a" / NEXT)
    assert step_of(tmp_path / "a") == 3
    (tmp_path / "a" / NAME).rename(tmp_path / "a" / PREVIOUS)
    assert step_of(tmp_path / "a") == 3
    write(tmp_path / "a", 4)
    assert step_of(tmp_path / "a") == 4
    (tmp_path / "a" / NAME).unlink()
    assert step_of(tmp_path / "a") == 3


def test_a_full_disk_names_the_checkpoint_and_leaves_nothing(tmp_path, monkeypatch):
    write(tmp_path, 1, 2)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=str(tmp_path / NAME)) as raised:
        write(tmp_path, 3)
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == [PREVIOUS, NAME]
    assert step_of(tmp_path) == 2


@pytest.fixture
def trainer(small_run):
    settings = small_run(64, "data.batch=1", "optimizer.steps=9", "output.checkpoint_every=3",
                         "output.log_every=9")  # fmt: skip
    return start.trainer_for(configuration.load(None, settings), torch.device("cpu"))


def test_weights_that_are_no_numbers_are_not_saved(trainer, tmp_path, monkeypatch):
    """Between two lines of the log nobody looks at the loss, and a step may leave infinity."""
    step = trainer.optimizer.step

    def overshoot():
        step()
        if trainer.step == 4:
            with torch.no_grad():
                trainer.task.codec.network("synthesis").get("first", "bias")[0] = torch.inf
            monkeypatch.setattr(trainer, "train_step", lambda: {"loss": torch.tensor(1.0)})

    monkeypatch.setattr(trainer.optimizer, "step", overshoot)
    with pytest.raises(DivergedError, match=r"not finite \(net/.*checkpoint of step 3 is sound"):
        trainer.run(lambda step, scalars: None)
    tensors, state = checkpoint.read(tmp_path / "run")
    assert state["step"] == 3
    assert all(torch.isfinite(t).all() for t in tensors.values())


def test_a_run_that_is_stopped_saves_the_step_at_hand(trainer, tmp_path, monkeypatch):
    step = trainer.optimizer.step
    monkeypatch.setattr(
        trainer.optimizer, "step", lambda: (step(), trainer.stop() if trainer.step == 4 else None)
    )
    trainer.run(lambda step, scalars: None)
    assert (trainer.step, trainer.saved) == (5, 5)
    assert checkpoint.read(tmp_path / "run")[1]["step"] == 5


def test_lines_of_the_log_are_means_since_the_last(trainer):
    losses = []
    step = trainer.train_step
    trainer.train_step = lambda: losses.append(step()) or losses[-1]
    said = []
    trainer.run(lambda step, scalars: said.append((step, scalars["loss"])))
    assert said == [(9, pytest.approx(float(np.mean([s["loss"] for s in losses]))))]


def test_a_run_that_replaces_another_cannot_fall_back_on_it(trainer, tmp_path):
    trainer.run(lambda step, scalars: None, until=6)
    config = configuration.from_dict(trainer.config)
    start.trainer_for(config, torch.device("cpu"))
    assert [p.name for p in (tmp_path / "run").glob("*.safetensors")] == [NAME]
