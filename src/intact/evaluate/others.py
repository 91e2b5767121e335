"""The codecs of others: Pillow's, those of its plugins, imagecodecs'; each with exact options.

The options are their good ones, not their fast ones; each row of a table says which were used, by
which library. HEIC is x265 as libheif calls it; its files are not BPG's (`intact.evaluate.bpg`).
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, __version__ as pillow_version, features

from intact.evaluate.bpg import bpg
from intact.evaluate.codec import Codec, Legal, MissingError, package, texts

LABELS = {
    "jpeg": "JPEG, better of 4:2:0 and 4:4:4", "jpeg2000": "JPEG 2000", "webp": "WebP",
    "avif": "AVIF 4:4:4", "jxl": "JPEG XL", "heic": "HEIC 4:4:4 (x265 intra)",
    "jpegxr": "JPEG XR",
}  # fmt: skip
LEGAL = {
    "JPEG": Legal(1, 100, whole=True), "JPEG2000": Legal(1, 10000), "WEBP": Legal(),
    "AVIF": Legal(whole=True), "HEIF": Legal(whole=True),
    "JXL": Legal(0, 99.9),  # 100 is without loss, which the plugin wants to be told otherwise
    "JPEG XR": Legal(0.001, 1),  # 0 is without loss, like 1
}  # fmt: skip
"""By format. Libraries take some others without a word, as if they were these."""


@dataclass(frozen=True, eq=False)
class PillowCodec(Codec):
    """A format that Pillow or one of its plugins writes.

    Attributes:
        format: Pillow's name of it.
        varies: the option that a setting sets.
        fixed: the other options.
        variants: options by variant, where there are any.
        note: what the options leave to the library.
        plugin: the module that teaches Pillow the format, or "".
    """

    format: str
    varies: str
    fixed: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    note: str = ""
    plugin: str = ""

    @property
    def label(self) -> str:
        """What people call it."""
        return LABELS.get(self.name, self.name)

    @property
    def legal(self) -> Legal:
        """What its settings may be."""
        return LEGAL[self.format]

    def save_options(self, setting: str) -> dict[str, Any]:
        """What Pillow's save is called with."""
        variant, _, value = setting.rpartition("/")
        number = int(value) if value.isdecimal() else float(value)
        varied = [number] if self.varies == "quality_layers" else number
        return {self.varies: varied, **self.fixed, **(self.variants[variant] if variant else {})}

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        pairs = " ".join(f"{k}={v}" for k, v in self.save_options(setting).items())
        return f"{self.format} {pairs}" + (f" ({self.note})" if self.note else "")

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""
        _load(self.plugin)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self.format, **self.save_options(setting))
        return file.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""
        _load(self.plugin)
        with Image.open(io.BytesIO(data)) as opened:
            return np.asarray(opened.convert("RGB"))


@dataclass(frozen=True, eq=False)
class JpegXr(Codec):
    """JPEG XR as imagecodecs has it, by Microsoft's jxrlib."""

    @property
    def legal(self) -> Legal:
        """What its settings may be."""
        return LEGAL["JPEG XR"]

    @property
    def label(self) -> str:
        """What people call it."""
        return LABELS[self.name]

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        return f"JPEG XR level={setting} (of 0 to 1; color format and overlap as in imagecodecs)"

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""
        library: Any = importlib.import_module("imagecodecs")
        return bytes(library.jpegxr_encode(pixels, level=float(setting)))

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""
        library: Any = importlib.import_module("imagecodecs")
        return np.ascontiguousarray(library.jpegxr_decode(data)[..., :3])


def find_other(name: str) -> Codec:
    """One of `OTHERS`.

    Raises:
        MissingError: its package is not installed.
    """
    return OTHERS[name](name)


def _jpeg(name: str) -> Codec:
    # Which sampling is better depends on the metric: both are measured, curves take the best.
    samplings = {s.replace(":", ""): {"subsampling": s} for s in ("4:2:0", "4:4:4")}
    values = (5, 9, 15, 25, 38, 54, 70, 83, 92)
    return PillowCodec(
        name,
        tuple(f"{s}/{v}" for s in samplings for v in values),
        tuple([f"{s}/{v}" for v in range(1, 97)] for s in samplings),
        pillow_source("libjpeg_turbo"),
        "JPEG", "quality", {"optimize": True}, samplings,
    )  # fmt: skip


