"""The training loop: killed at any moment and resumed, it gives the same weights, bit for bit.

That holds because a step depends on nothing but (weights, optimizer moments, step number): crops,
levels and noise are drawn from generators seeded by (seed, step). On a GPU the sums' order is not
fixed, and only the statement about the file holds.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from intact import files
from intact.codec.store import load_model
from intact.errors import ArgumentError, DivergedError
from intact.train import checkpoint, weights_file
from intact.train.codec_net import CodecNet
from intact.train.config import Config, OptimizerConfig, from_dict
from intact.train.convert import convert_codec, observation
from intact.train.data import ImageFolder, Progress, read_list
from intact.train.grow import grow
from intact.train.losses import distortion
from intact.train.soap import Soap
from intact.train.thaw import thaw
from intact.train.transforms import TransformConfig

log = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]
"""Called with (step, scalars) every ``log_every`` steps."""


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """Linear warm-up, a plateau, then a cosine down to 1 % of the height."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    start = config.decay_from * config.steps
    if step <= start:
        return config.learning_rate
    phase = min(1.0, (step - start) / (config.steps - start))
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * phase)))


def measure_precision(device: torch.device, seconds: float = 0.5) -> torch.dtype:
    """Time a linear layer and its gradients in float32 and bfloat16; return the faster type.

    Some CPUs run bfloat16 five times faster than float32, others ten times slower.
    """
    best, best_rate = torch.float32, 0.0
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(2048, 192, device=device).to(dtype).requires_grad_()
        w = torch.randn(192, 192, device=device).to(dtype).requires_grad_()
        for _ in range(2):
            F.linear(x, w).sum().backward()
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            F.linear(x, w).sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
            count += 1
        rate = count / (time.perf_counter() - start)
        if rate > best_rate:
            best, best_rate = dtype, rate
    return best


def transform_code_patches(data: ImageFolder, crop: int, seed: int) -> np.ndarray:
    """uint8 [n, 16, 16, 3]: patches of 256 random crops, for the start as a transform code."""
    k = crop // 16
    crops = data.crops(256, crop, seed, 2**31 - 1)
    return crops.reshape(-1, k, 16, k, 16, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 16, 16, 3)


def growth_crops(data: ImageFolder, config: Config, batches: int = 40) -> Iterator[Tensor]:
    """Crops for `grow`: enough patches to tell thousands of features from noise."""
    for i in range(batches):
        yield torch.from_numpy(
            data.crops(8, config.data.crop, config.optimizer.seed, 2**31 - 2 - i)
        )


