"""LEB128 integers: seven bits a byte, the lowest first; the high bit says that more follow.

Only the shortest form is legal, so every value has exactly one spelling.
docs/spec/bits.md, "Varints", is normative. Shared by the entropy coder's escapes and `container`.
"""

from __future__ import annotations

from intact.errors import CorruptDataError

MAX_BYTES = 10
"""Longest varint that is read: 10 bytes hold 64 bits (and a little more, which is refused)."""


def encode(value: int) -> bytes:
    """Encode one unsigned integer; inverse of `decode`.

    Args:
        value: 0 .. 2**64 - 1.

    Returns:
        1 to 10 bytes.

    Raises:
        ValueError: ``value`` is out of range.

    Example:
        >>> encode(300).hex()
        'ac02'
    """
    if not 0 <= value < 1 << 64:
        raise ValueError(f"varint value {value} is outside 0 .. 2**64 - 1")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes | memoryview, position: int = 0, max_bits: int = 64) -> tuple[int, int]:
    """Decode the unsigned integer at ``position``; inverse of `encode`.

    Args:
        data: the bytes to read from.
        position: where the first byte is, in bytes.
        max_bits: the value must be below ``2**max_bits``; 1 .. 64.

    Returns:
        The value, and the position behind it.

    Raises:
        CorruptDataError: the data end inside the integer, it is not in its shortest form, or it
            needs more than ``max_bits`` bits.

    Example:
        >>> decode(bytes.fromhex("ac02"))
        (300, 2)
    """
    value = 0
    for count in range(MAX_BYTES):
        if position + count >= len(data):
            raise CorruptDataError(f"varint at byte {position} is cut off after {count} bytes")
        byte = data[position + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if byte == 0 and count > 0:
                raise CorruptDataError(f"varint at byte {position} is not in its shortest form")
            if value >> max_bits:
                raise CorruptDataError(f"varint at byte {position} needs more than {max_bits} bits")
            return value, position + count + 1
    raise CorruptDataError(f"varint at byte {position} is longer than {MAX_BYTES} bytes")


def zigzag(value: int) -> int:
    """Map 0, -1, 1, -2, ... to 0, 1, 2, 3, ...; inverse of `unzigzag`."""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(code: int) -> int:
    """Map 0, 1, 2, 3, ... to 0, -1, 1, -2, ...; inverse of `zigzag`."""
    return code >> 1 if code % 2 == 0 else -(code >> 1) - 1
