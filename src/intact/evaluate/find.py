"""Codecs by name: what ``--codec`` takes."""

from __future__ import annotations

from collections.abc import Set

from intact.codec import store
from intact.codec.encoder import MOST_EFFORT, check_effort
from intact.errors import ArgumentError, InexactError
from intact.evaluate.codec import Codec
from intact.evaluate.others import OTHERS, find_other
from intact.evaluate.ours import Member, make

DEFAULT = "intact"
"""Names our default model."""


def find_codec(wanted: str, *, allow_inexact: bool = False) -> Codec:
    """A codec by name.

    Args:
        wanted: one of `OTHERS`; "intact" for our default model; the name of one of our models or
            ``intact:NAME``; the path of a model file; or ``LABEL=MODEL,MODEL...``, one or several
            of them as one codec: models of one rate are points of one curve, of others the best at
            each rate counts. A model may end in ``@EFFORT``, 0..3.
        allow_inexact: take models that compute in float, too.

    Raises:
        MissingError: its package is not installed.
        ArgumentError: there is none of that name, or two models of one name are one codec.
        InexactError: a model is not exact, and that is not allowed.
        UnsupportedError: an effort needs PyTorch, or a model of another kind.
        IntactError: a model's file is missing or damaged.
    """
    if wanted in OTHERS:
        return find_other(wanted)
    label, _, places = wanted.rpartition("=")
    members = [_member(place, wanted, allow_inexact=allow_inexact) for place in places.split(",")]
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        raise ArgumentError(f"{wanted}: two models are named {max(names, key=names.count)!r}")
    if not label and len(members) > 1:
        raise ArgumentError(f"{wanted}: several models as one codec need a name: NAME={wanted}")
    place, at, effort = places.partition("@")
    name = label or (DEFAULT + at + effort if place == DEFAULT else names[0])
    if name in OTHERS:
        raise ArgumentError(f"{wanted}: {name} is the name of another codec")
    return make(name, members)


def _member(place: str, wanted: str, *, allow_inexact: bool) -> Member:
    known = {path.stem for path in store.model_files()}
    place, effort, suffix = _split(place.removeprefix(f"{DEFAULT}:"), wanted, known)
    if place == DEFAULT and DEFAULT not in known:
        place = store.DEFAULT
    if not place.endswith(store.SUFFIX) and place not in known:
        names = ", ".join([*OTHERS, DEFAULT, *sorted(known)])
        raise ArgumentError(
            f"no codec named {wanted!r}; there are {names}, and paths of {store.SUFFIX}"
        )
    path = store.model_path(place)
    model = store.read_model(path)
    if not model.is_exact and not allow_inexact:
        raise InexactError(
            f"{path}: the model computes in float (profile {model.bottleneck.profile}); "
            "--allow-inexact measures it all the same"
        )
    check_effort(model, effort)
    name = path.name.removesuffix(store.SUFFIX)
    return Member(name + suffix, str(path), model.id.hex(), len(model.levels), effort)


def _split(place: str, wanted: str, known: Set[str]) -> tuple[str, int, str]:
    """A model's place, its effort, and how it was said: "photo@1" is "photo", 1 and "@1"."""
    before, at, effort = place.rpartition("@")
    if not at or place in known or place.endswith(store.SUFFIX):
        return place, 0, ""
    if effort not in map(str, range(MOST_EFFORT + 1)):
        raise ArgumentError(f"{wanted}: the effort is {effort!r}, must be in 0..{MOST_EFFORT}")
    return before, int(effort), at + effort
