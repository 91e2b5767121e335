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

import torch
from torch import Tensor

from intact import files
from intact.codec.store import load_model
from intact.errors import ArgumentError
from intact.train import checkpoint, weights_file
from intact.train.balance import balance
from intact.train.codecs.codec import Codec
from intact.train.codecs.kind import Kind
from intact.train.codecs.kinds import DEFAULT, kind_of
from intact.train.codecs.task import ImageTask
from intact.train.config import Config, from_dict, to_dict
from intact.train.convert import convert_codec, narrow, narrow_blank, observation, widen
from intact.train.crops import Source
from intact.train.data import ImageFolder, Progress, read_list
from intact.train.loop import Trainer
from intact.train.synthetic import check_fonts

log = logging.getLogger(__name__)


def image_folder(config: Config, progress: Progress | None = None) -> ImageFolder:
    """The images of a run.

    Raises:
        ValueError: no folder is named, none of its images can be used, a name in data.exclude is
            that of no image, or data.synthetic needs fonts that are not there.
        OSError: data.exclude cannot be read.
    """
    data = config.data
    if not data.folders:
        raise ArgumentError("data.folders is empty: name at least one folder of images")
    folders = [Path(f) for f in data.folders]
    exclude = read_list(Path(data.exclude)) if data.exclude else frozenset()
    fonts = check_fonts() if data.synthetic and not data.synthetic_folder else []
    found = ImageFolder(
        folders, data.crop, exclude=exclude, memory_gb=data.memory_gb, progress=progress
    )
    if data.synthetic and data.synthetic_folder:
        more = ImageFolder([Path(data.synthetic_folder)], data.crop, memory_gb=data.memory_gb)
        found.source = Source(found.images, more.images)
        fonts = more.notes
    found.notes += fonts
    return found


def codec_of(tensors: dict[str, Tensor], state: dict[str, Any], *, average: bool = True) -> Codec:
    """The codec in a checkpoint: its running average, or the weights themselves."""
    net = _empty(config_of(state))
    prefix = "average/" if average else "net/"
    chosen = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    net.load_state_dict(chosen)
    return net


def config_of(state: dict[str, Any]) -> Config:
    """The configuration in a checkpoint, with the sizes that it had where it does not say them."""
    tree = state["config"]
    kind = kind_of(tree.get("codec", {}).get("kind", DEFAULT))
    sizes = {**kind.before, **tree.get(kind.sizes, {})}
    return from_dict({**tree, kind.sizes: sizes})


def _empty(config: Config) -> Codec:
    """The codec of a configuration, to be filled with weights."""
    net = config.kind.build(config.own, config.optimizer.seed)
    if config.optimizer.integer:
        net.make_integer()
    if config.optimizer.narrow:
        narrow_blank(net)
    return net


def float_codec(source: Path) -> Codec:
    """The codec as it was before freezing: of a run's folder, averaged, or of float weights.

    A run that trained integers has those.

    Raises:
        FileNotFoundError: there is no checkpoint, or no such file.
        CorruptDataError: it is damaged.
    """
    if source.suffix == weights_file.SUFFIX and not source.is_dir():
        return weights_file.read(source)
    return codec_of(*checkpoint.read(source))


def growth_crops(data: ImageFolder, config: Config, batches: int = 40) -> Iterator[Tensor]:
    """Crops for `grow`: enough patches to tell thousands of features from noise."""
    for i in range(batches):
        yield torch.from_numpy(
            data.crops(range(8), config.data.crop, config.optimizer.seed, 2**31 - 2 - i)
        )


def observed(data: ImageFolder, config: Config) -> list[tuple[Tensor, Tensor]]:
    """What the ranges of a run's integers are observed on: pictures of the kinds it trains on."""
    return observation(data, config.data.crop, synthetic=config.data.synthetic > 0)


def trainer_for(
    config: Config,
    device: torch.device,
    *,
    resume: bool = False,
    init: Path | None = None,
    larger: bool = False,
    progress: Progress | None = None,
) -> Trainer[ImageTask]:
    """A trainer for a new run, or for the one whose checkpoint lies in the output folder.

    Args:
        config: the run. With ``init`` the model decides the sizes of the networks.
        device: where to run.
        resume: continue from the checkpoint in ``config.output.folder``.
        init: what to start from instead of the transform code: a frozen model (.intactm), the
            float weights behind one (.safetensors), or the folder of another run. A float run that
            starts an integer one is the warm start.
        larger: with ``init``, grow the model to the configuration's sizes (`Kind.grow`).
        progress: called while the images are read.

    Raises:
        ValueError: no folder of images, or ``resume`` with other sizes than the checkpoint's.
        FileNotFoundError: ``resume`` or ``init`` without a checkpoint.
    """
    data = image_folder(config, progress)
    if resume:
        return _resume(config, data, device)
    net, config = _initial(config, data, init, larger=larger)
    if config.optimizer.integer and net.converts:
        net = convert_codec(net, observed(data, config))
    if config.optimizer.narrow:
        if not net.converts:
            raise ArgumentError(
                "optimizer.narrow: of a float codec that freezing makes integer; "
                f"{net.KIND!r} is {'integer already' if net.is_integer else 'never converted'}"
            )
        narrow(net, observed(data, config))
    trainer = _trainer(config, net, data, device)
    trainer.parent = _describe(init) if init else ""
    _write_config(config)
    checkpoint.discard(Path(config.output.folder))
    trainer.save()  # from here on the folder's checkpoint is this run's, not one that was replaced
    return trainer


