"""Our models as codecs: one model, or several that make up one curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

import intact
from intact.codec.model import Model
from intact.codec.store import read_model
from intact.errors import ModelError
from intact.evaluate.codec import Codec, Grid

SETTINGS = ("0", "15", "30", "45", "60", "75", "90", "100")
FINE = tuple(f"{q / 2:g}" for q in range(201))


@dataclass(frozen=True)
class Member:
    """A model file.

    Attributes:
        name: of the file, without suffix.
        path: of the file.
        id: of the model, in hex.
        levels: how many rates it has.
        effort: 0..3, see `intact.encode`.
    """

    name: str
    path: str
    id: str
    levels: int
    effort: int = 0

    def load(self) -> Model:
        """The model; kept in memory by the store.

        Raises:
            ModelError: another one is there now.
        """
        model = read_model(Path(self.path))
        if model.id.hex() != self.id:
            raise ModelError(f"{self.path} was model {self.id}, and now is {model.id.hex()}")
        return model


@dataclass(frozen=True, eq=False)
class IntactCodec(Codec):
    """Models of ours, through the public interface.

    Attributes:
        members: the models.
    """

    members: tuple[Member, ...]

    @property
    def is_ours(self) -> bool:
        """Whether it is a model of Intact."""
        return True

    @property
    def is_fixed(self) -> bool:
        """Whether all of them have one rate."""
        return all(member.levels == 1 for member in self.members)

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        member, quality = self._at(setting)
        rate = "" if member.levels == 1 else f"quality={quality} "
        effort = f" effort={member.effort}" if member.effort else ""
        return f"{rate}model={member.load().name}{effort}"

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""
        member, text = self._at(setting)
        quality = 50.0 if member.levels == 1 else float(text)  # of one rate any is the same
        model, inexact = member.load(), not member.load().is_exact
        return intact.encode(
            pixels, quality=quality, model=model, threads=1, effort=member.effort,
            allow_inexact=inexact,
        )  # fmt: skip

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""
        model_id = intact.peek(data).model_id.hex()
        [member] = [member for member in self.members if member.id == model_id][:1]
        model = member.load()
        return intact.decode(data, model=model, threads=1, allow_inexact=not model.is_exact).pixels

    def at(self, settings: Sequence[str]) -> Self:
        """With other settings; models of one rate have none.

        Raises:
            ArgumentError: one of them is no number from 0 to 100.
        """
        asked = super().at(settings)
        if self.is_fixed:
            return self
        fixed = tuple(member.name for member in self.members if member.levels == 1)
        kept = tuple(s for s in asked.settings if not (fixed and "/" not in s))
        return replace(asked, settings=fixed + kept)

    def thinned(self, points: int) -> Self:
        """With at most so many qualities of a model of several rates; every model stays."""
        single = {member.name for member in self.members if member.levels == 1}
        kept = super().thinned(points).settings
        return replace(self, settings=tuple(s for s in self.settings if s in single or s in kept))

    def _at(self, setting: str) -> tuple[Member, str]:
        """The model of a setting, and its quality."""
        by_name = {member.name: member for member in self.members}
        variant, slash, quality = setting.rpartition("/")
        if slash:
            return by_name[variant], quality
        return by_name.get(setting, self.members[0]), setting


def make(name: str, members: Sequence[Member]) -> IntactCodec:
    """A codec of some models: those of one rate are settings, others are variants."""
    single = [member for member in members if member.levels == 1]
    several = [member for member in members if member.levels > 1]
    prefix = {m.name: f"{m.name}/" if len(members) > 1 else "" for m in several}
    settings = [m.name for m in single]
    settings += [f"{prefix[m.name]}{q}" for m in several for q in SETTINGS]
    grids: list[Grid] = [[m.name for m in single]] if single else []
    grids += [[f"{prefix[m.name]}{q}" for q in FINE] for m in several]
    ids = " ".join(f"{m.id}@{m.effort}" if m.effort else m.id for m in members)
    source = f"intact {intact.__version__} model {ids}"
    return IntactCodec(name, tuple(settings), tuple(grids), source, tuple(members))
