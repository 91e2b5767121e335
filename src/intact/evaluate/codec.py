"""What a codec is here: pixels to a real file and back, at settings that have names."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from intact.errors import ArgumentError, IntactError, UnsupportedError

Grid = Sequence[str]


@dataclass(frozen=True)
class Legal:
    """What a setting may be, as a codec's library takes it without bending it.

    Attributes:
        low, high: the range, both included.
        whole: of integers alone.
    """

    low: float = 0
    high: float = 100
    whole: bool = False

    def check(self, name: str, setting: str) -> str:
        """A setting as text, integers without a point.

        Raises:
            ArgumentError: it is no number, or out of range.
        """
        try:
            number = float(setting)
        except ValueError:
            raise ArgumentError(f"{name}: a quality must be a number, not {setting!r}") from None
        if not self.low <= number <= self.high or (self.whole and not number.is_integer()):
            kind = " of whole numbers" if self.whole else ""
            raise ArgumentError(
                f"{name}: quality {setting}, expected {self.low:g} .. {self.high:g}{kind}"
            )
        return str(int(number)) if number.is_integer() else setting.strip()


class MissingError(UnsupportedError):
    """The package that a codec or metric needs is not installed; the message names it."""


@dataclass(frozen=True, eq=False)
class Codec(ABC):
    """A codec; plain data, so that it can be handed to another process.

    Attributes:
        name: unique in a table.
        settings: the points of its curve, as text; "variant/setting" where the codec is the better
            of several variants.
        grids: every setting worth trying, one grid a variant, in the order of growing files.
        source: the libraries and their versions, or the model and its id.
    """

    name: str
    settings: tuple[str, ...]
    grids: tuple[Grid, ...]
    source: str

    @property
    def legal(self) -> Legal:
        """What its settings may be."""
        return Legal()

    @property
    def is_fixed(self) -> bool:
        """Whether nobody can choose its settings: models of one rate."""
        return False

    @abstractmethod
    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""

    @abstractmethod
    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""

    @abstractmethod
    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a model of Intact."""
        return False

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name

    def at(self, settings: Sequence[str]) -> Self:
        """The same codec with other settings, of each of its variants.

        Raises:
            ArgumentError: one of them is no number, or not `legal`.
        """
        asked = dict.fromkeys(self.legal.check(self.name, setting) for setting in settings)
        prefixes = dict.fromkeys(s.rpartition("/")[0] for s in self.settings)
        found = (f"{prefix}/{s}" if prefix else s for prefix in prefixes for s in asked)
        return replace(self, settings=tuple(found))

    def thinned(self, points: int) -> Self:
        """With at most so many settings a variant, from the first to the last."""
        variants: dict[str, list[str]] = {}
        for setting in self.settings:
            variants.setdefault(setting.rpartition("/")[0], []).append(setting)
        kept: list[str] = []
        for found in variants.values():
            places = np.linspace(0, len(found) - 1, min(points, len(found))).round().astype(int)
            kept += [found[place] for place in dict.fromkeys(places.tolist())]
        return replace(self, settings=tuple(kept))


def told(error: Exception) -> str:
    """What went wrong in a codec, in one line: ours in our words, others' with their kind."""
    kind = "" if isinstance(error, IntactError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """What C libraries print to standard output goes to stderr: the output is for results.

    jxrlib does, of pictures that it refuses.
    """
    if sys.stdout:  # None where it was closed from the start
        sys.stdout.flush()
    try:
        os.fstat(2)
        kept = os.dup(1)
    except OSError:  # one of them is closed
        yield
        return
    os.dup2(2, 1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, TypeError, AttributeError):
            ctypes.CDLL(None).fflush(None)  # what C holds back would come later, among ours
        os.dup2(kept, 1)
        os.close(kept)


def package(module: str, name: str) -> str:
    """Name and version of an installed package, whose module is loaded.

    Raises:
        MissingError: it is not installed, or cannot be loaded.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        there = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails: {error}"
        raise MissingError(f"{name} {there} (it is in the extra bench)") from error
    return f"{name} {importlib.import_module('importlib.metadata').version(name)}"


def texts(*values: float) -> tuple[str, ...]:
    """Settings from numbers."""
    return tuple(map(str, values))
