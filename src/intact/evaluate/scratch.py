"""Where files for other programs lie for a moment: in memory where there is such a place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder, which is removed afterwards."""
    folder = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Path(place)
