"""`SoftToHard` in a loop of one's own, in Lightning and in Hugging Face's Trainer."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from intact.errors import ArgumentError  # noqa: E402
from intact.quantize import Exponential, Quantizer, grid_centers  # noqa: E402
from intact.weights import (  # noqa: E402
    SoftToHard,
    lightning_callback,
    quantize_weights,
    trainer_callback,
)
from tiny_network import data, loss_of, network  # noqa: E402


def planned(net, **more):
    quantizer = Quantizer(grid_centers(15), annealing=Exponential(0.5, 1.2))
    weights = quantize_weights(net, quantizer=quantizer)
    return SoftToHard([weights], 0.7, **more)


def share_right(net):
    x, y = data()
    with torch.no_grad():
        return float((net.eval()(x).argmax(1) == y).float().mean())


def test_the_gradient_is_that_of_loss_and_rate_together():
    net, other = network(), network()
    plan, together = planned(net), planned(other)
    loss_of(net).backward()
    plan.before_step()
    (loss_of(other) + 0.7 * together.weights[0].rate()).backward()
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6)


def test_weights_switch_when_it_is_time_and_rates_fall_for_steps_alone():
    net = network()
    plan = planned(net, switch=3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    switched, symbols = [], None
    for _ in range(5):
        optimizer.zero_grad()
        loss_of(net).backward()
        plan.before_step(optimizer)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01 if plan.hard else 0.1)
        optimizer.step()
        switched.append(plan.after_step(optimizer))
        assert optimizer.param_groups[0]["lr"] == 0.1
        if plan.hard:
            found = plan.weights[0].symbols.clone()
            assert symbols is None or torch.equal(symbols, found)
            symbols = found
    assert switched == [False, False, True, False, False]
    assert plan.steps == 5


def test_soft_and_hard_figures_are_logged():
    net = network()
    plan = planned(net, switch=2)
    before = plan.epoch(lambda: share_right(net))
    assert before.soft is not None
    assert before.sigma == 0.5
    assert before.soft != before.hard  # 15 centers at sigma 0.5 are nearly the identity
    assert plan.weights[0].training
    for _ in range(2):
        plan.after_step()
    after = plan.epoch(lambda: share_right(net))
    assert after.soft == after.hard
    assert plan.epoch().hard is None
    assert len(plan.epochs) == 3


def test_bad_input_is_named():
    with pytest.raises(ArgumentError, match="no weights"):
        SoftToHard([], 1.0)
    net = network()
    weights = [quantize_weights(net)]
    with pytest.raises(ArgumentError, match="beta is -1"):
        SoftToHard(weights, -1.0)
    for switch in (0, 2.5, True, "3"):
        with pytest.raises(ArgumentError, match=r"switch is .*; legal is an integer from 1"):
            SoftToHard(weights, 1.0, switch=switch)  # type: ignore[arg-type]
    for beta in ("1", None, True, float("nan")):
        with pytest.raises(ArgumentError, match="beta is"):
            SoftToHard(weights, beta)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="legal is a list of groups"):
        SoftToHard(weights[0], 1.0)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="what quantize_weights"):
        SoftToHard([net], 1.0)
    plan = SoftToHard(weights, 1.0)
    with pytest.raises(ArgumentError, match=r"what evaluate.* gives is None"):
        plan.epoch(lambda: None)  # type: ignore[arg-type,return-value]
    assert type(plan.epoch(lambda: torch.tensor(0.5)).hard) is float
    for make in (lightning_callback, trainer_callback):
        with pytest.raises(ArgumentError, match=r"plan is .*; legal is a SoftToHard"):
            make(weights)  # type: ignore[arg-type]


def test_lightnings_callback_follows_steps_and_not_batches(monkeypatch):
    pytorch: Any = SimpleNamespace(Callback=object)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", pytorch)
    net = network()
    plan = planned(net)
    callback, optimizer = lightning_callback(plan), torch.optim.SGD(net.parameters(), 0.1)
    trainer = SimpleNamespace(global_step=1000, optimizers=[optimizer])  # quantized in mid-training
    for _ in range(2):
        for _ in range(3):
            callback.on_train_batch_end(trainer, net)
        callback.on_before_optimizer_step(trainer, net, optimizer)
        callback.on_train_batch_end(trainer, net)
    assert plan.steps == 2


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_lightning_trains_with_the_callback(tmp_path):
    pl = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    net = network()
    plan = planned(net, switch=6)
    before = plan.weights[0].hard_entropy()

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch):
            x, y = batch
            return nn.functional.cross_entropy(self.net(x), y)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.05)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), 5)
    trainer = pl.Trainer(
        max_epochs=3, accumulate_grad_batches=2, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[lightning_callback(plan, lambda: share_right(net))],
    )  # fmt: skip
    trainer.fit(Module(), loader)
    assert plan.steps == 9  # 6 batches, 2 to a step, 3 epochs
    assert plan.hard
    assert [e.steps for e in plan.epochs] == [3, 6, 9]
    assert all(e.hard is not None for e in plan.epochs)
    assert float(trainer.callback_metrics["weights/bits"]) == pytest.approx(plan.epochs[-1].bits)
    assert plan.weights[0].hard_entropy() != before


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_a_hugging_face_trainer_trains_with_the_callback(tmp_path):
    hf = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    net = network()
    plan = planned(net, switch=6)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x, labels):
            out = self.net(x)
            return {"loss": nn.functional.cross_entropy(out, labels), "logits": out}

    x, y = data()
    rows = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
    arguments = hf.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=3, per_device_train_batch_size=5,
        gradient_accumulation_steps=2, learning_rate=0.05, optim="sgd", report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = hf.Trainer(
        Model(), arguments, train_dataset=rows,
        callbacks=[trainer_callback(plan, lambda: share_right(net))],
    )  # fmt: skip
    trainer.train()
    assert plan.steps == 9
    assert plan.hard
    assert [e.steps for e in plan.epochs] == [3, 6, 9]
    logged = [row for row in trainer.state.log_history if "weights/bits" in row]
    assert len(logged) == 3
    assert all("weights/soft" in row for row in logged)
