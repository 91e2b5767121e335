"""The codecs that can be compared, each with exact options: pixels to real files and back.

The options of the others are their good ones, not their fast ones; each row of a table says which
were used, by which library.
"""

from __future__ import annotations

import importlib
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, __version__ as pillow_version, features

import intact
from intact.codec.store import SUFFIX, model_files

Grid = Sequence[str]


class MissingError(Exception):
    """The package that a codec or metric needs is not installed."""


@dataclass(frozen=True, eq=False)
class Codec(ABC):
    """A codec.

    Attributes:
        name: unique in a table.
        settings: the points of its curve, as text; "variant/setting" where the codec is the better
            of several variants.
        grids: every setting worth trying, one grid a variant, in the order of growing files.
        source: the libraries and their versions, or the model and its id.
    """

    name: str
    settings: tuple[str, ...]
    grids: tuple[Grid, ...]
    source: str

    @abstractmethod
    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""

    @abstractmethod
    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""

    @abstractmethod
    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""


@dataclass(frozen=True, eq=False)
class PillowCodec(Codec):
    """A format that Pillow or one of its plugins writes.

    Attributes:
        format: Pillow's name of it.
        varies: the option that a setting sets.
        fixed: the other options.
        variants: options by variant, where there are any.
        note: what the options leave to the library.
    """

    format: str
    varies: str
    fixed: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    note: str = ""

    def save_options(self, setting: str) -> dict[str, Any]:
        """What Pillow's save is called with."""
        variant, _, value = setting.rpartition("/")
        number = float(value) if "." in value else int(value)
        varied = [number] if self.varies == "quality_layers" else number
        return {self.varies: varied, **self.fixed, **(self.variants[variant] if variant else {})}

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        pairs = " ".join(f"{k}={v}" for k, v in self.save_options(setting).items())
        return f"{self.format} {pairs}" + (f" ({self.note})" if self.note else "")

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, self.format, **self.save_options(setting))
        return file.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""
        with Image.open(io.BytesIO(data)) as opened:
            return np.asarray(opened.convert("RGB"))


@dataclass(frozen=True, eq=False)
class IntactCodec(Codec):
    """One of our models, through the public interface."""

    model: intact.Model

    def options(self, setting: str) -> str:
        """The exact options of a setting, for people."""
        return f"quality={setting} model={self.model.name}"

    def encode(self, pixels: np.ndarray, setting: str) -> bytes:
        """A file from uint8 [h, w, 3]."""
        return intact.encode(pixels, quality=float(setting), model=self.model, threads=1)

    def decode(self, data: bytes) -> np.ndarray:
        """uint8 [h, w, 3] from a file."""
        return intact.decode(data, model=self.model, threads=1).pixels


OUR_SETTINGS = ("0", "15", "30", "45", "60", "75", "90", "100")
OTHERS = ("jpeg", "jpeg2000", "webp", "avif", "jxl", "heic")


def find_codec(wanted: str, settings: Sequence[str] = ()) -> Codec:
    """A codec by name.

    Args:
        wanted: one of `OTHERS`, the name of one of our models or ``intact:NAME``, or the path of a
            model file; ``LABEL=`` before one of ours renames it.
        settings: instead of the codec's own.

    Raises:
        MissingError: its package is not installed.
        ValueError: there is none of that name.
    """
    if wanted in OTHERS:
        codec = _other(wanted)
    else:
        codec = _ours(wanted)
    if not settings:
        return codec
    values = tuple(s for grid in codec.grids for s in _as_variants(grid[0], settings))
    return type(codec)(**{**vars(codec), "settings": values})


def _as_variants(example: str, settings: Sequence[str]) -> list[str]:
    variant, slash, _ = example.rpartition("/")
    return [variant + slash + setting for setting in settings]


