"""The training configuration: frozen dataclasses, read from TOML, changed by ``--set a.b=c``.

Some sections belong to all kinds of codec, others to the one that ``codec.kind`` names
(`intact.train.codecs.kinds`), which reads and checks them. An unknown key or a value of the wrong
type is an error that lists the legal ones. The resolved configuration is written into every
checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intact.errors import ArgumentError
from intact.train.codecs import kinds
from intact.train.codecs.kind import Kind
from intact.train.data import MEMORY_GB
from intact.train.losses import LossConfig
from intact.train.settings import coerce, parsed


@dataclass(frozen=True)
class CodecConfig:
    """What is trained.

    Attributes:
        kind: of codec; see `intact.train.codecs.kinds`.
    """

    kind: str = kinds.DEFAULT


@dataclass(frozen=True)
class DataConfig:
    """What to train on.

    Attributes:
        folders: of images, searched recursively.
        exclude: a text file of images that are not to be trained on, one a line as a path below its
            folder; '#' begins a comment. Empty: none.
        crop: side of the training crops; a multiple of 64 (of what the kind of codec asks for).
            Below 192 a hyperprior learns borders.
        batch: crops per step.
        flat: share of crops that lose their contrast, so that plain areas are known too.
        synthetic: share of crops that are text, screens, charts, drawings and plain colors; see
            `intact.train.synthetic`, and docs/training_data.md for the fonts that they need.
        synthetic_folder: of pictures to cut these crops from where they cannot be drawn, for want
            of fonts or time. Empty: they are drawn.
        on_device: keep the pixels in the device's memory and cut crops there.
        flat_weight: of crops without any contrast in the loss. They cost so few bits that otherwise
            nothing would be done about them.
        smooth_weight: likewise of crops that change slowly everywhere, as gradients do.
        smooth_edges: in those crops, weight of the mean squared second difference of the error,
            added to the distortion: edges of blocks, which are seen there first.
        memory_gb: for the pixels of the images; of larger collections only parts are read.
    """

    folders: tuple[str, ...] = ()
    exclude: str = ""
    crop: int = 192
    batch: int = 4
    flat: float = 0.06
    synthetic: float = 0.0
    synthetic_folder: str = ""
    on_device: bool = False
    flat_weight: float = 20.0
    smooth_weight: float = 1.0
    smooth_edges: float = 0.0
    memory_gb: float = MEMORY_GB


@dataclass(frozen=True)
class OptimizerConfig:
    """How to train.

    Attributes:
        method: "soap" (`intact.train.soap`) or "adam".
        steps: in total.
        learning_rate: at its height.
        slow_factor: times that, for weights that write into pixels or latents directly.
        warmup: steps of linear rise.
        decay_from: fraction of the steps (or seconds) after which the rate falls as a cosine.
        clip_norm: gradients are scaled down to this norm.
        average: decay of the running average of the weights, which is what gets frozen.
        precision: of the branches: "auto" measures float32 against bfloat16 for a second when a
            run begins; --resume keeps what was found, unless it is told another.
        fine_streams: the streams that branches are added to stay in float32, which is slower: in
            bfloat16 they are off by up to half a gray level, which hides the errors of plain areas.
        integer: train with the integer forward pass (Ballé 2019 §3); otherwise the float twin.
        seed: of weights, crops and noise.
        refresh: steps between two updates of SOAP's bases; on a GPU these cost as much as 50 steps.
        seconds: of training after which the run ends, and its learning rate has fallen, though not
            all steps are done: a schedule by the clock. 0: steps alone count. Such a run is not
            the same bit for bit when it is done again.
        networks: parts of the codec that alone are trained, by name: networks, as ["prior_a",
            "prior_b"] or ["synthesis"], and what lies beside them, as "prior_z"; a wrong name is
            answered with those there are. Empty: all.
        rounded: the rate is that of latents as they are rounded, not of latents with noise. Image
            codecs 1 and 2 have it.
        narrow: values of few bits (8, or transform.pixel_bits) are rounded and cut off while the
            float twin is trained, at their ranges where the run starts. For the last leg.
    """

    method: str = "soap"
    steps: int = 20000
    learning_rate: float = 1e-3
    slow_factor: float = 0.1
    warmup: int = 200
    decay_from: float = 0.5
    clip_norm: float = 1.0
    average: float = 0.999
    precision: str = "auto"
    fine_streams: bool = False
    integer: bool = False
    seed: int = 0
    refresh: int = 20
    seconds: float = 0.0
    networks: tuple[str, ...] = ()
    rounded: bool = False
    narrow: bool = False


@dataclass(frozen=True)
class OutputConfig:
    """What to leave behind.

    Attributes:
        folder: of checkpoints, logs and the resolved configuration.
        checkpoint_every: steps.
        log_every: steps.
    """

    folder: str = "run"
    checkpoint_every: int = 500
    log_every: int = 20


@dataclass(frozen=True)
class Config:
    """A whole training run.

    Attributes:
        own: the sections that are the kind's own, `Kind.config`.
    """

    codec: CodecConfig = field(default_factory=CodecConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    own: Any = field(default_factory=kinds.kind_of(kinds.DEFAULT).config)

    @property
    def kind(self) -> Kind:
        """The kind of codec."""
        return kinds.kind_of(self.codec.kind)

    def resized(self, sizes: Any) -> Config:
        """The same with other sizes of the networks: those of a checkpoint or a model."""
        own = dataclasses.replace(self.own, **{self.kind.sizes: sizes})
        return dataclasses.replace(self, own=own)


COMMON = tuple(f.name for f in dataclasses.fields(Config) if f.name != "own")
"""Sections of every kind."""

POSITIVE = (
    "data.batch", "data.memory_gb", "optimizer.steps", "optimizer.learning_rate",
    "optimizer.slow_factor", "optimizer.clip_norm", "optimizer.refresh",
    "output.checkpoint_every", "output.log_every",
)  # fmt: skip
NOT_NEGATIVE = (
    "data.flat_weight", "data.smooth_weight", "data.smooth_edges", "loss.mse", "loss.ms_ssim",
    "loss.ssimulacra2", "loss.masked", "optimizer.warmup", "optimizer.seconds", "optimizer.seed",
)  # fmt: skip
SHARES = ("data.flat", "data.synthetic", "optimizer.decay_from", "optimizer.average")
"""Settings from 0 to 1."""
PRECISIONS = ("auto", "float32", "bfloat16")
METHODS = ("soap", "adam")


def to_dict(config: Config) -> dict[str, Any]:
    """Nested dicts, all sections side by side; inverse of `from_dict`."""
    common = {name: dataclasses.asdict(getattr(config, name)) for name in COMMON}
    return common | dataclasses.asdict(config.own)


def from_dict(tree: dict[str, Any]) -> Config:
    """Build a configuration from nested dicts; inverse of `to_dict`.

    Raises:
        ValueError: an unknown kind, section or key, or a value of the wrong type.
    """
    codec = _section("codec", CodecConfig(), tree.get("codec", {}))
    kind = kinds.kind_of(codec.kind)
    default = Config(codec=codec, own=kind.config())
    theirs = [f.name for f in dataclasses.fields(kind.config)]
    legal = (*COMMON, *theirs)
    for name, values in tree.items():
        if name not in legal:
            section = "section" if isinstance(values, dict) else "setting outside a section:"
            raise ArgumentError(f"unknown {section} {name!r}; legal sections: {', '.join(legal)}")

    def read(of: Any, names: Iterable[str]) -> dict[str, Any]:
        return {n: _section(n, getattr(of, n), tree.get(n, {})) for n in names}

    config = Config(**read(default, COMMON), own=kind.config(**read(default.own, theirs)))
    _check(config)
    return config


def _section(name: str, default: Any, values: Any) -> Any:
    """A section with its values in the place of the defaults."""
    if not isinstance(values, dict):
        raise ArgumentError(f"{name} = {values!r}, must be a section")
    legal = {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}
    for key in values:
        if key not in legal:
            raise ArgumentError(f"unknown key {name}.{key}; legal: {', '.join(legal)}")
    changed = {k: coerce(v, legal[k], f"{name}.{k}") for k, v in values.items()}
    return dataclasses.replace(default, **changed)


def _check(config: Config) -> None:
    kind = config.kind
    if config.data.crop % kind.multiple or config.data.crop < kind.multiple:
        raise ArgumentError(
            f"data.crop = {config.data.crop} is not a positive multiple of {kind.multiple}"
        )
    positive, not_negative = (*POSITIVE, *kind.positive), (*NOT_NEGATIVE, *kind.not_negative)
    for place in (*positive, *not_negative, *SHARES):
        section, _, key = place.partition(".")
        value = getattr(getattr(config if section in COMMON else config.own, section), key)
        legal = "> 0" if place in positive else "in 0..1" if place in SHARES else ">= 0"
        most = 1 if place in SHARES else math.inf
        if not 0 <= value <= most or value == math.inf or (value == 0 and place in positive):
            raise ArgumentError(f"{place} = {value}, must be {legal}")
    config.loss.check(config.data.crop)
    if config.optimizer.seed >= 1 << 63:
        raise ArgumentError(f"optimizer.seed = {config.optimizer.seed}, must be below 2**63")
    if not config.output.folder:
        raise ArgumentError("output.folder is empty: name a folder")
    for key, words in (("precision", PRECISIONS), ("method", METHODS)):
        if (word := getattr(config.optimizer, key)) not in words:
            raise ArgumentError(f"optimizer.{key} = {word!r}; legal: {', '.join(words)}")
    for key in ("narrow", "fine_streams") if config.optimizer.integer else ():
        if getattr(config.optimizer, key):
            raise ArgumentError(f"optimizer.{key} is of float training, optimizer.integer is not")
    kind.check(config.own)


def load(path: Path | None, settings: list[str] | None = None) -> Config:
    """Read a TOML file and apply ``section.key=value`` settings.

    Args:
        path: TOML file, or None for the defaults.
        settings: each value is written as in TOML; a bare word counts as a string.

    Raises:
        ValueError: see `from_dict`; no TOML; or a setting without ``=``.
        OSError: the file cannot be read.
    """
    try:
        tree: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path else {}
    except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError are of this kind
        raise ArgumentError(f"{path} is no TOML: {error}") from error
    for section, name, value in map(parsed, settings or []):
        values = tree.setdefault(section, {})
        if not isinstance(values, dict):
            raise ArgumentError(f"{section} = {values!r}, must be a section")
        values[name] = value
    return from_dict(tree)
