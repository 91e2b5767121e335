"""Integer programs as data: what a frozen network *is*, apart from how it is computed.

A program is a list of operations in single-assignment form over channels-last arrays ``[h, w, c]``
of small integers. `intact.intnet.ops` defines the meaning of each operation (normative),
`intact.intnet.bounds` what it may compute, docs/spec/intnet.md says both in prose.

Trees (`Program.to_tree`, `Program.from_tree`) are what a model file stores. They come from files of
unknown origin, so every key, type, length and value is checked on the way in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from math import prod
from typing import assert_never

import numpy as np

from intact.errors import ModelError

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

Tree = dict[str, object]


def _integers(values: object, dtype: type[np.signedinteger], what: str) -> np.ndarray:
    """A read-only C-contiguous copy as ``dtype``; ModelError if a value does not fit."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ModelError(f"{what}: expected integers, got dtype {array.dtype}")
    legal = np.iinfo(dtype)
    if array.size and (int(array.min()) < legal.min or int(array.max()) > legal.max):
        raise ModelError(f"{what}: values do not fit in {np.dtype(dtype).name}")
    result = np.array(array, dtype=dtype, order="C")
    result.flags.writeable = False
    return result


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
            PyTorch: tap (dy, dx) reads position (stride * y + dy - k // 2, ...), zero outside.
        bias: int64 [o], below 2**31 in magnitude.
        slope: int64 [o], multiplied by the run's level (the quality, -127..127).
        divisor: int64 [o], odd, 1..16383.
        stride: 1 or 2; the result has ceil(h / stride) rows.
        groups: 1, or i (= o, depthwise).
        low: smallest result.
        high: largest result. QReLU of L bits is low 0, high 2**L - 1.
        table: int16 values of g (Qtanh), or None.
        table_low: the v of the table's first entry.
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

    def __post_init__(self) -> None:
        what = f"conv {self.target!r}"
        freeze = object.__setattr__
        freeze(self, "weight", _integers(self.weight, np.int16, f"{what}: weight"))
        for key in ("bias", "slope", "divisor"):
            freeze(self, key, _integers(getattr(self, key), np.int64, f"{what}: {key}"))
        if self.table is not None:
            freeze(self, "table", _integers(self.table, np.int16, f"{what}: table"))


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

_KINDS: dict[str, type[Op]] = {
    "conv": Conv,
    "requantize": Requantize,
    "scale": Scale,
    "add": Add,
    "shuffle": Shuffle,
    "unshuffle": Unshuffle,
}
# The stored dtypes are part of the canonical form: one program, one tree.
_ARRAYS: dict[str, type[np.signedinteger]] = {
    "weight": np.int16,
    "bias": np.int32,
    "slope": np.int32,
    "divisor": np.int16,
    "factor": np.int16,
    "table": np.int16,
}


@dataclass(frozen=True)
class Resize:
    """One step from the height of an input to the height of a value.

    Attributes:
        factor: of the height.
        exact: the result must be whole; else it is rounded up (a stride).
    """

    factor: Fraction
    exact: bool = True

    @property
    def divides(self) -> bool:
        """Whether not every height will do."""
        return self.exact and self.factor.denominator > 1

    def __str__(self) -> str:
        return f"{self.factor}" if self.exact else f"{self.factor} rounded up"

    def of(self, side: int) -> int:
        """The new height, or width.

        Raises:
            ValueError: it would not be whole.
        """
        result, rest = divmod(side * self.factor.numerator, self.factor.denominator)
        if rest and self.exact:
            raise ValueError(f"{side} is no multiple of {self.factor.denominator}")
        return result + (rest > 0)


HALF = Resize(Fraction(1, 2), exact=False)
"""A stride of 2."""


@dataclass(frozen=True)
class Info:
    """What is known of a value before any run.

    Attributes:
        channels: number of channels.
        low: smallest possible element.
        high: largest possible element.
        steps: how its height follows from the input's, in order, neighboring exact ones joined:
            equal steps mean equal sizes for every input.
    """

    channels: int
    low: int
    high: int
    steps: tuple[Resize, ...] = ()

    @property
    def resolution(self) -> Fraction:
        """Height relative to the program's input, rounding aside: 1/8 after Unshuffle(8)."""
        return prod((step.factor for step in self.steps), start=Fraction(1))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of this value for an input of ``height`` x ``width``.

        Raises:
            ValueError: an Unshuffle on the way does not divide the size.
        """
        sides = height, width
        for step in self.steps:
            try:
                sides = step.of(sides[0]), step.of(sides[1])
            except ValueError as error:
                raise ValueError(f"input of {height}x{width}: {error}") from None
        return sides


def _resized(steps: tuple[Resize, ...], step: Resize) -> tuple[Resize, ...]:
    """Append a step; see `Info.steps`."""
    if steps and steps[-1].exact and step.exact:
        steps, step = steps[:-1], Resize(steps[-1].factor * step.factor)
    return steps if step == Resize(Fraction(1)) else (*steps, step)


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
        cache: proofs and prepared runners, which live as long as the program.
    """

    name: str
    inputs: tuple[Value, ...]
    ops: tuple[Op, ...]
    outputs: tuple[str, ...]
    cache: dict[str, object] = field(init=False, repr=False, default_factory=dict)
    _infos: dict[str, Info] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("inputs", "ops", "outputs"):
            object.__setattr__(self, key, tuple(getattr(self, key)))

    def validate(self) -> None:
        """Check the structure: names, channels, shapes and the ranges of all constants.

        Overflow is the business of `intact.intnet.certificate.prove`.

        Raises:
            ModelError: names the operation and the value at fault.
        """
        self.ranges()

    def ranges(self) -> dict[str, Info]:
        """Channels, range and resolution of every value, by name, in order of creation.

        Raises:
            ModelError: as `validate`.
        """
        if not self._infos:
            self._infos.update(_infer(self))
        return dict(self._infos)

    def sizes(self, height: int, width: int) -> dict[str, tuple[int, int]]:
        """Height and width of every value for inputs of ``height`` x ``width``.

        Raises:
            ValueError: an Unshuffle does not divide, or an Add has operands of two sizes.
            ModelError: as `validate`.
        """
        sizes = {name: info.size(height, width) for name, info in self.ranges().items()}
        for op in self.ops:
            if isinstance(op, Add) and sizes[op.left] != sizes[op.right]:
                raise ValueError(
                    f"{self.name}: cannot add {op.left!r} {sizes[op.left]} and "
                    f"{op.right!r} {sizes[op.right]} for inputs of {height}x{width}"
                )
        return sizes

    def to_tree(self) -> Tree:
        """The program as dicts, lists, ints, strings and integer arrays; inverse of `from_tree`.

        Raises:
            ModelError: the program is not valid.
        """
        self.validate()
        inputs = [
            {
                "name": value.name,
                "channels": int(value.channels),
                "low": int(value.low),
                "high": int(value.high),
            }
            for value in self.inputs
        ]
        ops: list[Tree] = []
        for op in self.ops:
            kind = next(key for key, value in _KINDS.items() if isinstance(op, value))
            entry: Tree = {"op": kind}
            for item in fields(op):
                value = getattr(op, item.name)
                if item.name in _ARRAYS and isinstance(op, (Conv, Requantize, Scale)):
                    value = np.array([] if value is None else value, dtype=_ARRAYS[item.name])
                entry[item.name] = int(value) if isinstance(value, np.integer) else value
            ops.append(entry)
        return {"name": self.name, "inputs": inputs, "ops": ops, "outputs": list(self.outputs)}

    @classmethod
    def from_tree(cls, tree: object) -> Program:
        """Build and validate a program; inverse of `to_tree`.

        Args:
            tree: of unknown origin.

        Raises:
            ModelError: anything is missing, unknown, of a wrong type or out of range.
        """
        top = _mapping(tree, {"name", "inputs", "ops", "outputs"}, "program")
        name = _name(top["name"], "program: name")
        inputs: list[Value] = []
        for index, item in enumerate(_list(top["inputs"], MAX_OPS, f"{name}: inputs")):
            what = f"{name}: input {index}"
            entry = _mapping(item, {"name", "channels", "low", "high"}, what)
            numbers = [_int(entry[key], f"{what}: {key}") for key in ("channels", "low", "high")]
            inputs.append(Value(_name(entry["name"], what), *numbers))
        ops = [
            _op_from_tree(item, f"{name}: op {index}")
            for index, item in enumerate(_list(top["ops"], MAX_OPS, f"{name}: ops"))
        ]
        outputs = [
            _name(item, f"{name}: outputs")
            for item in _list(top["outputs"], MAX_OPS, f"{name}: outputs")
        ]
        program = cls(name, tuple(inputs), tuple(ops), tuple(outputs))
        program.validate()
        return program


# ---------------------------------------------------------------- trees


def _mapping(tree: object, keys: set[str], what: str) -> Mapping[str, object]:
    if not isinstance(tree, dict):
        raise ModelError(f"{what}: expected a mapping, got {type(tree).__name__}")
    if set(tree) != keys:
        odd = sorted(str(key) for key in set(tree) ^ keys)
        raise ModelError(f"{what}: missing or unknown keys {odd[:8]}; legal: {sorted(keys)}")
    return tree


def _list(tree: object, longest: int, what: str) -> list[object]:
    if not isinstance(tree, (list, tuple)):
        raise ModelError(f"{what}: expected a list, got {type(tree).__name__}")
    if len(tree) > longest:
        raise ModelError(f"{what}: {len(tree)} entries, at most {longest}")
    return list(tree)


def _int(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_BIAS:
        raise ModelError(f"{what}: expected an integer below 2**31, got {value!r:.40}")
    return value


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ModelError(f"{what}: {value!r:.80} is no name ({_NAME.pattern})")
    return value


def _op_from_tree(item: object, what: str) -> Op:
    if not isinstance(item, dict) or not isinstance(item.get("op"), str):
        raise ModelError(f"{what}: expected a mapping with the key 'op'")
    kind = _KINDS.get(item["op"])
    if kind is None:
        raise ModelError(f"{what}: unknown operation {item['op']!r:.40}; legal: {sorted(_KINDS)}")
    entry = _mapping(item, {"op", *(f.name for f in fields(kind))}, what)
    values: dict[str, object] = {}
    for key in (f.name for f in fields(kind)):
        value = entry[key]
        if key in ("source", "target", "left", "right"):
            values[key] = _name(value, f"{what}: {key}")
        elif key in _ARRAYS and kind in (Conv, Requantize, Scale):
            if not isinstance(value, np.ndarray):
                raise ModelError(f"{what}: {key}: expected an array, got {type(value).__name__}")
            values[key] = None if key == "table" and value.size == 0 else value
        else:
            values[key] = _int(value, f"{what}: {key}")
    return kind(**values)  # type: ignore[arg-type]


# ---------------------------------------------------------------- static inference


def _infer(program: Program) -> dict[str, Info]:
    """Infer every value and check everything on the way."""
    _name(program.name, "program: name")
    if not program.inputs or len(program.inputs) > MAX_OPS or len(program.ops) > MAX_OPS:
        raise ModelError(
            f"{program.name}: {len(program.inputs)} inputs, {len(program.ops)} "
            f"operations; legal: 1..{MAX_OPS} and 0..{MAX_OPS}"
        )
    known: dict[str, Info] = {}

    def define(name: str, info: Info, what: str) -> None:
        _name(name, what)
        if name in known:
            raise ModelError(f"{what}: value {name!r} is defined twice")
        if not 1 <= info.channels <= MAX_CHANNELS:
            raise ModelError(f"{what}: {info.channels} channels, legal: 1..{MAX_CHANNELS}")
        if not INT16_LOW <= info.low <= info.high <= INT16_HIGH:
            raise ModelError(f"{what}: range {info.low}..{info.high} is empty or leaves int16")
        if not MIN_SCALE <= info.resolution <= MAX_SCALE:
            raise ModelError(
                f"{what}: resolution {info.resolution}, legal: {MIN_SCALE}..{MAX_SCALE}"
            )
        known[name] = info

    for value in program.inputs:
        what = f"{program.name}: input {value.name!r:.80}"
        define(value.name, Info(value.channels, value.low, value.high), what)
    for index, op in enumerate(program.ops):
        what = f"{program.name}: op {index} ({type(op).__name__.lower()} {op.target!r:.80})"
        for name in sources(op):
            if name not in known:
                raise ModelError(f"{what}: value {name!r:.80} is not defined before")
        define(op.target, _result(op, [known[name] for name in sources(op)], what), what)
    if not program.outputs or len(set(program.outputs)) != len(program.outputs):
        raise ModelError(f"{program.name}: outputs {program.outputs!r:.200} are none or repeat")
    for name in program.outputs:
        if name not in known:
            raise ModelError(f"{program.name}: output {name!r:.80} is not defined")
    return known


def _result(op: Op, infos: list[Info], what: str) -> Info:
    """Info of an operation's target; ModelError for any illegal constant."""
    info = infos[0]
    match op:
        case Conv():
            _check_conv(op, info, what)
            steps = _resized(info.steps, HALF) if op.stride == 2 else info.steps
            return Info(op.weight.shape[0], op.low, op.high, steps)
        case Requantize():
            _check_vector(op.divisor, info.channels, 1, MAX_DIVISOR, f"{what}: divisor")
            _check_odd(op.divisor, what)
            return Info(info.channels, op.low, op.high, info.steps)
        case Scale():
            _check_vector(op.factor, info.channels, INT16_LOW, INT16_HIGH, f"{what}: factor")
            ends = np.stack([op.factor * info.low, op.factor * info.high])
            return Info(info.channels, _saturated(ends.min()), _saturated(ends.max()), info.steps)
        case Add():
            other = infos[1]
            if (info.channels, info.resolution) != (other.channels, other.resolution):
                raise ModelError(
                    f"{what}: {op.left!r} and {op.right!r} differ in channels "
                    f"({info.channels}, {other.channels}) or resolution"
                )
            low, high = info.low + other.low, info.high + other.high
            return Info(info.channels, _saturated(low), _saturated(high), info.steps)
        case Shuffle() | Unshuffle():
            if not 1 <= op.factor <= MAX_FACTOR:
                raise ModelError(f"{what}: factor {op.factor}, legal: 1..{MAX_FACTOR}")
            area = op.factor**2
            if isinstance(op, Unshuffle):
                steps = _resized(info.steps, Resize(Fraction(1, op.factor)))
                return Info(info.channels * area, info.low, info.high, steps)
            if info.channels % area:
                raise ModelError(f"{what}: {info.channels} channels, no multiple of {area}")
            steps = _resized(info.steps, Resize(Fraction(op.factor)))
            return Info(info.channels // area, info.low, info.high, steps)
        case _:
            assert_never(op)


def _check_conv(op: Conv, info: Info, what: str) -> None:
    if op.weight.ndim != 4:
        raise ModelError(f"{what}: weight has {op.weight.ndim} axes, not 4")
    outputs, inputs, rows, columns = op.weight.shape
    if rows != columns or rows not in (1, 3):
        raise ModelError(f"{what}: kernel {rows}x{columns}, legal: 1x1 and 3x3")
    if op.stride not in (1, 2):
        raise ModelError(f"{what}: stride {op.stride}, legal: 1 and 2")
    if op.groups != 1 and not op.groups == info.channels == outputs:
        raise ModelError(
            f"{what}: groups {op.groups}, legal: 1 and, with as many outputs, {info.channels}"
        )
    if inputs * op.groups != info.channels:
        raise ModelError(
            f"{what}: weight is for {inputs * op.groups} channels, {op.source!r} "
            f"has {info.channels}"
        )
    if not 1 <= outputs <= MAX_CHANNELS:
        raise ModelError(f"{what}: {outputs} channels, legal: 1..{MAX_CHANNELS}")
    if op.weight.size and int(np.abs(op.weight.astype(np.int32)).max()) > MAX_WEIGHT:
        raise ModelError(f"{what}: a weight beyond {MAX_WEIGHT}")
    _check_vector(op.bias, outputs, -MAX_BIAS, MAX_BIAS, f"{what}: bias")
    _check_vector(op.slope, outputs, -MAX_BIAS, MAX_BIAS, f"{what}: slope")
    _check_vector(op.divisor, outputs, 1, MAX_DIVISOR, f"{what}: divisor")
    _check_odd(op.divisor, what)
    if op.table is None:
        if op.table_low != 0:
            raise ModelError(f"{what}: table_low {op.table_low} without a table, must be 0")
        return
    if op.table.ndim != 1 or not 1 <= op.table.size <= MAX_TABLE:
        raise ModelError(f"{what}: table of shape {op.table.shape}, legal: 1..{MAX_TABLE} entries")
    if not -MAX_TABLE <= op.table_low <= MAX_TABLE:
        raise ModelError(f"{what}: table_low {op.table_low}, legal: +-{MAX_TABLE}")
    if int(op.table.min()) < op.low or int(op.table.max()) > op.high:
        raise ModelError(f"{what}: table leaves {op.low}..{op.high}")


def _check_vector(values: np.ndarray, length: int, low: int, high: int, what: str) -> None:
    if values.shape != (length,):
        raise ModelError(f"{what}: shape {values.shape}, expected ({length},)")
    if int(values.min()) < low or int(values.max()) > high:
        raise ModelError(f"{what}: {int(values.min())}..{int(values.max())}, legal: {low}..{high}")


def _check_odd(divisor: np.ndarray, what: str) -> None:
    even = np.flatnonzero(divisor % 2 == 0)
    if even.size:
        raise ModelError(
            f"{what}: divisor {int(divisor[even[0]])} of channel {int(even[0])} is even"
        )


def _saturated(value: int | np.integer) -> int:
    return int(min(max(int(value), INT16_LOW), INT16_HIGH))
