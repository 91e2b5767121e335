"""The contract: what a kind of codec is, and what it is given to run its networks with.

    codec = integer programs + bottleneck + files

`intact.codec` knows no more of a kind than this page: pixels go through the program ``analysis``,
the bottleneck makes payloads of its result and latents of payloads, and ``synthesis`` makes pixels
of those. Which other programs there are, in which order latents are coded, and under which tables,
is the kind's own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np

from intact.bits.fast import Backend
from intact.bits.tables import TableBank
from intact.bottleneck.grid import Layout, Window
from intact.bottleneck.roles import Role

Count = tuple[str, np.ndarray, np.ndarray]
"""A table bank's name, indexes [n] into it, and as many symbols."""


class Networks(Protocol):
    """A codec's networks, ready to run: `intact.codec.networks` runs programs, a float twin others.

    Whoever decodes must compute what the encoder computed, bit for bit. The programs do; a twin
    does on one machine, with luck.
    """

    def run(self, role: str, inputs: dict[str, np.ndarray], level: int) -> dict[str, np.ndarray]:
        """Run a network.

        Args:
            role: whose network.
            inputs: integers [h, w, channels] by name, in the ranges of the role.
            level: index into the codec's levels.

        Returns:
            The outputs by name, in the types that hold the ranges of the role, whatever the
            network's own are (`intact.bottleneck.roles.typed`). They are the caller's to change.
        """
        ...

    def reach(self, role: str) -> dict[str, int]:
        """How many positions of each input beyond a window the outputs depend on, at most."""
        ...


class Plan(Protocol):
    """What an encoder decided: everything that is sent, before it is coded."""

    @property
    def latents(self) -> np.ndarray:
        """int16 [h, w, M]: what a decoder will see."""
        ...


class QualityLevels(Protocol):
    """The levels of a codec, coarsest first; `intact.bottleneck.scalar.Levels` are some."""

    @property
    def parameters(self) -> np.ndarray:
        """int32 [levels], -127..127: what the networks are told of each."""
        ...

    def __len__(self) -> int:
        """1..64."""
        ...

    def of_quality(self, quality: float) -> int:
        """The level for a quality of 0..100, linear.

        Raises:
            ArgumentError: the quality is outside 0..100.
        """
        ...


P = TypeVar("P", bound=Plan)


class Bottleneck(Protocol[P]):
    """How a kind of codec makes payloads of latents; an instance has a model's tables and levels.

    Attributes:
        FORMAT: what a model file says to be of this kind.
        KEYS: of a model's content that are the kind's own.
        LATENT_PX: pixels on a side of the square that a latent stands for, a power of two.
    """

    FORMAT: ClassVar[str]
    KEYS: ClassVar[tuple[str, ...]]
    LATENT_PX: ClassVar[int]

    @property
    def profile(self) -> str:
        """What is the same everywhere: exact, prior or float; docs/spec/hyperprior.md."""
        ...

    @property
    def roles(self) -> tuple[Role, ...]:
        """The integer programs.

        Among them are ``analysis`` from pixels to y and ``synthesis`` back, where y has M channels;
        in a profile that is not exact they may be float networks instead.
        """
        ...

    @property
    def levels(self) -> QualityLevels:
        """The qualities."""
        ...

    @property
    def banks(self) -> Mapping[str, TableBank]:
        """The tables, by names that `counted` uses, too."""
        ...

    def check(self, channels: Mapping[str, int]) -> None:
        """Check that tables and constants fit a model's programs.

        Args:
            channels: what each letter of `roles` stands for.

        Raises:
            ModelError: they do not.
        """
        ...

    def plan(self, networks: Networks, y: np.ndarray, level: int, layout: Layout) -> P:
        """Decide what is sent.

        Args:
            networks: the codec's.
            y: int16 [h, w, M], from the analysis.
            level: index into the levels.
            layout: of these latents.
        """
        ...

    def encode(self, plan: P, layout: Layout) -> tuple[bytes, ...]:
        """Code a plan, one payload per tile; inverse of `decode`."""
        ...

    def decode(
        self,
        networks: Networks,
        payloads: Sequence[bytes],
        level: int,
        layout: Layout,
        window: Window,
        coder: Backend | None,
    ) -> tuple[np.ndarray, Window]:
        """Decode the latents of a window; inverse of `encode`.

        Args:
            networks: the codec's.
            payloads: of all tiles.
            level: index into the levels.
            layout: of the image.
            window: of latents that are needed.
            coder: of entropy; the fastest one here when None.

        Returns:
            int16 [h, w, M] and the window they fill: ``window`` widened to whole tiles.

        Raises:
            CorruptDataError: a payload ends early, has bytes left over, does not end as it began,
                or holds what no encoder writes.
        """
        ...

    def counted(self, plan: P, layout: Layout) -> Iterator[Count]:
        """What a plan uses the tables for, so that new ones can be made of the counts."""
        ...

    def to_tree(self) -> dict[str, Any]:
        """The values of `KEYS`, plain; inverse of `from_tree`."""
        ...

    @classmethod
    def from_tree(cls, tree: Mapping[str, object]) -> Self:
        """Build and check from values of unknown origin; inverse of `to_tree`.

        Args:
            tree: has at least `KEYS`.

        Raises:
            ModelError: anything is of a wrong type or out of range.
        """
        ...
