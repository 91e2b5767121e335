"""What of a run may differ from what it goes on from, and what is said where something does.

A run goes on from a checkpoint of its own (--resume), or from another codec (--init).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from intact.errors import ArgumentError
from intact.train.codecs.kind import Kind
from intact.train.codecs.kinds import KINDS
from intact.train.config import Config, from_dict, to_dict
from intact.train.settings import parsed

log = logging.getLogger(__name__)


def check_kind(init: Path, found: str, kind: Kind, *, larger: bool) -> None:
    """Refuse to start from a codec of a kind that a run's cannot come from."""
    if found == kind.name or (larger and found in kind.grows_from):
        return
    hint = f"; to go on with it write codec.kind = {found!r}" if found in KINDS else ""
    if found in kind.grows_from:
        hint += "; --grow makes one of the other"
    raise ArgumentError(f"{init} is of kind {found!r}, codec.kind = {kind.name!r}{hint}")


def _differing(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Settings in which two equal sections differ: key, the one's and the other's value."""
    for f in dataclasses.fields(one):
        was, now = getattr(one, f.name), getattr(other, f.name)
        if was != now:
            yield f.name, was, now


def say_unused(sizes: Any, wanted: Any, kind: Kind) -> None:
    """Log the sizes that were asked for, where those of the start count."""
    default = getattr(kind.config(), kind.sizes)
    unused = [
        f"{kind.sizes}.{key} is {is_}, not {asked}"
        for key, is_, asked in _differing(sizes, wanted)
        if asked != getattr(default, key)
    ]
    if unused:
        log.warning(
            "the sizes of what the run starts from count: %s; --init with --grow makes it larger",
            ", ".join(unused),
        )


def _say_kept(sizes: Any, wanted: Any, kind: Kind) -> None:
    """Log what was asked for of settings that shape no float weights, where the run has others."""
    default = getattr(kind.config(), kind.sizes)
    kept = [
        f"{kind.sizes}.{key} is {is_}, not {asked}"
        for key, is_, asked in _differing(sizes, wanted)
        if key in kind.loose and asked != getattr(default, key)
    ]
    if kept:
        log.warning("a run keeps what it began with: %s; --init takes another", ", ".join(kept))


def with_loose(sizes: Any, of: Any, kind: Kind) -> Any:
    """Sizes with those settings of others that shape no float weights."""
    return dataclasses.replace(sizes, **{key: getattr(of, key) for key in kind.loose})


def refuse(before: Config, config: Config, *, parent: bool) -> Any:
    """The sizes with which a run can be resumed.

    Args:
        before: the configuration in its checkpoint.
        config: what is asked for now.
        parent: the run began with --init, whose sizes counted already then.

    Raises:
        ArgumentError: something differs that a run cannot change on the way.
    """
    kind = config.kind
    if before.codec != config.codec:
        raise ArgumentError(
            f"codec.kind was {before.codec.kind!r} in this run, not {config.codec.kind!r}; "
            "a run keeps its kind"
        )
    # The run's own sizes count: with --init they came from the model, not from the file.
    sizes, wanted = getattr(before.own, kind.sizes), getattr(config.own, kind.sizes)
    _say_kept(sizes, wanted, kind)
    wanted = with_loose(wanted, sizes, kind)  # not asked for: runs from before them say none
    if parent:
        say_unused(sizes, wanted, kind)
    elif wanted not in (sizes, getattr(kind.config(), kind.sizes)):
        differing = "; ".join(
            f"{kind.sizes}.{key} was {was!r} in this run, not {now!r}"
            for key, was, now in _differing(sizes, wanted)
        )
        raise ArgumentError(f"{differing}; a new run with --init and --grow makes it larger")
    for place in kind.shapes:
        section, key = place.split(".")
        was, now = (getattr(getattr(of.own, section), key) for of in (before, config))
        if was != now:
            raise ArgumentError(f"{place} was {was!r} in this run, not {now!r}; use --init instead")
    for key in ("integer", "method", "networks", "narrow"):
        was, now = (getattr(of.optimizer, key) for of in (before, config))
        if was != now:
            raise ArgumentError(
                f"optimizer.{key} was {was!r} in this run, not {now!r}; use --init instead"
            )
    return sizes


def set_loose(config: Config, settings: Iterable[str]) -> Config:
    """A run's configuration with other settings of those that shape no float weights.

    Args:
        config: of a checkpoint.
        settings: ``section.key=value`` each.

    Raises:
        ArgumentError: another setting, or a value that is not legal.
    """
    kind, tree = config.kind, to_dict(config)
    legal = [f"{kind.sizes}.{key}" for key in kind.loose]
    for setting in settings:
        section, key, value = parsed(setting)
        if f"{section}.{key}" not in legal:
            can = f"can be another: {', '.join(legal)}" if legal else "can be another"
            raise ArgumentError(
                f"--set {setting}: of a run of {kind.name!r} that is trained, "
                f"{'only these' if legal else 'nothing'} {can}"
            )
        if config.optimizer.integer:
            raise ArgumentError(f"--set {setting}: the run trained integers, which have it already")
        tree[section][key] = value
    return from_dict(tree)


def say(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Log the settings in which a run goes on otherwise than it began: a forgotten --set, maybe."""
    changes = [
        f"{section}.{key} was {before[section][key]!r}, is {value!r}"
        for section, values in now.items()
        for key, value in values.items()
        if before[section][key] != value
    ]
    if changes:
        log.warning("the run goes on with other settings: %s", "; ".join(changes))
