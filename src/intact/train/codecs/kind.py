"""What the general code of training asks of a kind of codec, besides its network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from intact.codec.model import Model
from intact.errors import ArgumentError
from intact.train.codecs.codec import Codec
from intact.train.data import ImageFolder


def cannot_thaw(*_: Any) -> Codec:
    """Of kinds whose frozen models do not say enough."""
    raise ArgumentError("a frozen model of this kind is no start: name a run or float weights")


def cannot_grow(*_: Any) -> Codec:
    """Of kinds that know no larger form of themselves."""
    raise ArgumentError("a codec of this kind cannot grow")


def take_settings(net: Codec, own: Any, seed: int) -> None:
    """Of kinds whose settings make no weights."""
    net.own = own


@dataclass(frozen=True)
class Kind:
    """A kind of codec.

    Attributes:
        name: what ``codec.kind`` says in a configuration.
        config: a frozen dataclass; its fields are the sections that are the kind's own, frozen
            dataclasses themselves, with defaults.
        sizes: which of these sections decides the shapes of the networks. A checkpoint and --init
            bring their own; the other sections are the configuration's to say.
        multiple: sides of crops are multiples of it.
        build: (sections, seed) to a codec with random weights.
        begin: (codec, images, side of the crops, seed): change them to the weights of a new run.
        check: (sections): an ArgumentError if they contradict each other.
        positive: settings of the kind that must be above 0, as "section.key".
        not_negative: likewise, at least 0.
        thaw: (frozen model, sections) to a codec of the model's sizes; refuses with an
            ArgumentError.
        grow: (codec, sections, uint8 [b, h, w, 3] crops) to a codec of larger sizes; likewise.
        grows_from: other kinds whose codecs ``grow`` takes.
        shapes: settings besides ``sizes`` that a run cannot change, as "section.key": checkpoints
            would not fit.
        loose: settings of ``sizes`` that shape no float weights, by key: --init of these takes the
            configuration's, --resume keeps the run's.
        before: what settings of ``sizes`` were in runs from before they existed, where that is not
            the default.
        adopt: (codec of another run, sections, seed): go on with its networks under these.
    """

    name: str
    config: type
    sizes: str
    multiple: int
    build: Callable[[Any, int], Codec]
    begin: Callable[[Any, ImageFolder, int, int], None]
    check: Callable[[Any], None] = lambda _: None
    positive: tuple[str, ...] = ()
    not_negative: tuple[str, ...] = ()
    thaw: Callable[[Model, Any], Codec] = cannot_thaw
    grow: Callable[[Any, Any, Iterable[Tensor]], Codec] = cannot_grow
    grows_from: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    adopt: Callable[[Codec, Any, int], None] = take_settings
