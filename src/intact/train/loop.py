"""The training loop: killed at any moment and resumed, it gives the same weights, bit for bit.

That holds because a step depends on nothing but (weights, buffers, optimizer moments, step number):
see `intact.train.task`. How a run gets its first weights: `intact.train.start`. On a GPU the sums'
order is not fixed, and only the statement about the file holds.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from intact.errors import DivergedError
from intact.train import checkpoint
from intact.train.config import OptimizerConfig, OutputConfig
from intact.train.precision import measure_precision
from intact.train.soap import Soap
from intact.train.task import Share, Task

log = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]
"""Called with (step, scalars) every ``log_every`` steps; scalars are means over these."""


def learning_rate(config: OptimizerConfig, step: int, elapsed: float = 0.0) -> float:
    """Linear warm-up, a plateau, then a cosine down to 1 % of the height.

    Args:
        config: how many steps there are, and seconds: what is further on counts.
        step: which one it is.
        elapsed: seconds of training so far.
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = step / config.steps
    if config.seconds:
        done = min(1.0, max(done, elapsed / config.seconds))
    if done <= config.decay_from:
        return config.learning_rate
    phase = (done - config.decay_from) / (1 - config.decay_from)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * phase)))


def _not_finite(tensors: Mapping[str, Tensor]) -> str:
    """Which of some tensors hold what is no number, for people."""
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if not bad:
        return f"all {len(tensors)} tensors are finite"
    return f"{len(bad)} of {len(tensors)} tensors are not finite ({', '.join(bad[:3])})"


T = TypeVar("T", bound=Task)


