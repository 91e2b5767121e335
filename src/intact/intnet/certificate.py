"""Certificates: proof that a program cannot overflow, as a table a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from intact.intnet.bounds import check_bounds, conv_bounds, requantize_reciprocal
from intact.intnet.infer import Info, infer
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    sources,
)


@dataclass(frozen=True)
class Row:
    """One operation's line of a certificate.

    Attributes:
        target: the value it makes.
        operation: kind and shape, e.g. ``conv 192>384 3x3/2``.
        low: smallest element of the result.
        high: largest element of the result.
        bound: largest magnitude of any intermediate (B of a convolution).
        room_bits: bits left of the 31 that an int32 accumulator has.
        divisors: smallest and largest divisor, (1, 1) where there is none.
        quotient: v_max, the largest |v| that must be rounded right.
        rule1: a float32 reciprocal divides exactly.
        arithmetics: accumulations that are exact.
    """

    target: str
    operation: str
    low: int
    high: int
    bound: int
    room_bits: int
    divisors: tuple[int, int]
    quotient: int
    rule1: bool
    arithmetics: tuple[str, ...]


@dataclass(frozen=True)
class Certificate:
    """The proven bounds of a program, one row per operation."""

    program: str
    rows: tuple[Row, ...]

    @property
    def bound(self) -> int:
        """Largest magnitude of any intermediate of the whole program."""
        return max((row.bound for row in self.rows), default=0)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        rows = [
            {
                "target": row.target,
                "operation": row.operation,
                "low": row.low,
                "high": row.high,
                "bound": row.bound,
                "room_bits": row.room_bits,
                "divisors": list(row.divisors),
                "quotient": row.quotient,
                "rule1": row.rule1,
                "arithmetics": list(row.arithmetics),
            }
            for row in self.rows
        ]
        return {"program": self.program, "bound": self.bound, "rows": rows}

    def text(self) -> str:
        """A fixed-width table, one line per operation."""
        head = (
            "value",
            "operation",
            "range",
            "bound",
            "room",
            "divisors",
            "v_max",
            "rule 1",
            "exact in",
        )
        table: list[tuple[str, ...]] = [head]
        for row in self.rows:
            low, high = row.divisors
            table.append(
                (
                    row.target,
                    row.operation,
                    f"{row.low}..{row.high}",
                    f"{row.bound:,}",
                    f"{row.room_bits} bits",
                    f"{low}..{high}" if high > 1 else "-",
                    str(row.quotient),
                    "yes" if row.rule1 else "no",
                    " ".join(row.arithmetics),
                )
            )
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            for line in table
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        title = f"{self.program}: largest intermediate {self.bound:,} < 2^31"
        return "\n".join([title, *(line.rstrip() for line in lines)]) + "\n"


def prove(program: Program) -> Certificate:
    """Prove that no accumulator can leave 32 bits, whatever the input and the level; done once.

    Raises:
        ModelError: the program is not valid, a divisor is even or outside 1..16383, or a bound
            reaches 2**31; names the operation, the channel and the bound.

    Example:
        >>> from intact.intnet.program import Add, Program, Value
        >>> x = Value("x", 1, -128, 127)
        >>> prove(Program("double", (x,), (Add("x", "x", "y"),), ("y",))).bound
        256
    """
    return program.once("certificate", lambda: _prove(program))


def _prove(program: Program) -> Certificate:
    check_bounds(program)
    infos = infer(program)
    rows = tuple(
        _row(op, [infos[name] for name in sources(op)], infos[op.target]) for op in program.ops
    )
    return Certificate(program.name, rows)


def _row(op: Op, operands: list[Info], result: Info) -> Row:
    largest = max(max(abs(info.low), abs(info.high)) for info in operands)
    integers = ("int32", "float32", "float64")
    match op:
        case Conv():
            bounds = conv_bounds(op, operands[0])
            outputs, _, taps, _ = op.weight.shape
            kind = "depthwise" if op.groups > 1 else "conv"
            suffix = (f"/{op.stride}" if op.stride > 1 else "") + (
                " table" if op.table is not None else ""
            )
            operation = f"{kind} {operands[0].channels}>{outputs} {taps}x{taps}{suffix}"
            bound, quotient = int(bounds.bound.max()), int(bounds.quotient.max())
            divisors = (int(op.divisor.min()), int(op.divisor.max()))
            rule, exact = bounds.reciprocal, bounds.arithmetics
        case Requantize():
            operation, bound = f"requantize {result.channels}", largest
            quotient = max(abs(op.low), abs(op.high))
            divisors = (int(op.divisor.min()), int(op.divisor.max()))
            rule, exact = requantize_reciprocal(op, operands[0]), integers
        case Scale():
            factor = int(np.abs(op.factor).max())
            operation, bound, quotient = f"scale {result.channels}", largest * factor, 0
            # Beyond 2**24 float32 rounds, but monotonically, and the result saturates at 2**15.
            divisors, rule, exact = (1, 1), True, integers
        case Add():
            bound = sum(max(abs(info.low), abs(info.high)) for info in operands)
            operation, quotient = f"add {result.channels}", 0
            divisors, rule, exact = (1, 1), True, integers
        case Shuffle() | Unshuffle():
            operation = f"{type(op).__name__.lower()} {op.factor}"
            bound, quotient, divisors, rule, exact = largest, 0, (1, 1), True, integers
        case _:
            assert_never(op)
    return Row(
        op.target,
        operation,
        result.low,
        result.high,
        bound,
        31 - bound.bit_length(),
        divisors,
        quotient,
        rule,
        exact,
    )
