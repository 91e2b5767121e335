"""What files of other formats say that Pillow loses, or keeps where nobody looks.

Pillow opens them; this reads the few bytes beside it while the file is still at hand, that is
before the pixels are loaded. What cannot be kept is said, or refused: never dropped in silence.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, Final

from intact.codec import boxes, edits, exif, h273, icc, png
from intact.codec.depth import refuse_deep
from intact.container.chunks import EXIF_PREFIX, is_code_points
from intact.errors import UnsupportedError

IN_PROCESS: Final = (
    "AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "SGI", "TIFF", "WEBP",
)  # fmt: skip
"""Formats of Pillow that are taken: pictures, decoded inside the process. Not EPS, which starts
Ghostscript; not containers that may hold any format; nothing that Pillow only names."""

_IPTC: Final = 0x0404
_NAMED: Final = 5
"""So many texts of a PNG are named."""


@dataclass
class Facts:
    """What is known of a file beside its pixels.

    Attributes:
        metadata: "exif", "icc_profile", "xmp", "cicp" where Pillow has none.
        colors: what samples mean, where no profile says it.
        settled: whether ``colors`` and metadata are all that there is to say about colors.
        transparent: the color that is transparent, in units of 8 bits.
        notes: for people: what was converted, or is kept in another way.
        lost: for people: what the look depended on, and is left out.
        left_out: metadata that is not kept.
        untouched: whether nobody but us has had the image since it was opened.
    """

    metadata: dict[str, bytes] = field(default_factory=dict)
    colors: icc.Colors | None = None
    settled: bool = False
    transparent: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    untouched: bool = False

    def take_code_points(self, code_points: bytes, *, beside_profile: bool = False) -> None:
        """Keep code points of H.273: as a profile where one can say the same, else as they are."""
        self.settled = True
        colors = h273.colors_of(code_points[0], code_points[1])
        if colors is not None and code_points[3] == 1 and not beside_profile:
            self.colors = None if colors.is_srgb else colors
        else:
            self.metadata["cicp"] = code_points
            name = h273.describe(code_points)
            self.notes.append(f"its colors, {name}, are kept as code points, which png can hold")


def look(image: Any) -> Facts:
    """Read what a Pillow image's file says, if it is still open and not loaded.

    Raises:
        UnsupportedError: samples of other than 8 bits, colors that Pillow misreads, or a format of
            Pillow's that is not in `IN_PROCESS`.
    """
    facts = Facts()
    kind, file = getattr(image, "format", None), getattr(image, "fp", None)
    if not getattr(image, "tile", ()):  # loaded, or never a file
        return facts
    if kind not in IN_PROCESS and type(image).__module__.startswith("PIL."):
        raise UnsupportedError(f"{kind} is not among the formats that are read; load it first")
    refuse_deep(image)
    reader = _READERS.get(kind or "")
    if reader is not None and file is not None:
        position = file.tell()
        try:
            reader(file, image, facts)
        finally:
            file.seek(position)
    return facts


def complete(image: Any, facts: Facts) -> dict[str, bytes]:
    """All metadata of an image that is loaded now; ``facts`` learns what is lost.

    Of an image that was derived from an opened one what its colors mean, and nothing else.

    Returns:
        "exif", "icc_profile", "xmp", "cicp", where they are.
    """
    info, own = image.info, edits.is_opened_file(image)
    found = {**png.raw_profiles(info), **facts.metadata} if own else {}
    for key in ("exif", "icc_profile", "xmp", "cicp") if own else ("icc_profile", "cicp"):
        value = info.get(key)
        value = value.encode("utf-8") if isinstance(value, str) else value
        if isinstance(value, bytes) and value and (key != "cicp" or is_code_points(value)):
            found[key] = value
    if own and not facts.untouched:
        found["exif"] = edits.edited(image, found.get("exif", b""))
    if "icc_profile" in info and info["icc_profile"] is None:
        facts.lost.append("its color profile is damaged and left out")
    if facts.colors is None and not facts.settled:
        facts.colors = png.colors(info)
    facts.left_out += _other_metadata(image) if own else []
    return bare(found)


def bare(metadata: dict[str, bytes]) -> dict[str, bytes]:
    """Metadata as files hold it: EXIF from its TIFF structure on, nothing empty."""
    without = metadata.get("exif", b"").removeprefix(EXIF_PREFIX)
    return {k: v for k, v in {**metadata, "exif": without}.items() if v}


def _other_metadata(image: Any) -> list[str]:
    """Names of what no file of ours holds; resolution is not worth a word."""
    found = []
    kind, blocks = getattr(image, "format", None), image.info.get("photoshop")
    if blocks is not None:
        found.append("IPTC" if _IPTC in blocks else "Photoshop blocks")
    if image.info.get("comment") and kind != "JPEG2000":  # there it is the encoder's name
        found.append("comment")
    if kind == "PNG":
        texts = [name for name in getattr(image, "text", {}) if not _is_known_text(name)]
        found += [f"text {name!r}" for name in texts[:_NAMED]]
        found += [f"{len(texts) - _NAMED} more texts"] if texts[_NAMED:] else []
    for name, data in getattr(image, "applist", ()):
        if name == "APP1" and data.startswith(b"http://ns.adobe.com/xmp/extension/"):
            found.append("extended XMP")
        elif name == "APP11":
            found.append("APP11 (content credentials)")
    return list(dict.fromkeys(found))


def _is_known_text(name: str) -> bool:
    return name == "XML:com.adobe.xmp" or name.startswith("Raw profile type ")


def _read_png(file: IO[bytes], image: Any, facts: Facts) -> None:
    chunks = png.read_chunks(file)
    facts.transparent = png.transparent_color(chunks)
    if chunks.hdr:
        facts.lost.append(f"{', '.join(chunks.hdr)} (about an HDR display) left out")
    code_points = chunks.data.get(b"cICP")
    if code_points is None:
        return
    if not is_code_points(code_points):
        facts.lost.append("its chunk cICP breaks the rules of PNG and is left out")
        return
    facts.take_code_points(code_points, beside_profile=chunks.has_profile)


def _read_avif(file: IO[bytes], image: Any, facts: Facts) -> None:
    found = boxes.avif_code_points(file)
    if found is None or image.info.get("icc_profile"):
        return
    primaries, transfer = found
    if max(found) < 256 and found != (h273.UNSPECIFIED, h273.UNSPECIFIED):
        facts.take_code_points(bytes([primaries, transfer, 0, 1]))


def _read_jpeg2000(file: IO[bytes], image: Any, facts: Facts) -> None:
    facts.metadata.update(boxes.jpeg2000(file))


def _read_tiff(file: IO[bytes], image: Any, facts: Facts) -> None:
    facts.metadata["exif"], lost = exif.of_tiff(file)
    facts.left_out += [f"tag {tag}" for tag in lost]
    tags = image.tag_v2
    facts.left_out += [
        name for tag, name in {33723: "IPTC", 34377: "Photoshop blocks"}.items() if tag in tags
    ]
    extra = tags.get(338, ())
    unknown = [kind for kind in (extra if isinstance(extra, tuple) else (extra,)) if kind == 0]
    if unknown:
        facts.lost.append(f"{len(unknown)} more channels, which are no alpha, are left out")
    if tags.get(301) is not None:
        facts.lost.append("its TransferFunction is left out")
    points = (*_numbers(tags.get(318)), *_numbers(tags.get(319)))
    if 301 in tags or len(points) != 8 or image.info.get("icc_profile"):
        return
    colors = icc.Colors("TIFF primaries", points)
    facts.colors = None if colors.is_srgb else colors


def _numbers(values: Any) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return ()


def _read_bmp(file: IO[bytes], image: Any, facts: Facts) -> None:
    """The color space of a header of version 4 or 5: a profile, or primaries and gammas."""
    file.seek(14)
    header = file.read(124)
    size = int.from_bytes(header[:4], "little")
    if size < 108 or len(header) < 108:
        return
    space = header[56:60]
    if space == b"DEBM" and size >= 124 and len(header) == 124:  # PROFILE_EMBEDDED
        place, length = struct.unpack("<II", header[112:120])
        file.seek(14 + place)
        facts.metadata["icc_profile"] = file.read(min(length, 1 << 24))
    elif space == b"KNIL":  # PROFILE_LINKED
        facts.lost.append("its color profile is in another file and left out")
    elif space == bytes(4):  # LCS_CALIBRATED_RGB
        ends = struct.unpack("<9i", header[60:96])
        gammas = struct.unpack("<3I", header[96:108])
        facts.colors = _calibrated([v / (1 << 30) for v in ends], [v / 65536 for v in gammas])
        if facts.colors is None and any(ends + gammas):
            facts.lost.append("its calibrated colors are left out")


def _calibrated(ends: list[float], gammas: list[float]) -> icc.Colors | None:
    """Colors by XYZ of the primaries, whose sum is white, and one gamma."""
    if len(set(gammas)) != 1 or gammas[0] <= 0:
        return None
    colors = [ends[i : i + 3] for i in (0, 3, 6)]
    points: list[float] = []
    for x, y, z in ([sum(part) for part in zip(*colors, strict=True)], *colors):
        if x + y + z <= 0:
            return None
        points += [x / (x + y + z), y / (x + y + z)]
    return icc.Colors("BMP", tuple(points), gammas[0])  # type: ignore[arg-type]


def _read_qoi(file: IO[bytes], image: Any, facts: Facts) -> None:
    file.seek(13)
    if file.read(1) == b"\1":
        facts.colors = icc.Colors("linear", gamma=1.0)


def _read_gif(file: IO[bytes], image: Any, facts: Facts) -> None:
    """Application extensions in front of the first picture: a profile, XMP."""
    file.seek(10)
    flags = (file.read(1) or b"\0")[0]
    file.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    for _ in range(1 << 12):
        head = file.read(3)
        if len(head) < 3 or head[:1] != b"!":
            return
        name = file.read(head[2])
        start = file.tell()
        data = _sub_blocks(file)
        if head[1] != 0xFF:
            continue
        if name == b"ICCRGBG1012":
            facts.metadata["icc_profile"] = data
        elif name == b"XMP DataXMP":
            # Not in blocks: plain text, and a trailer that leads readers of blocks to the end.
            length = file.tell() - start
            file.seek(start)
            text = file.read(length)
            facts.metadata["xmp"] = text[: text.rfind(b"\1\xff\xfe\xfd")] if length else b""


def _sub_blocks(file: IO[bytes]) -> bytes:
    data = io.BytesIO()
    while size := (file.read(1) or b"\0")[0]:
        data.write(file.read(size))
    return data.getvalue()


_READERS: Final[dict[str, Callable[[IO[bytes], Any, Facts], None]]] = {
    "AVIF": _read_avif, "BMP": _read_bmp, "GIF": _read_gif, "JPEG2000": _read_jpeg2000,
    "PNG": _read_png, "QOI": _read_qoi, "TIFF": _read_tiff,
}  # fmt: skip