class Trainer(Generic[T]):
    """Weights, their running average, the optimizer and the step number.

    Args:
        task: what is trained, already initialized.
        optimizer: how.
        output: where checkpoints go, and how often.
        device: where to run.
        precision: of what may be less than float32; measured when None and not configured.
        config: all settings, plain, to be kept in the checkpoints.

    Attributes:
        step: of which so many are done.
        elapsed: seconds of training so far, those before a resumed checkpoint among them.
        saved: the step of the last checkpoint.
        parent: what the run started from, for people; empty where it began from nothing.
        stopped: `run` was asked to end early.
    """

    def __init__(
        self,
        task: T,
        optimizer: OptimizerConfig,
        output: OutputConfig,
        device: torch.device,
        *,
        precision: torch.dtype | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.task, self.settings, self.output = task.to(device), optimizer, output
        self.device, self.config = device, config or {}
        wanted = optimizer.precision
        if precision is None and wanted != "auto":
            precision = cast(torch.dtype, getattr(torch, wanted))
        self.precision: torch.dtype = precision or measure_precision(device)
        task.set_precision(self.precision)
        self.optimizer: torch.optim.Optimizer
        if optimizer.method == "soap":
            rate = optimizer.learning_rate
            self.optimizer = Soap(
                task.groups(), rate, refresh=optimizer.refresh, precision=self.precision
            )
        else:
            self.optimizer = torch.optim.Adam(task.groups(), optimizer.learning_rate, fused=True)
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.step = self.saved = 0
        self.elapsed = 0.0
        self.parent = ""
        self.stopped = False

    @property
    def net(self) -> nn.Module:
        """Whose parameters are trained, with its buffers."""
        return self.task.kept

    @property
    def how(self) -> str:
        """On what and how exactly it computes, for people."""
        threads = torch.get_num_threads()
        cpu = f", {threads} thread{'s' * (threads > 1)}" if self.device.type == "cpu" else ""
        return f"{self.device}{cpu}, {str(self.precision).removeprefix('torch.')}"

    def stop(self) -> None:
        """Let `run` end after the step at hand, with a checkpoint. May be called by a signal."""
        self.stopped = True

    @property
    def finished(self) -> bool:
        """All steps are done, or all seconds are over."""
        seconds = self.settings.seconds
        return self.step >= self.settings.steps or 0 < seconds <= self.elapsed

    def run(self, report: Report, *, until: int | None = None, deadline: float = math.inf) -> None:
        """Train to the end or until `stop`, with checkpoints on the way and one at the end.

        Args:
            report: see there.
            until: the step to end at, if that is earlier.
            deadline: the `time.monotonic` to end at, if that is earlier.

        Raises:
            DivergedError: the loss, a gradient or a weight is no number; what was saved is sound.
            OSError: a checkpoint cannot be written; those before are still there.
        """
        output, begun = self.output, time.monotonic() - self.elapsed
        until = until or self.settings.steps

        def ended() -> bool:
            over = self.step >= until or time.monotonic() >= deadline
            return self.finished or self.stopped or over

        recent: list[dict[str, Tensor]] = []
        start = time.perf_counter()
        while not ended():
            recent.append(self.train_step())
            self.step += 1
            self.elapsed = time.monotonic() - begun
            if self.step % output.log_every == 0 or ended():
                # .item() here only: reading a scalar every step would stall a GPU.
                values = {k: float(sum(s[k] for s in recent)) / len(recent) for k in recent[0]}
                values["seconds_per_step"] = (time.perf_counter() - start) / len(recent)
                report(self.step, values)
                recent, start = [], time.perf_counter()
            if self.step % output.checkpoint_every == 0:
                self.save()
        if self.step != self.saved:
            self.save()

    def train_step(self) -> dict[str, Tensor]:
        """One optimizer step; returns scalars as tensors."""
        self.task.before(self.step)
        scalars = self.task(self.step, Share())
        loss = scalars["loss"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._clip_gradients(loss.detach())
        rate = learning_rate(self.settings, self.step, self.elapsed)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.step()
        self.task.after(self.step)
        self._update_average()
        scalars |= {
            "loss": loss.detach(),
            "gradient_norm": norm.detach(),
            "learning_rate": torch.tensor(rate),
        }
        return scalars

    def _clip_gradients(self, loss: Tensor) -> Tensor:
        """Scale the gradients down to their largest norm; return the norm that they had.

        Raises:
            DivergedError: the loss or a gradient is not finite. The weights are not touched yet.
        """
        parameters = dict(self.net.named_parameters())
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), self.settings.clip_norm)
        if not torch.isfinite(norm + loss):
            grads = {name: p.grad for name, p in parameters.items() if p.grad is not None}
            raise self._diverged(
                self.step + 1,
                f"the loss ({self.task.about()}) is {loss.item():.4g}, {_not_finite(grads)}",
            )
        return norm

    def _diverged(self, step: int, what: str) -> DivergedError:
        return DivergedError(
            f"training diverged at step {step}: {what}. The checkpoint of step "
            f"{self.saved} is sound: --resume with a lower optimizer.learning_rate"
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on a long average would remember the start: let its horizon grow with the run.
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for name, weight in self.net.named_parameters():
            self.average[name].lerp_(weight, 1 - decay)
        for name, buffer in self.net.named_buffers():
            self.average[name].copy_(buffer)

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            DivergedError: a weight is no number; nothing is written.
            OSError: it cannot be written.
        """
        tensors: dict[str, Tensor] = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"moments/{i}/{k}": v for k, v in state.items()}
        if any(not torch.isfinite(t).all() for t in tensors.values()):
            raise self._diverged(self.step, _not_finite(tensors))
        state: dict[str, Any] = {
            "step": self.step,
            "seconds": self.elapsed,
            "precision": str(self.precision).removeprefix("torch."),
            "config": self.config,
            "parent": self.parent,
        }
        checkpoint.write(Path(self.output.folder), tensors, state)
        self.saved = self.step

    def load(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint of the same configuration."""
        self.step = self.saved = int(state["step"])
        self.elapsed = float(state.get("seconds", 0.0))
        self.parent = str(state.get("parent", ""))
        groups: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "moments":
                index, _, key = rest.partition("/")
                moments.setdefault(int(index), {})[key] = tensor.clone()
            else:
                groups[kind][rest] = tensor.to(self.device).clone()
        self.net.load_state_dict(groups["net"])
        self.average = groups["average"]
        current = self.optimizer.state_dict()
        current["state"] = moments
        self.optimizer.load_state_dict(current)
