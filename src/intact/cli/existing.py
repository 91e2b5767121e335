"""``--skip-existing``: an output is left out only if it is whole and was made from this input.

Each output keeps a hash of its input (and of itself) in an extended attribute, where there are
such. Where that was lost, the time tells: outputs whose names follow from their inputs get their
inputs' time of last change, and the same time, to the last digit, is not that of another file. But
many times are round (from archives, cameras, builds): then the output is made again and compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from intact import files
from intact.cli import streams
from intact.cli.errors import UsageError, complain
from intact.cli.io import STDIO, modified_ns, write

ROUND_NS = 10_000_000
"""Times that are multiples of this are round: exFAT counts in such steps, others in larger ones."""


class Output:
    """What lies in an output's place, and what tells where it comes from.

    Args:
        source: the input.
        target: the output.
        named: somebody chose the output's name: it does not get its input's time.
        options: what makes another output of the same input, in words.

    Attributes:
        old: the content of a whole output that may be left out, or None: it must be made.
    """

    def __init__(self, source: str, target: str, *, named: bool, options: str = "") -> None:
        self.source, self.target, self.options = source, target, options
        # Taken before the input is read: it may change meanwhile.
        self.modified_ns = None if named or source == STDIO else modified_ns(source)
        self.old: bytes | None = None
        self._force = False
        self._input = b""

    def look(self, is_sound: Callable[[bytes], bool], *, force: bool) -> None:
        """Look at what is there.

        Args:
            is_sound: whether a content is whole; raises `UsageError` where it is not ours.
            force: replace what was not made from this input.

        Raises:
            UsageError: something that is not ours to replace is in the way.
        """
        self._force = force
        if streams.is_stream(self.target) or not os.path.lexists(self.target):
            return
        if not os.path.isfile(self.target):
            raise UsageError(f"{self.target} is in the way and no file")
        data = Path(self.target).read_bytes()
        try:
            if data and is_sound(data):
                self.old = data
                return
        except UsageError as error:
            if not force:
                raise UsageError(f"{self.target} {error}; --force replaces") from error
        complain(f"{self.target} is {'not whole' if data else 'empty'}: made again")

    def is_done_by_time(self) -> bool:
        """Whether it has its input's time, and no other file is likely to.

        Asked where it does not say what it was made from, and no option made it another.
        """
        if self.old is None or self.options or files.origin_of(self.target):
            return False
        with contextlib.suppress(OSError):
            wanted, found = (os.stat(p).st_mtime_ns for p in (self.source, self.target))
            return found == wanted and wanted % ROUND_NS != 0
        return False

    def is_done_by_hash(self, content: bytes) -> bool:
        """Whether it says that it was made from this input, and is still what was made then.

        Args:
            content: of the input.
        """
        self._input = hashlib.sha256(content).digest()
        if self.old is None or files.origin_of(self.target) != self._origin(self.old):
            return False
        files.mark(self.target, self.modified_ns, "")
        return True

    def is_done_by_bytes(self, new: bytes) -> bool:
        """Whether making it again gives what is there; then time and hash will tell next time.

        Raises:
            UsageError: it gives something else, and what is there is not to be replaced.
        """
        if new == self.old:
            files.mark(self.target, self.modified_ns, self._origin(new))
            return True
        if self.old is not None and not self._force:
            raise UsageError(f"{self.target} is not made from this as it is now; --force replaces")
        return False

    def write(self, data: bytes) -> None:
        """Write it, with what tells where it comes from.

        Raises:
            OSError: with its name; nothing was changed.
        """
        write(self.target, data, modified_ns=self.modified_ns, origin=self._origin(data))

    def _origin(self, data: bytes) -> str:
        parts = self._input, self.options.encode(), hashlib.sha256(data).digest()
        return hashlib.sha256(b"".join(parts)).hexdigest()


def is_sound_file(data: bytes) -> bool:
    """Whether a file of Intact passes the checksums of its bytes.

    Raises:
        UsageError: it is something else, or of a later version.
    """
    from intact.container.image_file import MAGIC, unpack_image
    from intact.errors import CorruptDataError, UnsupportedError

    if not data.startswith(MAGIC):
        raise UsageError("is in the way and no file of Intact")
    try:
        unpack_image(data, max_pixels=1 << 64)
    except CorruptDataError:
        return False
    except UnsupportedError as error:
        raise UsageError(f"is there: {error}") from error
    return True


def is_sound_image(data: bytes) -> bool:
    """Whether a decoded image can be read to its end. What cannot is not ours to replace.

    Raises:
        UsageError: it cannot.
    """
    import warnings

    import numpy as np

    from intact.images import open_listed, use_our_limits

    try:
        if data.startswith(b"\x93NUMPY"):
            np.load(io.BytesIO(data), allow_pickle=False)
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use_our_limits()
            with open_listed(io.BytesIO(data)) as image:
                image.load()
    except Exception as error:  # Pillow's decoders raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"is in the way and cannot be read ({reason})") from error
    return True
