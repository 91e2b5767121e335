"""EXIF of a Pillow image as its user left it.

Pillow keeps the bytes of the file in ``info["exif"]`` and gives out a parsed copy, `getexif`, which
is where people edit: who deletes the GPS directory there wants it gone. Only an image that is still
the one that was opened is asked. What was derived from it (turned, cut, converted) inherits
``info`` from it, edits excepted; whether its EXIF is still true of it nobody can know, and an
orientation that was applied is not.
"""

from __future__ import annotations

from typing import Any, Final

from intact.codec import exif

_DIRECTORIES: Final = (exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY, exif.INTEROPERABILITY)


def is_opened_file(image: Any) -> bool:
    """Whether a Pillow image is the one that was opened, by Pillow's own sign."""
    return getattr(image, "format", None) is not None


def edited(image: Any, raw: bytes) -> bytes:
    """The EXIF of an opened image: ``raw``, as it was in its file, unless it was edited since.

    Args:
        image: what `is_opened_file`.
        raw: EXIF as the file has it; b"" where it has none, or the user threw it away.
    """
    tiff = image.format == "TIFF"
    if not hasattr(image, "getexif") or not (raw or tiff):
        return raw
    try:
        now = image.getexif()
        if not raw:  # loaded, so that its file is closed: what Pillow has made of its tags
            return _rebuilt(now, exif.DESCRIPTIVE)
        before = type(now)()
        before.load(raw)
        only = exif.DESCRIPTIVE if tiff else None
        if _content(now, only) == _content(before, only):
            return raw
        return _rebuilt(now, only)
    except Exception:  # Pillow's parser raises nearly anything; who could not read did not edit
        return raw


def _content(parsed: Any, only: set[int] | None) -> list[str]:
    # By text: a rational of 0/0 does not equal itself.
    return [repr(sorted(part.items(), key=lambda item: item[0])) for part in _pieces(parsed, only)]


def _pieces(parsed: Any, only: set[int] | None) -> list[dict[int, Any]]:
    """The first directory, or some tags of it, and those below."""
    first = {k: v for k, v in parsed.items() if k not in _DIRECTORIES and (not only or k in only)}
    return [first, *(parsed.get_ifd(tag) for tag in _DIRECTORIES)]


def _rebuilt(parsed: Any, only: set[int] | None) -> bytes:
    if only is None:
        return parsed.tobytes()
    if not any(_pieces(parsed, only)):
        return b""
    copy = type(parsed)()
    for tag, value in parsed.items():
        if tag in only:
            copy[tag] = value
    for tag in (exif.EXIF_DIRECTORY, exif.GPS_DIRECTORY):
        if found := parsed.get_ifd(tag):
            copy.get_ifd(tag).update(found)
    return copy.tobytes()
