"""From a training run's folder to a frozen model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from intact.codec.model import Model
from intact.freeze.checkerboard import DEAD_ZONE, freeze
from intact.train import checkpoint, weights_file
from intact.train.codec_net import CodecNet
from intact.train.config import Config, from_dict
from intact.train.convert import convert_codec, observation
from intact.train.loop import codec_of, image_folder


def load_codec(folder: Path, *, average: bool = True) -> tuple[CodecNet, Config, int]:
    """The codec of a run: (network, configuration, step).

    Args:
        folder: with a checkpoint.
        average: take the running average of the weights, which is what should be used.

    Raises:
        FileNotFoundError: there is no checkpoint.
        CorruptDataError: it is damaged.
    """
    tensors, state = checkpoint.read(folder)
    net = codec_of(tensors, state, average=average)
    return net, from_dict(state["config"]), int(state["step"])


def write_weights(folder: Path, path: Path, model: Model) -> None:
    """Write the averaged float weights of a run beside the model that was frozen from it.

    Raises:
        ValueError: the run trained integers: there are no float weights.
    """
    net, config, step = load_codec(folder)
    if config.optimizer.integer:
        raise ValueError(f"{folder} trained integers: they are the weights, there are no others")
    weights_file.write(path, net, {"model": model.id.hex(), "steps": str(step)})


def freeze_run(
    folder: Path,
    name: str,
    *,
    images: int = 96,
    dead_zone: float = DEAD_ZONE,
    progress: Callable[[], None] | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Model:
    """Convert and freeze the averaged weights of a run.

    Args:
        folder: of the run.
        name: of the model.
        images: how many training images are coded to count symbols for the tables.
        dead_zone: see `freeze`.
        progress: called after each image.
        note: called with what is being done, for people.

    Raises:
        ModelError: a bound cannot be proven.
        FileNotFoundError: no checkpoint.
        ValueError: the run's images are gone.
    """
    net, config, step = load_codec(folder)
    data = image_folder(config, lambda done, all: note(f"reading images, {done} of {all}"))
    if not config.optimizer.integer:
        note("rounding weights, a minute or two")
        net = convert_codec(net, observation(data, config.data.crop))
    note("counting symbols")
    stride = max(1, len(data.images) // max(images, 1))
    chosen: list[np.ndarray] = data.images[::stride][:images]
    info = {
        "trained": f"{step} steps of {config.data.batch} crops of {config.data.crop} pixels",
        "images": f"{len(data.images)}",
        "loss": ", ".join(f"{k} {v:.2g}" for k, v in config.loss.shares().items()),
        "integer training": "yes" if config.optimizer.integer else "no: converted after training",
    }
    parent = checkpoint.read(folder)[1].get("parent")
    if parent:
        info["started from"] = str(parent)
    return freeze(net, name, chosen, info, dead_zone=dead_zone, progress=progress)
