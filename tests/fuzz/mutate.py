"""Mutations of bytes and of image files, and the repair of an image file's checksums.

Every function takes a `random.Random`, which alone decides what happens.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

from intact.bits import varint
from intact.container.image_file import HEADER_BYTES, ImageFile
from intact.errors import CorruptDataError

INTERESTING = (0, 1, 2, 4, 5, 6, 7, 10, 11, 15, 16, 64, 127, 128, 129, 254, 255)
NUMBERS = (0, 1, 2, 4, 5, 6, 15, 16, 17, 127, 128, 255, 256, 1 << 14, 1 << 16, 1 << 20, 1 << 24,
           (1 << 28) - 1, 1 << 28, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 64) - 1)  # fmt: skip


def odd_varint(r: Random, value: int) -> bytes:
    """A varint that is near ``value``, extreme, padded, or no varint at all."""
    match r.randrange(6):
        case 0:
            return varint.encode(max(0, value + r.choice((-2, -1, 1, 2))))
        case 1:
            return varint.encode(r.choice(NUMBERS))
        case 2:  # padded
            digits = varint.encode(value)
            return digits[:-1] + bytes([digits[-1] | 128]) + b"\x80" * r.randrange(3) + b"\0"
        case 3:
            return b"\xff" * r.randrange(1, 12) + r.choice((b"", b"\x01", b"\x7f"))
        case 4:
            return varint.encode(r.getrandbits(r.randrange(1, 64)))
        case _:
            return varint.encode(min(value * r.choice((2, 3, 16)), (1 << 64) - 1))


def flip_bits(r: Random, data: bytes) -> bytes:
    """One to eight bits flipped."""
    if not data:
        return b"\x01"
    result = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 8))):
        result[r.randrange(len(result))] ^= 1 << r.randrange(8)
    return bytes(result)


def set_bytes(r: Random, data: bytes) -> bytes:
    """Some bytes, or a run of them, set to values that often matter."""
    if not data:
        return bytes([r.choice(INTERESTING)])
    result = bytearray(data)
    start = r.randrange(len(result))
    for place in range(start, min(start + r.choice((1, 1, 2, 4, 16)), len(result))):
        result[place] = r.choice(INTERESTING) if r.random() < 0.7 else r.randrange(256)
    return bytes(result)


def insert_bytes(r: Random, data: bytes) -> bytes:
    """One to nine bytes more."""
    at = r.randrange(len(data) + 1)
    return data[:at] + r.randbytes(r.choice((1, 1, 2, 4, 9))) + data[at:]


def delete_bytes(r: Random, data: bytes) -> bytes:
    """Some bytes less, in the middle."""
    at = r.randrange(len(data) + 1)
    return data[:at] + data[at + r.choice((1, 1, 2, 4, 9, 50)) :]


def truncate(r: Random, data: bytes) -> bytes:
    """A beginning."""
    return data[: r.randrange(len(data) + 1)]


def edit_varint(r: Random, data: bytes) -> bytes:
    """The varint at any place becomes another one."""
    if not data:
        return odd_varint(r, 0)
    at = r.randrange(len(data))
    try:
        value, behind = varint.decode(data, at)
    except CorruptDataError:
        value, behind = 0, at + 1
    return data[:at] + odd_varint(r, value) + data[behind:]


def repeat_block(r: Random, data: bytes) -> bytes:
    """A piece twice."""
    at = r.randrange(len(data) + 1)
    return data[:at] + data[max(0, at - r.randrange(1, 40)) :]


BYTE_KINDS = {
    "bits": flip_bits,
    "set": set_bytes,
    "insert": insert_bytes,
    "delete": delete_bytes,
    "truncate": truncate,
    "varint": edit_varint,
    "repeat": repeat_block,
}


def any_bytes(r: Random, data: bytes) -> bytes:
    """One mutation of any kind."""
    return BYTE_KINDS[r.choice(tuple(BYTE_KINDS))](r, data)


def splice(r: Random, left: bytes, right: bytes) -> bytes:
    """The beginning of one file and the end of another, or a piece of one inside the other."""
    at, start = r.randrange(len(left) + 1), r.randrange(len(right) + 1)
    if r.random() < 0.5:
        return left[:at] + right[start:]
    size = r.randrange(1, 64)
    return left[:at] + right[start : start + size] + left[at + size :]


def edit_header(r: Random, data: bytes) -> bytes:
    """One byte or varint among the first."""
    head = data[:HEADER_BYTES]
    return any_bytes(r, head) + data[HEADER_BYTES:]


# ---------------------------------------------------------------- image files by parts


@dataclass
class ImageParts:
    """An image file as the pieces that it is written from; any of them may be wrong."""

    head: bytearray
    """Magic, version, model id, samples, level, tiling, CRC of the pixels: 32 bytes. Then flags."""
    width: bytes
    height: bytes
    lengths: list[bytes]
    tiles: list[bytes]
    chunks: list[tuple[bytes, bytes, bytes]]
    """Type, length, data."""
    end: bytes = b"\0"

    def build(self) -> bytes:
        """The file, with right CRCs."""
        body = b"".join([self.head, self.width, self.height, *self.lengths, *self.tiles])
        parts = [body, zlib.crc32(body).to_bytes(4, "little")]
        for letters, length, data in self.chunks:
            head = letters + length + data
            parts += [head, zlib.crc32(head).to_bytes(4, "little")]
        return b"".join([*parts, self.end])


def split(data: bytes, file: ImageFile) -> ImageParts:
    """The parts of a good file."""
    return ImageParts(
        bytearray(data[: 32 + (data[25] >> 7)]),
        varint.encode(file.header.width),
        varint.encode(file.header.height),
        [varint.encode(len(tile)) for tile in file.tiles],
        list(file.tiles),
        [(c.type.encode(), varint.encode(len(c.data)), c.data) for c in file.chunks],
    )


def _edit_field(r: Random, parts: ImageParts) -> None:
    """Version, samples, level, tiling, the pixels' CRC or the id."""
    at = r.choice((8, 9, 25, 25, 26, 26, 26, 27, 27, 28, 31, 32))
    match at:
        case 32:
            parts.head[25] |= 0x80
            parts.head[32:] = bytes([r.choice((0, 1, 2, 3, 4, 8, 9, 16, 24, r.randrange(256)))])
        case 25:
            parts.head[at] = r.choice((0x07, 0x17, 0x27, 0x37, 0x47, 0x57, 0x3F, r.randrange(256)))
        case 26:
            parts.head[at] = r.randrange(32) if r.random() < 0.8 else r.randrange(256)
        case 27:
            parts.head[at] = r.choice((3, 4, 5, 6, 7, 0x16, 0x56, 0xF4, 255))
        case _:
            parts.head[at] ^= 1 << r.randrange(8)


