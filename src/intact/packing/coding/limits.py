"""Every limit of coded weights, in one table.

Those marked *format* decide which bytes are legal: a change needs a new format.
"""

from __future__ import annotations

from typing import Final

MAX_SYMBOL: Final = 1 << 30
"""Symbols lie within this in magnitude. Format."""

MAX_SYMBOLS: Final = 1 << 40
"""Symbols of one array; what the caller can hold is the caller's limit. Format."""

MAX_SHIFT: Final = 24
"""Low bits of each symbol that are stored as they are. Format."""

MAX_TABLE: Final = 512
"""Symbols that a frequency table covers, without its escape: each has a slot of 16,384 for its
own, so that more would cost more than low bits stored as they are. Format."""

MAX_KERNEL: Final = 1 << 12
"""Positions of a kernel. Format."""

SEGMENT_SYMBOLS: Final = 1 << 22
"""Symbols that are coded at a time: bounds the memory, and is what threads share. Advice."""

MAX_SEGMENT_SYMBOLS: Final = 1 << 26
"""Symbols of a segment that holds more than one unit (a row, a symbol). Format."""
