"""Quantized weights to bytes and back, and floats without loss. All in integers.

`code` is the envelope that all methods share; `static`, `rows`, `best` and `huffman` are the
methods, `floats` is for values as they are. docs/spec/weights_coding.md is normative.
"""

from __future__ import annotations

from intact.packing.coding.code import (
    METHODS as METHODS,
    Method as Method,
    decode as decode,
    encode as encode,
    span as span,
)
from intact.packing.coding.floats import (
    FLOAT_KINDS as FLOAT_KINDS,
    FloatKind as FloatKind,
    decode_floats as decode_floats,
    encode_floats as encode_floats,
)
