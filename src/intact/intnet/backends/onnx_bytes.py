"""A graph of ONNX operations as the bytes of a model file.

ONNX files are protocol buffers; of them only what such a graph needs is written here (the numbers
of fields are onnx.proto3's), so that neither exporting nor running needs the package `onnx`. The
same graph is the same bytes. tests/intnet/test_onnx.py has them checked by that package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

OPSET = 17
IR_VERSION = 8
TYPES = {
    np.dtype(np.float32): 1,
    np.dtype(np.uint8): 2,
    np.dtype(np.int8): 3,
    np.dtype(np.int16): 5,
    np.dtype(np.int32): 6,
    np.dtype(np.int64): 7,
    np.dtype(np.float64): 11,
}
"""TensorProto.DataType."""
_INT, _STRING, _INTS = 2, 3, 7  # AttributeProto.AttributeType

Attribute = int | str | Sequence[int]


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative ones in two's complement, ten bytes
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _field(number: int, content: int | str | bytes) -> bytes:
    """A field: an integer as a varint, all else with its length."""
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    content = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def tensor(array: np.ndarray, name: str = "") -> bytes:
    """A TensorProto; what a test of ONNX's own form keeps in ``input_0.pb``."""
    head = b"".join(_field(1, size) for size in array.shape) + _field(2, TYPES[array.dtype])
    content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return head + _field(8, name) + _field(9, content)


def _attribute(name: str, value: Attribute) -> bytes:
    match value:
        case int():
            return _field(1, name) + _field(3, value) + _field(20, _INT)
        case str():
            return _field(1, name) + _field(4, value) + _field(20, _STRING)
        case _:
            numbers = b"".join(_field(8, number) for number in value)
            return _field(1, name) + numbers + _field(20, _INTS)


def _value(name: str, dtype: np.dtype, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto; a side that is free has a name."""
    sides = (_field(1, s) if isinstance(s, int) else _field(2, s) for s in shape)
    kind = _field(1, TYPES[dtype]) + _field(2, b"".join(_field(1, side) for side in sides))
    return _field(1, name) + _field(2, _field(1, kind))


class Graph:
    """Collects nodes; every method that makes a tensor returns its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> str:
        """An input of the whole graph."""
        self._inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> None:
        """Give a tensor of the graph to the caller."""
        self._outputs.append(_value(name, dtype, shape))

    def constant(self, array: np.ndarray) -> str:
        """A constant; equal ones are stored once."""
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._known:
            name = self._known[key] = f"constant/{len(self._known)}"
            self._constants[name] = _field(5, tensor(array, name))
        return self._known[key]

    def node(
        self, kind: str, inputs: Sequence[str], target: str = "", **attributes: Attribute
    ) -> str:
        """An operation with one result.

        Args:
            kind: the operator, of the default domain.
            inputs: names of tensors.
            target: name of the result; one nobody else has if empty.
            attributes: of the operator.
        """
        target = target or f"{kind}/{len(self._nodes)}"
        parts = [_field(1, name) for name in inputs] + [_field(2, target), _field(4, kind)]
        parts += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(_field(1, b"".join(parts)))
        return target

    def to_bytes(self, notes: Mapping[str, str]) -> bytes:
        """The whole file, with notes for whoever opens it."""
        parts = [*self._nodes, _field(2, self._name), *self._constants.values()]
        parts += [_field(11, value) for value in self._inputs]
        parts += [_field(12, value) for value in self._outputs]
        head = _field(1, IR_VERSION) + _field(2, "intact")
        opset = _field(8, _field(1, "") + _field(2, OPSET))
        properties = [_field(14, _field(1, key) + _field(2, text)) for key, text in notes.items()]
        return head + _field(7, b"".join(parts)) + opset + b"".join(properties)
