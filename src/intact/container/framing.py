"""What image files and model files begin with: magic, version, model id."""

from __future__ import annotations

from typing import Final

from intact.container.cursor import Cursor
from intact.errors import CorruptDataError, UnsupportedError

MODEL_ID_BYTES: Final = 16


def read_magic(cursor: Cursor, magic: bytes, major: int) -> None:
    """Read magic and version; any minor version of ``major`` is readable.

    Raises:
        CorruptDataError: the bytes are not such a file, or were changed as text.
        UnsupportedError: the major version is another one.
    """
    found = cursor.take(len(magic), "magic")
    if found != magic:
        if found[:4] == magic[:4]:
            raise CorruptDataError(f"{cursor.name}: line ends were changed, as in a text transfer")
        raise CorruptDataError(
            f"not an Intact {cursor.name}: starts with {found!r}, must start with {magic!r}"
        )
    version = cursor.u8("version")
    if version >> 4 != major:
        raise UnsupportedError(
            f"{cursor.name}: version {version >> 4}.{version & 15}; this reads {major}.x"
        )
