"""`SoftToHard` as a callback of Lightning and of Hugging Face's `Trainer`: optional extras.

Both frameworks are imported where a callback is made, and nowhere else. Quantize first, so that
the optimizer has the centers:

    weights = quantize_weights(module)
    Trainer(callbacks=[lightning_callback(SoftToHard([weights], beta=3.5, switch=3000))])
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

from intact.errors import UnsupportedError
from intact.quantize.checks import check_kind
from intact.weights.modes import modes_kept
from intact.weights.schedule import SoftToHard

Evaluate = Callable[[], float]


def lightning_callback(plan: SoftToHard, evaluate: Evaluate | None = None) -> Any:
    """A ``lightning.pytorch.Callback`` that runs a plan.

    Entropy, sigma and, with ``evaluate``, soft and hard figures are logged at the end of each
    epoch, as ``weights/...``, and stand in ``plan.epochs``.

    Args:
        plan: with weights of the module that is trained.
        evaluate: a figure of the network on data held out.

    Raises:
        ArgumentError: ``plan`` is something else.
        UnsupportedError: ``lightning`` is not here.
    """
    check_kind(plan, SoftToHard, "plan", "a SoftToHard")
    try:
        lightning = importlib.import_module("lightning.pytorch")
    except ImportError:
        raise UnsupportedError(
            "lightning is not installed: pip install 'intact[lightning]'"
        ) from None
    base: Any = lightning.Callback

    class WeightsCallback(base):
        """See `lightning_callback`."""

        stepped: Any = None
        """The optimizer of a step since the last batch; several batches may make one."""

        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            del trainer, module
            plan.before_step(optimizer)
            self.stepped = optimizer

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            del trainer, module
            if self.stepped is not None:
                plan.after_step(self.stepped)
                self.stepped = None

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            with modes_kept(module):
                found = _figures(plan, evaluate)
            if trainer.logger is not None:
                trainer.logger.log_metrics(found, step=trainer.global_step)
            trainer.callback_metrics.update({k: torch.tensor(v) for k, v in found.items()})

    return WeightsCallback()


def trainer_callback(plan: SoftToHard, evaluate: Evaluate | None = None) -> Any:
    """A ``transformers.TrainerCallback`` that runs a plan.

    What is logged at the end of each epoch goes to ``state.log_history`` and ``plan.epochs``.

    Args:
        plan: with weights of the model that is trained.
        evaluate: a figure of the network on data held out.

    Raises:
        ArgumentError: ``plan`` is something else.
        UnsupportedError: ``transformers`` is not here.
    """
    check_kind(plan, SoftToHard, "plan", "a SoftToHard")
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        raise UnsupportedError(
            "transformers is not installed: pip install 'intact[transformers]'"
        ) from None

    base: Any = transformers.TrainerCallback

    class WeightsCallback(base):
        """See `trainer_callback`."""

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **at: Any) -> None:
            del args, state, control
            plan.before_step(_inner(at["optimizer"]))

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **at: Any) -> None:
            del args, state, control
            plan.after_step(_inner(at["optimizer"]))

        def on_epoch_end(self, args: Any, state: Any, control: Any, **at: Any) -> None:
            del args, control
            with modes_kept(at["model"]):
                found = _figures(plan, evaluate)
            state.log_history.append({**found, "step": state.global_step, "epoch": state.epoch})

    return WeightsCallback()


def _inner(optimizer: Any) -> Any:
    """The optimizer that accelerate wraps: learning rates are its."""
    return getattr(optimizer, "optimizer", optimizer)


def _figures(plan: SoftToHard, evaluate: Evaluate | None) -> dict[str, float]:
    found = plan.epoch(evaluate)
    figures = {"weights/bits": found.bits, "weights/sigma": found.sigma}
    if found.hard is not None and found.soft is not None:
        figures |= {"weights/hard": found.hard, "weights/soft": found.soft}
    return figures