def _ours(wanted: str) -> IntactCodec:
    label, _, place = wanted.rpartition("=")
    place = place.removeprefix("intact:")
    if not place.endswith(SUFFIX) and place not in {p.stem for p in model_files()}:
        names = ", ".join([*OTHERS, *(p.stem for p in model_files())])
        raise ValueError(f"no codec named {wanted!r}; there are {names}, and paths of {SUFFIX}")
    model = intact.load_model(place)
    name = label or place.replace("\\", "/").rpartition("/")[2].removesuffix(SUFFIX)
    grid = [f"{q / 2:g}" for q in range(201)]
    source = f"intact {intact.__version__} model {model.id.hex()}"
    return IntactCodec(name, OUR_SETTINGS, (grid,), source, model)


def _other(name: str) -> PillowCodec:
    if name == "jpeg":
        # Which sampling is better depends on the metric: both are measured, curves take the best.
        samplings = {s.replace(":", ""): {"subsampling": s} for s in ("4:2:0", "4:4:4")}
        values = (5, 9, 15, 25, 38, 54, 70, 83, 92)
        return PillowCodec(
            name,
            tuple(f"{s}/{v}" for s in samplings for v in values),
            tuple([f"{s}/{v}" for v in range(1, 97)] for s in samplings),
            _pillow("libjpeg_turbo"),
            "JPEG", "quality", {"optimize": True}, samplings,
        )  # fmt: skip
    if name == "jpeg2000":
        rates = [f"{400 * 0.98**i:.2f}" for i in range(260)]
        return PillowCodec(
            name, _texts(240, 150, 96, 64, 43, 28, 19, 12, 8), (rates,), _pillow("jpg_2000"),
            # Pillow's default codes R, G and B apart with the reversible wavelet: far worse.
            "JPEG2000", "quality_layers",
            {"irreversible": True, "mct": 1, "quality_mode": "rates"}, {},
        )  # fmt: skip
    whole = _texts(*range(101))
    if name == "webp":
        return PillowCodec(
            name, _texts(0, 4, 12, 25, 42, 60, 76, 87, 95), (whole,), _pillow("webp"),
            "WEBP", "quality", {"method": 6}, {},
        )  # fmt: skip
    if name == "avif":
        return PillowCodec(
            name, _texts(12, 22, 30, 38, 46, 54, 62, 72, 84), (whole,), _pillow("avif"),
            "AVIF", "quality", {"subsampling": "4:4:4", "speed": 4, "max_threads": 1}, {},
        )  # fmt: skip
    if name == "jxl":
        plugin = _package("pillow_jxl", "pillow-jxl-plugin")
        return PillowCodec(
            # Below a quality of 18.2 (distance 10) libjxl halves the picture first: left out, as
            # it would flatter whoever is compared with it.
            name, _texts(18.5, 22, 27, 33, 39, 52, 66, 80, 91),
            ([f"{q / 2:.1f}" for q in range(198)],), plugin,
            "JXL", "quality", {"effort": 7, "num_threads": 1}, {}, "lossy, XYB",
        )  # fmt: skip
    plugin = _package("pillow_heif", "pillow-heif")
    heif: Any = importlib.import_module("pillow_heif")
    heif.register_heif_opener()
    info = heif.libheif_info()
    source = f"{plugin} libheif {info['libheif']} {info['HEIF']}"
    return PillowCodec(
        name, _texts(10, 17, 24, 31, 38, 45, 53, 61, 70), (whole,), source,
        "HEIF", "quality", {"chroma": "444"}, {}, "x265 intra, preset and tune as in libheif",
    )  # fmt: skip


def _texts(*values: float) -> tuple[str, ...]:
    return tuple(map(str, values))


def _pillow(library: str) -> str:
    """Versions of Pillow and of one of its libraries."""
    version = features.version(library)
    if version is None:
        raise MissingError(f"this Pillow is built without {library}")
    return f"Pillow {pillow_version} {library} {version}"


def _package(module: str, package: str) -> str:
    """Name and version of an installed package, whose module is loaded."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise MissingError(f"{package} is not installed") from error
    version = importlib.import_module("importlib.metadata").version(package)
    return f"Pillow {pillow_version} {package} {version}"