def _edit_size(r: Random, parts: ImageParts) -> None:
    name = r.choice(("width", "height"))
    try:
        value, _ = varint.decode(getattr(parts, name))
    except CorruptDataError:
        value = r.randrange(1, 257)  # an earlier edit broke it already
    match r.randrange(4):
        case 0:
            setattr(parts, name, odd_varint(r, value))
        case 1:
            parts.width, parts.height = parts.height, parts.width
        case 2:  # the same tiles, often
            setattr(parts, name, varint.encode(r.randrange(1, 257)))
        case _:
            setattr(parts, name, varint.encode(r.choice((16, 256, 1024, 1025, 4096, 16384))))


def _edit_length(r: Random, parts: ImageParts) -> None:
    at = r.randrange(len(parts.lengths))
    parts.lengths[at] = odd_varint(r, len(parts.tiles[at]))


def edit_payload(r: Random, payload: bytes) -> bytes:
    """A payload of rANS: lanes, states, words, or escapes."""
    match r.randrange(6):
        case 0 if payload:
            return bytes([r.choice((0, 1, 2, 3, 10, 11, 255))]) + payload[1:]
        case 1:  # states at their ends
            state = r.choice((0, 0xFFFF, 0x10000, 0x10001, 0xFFFFFFFF)).to_bytes(4, "little")
            at = 1 + 4 * r.randrange(2)
            return payload[:at] + state + payload[at + 4 :]
        case 2:
            return r.randbytes(r.choice((5, 6, 9, 20, 200)))
        case 3:
            return payload + r.choice((b"\0", b"\0\0", payload[-2:], r.randbytes(3)))
        case _:
            return any_bytes(r, payload)


