"""Where a run starts: from nothing, a model, float weights, another run, or where it was.

What is given here decides every weight of step 0, so it must depend on the configuration and the
files alone: a run that is started again gives the same bits.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intact import files
from intact.codec.store import load_model
from intact.errors import ArgumentError
from intact.train import checkpoint, weights_file
from intact.train.codec_net import CodecNet
from intact.train.config import Config, from_dict
from intact.train.convert import convert_codec, observation
from intact.train.data import ImageFolder, Progress, read_list
from intact.train.grow import grow
from intact.train.loop import Trainer
from intact.train.thaw import thaw
from intact.train.transforms import TransformConfig

log = logging.getLogger(__name__)


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


def float_codec(source: Path) -> CodecNet:
    """The codec as it was before freezing: of a run's folder, averaged, or of float weights.

    A run that trained integers has those.

    Raises:
        FileNotFoundError: there is no checkpoint, or no such file.
        CorruptDataError: it is damaged.
    """
    if source.suffix == weights_file.SUFFIX and not source.is_dir():
        return weights_file.read(source)
    return codec_of(*checkpoint.read(source))


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


def trainer_for(
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


def _initial(
    config: Config, data: ImageFolder, init: Path | None, *, larger: bool
) -> tuple[CodecNet, Config]:
    """The weights that a new run starts from, and the configuration with their sizes."""
    if init is None:
        net = CodecNet(config.transform, config.rate, config.optimizer.seed)
        patches = transform_code_patches(data, config.data.crop, config.optimizer.seed)
        net.start_as_transform_code(torch.from_numpy(patches))
        return net, config
    if init.is_dir() or init.suffix == weights_file.SUFFIX:
        net = float_codec(init)
        net.rates = config.rate
    else:
        net = thaw(load_model(init), config.rate)
    if larger:
        net = grow(net, config.transform, growth_crops(data, config))
    return net, dataclasses.replace(config, transform=net.config)


def _describe(init: Path) -> str:
    """What a run starts from, in words that still mean something elsewhere."""
    if init.is_file() and init.suffix != weights_file.SUFFIX:
        model = load_model(init)
        return f"model {model.name} {model.id.hex()}"
    return f"float weights {init.name}" if init.is_file() else f"run {init.name}"


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
    # What the checkpoint does not name yet had its default.
    _say_changes(dataclasses.asdict(from_dict(state["config"])), dataclasses.asdict(config))
    net = CodecNet(config.transform, config.rate, config.optimizer.seed)
    if config.optimizer.integer:
        net.make_integer()
    trainer = Trainer(config, net, data, device, getattr(torch, state["precision"]))
    trainer.load(tensors, state)
    _write_config(config)
    return trainer


def _say_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Log the settings in which a run goes on otherwise than it began: a forgotten --set, maybe."""
    changes = [
        f"{section}.{key} was {before[section][key]!r}, is {value!r}"
        for section, values in now.items()
        for key, value in values.items()
        if before[section][key] != value
    ]
    if changes:
        log.warning("the run goes on with other settings: %s", "; ".join(changes))


def _write_config(config: Config) -> None:
    """Put the configuration, with all defaults, beside the checkpoint, for people."""
    folder = Path(config.output.folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(config), indent=2)
    files.replace(folder / "config.json", text.encode())
