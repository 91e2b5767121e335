"""A file in a memory map, whose pages do not pile up in the process as it is read through."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

from intact.errors import CorruptDataError

RELEASE_BYTES: Final = 1 << 26
"""After so many bytes that were asked for, pages are given back; who still looks at them gets them
again from the file."""


class Mapped:
    """A file that is read through a memory map.

    Args:
        path: of the file.

    Attributes:
        name: of the file.
        size: in bytes.
        data: the map.

    Raises:
        CorruptDataError: it is empty.
        OSError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        with Path(path).open("rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if not self.size:
                raise CorruptDataError(f"{self.name}: is empty")
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._asked = 0

    def count(self, num_bytes: int) -> None:
        """So many bytes are about to be read."""
        self._asked += num_bytes
        if self._asked > RELEASE_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self.data.madvise(mmap.MADV_DONTNEED)
            self._asked = num_bytes