def _edit_tile(r: Random, parts: ImageParts, others: list[bytes]) -> None:
    at = r.randrange(len(parts.tiles))
    match r.randrange(8):
        case 0:
            parts.tiles[at] = r.choice(others)
        case 1:
            other = r.randrange(len(parts.tiles))
            parts.tiles[at], parts.tiles[other] = parts.tiles[other], parts.tiles[at]
        case _:
            parts.tiles[at] = edit_payload(r, parts.tiles[at])
    parts.lengths = [varint.encode(len(tile)) for tile in parts.tiles]


def edit_alpha(r: Random, data: bytes) -> bytes:
    """A coded alpha plane: the filter, the stream, or what is in the stream."""
    if not data:
        return r.randbytes(9)
    match r.randrange(6):
        case 0:
            return bytes([r.choice((0, 1, 2, 3, 4, 255))]) + data[1:]
        case 1:  # a bomb: a megabyte in a kilobyte
            return data[:1] + zlib.compress(bytes(r.choice((1 << 10, 1 << 16, 1 << 20))))
        case 2:
            try:
                plane = zlib.decompress(data[1:])
            except zlib.error:
                return any_bytes(r, data)
            return data[:1] + zlib.compress(any_bytes(r, plane))
        case 3:
            return data + data[1:]
        case _:
            return any_bytes(r, data)


def _edit_chunk(r: Random, parts: ImageParts) -> None:
    chunks = parts.chunks
    if not chunks or r.random() < 0.15:
        letters = r.choice((b"ALPH", b"exif", b"iccp", b"xmpd", b"modl", b"nEwc", b"NEWC", b"a1b2"))
        data = r.randbytes(r.randrange(9))
        chunks.append((letters, varint.encode(len(data)), data))
        if r.random() < 0.7:
            chunks.sort()
        return
    at = r.randrange(len(chunks))
    letters, length, data = chunks[at]
    match r.randrange(8):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(at, chunks[at])
        case 2:
            r.shuffle(chunks)
        case 3:
            chunks[at] = (any_bytes(r, letters)[:4].ljust(4, b"a"), length, data)
        case 4:
            chunks[at] = (letters, odd_varint(r, len(data)), data)
        case 5:
            chunks[at : at + 1] = [chunks[at]] * 70 if r.random() < 0.2 else [chunks[at]] * 2
        case _:
            data = edit_alpha(r, data) if letters == b"ALPH" else any_bytes(r, data)
            chunks[at] = (letters, varint.encode(len(data)), data)


def _edit_end(r: Random, parts: ImageParts) -> None:
    parts.end = r.choice((b"", b"\0\0", b"\x01", b"a", b"\0" + r.randbytes(5)))


PART_KINDS = ("field", "size", "length", "tile", "tile", "tile", "chunk", "chunk", "end")


def edit_parts(r: Random, parts: ImageParts, others: list[bytes]) -> str:
    """Change one or two parts; returns what was changed."""
    kinds = [r.choice(PART_KINDS) for _ in range(r.choice((1, 1, 1, 2)))]
    for kind in kinds:
        match kind:
            case "field":
                _edit_field(r, parts)
            case "size":
                _edit_size(r, parts)
            case "length":
                _edit_length(r, parts)
            case "tile":
                _edit_tile(r, parts, others)
            case "chunk":
                _edit_chunk(r, parts)
            case _:
                _edit_end(r, parts)
    return kinds[0]


def repair_image(data: bytes) -> bytes:
    """Right CRCs wherever a reader would look for them; as far as the file can be followed."""
    result = bytearray(data)

    def crc(start: int, at: int) -> int:
        result[at : at + 4] = zlib.crc32(bytes(result[start:at])).to_bytes(4, "little")
        return at + 4

    try:
        width, at = varint.decode(data, 32 + (data[25] >> 7))  # behind the flags
        height, at = varint.decode(data, at)
        side = 1 << (data[27] & 7) + ((data[27] >> 4) + 4) % 16
        count = -(-width // side) * -(-height // side)
        if count > len(data):
            return data
        total = 0
        for _ in range(count):
            length, at = varint.decode(data, at)
            total += length
        if at + total + 4 > len(data):
            return data
        at = crc(0, at + total)
        while at < len(data) and data[at]:
            length, behind = varint.decode(data, at + 4)
            if behind + length + 4 > len(data):
                break
            at = crc(at, behind + length)
    except (CorruptDataError, IndexError):
        pass
    return bytes(result)