class Trainer:
    """Weights, their running average, the optimizer and the step number.

    Args:
        config: the run.
        net: the network, already initialized.
        data: the images.
        device: where to run.
        precision: of the branches; measured when None.

    Attributes:
        step: of which so many are done.
        saved: the step of the last checkpoint.
        parent: what the run started from, for people; empty where it began from nothing.
    """

    def __init__(
        self,
        config: Config,
        net: CodecNet,
        data: ImageFolder,
        device: torch.device,
        precision: torch.dtype | None = None,
    ) -> None:
        self.config, self.net, self.data, self.device = config, net.to(device), data, device
        wanted = config.optimizer.precision
        if precision is None and wanted != "auto":
            precision = cast(torch.dtype, getattr(torch, wanted))
        self.precision: torch.dtype = precision or measure_precision(device)
        net.set_compute_dtype(self.precision)
        slow = net.slow_parameters()
        ids = {id(p) for p in slow}
        groups = [
            {"params": [p for p in net.parameters() if id(p) not in ids], "factor": 1.0},
            {"params": slow, "factor": config.optimizer.slow_factor},
        ]
        self.optimizer: torch.optim.Optimizer
        if config.optimizer.method == "soap":
            rate = config.optimizer.learning_rate
            self.optimizer = Soap(groups, rate, precision=self.precision)
        else:
            self.optimizer = torch.optim.Adam(groups, config.optimizer.learning_rate, fused=True)
        self.average = {k: v.detach().clone() for k, v in net.state_dict().items()}
        self.step = self.saved = 0
        self.parent = ""

    def run(self, report: Report, *, until: int | None = None) -> None:
        """Train to the last step (or to ``until``), with checkpoints on the way."""
        config, output = self.config, self.config.output
        last = min(until or config.optimizer.steps, config.optimizer.steps)
        while self.step < last:
            start = time.perf_counter()
            scalars = self.train_step()
            self.step += 1
            if self.step % output.log_every == 0 or self.step == last:
                # .item() here only: reading a scalar every step would stall a GPU.
                values = {k: float(v) for k, v in scalars.items()}
                values["seconds_per_step"] = time.perf_counter() - start
                report(self.step, values)
            if self.step % output.checkpoint_every == 0 or self.step == last:
                self.save()

    def train_step(self) -> dict[str, Tensor]:
        """One optimizer step; returns scalars as tensors."""
        config = self.config.optimizer
        crops = self.data.crops(
            self.config.data.batch,
            self.config.data.crop,
            config.seed,
            self.step,
            flat=self.config.data.flat,
        )
        generator = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + self.step)
        image = torch.from_numpy(crops).to(self.device)
        t = torch.rand(len(crops), generator=generator, device=self.device) * 2 - 1
        result = self.net(image, t, generator)
        flat = image.flatten(1, 2).amax(1).eq(image.flatten(1, 2).amin(1)).all(1)
        weight = torch.where(flat, self.config.data.flat_weight, 1.0)
        distance = distortion(
            self.config.loss, image.float(), result.pixels, self.net.rates.step(t), result.mse
        )
        loss = self.net.loss(result, t, distance, weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._clip_gradients(loss.detach())
        rate = learning_rate(config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.step()
        self._update_average()
        return {
            "loss": loss.detach(),
            "bpp": result.bpp.detach().mean(),
            "bpp_z": result.bpp_z.detach().mean(),
            "mse": result.mse.detach().mean(),
            "distortion": distance.detach().mean(),
            "gradient_norm": norm.detach(),
            "learning_rate": torch.tensor(rate),
        }

    def _clip_gradients(self, loss: Tensor) -> Tensor:
        """Scale the gradients down to their largest norm; return the norm that they had.

        Raises:
            DivergedError: one is not finite. The weights are not touched yet, so that the last
                checkpoint is sound.
        """
        parameters = dict(self.net.named_parameters())
        limit = self.config.optimizer.clip_norm
        try:
            return torch.nn.utils.clip_grad_norm_(
                parameters.values(), limit, error_if_nonfinite=True
            )
        except RuntimeError as error:
            grads = {name: p.grad for name, p in parameters.items() if p.grad is not None}
            bad = [name for name, grad in grads.items() if not torch.isfinite(grad).all()]
            if not bad:
                raise
            mixture = ", ".join(f"{k} {v:.2g}" for k, v in self.config.loss.shares().items())
            raise DivergedError(
                f"training diverged at step {self.step + 1}: the loss ({mixture}) is "
                f"{loss.item():.4g}, the gradient is not finite in {len(bad)} of {len(grads)} "
                f"tensors ({', '.join(bad[:3])}). The checkpoint of step {self.saved} is sound: "
                "--resume with a lower optimizer.learning_rate"
            ) from error

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on a long average would remember the start: let its horizon grow with the run.
        decay = min(self.config.optimizer.average, (1 + self.step) / (10 + self.step))
        names = [k for k, v in self.average.items() if v.is_floating_point()]
        state = self.net.state_dict()
        for name in names:
            self.average[name].lerp_(state[name], 1 - decay)

    def save(self) -> None:
        """Write the checkpoint."""
        tensors: dict[str, Tensor] = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"moments/{i}/{k}": v for k, v in state.items()}
        state: dict[str, Any] = {
            "step": self.step,
            "precision": str(self.precision).removeprefix("torch."),
            "config": dataclasses.asdict(self.config),
            "parent": self.parent,
        }
        checkpoint.write(Path(self.config.output.folder), tensors, state)
        self.saved = self.step

    def load(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint of the same configuration."""
        self.step = self.saved = int(state["step"])
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


def image_folder(config: Config, progress: Progress | None = None) -> ImageFolder:
    """The images of a run.

    Raises:
        ValueError: no folder is named, none of its images can be used, or a name in data.exclude
            is that of no image.
        OSError: data.exclude cannot be read.
    """
    data = config.data
    if not data.folders:
        raise ArgumentError("data.folders is empty: name at least one folder of images")
    folders = [Path(f) for f in data.folders]
    exclude = read_list(Path(data.exclude)) if data.exclude else frozenset()
    return ImageFolder(
        folders, data.crop, exclude=exclude, memory_gb=data.memory_gb, progress=progress
    )


def start(
    config: Config,
    device: torch.device,
    *,
    resume: bool = False,
    init: Path | None = None,
    larger: bool = False,
    progress: Progress | None = None,
) -> Trainer:
    """A trainer for a new run, or for the one whose checkpoint lies in the output folder.

    Args:
        config: the run. With ``init`` the model decides the sizes of the networks.
        device: where to run.
        resume: continue from the checkpoint in ``config.output.folder``.
        init: what to start from instead of the transform code: a frozen model (.intactm), the
            float weights behind one (.safetensors), or the folder of another run. A float run that
            starts an integer one is the warm start.
        larger: with ``init``, grow the model to the configuration's sizes (`intact.train.grow`).
        progress: called while the images are read.

    Raises:
        ValueError: no folder of images, or ``resume`` with other sizes than the checkpoint's.
        FileNotFoundError: ``resume`` or ``init`` without a checkpoint.
    """
    data = image_folder(config, progress)
    if resume:
        return _resume(config, data, device)
    net, config = _initial(config, data, init, larger=larger)
    if config.optimizer.integer and not net.is_integer:
        net = convert_codec(net, observation(data, config.data.crop))
    trainer = Trainer(config, net, data, device)
    trainer.parent = _describe(init) if init else ""
    _write_config(config)
    trainer.save()  # from here on the folder's checkpoint is this run's, not one that was replaced
    return trainer


def _describe(init: Path) -> str:
    """What a run starts from, in words that still mean something elsewhere."""
    if init.is_file() and init.suffix != weights_file.SUFFIX:
        model = load_model(init)
        return f"model {model.name} {model.id.hex()}"
    return f"float weights {init.name}" if init.is_file() else f"run {init.name}"


def _write_config(config: Config) -> None:
    """Put the configuration, with all defaults, beside the checkpoint, for people."""
    folder = Path(config.output.folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(config), indent=2)
    files.replace(folder / "config.json", text.encode())


def _say_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Log the settings in which a run goes on otherwise than it began: a forgotten --set, maybe."""
    changes = [
        f"{section}.{key} was {before[section].get(key)!r}, is {value!r}"
        for section, values in json.loads(json.dumps(now)).items()
        for key, value in values.items()
        if before.get(section, {}).get(key) != value
    ]
    if changes:
        log.warning("the run goes on with other settings: %s", "; ".join(changes))


def _resume(config: Config, data: ImageFolder, device: torch.device) -> Trainer:
    tensors, state = checkpoint.read(Path(config.output.folder))
    # The run's own sizes count: with --init they came from the model, not from the file.
    sizes = from_dict({"transform": state["config"]["transform"]}).transform
    if config.transform not in (sizes, TransformConfig()):
        raise ArgumentError(f"the checkpoint's transform is {sizes}, not {config.transform}")
    for key in ("integer", "method"):
        before = state["config"]["optimizer"].get(key)
        if before != getattr(config.optimizer, key):
            raise ArgumentError(f"optimizer.{key} was {before!r} in this run; use --init instead")
    config = dataclasses.replace(config, transform=sizes)
    _say_changes(state["config"], dataclasses.asdict(config))
    net = CodecNet(config.transform, config.rate, config.optimizer.seed)
    if config.optimizer.integer:
        net.make_integer()
    trainer = Trainer(config, net, data, device, getattr(torch, state["precision"]))
    trainer.load(tensors, state)
    _write_config(config)
    return trainer


def _initial(
    config: Config, data: ImageFolder, init: Path | None, *, larger: bool
) -> tuple[CodecNet, Config]:
    """The weights that a new run starts from, and the configuration with their sizes."""
    if init is None:
        net = CodecNet(config.transform, config.rate, config.optimizer.seed)
        patches = transform_code_patches(data, config.data.crop, config.optimizer.seed)
        net.start_as_transform_code(torch.from_numpy(patches))
        return net, config
    if init.is_dir():
        net = codec_of(*checkpoint.read(init))
        net.rates = config.rate
    elif init.suffix == weights_file.SUFFIX:
        net = weights_file.read(init)
        net.rates = config.rate
    else:
        net = thaw(load_model(init), config.rate)
    if larger:
        net = grow(net, config.transform, growth_crops(data, config))
    return net, dataclasses.replace(config, transform=net.config)


def codec_of(
    tensors: dict[str, Tensor], state: dict[str, Any], *, average: bool = True
) -> CodecNet:
    """The codec in a checkpoint: its running average, or the weights themselves."""
    config = from_dict(state["config"])
    net = CodecNet(config.transform, config.rate)
    if config.optimizer.integer:
        net.make_integer()
    prefix = "average/" if average else "net/"
    chosen = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    net.load_state_dict(chosen)
    return net
