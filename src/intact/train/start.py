"""Where a run starts: from nothing, a model, float weights, another run, or where it was.

What is given here decides every weight of step 0, so it must depend on the configuration and the
files alone: a run that is started again gives the same bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from intact import files
from intact.codec.store import load_model
from intact.errors import ArgumentError
from intact.train import changes, checkpoint, weights_file
from intact.train.balance import balance
from intact.train.codecs.codec import Codec
from intact.train.codecs.kinds import DEFAULT, kind_of
from intact.train.codecs.task import ImageTask
from intact.train.config import Config, from_dict, to_dict
from intact.train.convert import convert_codec, narrow, narrow_blank, observation, widen
from intact.train.crops import Source
from intact.train.data import ImageFolder, Progress, read_list
from intact.train.loop import Trainer
from intact.train.synthetic import check_fonts


def image_folder(config: Config, progress: Progress | None = None) -> ImageFolder:
    """The images of a run.

    Raises:
        ValueError: no folder is named, none of its images can be used, a name in data.exclude is
            that of no image, or data.synthetic needs fonts that are not there.
        OSError: a folder, or data.exclude, is not there or cannot be read.
    """
    data = config.data
    if not data.folders:
        raise ArgumentError("data.folders is empty: name at least one folder of images")
    folders = [_there("data.folders", f) for f in data.folders]
    exclude = frozenset[str]()
    if data.exclude:
        exclude = read_list(_there("data.exclude", data.exclude))
    fonts = check_fonts() if data.synthetic and not data.synthetic_folder else []
    found = ImageFolder(
        folders, data.crop, exclude=exclude, memory_gb=data.memory_gb, progress=progress
    )
    if data.synthetic and data.synthetic_folder:
        drawn = _there("data.synthetic_folder", data.synthetic_folder)
        more = ImageFolder([drawn], data.crop, memory_gb=data.memory_gb)
        found.source = Source(found.images, more.images)
        fonts = more.notes
    found.notes += fonts
    return found


def _there(place: str, name: str) -> Path:
    """What a setting names; where that cannot be read, an error that names the setting, too."""
    path = Path(name).expanduser()
    try:
        if place == "data.exclude":
            path.open("rb").close()
        else:
            os.scandir(path).close()
    except OSError as error:
        looked = "" if path.is_absolute() else f", looked for in {Path.cwd()}"
        raise OSError(error.errno, f"{error.strerror} ({place}{looked})", name) from error
    return path


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


def read_run(
    folder: Path, settings: Iterable[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The checkpoint of a run, as `intact.train.checkpoint.read` gives it.

    Args:
        folder: of the run.
        settings: in the place of its own, see `intact.train.changes.set_loose`.

    Raises:
        FileNotFoundError: there is no checkpoint.
        CorruptDataError: it is damaged.
        ArgumentError: a setting is not legal.
    """
    tensors, state = checkpoint.read(folder)
    state["config"] = to_dict(changes.set_loose(config_of(state), settings))
    return tensors, state


def float_codec(source: Path, settings: Iterable[str] = ()) -> Codec:
    """The codec as it was before freezing: of a run's folder, averaged, or of float weights.

    A run that trained integers has those. ``settings`` are a run's, see `read_run`.

    Raises:
        FileNotFoundError: there is no checkpoint, or no such file.
        CorruptDataError: it is damaged.
    """
    if source.suffix == weights_file.SUFFIX and not source.is_dir():
        return weights_file.read(source)
    return codec_of(*read_run(source, settings))


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
        changes.check_kind(init, net.KIND, kind, larger=larger)
    else:
        model = load_model(init)
        changes.check_kind(init, model.bottleneck.FORMAT, kind, larger=larger)
        net = kind.thaw(model, config.own)
    if larger:
        net = kind.grow(net, config.own, growth_crops(data, config))
    sizes, wanted = getattr(net.own, kind.sizes), getattr(config.own, kind.sizes)
    if not net.is_integer:
        sizes = changes.with_loose(sizes, wanted, kind)
    changes.say_unused(sizes, wanted, kind)
    config = config.resized(sizes)
    kind.adopt(net, config.own, config.optimizer.seed)
    return net, config


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
    before = config_of(state)
    sizes = changes.refuse(before, config, parent=bool(state.get("parent")))
    config = config.resized(sizes)
    changes.say(to_dict(before), to_dict(config))
    net = _empty(config)
    precision = config.optimizer.precision
    kept = state["precision"] if precision == "auto" else precision
    trainer = _trainer(config, net, data, device, getattr(torch, kept))
    trainer.load(tensors, state)
    _write_config(config)
    return trainer


def _write_config(config: Config) -> None:
    """Put the configuration, with all defaults, beside the checkpoint, for people."""
    folder = Path(config.output.folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.replace(folder / "config.json", json.dumps(to_dict(config), indent=2).encode())
