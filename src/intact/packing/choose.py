"""Which tensors the packer leaves alone, and what is asked for of the others.

Bit-identical stay: integers, masks, what is small, what has one axis (norms and biases, by
default), what is not finite. Each is listed with its reason (`intact.packing.index.NOTES`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np

from intact.errors import ArgumentError, CorruptDataError, quoted
from intact.packing.dtypes import Array, Dtype
from intact.packing.index import NOTES
from intact.packing.quantize import Statistics, pieces

DEFAULT_BITS: Final = 4.0
SMALL: Final = 1024
"""Elements of a tensor below which it is left alone: its tables would take what it saves."""
MAX_BITS: Final = 12.0


@dataclass(frozen=True)
class Target:
    """What is asked for of some tensors: one of these, or nothing, for lossless.

    Attributes:
        bits: mean coded bits for a weight.
        ratio: bytes of the input for one of the file.
        max_error: root mean square error over the standard deviation, of each tensor.
    """

    bits: float | None = None
    ratio: float | None = None
    max_error: float | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) > 1:
            raise ArgumentError(f"one of {', '.join(given)}, not both")
        for name, value in given.items():
            low, high = LEGAL[name]
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not (low <= value <= high)
            ):
                raise ArgumentError(f"{name} is {quoted(value)}, legal: {low:g} .. {high:g}")

    @property
    def lossless(self) -> bool:
        """Nothing else is asked for."""
        return self.bits is None and self.ratio is None and self.max_error is None


LEGAL: Final = {"bits": (0.01, MAX_BITS), "ratio": (0.1, 10000.0), "max_error": (1e-4, 1.0)}
LOSSLESS: Final = Target()


@dataclass(frozen=True)
class Rule:
    """What is asked for of tensors whose names match a pattern."""

    match: str
    target: Target


@dataclass(frozen=True)
class Settings:
    """How a file is packed.

    Attributes:
        target: of tensors that no rule matches.
        include: patterns of names that are packed though they are small or have one axis.
        exclude: patterns of names that are left alone, whatever else is said.
        rules: the first that matches a name counts.
        best: take the slower coder of symbols.
    """

    target: Target = Target(bits=DEFAULT_BITS)
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    rules: Sequence[Rule] = ()
    best: bool = False

    def rule_of(self, name: str) -> int:
        """Number of the rule that counts for a tensor; that of rules if none does."""
        found = (i for i, rule in enumerate(self.rules) if fnmatchcase(name, rule.match))
        return next(found, len(self.rules))

    def target_of(self, name: str) -> Target:
        """What is asked for of a tensor."""
        number = self.rule_of(name)
        return self.rules[number].target if number < len(self.rules) else self.target

    def check_patterns(self, names: Sequence[str]) -> None:
        """Refuse patterns that fit nothing: they are typing errors.

        Raises:
            ArgumentError: one does.
        """
        for pattern in (*self.include, *self.exclude, *(rule.match for rule in self.rules)):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ArgumentError(f"no tensor's name matches {quoted(pattern)}")


def read_recipe(data: bytes, name: str) -> dict[str, Any]:
    """Rules, include and exclude of a recipe: keywords of `Settings`.

        exclude = ["lm_head.*"]
        [[tensors]]
        match = "*.attention.*"
        bits = 3.5              # or max_error = 0.1, or lossless = true

    Raises:
        CorruptDataError: it is no TOML.
        ArgumentError: a key or a value is not legal.
    """
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # of UTF-8 and TOML
        raise CorruptDataError(f"{name} is no TOML: {error}") from error
    _only(tree, ("include", "exclude", "tensors"), name)
    for key in ("include", "exclude"):
        value = tree.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ArgumentError(f"{name}: {key} is {quoted(value)}, must be a list of patterns")
    entries = tree.get("tensors", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ArgumentError(f"{name}: write each rule under [[tensors]]")
    rules = [_rule(entry, f"{name}, rule {number}") for number, entry in enumerate(entries, 1)]
    return {
        "rules": rules, "include": tree.get("include", []), "exclude": tree.get("exclude", []),
    }  # fmt: skip


def _rule(entry: Mapping[str, Any], where: str) -> Rule:
    _only(entry, ("match", "bits", "max_error", "lossless"), where)
    given = {key: entry[key] for key in ("bits", "max_error", "lossless") if key in entry}
    if not isinstance(entry.get("match"), str) or len(given) != 1:
        raise ArgumentError(f"{where}: wanted match and one of bits, max_error, lossless")
    if given.pop("lossless", True) is not True:
        raise ArgumentError(f"{where}: lossless is {quoted(entry['lossless'])}, must be true")
    try:
        return Rule(entry["match"], Target(**given))
    except ArgumentError as error:
        raise ArgumentError(f"{where}: {error}") from error


def _only(tree: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in tree:
        if key not in keys:
            raise ArgumentError(f"{where}: no such key: {quoted(key)}; legal: {', '.join(keys)}")


def note_by_index(name: str, dtype: Dtype, shape: Sequence[int], settings: Settings) -> int:
    """Why a tensor is left alone, by its name, type and shape; 0 if it is not."""
    if any(fnmatchcase(name, pattern) for pattern in settings.exclude):
        return NOTES.index("excluded")
    if not dtype.quantizable:
        return NOTES.index(_kind(dtype))
    if settings.target_of(name).lossless:
        return NOTES.index("lossless")
    if 0 in shape:
        return NOTES.index("small")
    if any(fnmatchcase(name, pattern) for pattern in settings.include):
        return 0
    if len(shape) < 2:
        return NOTES.index("one axis")
    return NOTES.index("small") if np.prod(shape, dtype=object) < SMALL else 0


def _kind(dtype: Dtype) -> str:
    if dtype.name == "BOOL":
        return "boolean"
    if dtype.name == "C64":
        return "complex"
    return "8-bit float or less" if dtype.name.startswith("F") else "integer"


def note_by_values(found: Statistics, raw: Array) -> int:
    """Why a tensor is left alone, by its values; 0 if it is not."""
    if not found.finite:
        return NOTES.index("not finite")
    if found.std == 0:
        return NOTES.index("constant")
    few = np.unique(raw[:SMALL])
    if len(few) <= 2 and all(len(np.setdiff1d(piece, few)) == 0 for piece in pieces(raw)):
        return NOTES.index("mask")
    return 0
