"""What our files begin with: magic, version, model id."""

from __future__ import annotations

from typing import Final

from intact.container.cursor import Cursor
from intact.errors import CorruptDataError, UnsupportedError

MODEL_ID_BYTES: Final = 16
IMAGE_MAGIC: Final = b"\xc9INT\r\n\x1a\n"
MODEL_MAGIC: Final = b"\xcdINT\r\n\x1a\n"
WEIGHTS_MAGIC: Final = b"\xd7INT\r\n\x1a\n"
"""'I', 'M' and 'W' with the high bit set: not text. Line ends catch transfers in text mode."""
FAMILY: Final = {
    IMAGE_MAGIC[:4]: "an Intact image: `intact decode` and `intact view` read it",
    MODEL_MAGIC[:4]: "an Intact model: `intact models` tells of it, `--model` takes it",
    WEIGHTS_MAGIC[:4]: "a file of packed weights: `intact unpack` reads it",
}
"""What our files are, by their first bytes, for those who come with another one of them."""


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
        if found[:4] in FAMILY:
            raise CorruptDataError(f"not an Intact {cursor.name}, but {FAMILY[found[:4]]}")
        raise CorruptDataError(
            f"not an Intact {cursor.name}: starts with {found!r}, must start with {magic!r}"
        )
    version = cursor.u8("version")
    if version >> 4 != major:
        raise UnsupportedError(
            f"{cursor.name}: version {version >> 4}.{version & 15}; this reads {major}.x"
        )
