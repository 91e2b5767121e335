"""Programs as plain values: what a model file stores, checked on the way in.

Trees come from files of unknown origin: every key, type, length and value is looked at.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from intact.errors import ModelError
from intact.intnet.infer import infer
from intact.intnet.program import (
    MAX_OPS,
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
    check_name,
)
from intact.untrusted import integer, mapping, sequence

Tree = dict[str, object]

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


def program_to_tree(program: Program) -> Tree:
    """A program as dicts, lists, ints, strings and integer arrays; inverse of `program_from_tree`.

    Raises:
        ModelError: the program is not valid.
    """
    infer(program)
    inputs = [
        {
            "name": value.name,
            "channels": int(value.channels),
            "low": int(value.low),
            "high": int(value.high),
        }
        for value in program.inputs
    ]
    ops: list[Tree] = []
    for op in program.ops:
        kind = next(key for key, value in _KINDS.items() if isinstance(op, value))
        entry: Tree = {"op": kind}
        for item in fields(op):
            value = getattr(op, item.name)
            if item.name == "edge":  # a key that came later: not there where it says nothing
                if value:
                    entry["edge"] = 1
                continue
            if item.name in _ARRAYS and isinstance(op, (Conv, Requantize, Scale)):
                value = np.array([] if value is None else value, dtype=_ARRAYS[item.name])
            entry[item.name] = int(value) if isinstance(value, np.integer) else value
        ops.append(entry)
    return {"name": program.name, "inputs": inputs, "ops": ops, "outputs": list(program.outputs)}


def program_from_tree(tree: object) -> Program:
    """Build and validate a program; inverse of `program_to_tree`.

    Args:
        tree: of unknown origin.

    Raises:
        ModelError: anything is missing, unknown, of a wrong type or out of range.
    """
    top = mapping(tree, ("name", "inputs", "ops", "outputs"), "program")
    name = check_name(top["name"], "program: name")
    inputs: list[Value] = []
    for index, item in enumerate(sequence(top["inputs"], MAX_OPS, f"{name}: inputs")):
        what = f"{name}: input {index}"
        entry = mapping(item, ("name", "channels", "low", "high"), what)
        numbers = [integer(entry[key], f"{what}: {key}") for key in ("channels", "low", "high")]
        inputs.append(Value(check_name(entry["name"], what), *numbers))
    ops = [
        _op_from_tree(item, f"{name}: op {index}")
        for index, item in enumerate(sequence(top["ops"], MAX_OPS, f"{name}: ops"))
    ]
    outputs = [
        check_name(item, f"{name}: outputs")
        for item in sequence(top["outputs"], MAX_OPS, f"{name}: outputs")
    ]
    program = Program(name, tuple(inputs), tuple(ops), tuple(outputs))
    infer(program)
    return program


def _op_from_tree(item: object, what: str) -> Op:
    if not isinstance(item, dict) or not isinstance(item.get("op"), str):
        raise ModelError(f"{what}: expected a mapping with the key 'op'")
    kind = _KINDS.get(item["op"])
    if kind is None:
        raise ModelError(f"{what}: unknown operation {item['op']!r:.40}; legal: {sorted(_KINDS)}")
    names = [f.name for f in fields(kind) if f.name != "edge" or "edge" in item]
    entry = mapping(item, {"op", *names}, what)
    values: dict[str, object] = {}
    for key in names:
        value = entry[key]
        if key in ("source", "target", "left", "right"):
            values[key] = check_name(value, f"{what}: {key}")
        elif key in _ARRAYS and kind in (Conv, Requantize, Scale):
            if not isinstance(value, np.ndarray):
                raise ModelError(f"{what}: {key}: expected an array, got {type(value).__name__}")
            values[key] = None if key == "table" and value.size == 0 else value
        elif key == "edge":
            if integer(value, f"{what}: edge") != 1:
                raise ModelError(f"{what}: edge is {value}, must be 1 or left out")
            values[key] = True
        else:
            values[key] = integer(value, f"{what}: {key}")
    return kind(**values)  # type: ignore[arg-type]
