"""The frozen model of an image codec: integer programs, and the bottleneck that codes latents.

Everything here is an integer. A `Model` is validated and proven when it is made: there is no
half-ready state and nothing to update. Its id is the hash of its content, however it was packed.
The content is one flat mapping: what every model has, and the keys of its kind beside it.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from intact import models
from intact.bottleneck.kind import Bottleneck, QualityLevels
from intact.bottleneck.kinds import kind_of
from intact.bottleneck.roles import Role, check, decoding
from intact.container import limits
from intact.container.model_file import pack_model, peek_model, unpack_model
from intact.container.tree import model_id
from intact.errors import ArgumentError, ModelError
from intact.intnet.bounds import check_bounds
from intact.intnet.program import Program
from intact.intnet.tree import program_from_tree, program_to_tree
from intact.untrusted import mapping, text

if TYPE_CHECKING:
    from intact.intnet.certificate import Certificate

K = TypeVar("K")

_KEYS = ("format", "name", "info", "programs")
"""Of every model; a kind adds its own."""


@dataclass(frozen=True, eq=False)
class Model:
    """A frozen image codec.

    Attributes:
        name: for people; not part of the identity's meaning, but of the content.
        programs: the networks by role, exactly those of the bottleneck's kind.
        bottleneck: how latents become symbols; has the tables and the levels.
        info: how it was made (plain text by key), shown by ``intact models``.
        proven: the parts are known to fit and the bounds to hold; they are not looked at again.

    Raises:
        ModelError: the parts do not fit, or a bound cannot be proven.
    """

    name: str
    programs: dict[str, Program]
    bottleneck: Bottleneck[Any]
    info: dict[str, str] = field(default_factory=dict)
    proven: InitVar[bool] = False

    def __post_init__(self, proven: bool) -> None:
        if proven:
            return
        self.bottleneck.check(self.channels)
        self._check_costs()
        for program in self.programs.values():
            check_bounds(program)

    def _check_costs(self) -> None:
        """No program needs more memory or time than `intact.container.limits` allow."""
        from intact.intnet.cost import cost  # not needed for models of the package

        macs, weights = Fraction(0), 0
        for role in self.roles:
            found, what = cost(self.programs[role.name]).per_pixel(role.px), f"model: {role.name}"
            _at_most(found.ops, limits.MAX_PROGRAM_OPS, f"{what}: operations")
            channels = f"{what}: channels in all operations"
            _at_most(found.channels, limits.MAX_PROGRAM_CHANNELS, channels)
            most = limits.MAX_PROGRAM_BYTES_PER_PIXEL
            _at_most(found.bytes, most, f"{what}: bytes per pixel")
            macs += found.macs
            weights += found.weights
        _at_most(macs, limits.MAX_MODEL_MACS_PER_PIXEL, "model: multiplications per pixel")
        _at_most(weights, limits.MAX_MODEL_WEIGHTS, "model: weights")

    def __repr__(self) -> str:
        """Name and identity: the content is millions of numbers."""
        return f"<Model {self.name!r:.100} {self.id.hex()}>"

    @property
    def roles(self) -> tuple[Role, ...]:
        """What the programs are for."""
        return self.bottleneck.roles

    @property
    def decoding(self) -> tuple[str, ...]:
        """Names of the programs that a decoder runs."""
        return decoding(self.roles)

    @property
    def is_exact(self) -> bool:
        """Whether everything is the same on every machine; docs/spec/hyperprior.md, section 1."""
        return self.bottleneck.profile == "exact"

    @property
    def levels(self) -> QualityLevels:
        """The qualities."""
        return self.bottleneck.levels

    def bottleneck_of(self, kind: type[K]) -> K:
        """The bottleneck, for what works with one kind alone.

        Raises:
            ArgumentError: it is of another kind.
        """
        if not isinstance(self.bottleneck, kind):
            raise ArgumentError(f"model {self.name!r} is of kind {self.bottleneck.FORMAT!r}")
        return self.bottleneck

    @cached_property
    def channels(self) -> dict[str, int]:
        """What the letters of docs/spec/image.md, section 1, stand for: M latents, and so on."""
        return check(self.programs, self.roles)

    @cached_property
    def tree(self) -> dict[str, Any]:
        """The canonical content; inverse of `from_tree`."""
        return {
            "format": self.bottleneck.FORMAT,
            "name": self.name,
            "info": dict(self.info),
            "programs": {name: program_to_tree(program) for name, program in self.programs.items()},
            **self.bottleneck.to_tree(),
        }

    @cached_property
    def id(self) -> bytes:
        """16 bytes that identify the content."""
        return model_id(self.tree)

    @cached_property
    def certificates(self) -> dict[str, Certificate]:
        """Which arithmetic is exact for each layer, by program."""
        from intact.intnet.certificate import prove  # for people who look at it

        return {name: prove(program) for name, program in self.programs.items()}

    @classmethod
    def from_tree(cls, tree: Any, *, proven: bool = False) -> Model:
        """Build and check a model from untrusted content; inverse of `tree`.

        Args:
            tree: the content.
            proven: a model of this very content was built and checked before.

        Raises:
            ModelError: anything is missing, too much, or of the wrong kind.
        """
        kind = kind_of(tree.get("format") if isinstance(tree, dict) else None)
        content = mapping(tree, (*_KEYS, *kind.KEYS), "model")
        bottleneck = kind.from_tree(content)
        names = [role.name for role in bottleneck.roles]
        programs = mapping(content["programs"], names, "programs")
        info = content["info"]
        if not isinstance(info, dict):
            raise ModelError("model: info is no mapping")
        return cls(
            name=text(content["name"], "model: name"),
            programs={k: program_from_tree(v) for k, v in programs.items()},
            bottleneck=bottleneck,
            info={key: text(value, f"model: info {key!r:.40}") for key, value in info.items()},
            proven=proven,
        )

    def to_bytes(self) -> bytes:
        """Pack into a model file; inverse of `from_bytes`."""
        return pack_model(self.tree)

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Read a model file; inverse of `to_bytes`.

        Raises:
            CorruptDataError: the file is damaged.
            ModelError: its content is not a legal model, or is not spelled as `tree` spells it.
        """
        tree = unpack_model(data)
        wanted = peek_model(data).model_id  # which the content was just held to
        proven = wanted.hex() in models.RESULTS  # by a test of this package
        model = cls.from_tree(tree, proven=proven)
        # The same numbers in arrays of another type would be a second id of one model.
        if not proven and not _spelled_alike(tree, model.tree):
            raise ModelError("model: an array is not of the type that this package writes")
        vars(model)["id"] = wanted
        return model


def _spelled_alike(one: Any, other: Any) -> bool:
    """Whether two trees have one canonical spelling, given that their arrays hold equal numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _spelled_alike(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_spelled_alike, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape) == (other.dtype, other.shape)
    return type(one) is type(other) and one == other


def _at_most(number: int | Fraction, limit: int, what: str) -> None:
    if number > limit:
        raise ModelError(f"{what}: {ceil(number)}, at most {limit}")
