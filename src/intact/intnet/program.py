"""Integer programs as data: what a frozen network *is*, apart from how it is computed.

A program is a list of operations in single-assignment form over channels-last arrays ``[h, w, c]``
of small integers. `intact.intnet.ops` defines the meaning of each operation (normative),
`intact.intnet.bounds` what it may compute, docs/spec/intnet.md says both in prose.

`intact.intnet.infer` checks a program, `intact.intnet.tree` stores one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TypeVar, cast

import numpy as np

from intact.errors import ModelError
from intact.locks import Lock

T = TypeVar("T")

_LOCK = Lock()
"""One for all programs: what is found out of one program leads to what is asked of others."""

INT16_LOW, INT16_HIGH = -32768, 32767
LEVEL_MAX = 127  # levels run from -127 to 127
MAX_OPS = 4096
MAX_CHANNELS = 4096
MAX_WEIGHT = 8191
MAX_BIAS = 2**31 - 1
MAX_DIVISOR = 16383
MAX_TABLE = 65536
MAX_FACTOR = 16  # of Shuffle and Unshuffle
MAX_SCALE = 64  # a value has at most 64 times, at least 1/4096 of the input's height
MIN_SCALE = Fraction(1, 4096)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def _integers(values: object, dtype: type[np.signedinteger], what: str) -> np.ndarray:
    """A read-only C-contiguous copy as ``dtype``; ModelError if a value does not fit."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ModelError(f"{what}: expected integers, got dtype {array.dtype}")
    if array.dtype == dtype and array.flags.c_contiguous and _is_for_good(array):
        return array
    if array.size and not np.can_cast(array.dtype, dtype):
        legal = np.iinfo(dtype)
        if int(array.min()) < legal.min or int(array.max()) > legal.max:
            raise ModelError(f"{what}: values do not fit in {np.dtype(dtype).name}")
    result = np.array(array, dtype=dtype, order="C")
    result.flags.writeable = False
    return result


def _is_for_good(array: np.ndarray) -> bool:
    """Whether nobody is going to change an array: neither it nor what it is a view of."""
    while not array.flags.writeable and isinstance(array.base, np.ndarray):
        array = array.base
    return not array.flags.writeable and array.base is None