def _initial(
    config: Config, data: ImageFolder, init: Path | None, *, larger: bool
) -> tuple[Codec, Config]:
    """The weights that a new run starts from, and the configuration with their sizes."""
    kind = config.kind
    if init is None:
        seed = config.optimizer.seed
        net = kind.build(config.own, seed)
        kind.begin(net, data, config.data.crop, seed)
        return net, config
    if init.is_dir() or init.suffix == weights_file.SUFFIX:
        net = float_codec(init)
        widen(net)
        if not net.is_integer:
            for name in net.networks:
                balance(net.network(name))
    else:
        net = kind.thaw(load_model(init), config.own)
    legal = (kind.name, *kind.grows_from) if larger else (kind.name,)
    if net.KIND not in legal:
        hint = "; --grow makes one of the other" if net.KIND in kind.grows_from else ""
        raise ArgumentError(f"{init} is of kind {net.KIND!r}, codec.kind = {kind.name!r}{hint}")
    if larger:
        net = kind.grow(net, config.own, growth_crops(data, config))
    sizes = getattr(net.own, kind.sizes)
    if not net.is_integer:
        sizes = _with_loose(sizes, getattr(config.own, kind.sizes), kind)
    config = config.resized(sizes)
    kind.adopt(net, config.own, config.optimizer.seed)
    return net, config


def _with_loose(sizes: Any, of: Any, kind: Kind) -> Any:
    """Sizes with those settings of others that shape no float weights."""
    return dataclasses.replace(sizes, **{key: getattr(of, key) for key in kind.loose})


def _trainer(
    config: Config,
    net: Codec,
    data: ImageFolder,
    device: torch.device,
    precision: torch.dtype | None = None,
) -> Trainer[ImageTask]:
    task = ImageTask(config, net, data)
    settings = config.optimizer, config.output
    return Trainer(task, *settings, device, precision=precision, config=to_dict(config))


def _describe(init: Path) -> str:
    """What a run starts from, in words that still mean something elsewhere, and how that began.

    So that a model tells all legs of its training, not the last one alone.
    """
    if init.is_dir():
        _, state = checkpoint.read(init)
        config, parent = config_of(state), str(state.get("parent", ""))
        trained = f"{state['step']} steps of {config.data.batch} crops of {config.data.crop} pixels"
        return f"run {init.name}{_legs(trained, parent)}"
    if init.suffix == weights_file.SUFFIX:
        info = weights_file.info(init)
        return f"float weights {init.name}{_legs(info.get('trained', ''), info.get('model', ''))}"
    model = load_model(init)
    legs = _legs(model.info.get("trained", ""), model.info.get("started from", ""))
    return f"model {model.name} {model.id.hex()}{legs}"


def _legs(trained: str, parent: str) -> str:
    """In brackets, what is known of what a run starts from."""
    told = [trained] * bool(trained) + [f"from {parent}"] * bool(parent)
    return f" ({'; '.join(told)})" if told else ""


def _resume(config: Config, data: ImageFolder, device: torch.device) -> Trainer[ImageTask]:
    folder = Path(config.output.folder)
    tensors, state = checkpoint.read(folder)
    checkpoint.repair(folder)
    before, kind = config_of(state), config.kind
    if before.codec != config.codec:
        raise ArgumentError(f"codec.kind was {before.codec.kind!r} in this run")
    # The run's own sizes count: with --init they came from the model, not from the file.
    sizes, wanted = getattr(before.own, kind.sizes), getattr(config.own, kind.sizes)
    wanted = _with_loose(wanted, sizes, kind)  # not asked for: runs from before them say none
    if wanted not in (sizes, getattr(kind.config(), kind.sizes)):
        raise ArgumentError(f"the checkpoint's {kind.sizes} is {sizes}, not {wanted}")
    for place in kind.shapes:
        section, key = place.split(".")
        was, now = (getattr(getattr(of.own, section), key) for of in (before, config))
        if was != now:
            raise ArgumentError(f"{place} was {was!r} in this run, not {now!r}; use --init instead")
    for key in ("integer", "method", "networks", "narrow"):
        was = getattr(before.optimizer, key)
        if was != getattr(config.optimizer, key):
            raise ArgumentError(f"optimizer.{key} was {was!r} in this run; use --init instead")
    config = config.resized(sizes)
    _say_changes(to_dict(before), to_dict(config))
    net = _empty(config)
    trainer = _trainer(config, net, data, device, getattr(torch, state["precision"]))
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
    text = json.dumps(to_dict(config), indent=2)
    path = folder / "config.json"
    try:
        files.replace(path, text.encode())
    except OSError as error:  # which may name a temporary file, or none
        raise OSError(error.errno, error.strerror, str(path)) from error
