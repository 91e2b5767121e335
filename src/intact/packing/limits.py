"""Limits of weight files, checked before what they guard is allocated.

Those marked *format* decide which files are legal; the others guard this implementation.
"""

from __future__ import annotations

from typing import Final

MAX_INDEX_BYTES: Final = 1 << 28
"""The index, unpacked. Format."""

MAX_BLOB_VALUES: Final = 1 << 24
"""Values of one blob: what must be decoded to have any of them. Format."""

MAX_EXPANSION: Final = 1040
"""Values for each byte of a blob, beyond `MIN_VALUES`; deflate ends at 1032. A coded symbol may
take next to nothing, and a small file may not claim any number of them. Format."""

MIN_VALUES: Final = 1024
"""Values that a blob of any length may have. Format."""

MAX_CENTERS: Final = 1 << 16
"""Of one codebook. Format."""

MAX_WIDTH: Final = 256
"""Numbers that one symbol of a codebook stands for. Format."""

MAX_SYMBOL: Final = 1 << 24
"""Magnitude of a symbol that stands for a multiple of a step: below, float32 is exact. Format."""

BLOB_VALUES: Final = 1 << 20
"""Values that the writer puts in a blob: large tensors are cut in parts of so many, which several
cores work on, and of which a few are in memory at a time."""

SMALL_VALUES: Final = 1 << 12
"""Tensors of at most so many values share a blob with others of their type."""
