"""What goes into `pack` besides tensors, and what it says of its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from intact.errors import quoted
from intact.packing.index import Feature, Tensor
from intact.packing.sizes import Share

LARGE_ERROR: Final = 0.5
"""Root mean square error over the standard deviation, above which we warn."""


@dataclass(frozen=True)
class Fate:
    """What became of a tensor.

    Attributes:
        tensor: as the index has it.
        share: of the file's bytes.
        error: root mean square error over the standard deviation; None where it is as it was.
        erased: hardly any of its values is left. A few huge ones can make its deviation, in which
            the others, and their errors, are nothing.
    """

    tensor: Tensor
    share: Share
    error: float | None
    erased: bool = False


@dataclass
class Report:
    """What became of a file.

    Attributes:
        input_bytes: of all files that it came from.
        output_bytes: of the one that was written.
        fates: of tensors, in order.
    """

    input_bytes: int
    output_bytes: int = 0
    fates: list[Fate] = field(default_factory=list)

    @property
    def coded_bits(self) -> float | None:
        """Mean coded bits of the weights that were quantized, tied ones once; None without any."""
        found = [f for f in self.fates if f.error is not None and f.share.same_as is None]
        weights = sum(fate.tensor.num_items for fate in found)
        return 8 * sum(fate.share.size for fate in found) / weights if weights else None

    @property
    def warning(self) -> str | None:
        """What to say of weights that have lost too much to work, or None."""
        errors = [fate.error for fate in self.fates if fate.error is not None]
        bad = [error for error in errors if error > LARGE_ERROR]
        if not bad:
            return self._erased
        return (
            f"{len(bad)} of {len(errors)} quantized tensors have RMS errors above {LARGE_ERROR:g} "
            f"std, up to {max(bad):.2f}: the network will hardly work; usual are 3 to 4 bits a "
            f"weight, with errors of 0.15 to 0.07"
        )

    @property
    def _erased(self) -> str | None:
        """Of tensors whose small errors hide that nearly all of it is 0 now, or None."""
        names = [f.tensor.name for f in self.fates if f.error is not None and f.erased]
        if not names:
            return None
        more = f" and {len(names) - 1} more" if names[1:] else ""
        return (
            f"{quoted(names[0])}{more}: nearly all values are 0 now, since a few huge ones make "
            "the standard deviation, of which steps are a share; --exclude keeps them as they are"
        )


@dataclass(frozen=True)
class Content:
    """What is packed besides tensors.

    Attributes:
        metadata: text to text.
        features: what else the file keeps.
        input_bytes: of the files that all comes from.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    features: Sequence[Feature] = ()
    input_bytes: int = 0
