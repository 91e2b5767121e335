"""The one loop that every method of compressing weights is fine-tuned by.

Whatever a method does stands in the network's parametrizations, in a rate term and in what
follows a step; the loop knows none of them. It resumes from its checkpoint bit for bit as long
as batches depend on nothing but the number of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from intact import files
from intact.errors import ArgumentError, CorruptDataError, DivergedError
from intact.quantize.checks import positive, whole

Loss = Callable[[nn.Module, Any], Tensor]


@dataclass(frozen=True)
class Settings:
    """Of `fine_tune`: SGD with momentum.

    Attributes:
        steps: of the whole run, what a checkpoint holds included.
        rate: learning rate at the start.
        momentum: of SGD.
        decay: of weights.
        falling: the rate falls to 0 as a cosine; otherwise it stays.
        precision: of the forward pass, by autocast; None is that of the parameters.
    """

    steps: int
    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 0.0
    falling: bool = True
    precision: torch.dtype | None = None

    def at(self, step: int) -> float:
        """The learning rate of a step."""
        share = 0.5 + 0.5 * math.cos(math.pi * step / self.steps) if self.falling else 1.0
        return self.rate * share


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The plain loss of a classifier: batches are (inputs, labels)."""
    inputs, labels = batch
    return F.cross_entropy(model(inputs).float(), labels)


def distilled(teacher: nn.Module, *, temperature: float = 3.0, share: float = 0.5) -> Loss:
    """A loss of which a share is the teacher's opinion instead of the labels'; Hinton et al. 2015.

    Args:
        teacher: usually the network before it was compressed; put into evaluation.
        temperature: T, of both softmaxes; the term is multiplied by T^2.
        share: of the teacher, 0 to 1.

    Raises:
        ArgumentError: an argument is out of its range.
    """
    positive(temperature, "temperature")
    if not 0 <= share <= 1:
        raise ArgumentError(f"share is {share}; legal is 0 to 1")
    teacher.eval()

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, labels = batch
        with torch.no_grad():
            told = F.log_softmax(teacher(inputs).float() / temperature, 1)
        logits = model(inputs).float()
        own = F.log_softmax(logits / temperature, 1)
        taught = F.kl_div(own, told, reduction="batchmean", log_target=True) * temperature**2
        return share * taught + (1 - share) * F.cross_entropy(logits, labels)

    return loss


def fine_tune(  # noqa: PLR0913 - what differs between methods
    model: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    settings: Settings,
    *,
    loss: Loss = cross_entropy,
    rate_term: Callable[[], Tensor] | None = None,
    after: Callable[[int], None] | None = None,
    checkpoint: Path | None = None,
    every: int = 250,
) -> nn.Module:
    """Train ``model`` on; all its parameters that want a gradient.

    Args:
        model: a network, with what a method put into it.
        batches: number of the first step to batches from there on.
        settings: of SGD.
        loss: of a network and a batch, differentiable.
        rate_term: added to it; asked for after each forward pass.
        after: called with the number of steps done, after each one.
        checkpoint: a file; if it is there the run goes on from it, and it is written on the way.
        every: steps between two of its versions.

    Returns:
        The model, in evaluation.

    Raises:
        ArgumentError: the model has nothing to train, batches end early, or a number is out of its
            range.
        CorruptDataError: the checkpoint is damaged, or of another network.
        DivergedError: the loss is not finite.
    """
    whole(settings.steps, "steps")
    whole(every, "every")
    positive(settings.rate, "rate")
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ArgumentError("no parameter of the network wants a gradient")
    optimizer = torch.optim.SGD(
        trained.values(), settings.rate, settings.momentum, weight_decay=settings.decay
    )
    done = 0
    if checkpoint is not None and checkpoint.exists():
        done = _read(checkpoint, model, optimizer, trained)
    model.train()
    source = iter(batches(done))
    while done < settings.steps:
        batch = next(source, None)
        if batch is None:
            raise ArgumentError(f"batches end after {done} steps; {settings.steps} are wanted")
        for group in optimizer.param_groups:
            group["lr"] = settings.at(done)
        kind = settings.precision
        with torch.autocast(_device(trained), kind, enabled=kind is not None):
            value = loss(model, batch)
        if rate_term is not None:
            value = value + rate_term()
        if not bool(torch.isfinite(value.detach())):
            raise DivergedError(f"at step {done} the loss is {float(value.detach())}")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        done += 1
        if after is not None:
            after(done)
            model.train()
        if checkpoint is not None and (done % every == 0 or done == settings.steps):
            _write(checkpoint, model, optimizer, trained, done)
    return model.eval()


def _device(trained: dict[str, nn.Parameter]) -> str:
    return next(iter(trained.values())).device.type


def _write(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
    done: int,
) -> None:
    tensors = {f"model/{k}": v.detach().contiguous().clone() for k, v in model.state_dict().items()}
    for name, parameter in trained.items():
        state = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if state is not None:
            tensors[f"momentum/{name}"] = state.contiguous().clone()
    files.replace(path, save(tensors, {"steps": str(done)}))


def _read(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
) -> int:
    try:
        with safe_open(path, "pt") as file:
            done = int((file.metadata() or {})["steps"])
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CorruptDataError(f"{path} is no checkpoint of fine_tune: {error!r}") from error
    own = {k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")}
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        raise CorruptDataError(f"{path} is of another network: {error}") from error
    for name, parameter in trained.items():
        if (momentum := tensors.get(f"momentum/{name}")) is not None:
            optimizer.state[parameter]["momentum_buffer"] = momentum.to(parameter.device)
    return done
