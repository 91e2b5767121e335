"""From a training run's folder to a frozen model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from intact.codec.model import Model
from intact.freeze.kinds import KINDS
from intact.train.config import Config
from intact.train.convert import convert_codec
from intact.train.start import codec_of, config_of, image_folder, observed, read_run


def _parts(config: Config) -> str:
    """What of the codec was trained, and of which rate, where it was not all of the usual one."""
    parts = ", ".join(config.optimizer.networks)
    optimizer = config.optimizer
    how = (
        " for rounded latents" * optimizer.rounded
        + " with values as integers have them" * optimizer.narrow
    )
    return f" of {parts}" * bool(parts) + how


def freeze_run(  # noqa: PLR0913 - freezing has these many choices
    folder: Path,
    name: str,
    *,
    images: int = 96,
    dead_zone: float | None = None,
    settings: Iterable[str] = (),
    progress: Callable[[], None] | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Model:
    """Convert and freeze the averaged weights of a run.

    Args:
        folder: of the run.
        name: of the model.
        images: how many training images are coded to count symbols for the tables.
        dead_zone: the encoder's rounding offset as a share of the step; the kind's own when None.
        settings: in the place of the run's, see `intact.train.changes.set_loose`.
        progress: called after each image.
        note: called with what is being done, for people.

    Raises:
        ModelError: a bound cannot be proven.
        FileNotFoundError: no checkpoint.
        ValueError: the run's images are gone, or a setting is not legal.
    """
    tensors, state = read_run(folder, settings)
    net, config = codec_of(tensors, state), config_of(state)
    data = image_folder(config, lambda done, all: note(f"reading images, {done} of {all}"))
    converted = net.converts
    if converted:
        note("rounding weights, a minute or two")
        net = convert_codec(net, observed(data, config))
    note("counting symbols")
    stride = max(1, len(data.images) // max(images, 1))
    chosen: list[np.ndarray] = data.images[::stride][:images]
    step, batch, crop = state["step"], config.data.batch, config.data.crop
    info = {
        "trained": f"{step} steps of {batch} crops of {crop} pixels{_parts(config)}",
        "images": f"{len(data.images)}",
        "loss": ", ".join(f"{k} {v:.2g}" for k, v in config.loss.shares().items()),
    }
    if converted:
        info["integer training"] = "no: converted after training"
    elif net.is_integer:
        info["integer training"] = "yes"
    if state.get("parent"):
        info["started from"] = str(state["parent"])
    freeze = KINDS[config.codec.kind]
    return freeze(net, name, chosen, info, dead_zone=dead_zone, progress=progress)
