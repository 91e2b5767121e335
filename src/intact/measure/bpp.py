"""Bits per pixel from real sizes: the whole file counts, header and checksums included."""

from __future__ import annotations

from pathlib import Path


def bpp(num_bytes: int, height: int, width: int) -> float:
    """Bits per pixel: ``8 * num_bytes / (height * width)``; channels do not count.

    Args:
        num_bytes: size of the whole file, >= 0.
        height: rows of pixels, >= 1.
        width: columns of pixels, >= 1.

    Returns:
        Bits per pixel.

    Raises:
        ValueError: a negative size or an empty picture.

    Example:
        >>> bpp(num_bytes=24576, height=512, width=768)
        0.5
    """
    if num_bytes < 0:
        raise ValueError(f"num_bytes is {num_bytes}, expected >= 0")
    if height < 1 or width < 1:
        raise ValueError(f"picture is {height} x {width} pixels, expected at least 1 x 1")
    return 8 * num_bytes / (height * width)


def file_bpp(path: str | Path, height: int, width: int) -> float:
    """Bits per pixel of a file on disk, by its real size; see `bpp`.

    Args:
        path: the file.
        height: rows of the picture it holds.
        width: columns of the picture it holds.

    Returns:
        Bits per pixel.

    Raises:
        OSError: the file cannot be read.
        ValueError: an empty picture.
    """
    return bpp(Path(path).stat().st_size, height, width)
