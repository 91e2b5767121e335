"""EXIF as a structure: directories of tags, as TIFF has them. What tags mean is no matter here.

EXIF is a TIFF file without pixels. So a TIFF's own tags may become EXIF (`of_tiff`), and EXIF the
tags of a TIFF (`intact.cli.tiff`). In both only what describes a picture goes over: tags that say
how pixels are stored are another file's. Values are copied byte for byte, in their byte order.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import IO, Final

from intact.container.limits import MAX_METADATA_BYTES

ORIENTATION: Final = 274
XMP: Final = 700
EXIF_DIRECTORY: Final = 34665
GPS_DIRECTORY: Final = 34853
INTEROPERABILITY: Final = 40965
_DIRECTORIES: Final = {EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY}
RESOLUTION: Final = {282, 283, 296}
DESCRIPTIVE: Final = {
    269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 33434, 33437, 34850, 34852,
    34855, 36867, 36868, *range(37377, 37397), *range(40091, 40096), 50341,
}  # fmt: skip
"""Tags of a first directory that describe the picture: names, makers, dates, authors, ratings,
exposure, printing."""
STORAGE: Final = {
    *range(254, 269), 273, *range(277, 282), 284, *range(288, 294), *range(317, 333),
    *range(334, 348), *range(512, 533), 59932,
}  # fmt: skip
"""Tags that say how samples are stored, or padding: of no use away from their file."""
_INTEROPERABILITY_INDEX: Final = 1
_COLOR_SPACE: Final = 40961
_ADOBE_RGB: Final = 2
SHORT: Final = 3
TYPE_BYTES: Final = {
    1: 1, 2: 1, SHORT: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1,
}  # fmt: skip
"""Bytes of one value of each type that EXIF has; 129 is UTF-8."""
_POINTERS: Final = {4, 13, 16, 18}
_MAX_ENTRIES: Final = 4096


@dataclass(frozen=True)
class Entry:
    """One tag of a directory.

    Attributes:
        tag: its number.
        type: of its values, see `TYPE_BYTES`.
        count: how many.
        raw: the entry's 12 bytes (20 in a BigTIFF) as they are in the file.
        data: the values, in the byte order of the file; None where they lie outside, are not
            wanted, or are of no type of EXIF.
    """

    tag: int
    type: int
    count: int
    raw: bytes
    data: bytes | None = field(default=None, repr=False)


class Structure:
    """An opened TIFF structure: EXIF, or a whole TIFF or BigTIFF.

    Args:
        file: can be sought; where it stands does not matter.

    Attributes:
        order: "<" or ">", as in `struct`.
        first: where the first directory is.

    Raises:
        ValueError: it does not begin as such a structure.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        head = self._read(0, 16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        magic = int.from_bytes(head[2:4], "little" if order == "<" else "big")
        if order is None or magic not in (42, 43) or len(head) < 8 * (magic - 41):
            raise ValueError("no TIFF structure")
        self.order, self._big = order, magic == 43
        self.first = self._number(head[8:16] if self._big else head[4:8])

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(min(offset, (1 << 63) - 1))
        return self._file.read(size)

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def entries(self, offset: int, wanted: Container[int] = ()) -> list[Entry]:
        """The entries of a directory, with the values of the wanted tags.

        A directory that is cut short gives those that are there; a tag that is there twice counts
        once.
        """
        size, width = (20, 8) if self._big else (12, 2)
        count = min(self._number(self._read(offset, width)), _MAX_ENTRIES)
        body = self._read(offset + width, count * size)
        found: dict[int, Entry] = {}
        room = MAX_METADATA_BYTES
        for at in range(0, len(body) // size * size, size):
            raw = body[at : at + size]
            tag, kind = self._number(raw[:2]), self._number(raw[2:4])
            values, data = self._number(raw[4 : 4 + (size - 4) // 2]), None
            if tag in found:
                continue
            if tag in wanted:
                data = self._value(raw, TYPE_BYTES.get(kind, 0) * values, room)
                room -= len(data or b"")
            found[tag] = Entry(tag, kind, values, raw, data)
        return list(found.values())

    def _value(self, raw: bytes, size: int, room: int) -> bytes | None:
        inline = raw[4 + (len(raw) - 4) // 2 :]
        if size <= len(inline):
            return inline[:size] if size else None
        data = self._read(self._number(inline), size) if size <= room else b""
        return data if len(data) == size else None

    def pointer(self, entry: Entry) -> int | None:
        """Where the directory is that an entry points to."""
        if entry.count != 1 or entry.type not in _POINTERS:
            return None
        return self._number(entry.raw[8:12] if not self._big else entry.raw[12:20])

    def below(self, entries: Iterable[Entry], tag: int, wanted: Container[int] = ()) -> list[Entry]:
        """The entries of the directory that a tag among some entries points to, if it is there."""
        for entry in entries:
            if entry.tag == tag and (offset := self.pointer(entry)) is not None:
                return self.entries(offset, wanted)
        return []

    def short(self, entry: Entry) -> int | None:
        """The number in an entry of one SHORT."""
        if entry.count != 1 or entry.type != SHORT:
            return None
        return self._number(entry.raw[12:14] if self._big else entry.raw[8:10])


def orientation(exif: bytes) -> int:
    """How the picture is to be turned, 1 (upright) to 8; 0 where nothing legal is said."""
    with contextlib.suppress(ValueError):
        structure = Structure(io.BytesIO(exif))
        for entry in structure.entries(structure.first):
            value = structure.short(entry) if entry.tag == ORIENTATION else None
            if value is not None and 1 <= value <= 8:
                return value
    return 0


def xmp_orientation(xmp: bytes) -> int:
    """The same, from an XMP packet."""
    found = re.search(rb"tiff:Orientation(?:=[\"']|>)\s*([1-8])\s*(?:[\"']|<)", xmp)
    return int(found[1]) if found else 0


def only_orientation(value: int) -> bytes:
    """EXIF that says an orientation and nothing else; b"" for upright, or 0."""
    if value <= 1:
        return b""
    return build("<", [(ORIENTATION, SHORT, 1, struct.pack("<H", value))])


def is_adobe_rgb(exif: bytes) -> bool:
    """Whether a camera says, by the rules of DCF, that samples are Adobe RGB."""
    with contextlib.suppress(ValueError):
        structure = Structure(io.BytesIO(exif))
        inner = structure.below(structure.entries(structure.first), EXIF_DIRECTORY)
        for entry in structure.below(inner, INTEROPERABILITY, {_INTEROPERABILITY_INDEX}):
            if entry.tag == _INTEROPERABILITY_INDEX and entry.data:
                return entry.data.startswith(b"R03")
        return any(e.tag == _COLOR_SPACE and structure.short(e) == _ADOBE_RGB for e in inner)
    return False


Field = tuple[int, int, int, bytes]
"""Tag, type, count, values."""


def of_tiff(file: IO[bytes]) -> tuple[bytes, list[int]]:
    """The EXIF of a TIFF file: its descriptive tags, Exif, GPS and interoperability directories.

    Orientation is not among them: Pillow has turned the pixels.

    Returns:
        EXIF (b"" where nothing describes the picture), and the tags of it that cannot be read.
    """
    try:
        structure = Structure(file)
    except ValueError:
        return b"", []
    wanted = DESCRIPTIVE | RESOLUTION
    lost: list[int] = []
    fields: list[Field] = []
    directories: dict[int, list[Field]] = {}
    for entry in structure.entries(structure.first, wanted):
        if entry.tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            directories[entry.tag] = _directory(structure, entry, lost, directories)
        elif entry.tag in wanted:
            _keep(entry, fields, lost)
    if not any(directories.values()) and {tag for tag, *_ in fields} <= RESOLUTION:
        return b"", lost
    return build(structure.order, fields, directories), lost


def _keep(entry: Entry, fields: list[Field], lost: list[int]) -> None:
    if entry.data is None:
        if entry.count:  # an empty value is none
            lost.append(entry.tag)
    else:
        fields.append((entry.tag, entry.type, entry.count, entry.data))


class _AllButDirectories(Container[int]):
    def __contains__(self, tag: object) -> bool:
        return tag not in _DIRECTORIES


def _directory(
    structure: Structure, pointer: Entry, lost: list[int], directories: dict[int, list[Field]]
) -> list[Field]:
    """The fields that an entry points to; a directory below it is added to ``directories``."""
    offset = structure.pointer(pointer)
    if offset is None:
        lost.append(pointer.tag)
        return []
    fields: list[Field] = []
    for entry in structure.entries(offset, _AllButDirectories()):
        if entry.tag == INTEROPERABILITY and pointer.tag == EXIF_DIRECTORY:
            directories[entry.tag] = _directory(structure, entry, lost, directories)
        elif entry.tag not in _DIRECTORIES:
            _keep(entry, fields, lost)
    return fields


def build(
    order: str, fields: Iterable[Field], directories: dict[int, list[Field]] | None = None
) -> bytes:
    """A TIFF structure of one directory, and of those that it points to.

    Args:
        order: "<" or ">", that of the values.
        fields: of the first directory.
        directories: by the tag that points to them; those that are empty are left out.
    """
    parts = {tag: list(found) for tag, found in (directories or {}).items() if found}
    first = list(fields)
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8))
    # Pointers first have no value: their directories come behind.
    if INTEROPERABILITY in parts:
        parts.setdefault(EXIF_DIRECTORY, []).append((INTEROPERABILITY, 4, 1, bytes(4)))
    first += [(tag, 4, 1, bytes(4)) for tag in (EXIF_DIRECTORY, GPS_DIRECTORY) if tag in parts]
    places: dict[int, int] = {}
    _write_directory(out, order, sorted(first), places)
    for tag in sorted(parts):
        out[places[tag] : places[tag] + 4] = struct.pack(f"{order}I", len(out))
        _write_directory(out, order, sorted(parts[tag]), places)
    return bytes(out)


def _write_directory(
    out: bytearray, order: str, fields: list[Field], places: dict[int, int]
) -> None:
    """Append one directory and its values; ``places`` learns where the value of each tag is."""
    entries = len(out) + 2
    end = entries + 12 * len(fields) + 4
    out += struct.pack(f"{order}H", len(fields)) + bytes(end - entries)
    for index, (tag, kind, count, data) in enumerate(fields):
        at = entries + 12 * index
        value = data.ljust(4, b"\0")
        if len(data) > 4:
            value = struct.pack(f"{order}I", len(out))
            out += data + bytes(len(data) % 2)  # values begin at even places
        out[at : at + 12] = struct.pack(f"{order}HHI", tag, kind, count) + value
        if tag in _DIRECTORIES:
            places[tag] = at + 8
