"""Symbols to bytes and back: integer frequency tables, rANS, varints.

`rans` is the normative coder, `fast` the one to use (same bytes); docs/spec/bits.md specifies both.
"""

from __future__ import annotations

from intact.bits.apportion import apportion as apportion
from intact.bits.fast import Decoder as Decoder, encode as encode
from intact.bits.tables import TableBank as TableBank
