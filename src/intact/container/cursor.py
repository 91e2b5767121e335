"""A reading position in bytes: the only way a container looks at its input.

Every read names what it reads, so that an error can say where a file ends or goes wrong, and
every length is compared with what remains before anything is sliced.
"""

from __future__ import annotations

import zlib

from intact.bits import varint
from intact.errors import CorruptDataError


class Cursor:
    """Reads ``data`` forwards; running out is a `CorruptDataError`.

    Attributes:
        data: the bytes to read.
        name: what they are, for messages ("image file").
        position: the byte to read next.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position

    def corrupt(self, message: str) -> CorruptDataError:
        """An error at the present position, for the caller to raise."""
        return CorruptDataError(f"{self.name}, byte {self.position}: {message}")

    def need(self, size: int, what: str) -> None:
        """Check that ``size`` bytes remain.

        Raises:
            CorruptDataError: fewer remain.
        """
        if size > self.remaining:
            raise self.corrupt(
                f"{what} needs {size} bytes, {self.remaining} remain: it is cut short"
            )

    def take(self, size: int, what: str) -> bytes:
        """Read ``size`` >= 0 bytes.

        Raises:
            CorruptDataError: fewer remain.
        """
        self.need(size, what)
        start = self.position
        self.position += size
        return self.data[start : self.position]

    def u8(self, what: str) -> int:
        """Read one byte.

        Raises:
            CorruptDataError: none remains.
        """
        at = self.position
        if at >= len(self.data):
            self.need(1, what)
        self.position = at + 1
        return self.data[at]

    def u32(self, what: str) -> int:
        """Read four bytes, least significant first.

        Raises:
            CorruptDataError: fewer remain.
        """
        return int.from_bytes(self.take(4, what), "little")

    def varint(self, low: int, high: int, what: str) -> int:
        """Read a canonical LEB128 number in ``low .. high``.

        Raises:
            CorruptDataError: the number ends early, is padded, or is out of range.
        """
        at = self.position
        if at < len(self.data) and low <= (value := self.data[at]) <= min(high, 127):
            self.position = at + 1  # nearly all have one byte
            return value
        try:
            value, behind = varint.decode(self.data, self.position)
        except CorruptDataError as error:
            raise self.corrupt(f"{what}: {error}") from error
        if not low <= value <= high:
            raise self.corrupt(f"{what} is {value}, must be {low} .. {high}")
        self.position = behind
        return value

    def check_crc(self, start: int, what: str) -> None:
        """Read a CRC-32 and compare it with that of everything from ``start`` up to it.

        Raises:
            CorruptDataError: it differs or ends early.
        """
        computed = zlib.crc32(memoryview(self.data)[start : self.position])
        stored = self.u32(f"CRC-32 of {what}")
        if stored != computed:
            raise self.corrupt(
                f"damaged: CRC-32 of {what} is {computed:08x}, the file says {stored:08x}"
            )

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            CorruptDataError: bytes follow; a file with a tail could be two files at once.
        """
        if self.remaining:
            raise self.corrupt(f"{self.remaining} bytes follow the end")