def _jpeg2000(name: str) -> Codec:
    rates = [f"{400 * 0.98**i:.2f}" for i in range(260)]
    return PillowCodec(
        name, texts(240, 150, 96, 64, 43, 28, 19, 12, 8), (rates,), pillow_source("jpg_2000"),
        # Pillow's default codes R, G and B apart with the reversible wavelet: far worse.
        "JPEG2000", "quality_layers",
        {"irreversible": True, "mct": 1, "quality_mode": "rates"}, {},
    )  # fmt: skip


def _webp(name: str) -> Codec:
    return PillowCodec(
        name, texts(0, 4, 12, 25, 42, 60, 76, 87, 95), (texts(*range(101)),),
        pillow_source("webp"), "WEBP", "quality", {"method": 6}, {},
    )  # fmt: skip


def _avif(name: str) -> Codec:
    return PillowCodec(
        name, texts(12, 22, 30, 38, 46, 54, 62, 72, 84), (texts(*range(101)),),
        pillow_source("avif"),
        "AVIF", "quality", {"subsampling": "4:4:4", "speed": 4, "max_threads": 1}, {},
    )  # fmt: skip


def _jxl(name: str) -> Codec:
    plugin = f"Pillow {pillow_version} {package('pillow_jxl', 'pillow-jxl-plugin')}"
    return PillowCodec(
        # Below a quality of 18.2 (distance 10) libjxl halves the picture first: left out, as
        # it would flatter whoever is compared with it.
        name, texts(18.5, 22, 27, 33, 39, 52, 66, 80, 91),
        ([f"{q / 2:.1f}" for q in range(198)],), plugin,
        "JXL", "quality", {"effort": 7, "num_threads": 1}, {}, "lossy, XYB", "pillow_jxl",
    )  # fmt: skip


def _heic(name: str) -> Codec:
    plugin = f"Pillow {pillow_version} {package('pillow_heif', 'pillow-heif')}"
    heif: Any = importlib.import_module("pillow_heif")
    info = heif.libheif_info()
    return PillowCodec(
        name, texts(10, 17, 24, 31, 38, 45, 53, 61, 70), (texts(*range(101)),),
        f"{plugin} libheif {info['libheif']} {info['HEIF']}",
        "HEIF", "quality", {"chroma": "444"}, {}, "x265 intra, preset and tune as in libheif",
        "pillow_heif",
    )  # fmt: skip


def _jpegxr(name: str) -> Codec:
    source = package("imagecodecs", "imagecodecs")
    library: Any = importlib.import_module("imagecodecs")
    if not library.JPEGXR.available:
        raise MissingError(f"{source} is built without jxrlib")
    grid = [f"{0.001 + 0.95 * i / 190:.3f}" for i in range(191)]
    return JpegXr(
        name, ("0.01", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.75", "0.88"), (grid,),
        f"{source} {library.jpegxr_version()}",
    )  # fmt: skip


OTHERS: dict[str, Callable[[str], Codec]] = {
    "jpeg": _jpeg, "jpeg2000": _jpeg2000, "webp": _webp, "avif": _avif, "jxl": _jxl,
    "heic": _heic, "jpegxr": _jpegxr, "bpg": bpg,
}  # fmt: skip


def pillow_source(library: str) -> str:
    """Versions of Pillow and of one of its libraries.

    Raises:
        MissingError: this Pillow is built without it.
    """
    version = features.version(library)
    if version is None:
        raise MissingError(f"this Pillow is built without {library}")
    return f"Pillow {pillow_version} {library} {version}"


def _load(plugin: str) -> None:
    """Teach Pillow the format of a plugin; in every process anew."""
    if plugin:
        module: Any = importlib.import_module(plugin)
        if hasattr(module, "register_heif_opener"):
            module.register_heif_opener()