@dataclass(frozen=True, eq=False)
class Value:
    """A named input: ``channels`` per position, every element in ``low..high`` (int16 at most)."""

    name: str
    channels: int
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution, bias, rounding division, saturation or table (Ballé 2019, Eq. 2-4).

    ``acc = sum(weight * u) + bias + slope * level``; ``v = divide_round(acc, divisor)``;
    the result is ``clip(v, low, high)``, or with a table
    ``table[clip(v, table_low, table_low + len(table) - 1) - table_low]``.
    H, b, c, g in the paper are weight, bias, divisor and the clip or table.

    Attributes:
        source: name of the input value, i channels.
        target: name of the result, o channels.
        weight: int16 [o, i / groups, k, k] with k 1 or 3, |w| <= 8191; a correlation, as in
            PyTorch: tap (dy, dx) reads position (stride * y + dy - k // 2, ...); outside it reads
            zero or, with ``edge``, the nearest position inside.
        bias: int64 [o], below 2**31 in magnitude.
        slope: int64 [o], multiplied by the run's level (the quality, -127..127).
        divisor: int64 [o], odd, 1..16383.
        stride: 1 or 2; the result has ceil(h / stride) rows.
        groups: 1, or i (= o, depthwise).
        low: smallest result.
        high: largest result. QReLU of L bits is low 0, high 2**L - 1.
        table: int16 values of g (Qtanh), or None.
        table_low: the v of the table's first entry.
        edge: taps outside read the nearest position inside, so that plain values stay plain.
    """

    source: str
    target: str
    weight: np.ndarray
    bias: np.ndarray
    slope: np.ndarray
    divisor: np.ndarray
    stride: int = 1
    groups: int = 1
    low: int = -128
    high: int = 127
    table: np.ndarray | None = None
    table_low: int = 0
    edge: bool = False

    def __post_init__(self) -> None:
        what = f"conv {self.target!r}"
        freeze = object.__setattr__
        freeze(self, "weight", _integers(self.weight, np.int16, f"{what}: weight"))
        for key in ("bias", "slope", "divisor"):
            freeze(self, key, _integers(getattr(self, key), np.int64, f"{what}: {key}"))
        if self.table is not None:
            freeze(self, "table", _integers(self.table, np.int16, f"{what}: table"))

    @cached_property
    def max_weight(self) -> int:
        """Largest magnitude of a weight."""
        return max(int(self.weight.max()), -int(self.weight.min())) if self.weight.size else 0


@dataclass(frozen=True, eq=False)
class Requantize:
    """``clip(divide_round(x, divisor), low, high)`` with one odd divisor (1..16383) per channel."""

    source: str
    target: str
    divisor: np.ndarray
    low: int = -128
    high: int = 127

    def __post_init__(self) -> None:
        divisor = _integers(self.divisor, np.int64, f"requantize {self.target!r}: divisor")
        object.__setattr__(self, "divisor", divisor)


@dataclass(frozen=True, eq=False)
class Scale:
    """``clip(x * factor, -32768, 32767)`` with one int16 factor per channel."""

    source: str
    target: str
    factor: np.ndarray

    def __post_init__(self) -> None:
        factor = _integers(self.factor, np.int64, f"scale {self.target!r}: factor")
        object.__setattr__(self, "factor", factor)


@dataclass(frozen=True, eq=False)
class Add:
    """``clip(left + right, -32768, 32767)``."""

    left: str
    right: str
    target: str


@dataclass(frozen=True, eq=False)
class Shuffle:
    """Depth to space; inverse of `Unshuffle`.

    Channel ``c * r * r + dy * r + dx`` at (y, x) becomes channel c at (y * r + dy, x * r + dx).
    """

    source: str
    target: str
    factor: int


@dataclass(frozen=True, eq=False)
class Unshuffle:
    """Space to depth; inverse of `Shuffle`. Height and width must be multiples of the factor."""

    source: str
    target: str
    factor: int


Op = Conv | Requantize | Scale | Add | Shuffle | Unshuffle


def check_name(value: object, what: str) -> str:
    """``value``, the name of a program or of one of its values.

    Raises:
        ModelError: it is none.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ModelError(f"{what}: {value!r:.80} is no name ({_NAME.pattern})")
    return value


def dtype_of(low: int, high: int) -> np.dtype:
    """The dtype that carries values of ``low..high``: uint8, else int8, else int16."""
    for dtype in (np.uint8, np.int8, np.int16):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int32)


def sources(op: Op) -> tuple[str, ...]:
    """Names of the values an operation reads."""
    return (op.left, op.right) if isinstance(op, Add) else (op.source,)


@dataclass(frozen=True, eq=False)
class Program:
    """A frozen integer network. Identity is the object's; equality of content is the tree's.

    Attributes:
        name: for messages and certificates.
        inputs: the inputs; all have the same height and width.
        ops: in order of execution; every target is a new name.
        outputs: names of values (or inputs) that a run returns.
    """

    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[str, ...]
    _known: dict[str, object] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("inputs", "ops", "outputs"):
            object.__setattr__(self, key, tuple(getattr(self, key)))

    def once(self, key: str, find: Callable[[], T]) -> T:
        """What ``find`` returned when it was first asked; kept as long as the program.

        Of threads that ask together one finds it out, and the others wait. Where ``find`` raises,
        nothing is kept: it is asked again the next time.
        """
        if key not in self._known:
            with _LOCK:
                if key not in self._known:
                    self._known[key] = find()
        return cast(T, self._known[key])

    def known(self, key: str) -> object | None:
        """What `once` keeps under a key; None if that has not been found out."""
        return self._known.get(key)
