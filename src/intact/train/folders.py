"""Which files of a folder are training images: the rules are those of ``intact encode``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from intact.files import IMAGES, walk


def find_images(folders: Iterable[str | Path]) -> tuple[dict[Path, str], list[str]]:
    """The images below some folders, without hidden ones; links to folders are not followed.

    Args:
        folders: searched with their subfolders; ``~`` is the home of the user.

    Returns:
        Each image's path below its folder (with slashes) by its whole path, and lines for people.

    Raises:
        OSError: a folder is not there, or cannot be read.
    """
    names: dict[Path, str] = {}
    others: list[Path] = []
    for folder in folders:
        top = Path(folder).expanduser()
        files, never = walk(top)
        images = (path for path in files if path.suffix.lower() in IMAGES)
        names |= {path: path.relative_to(top).as_posix() for path in images}
        others += never
    if not others:
        return names, []
    return names, [f"{len(others)} left out, links to folders or no files: {others[0]}, ..."]


@contextmanager
def large_images() -> Iterator[None]:
    """Let Pillow open large images without a warning; those it calls a bomb remain an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
