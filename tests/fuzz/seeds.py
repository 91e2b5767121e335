"""What the fuzzer starts from: two small models, their files, and images of every kind.

The micro model exists for speed: a file of it is read in a few milliseconds. It has every kind of
operation, so that mutations of its tree reach every check of `intact.intnet.infer`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from unittest import mock

import numpy as np

from intact.bits import rans, varint
from intact.bits.apportion import apportion
from intact.bits.tables import TOTAL, TableBank
from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.scalar import NUM_SCALES, Levels
from intact.codec import encoder, image
from intact.codec.model import Model
from intact.container import arrays as arrays_module, chunks
from intact.container.arrays import pack_array
from intact.container.image_file import ImageFile, pack_image, unpack_image
from intact.container.tree import IntArray, Tree, little_endian, skeleton
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Scale,
    Shuffle,
    Unshuffle,
    Value,
)
from tiny_hyperprior import MODELS, tiny_hyperprior
from tiny_model import bell_tables, picture, tiny_model
from tiny_vector import MODELS as VECTOR_MODELS, tiny_vector

INT16 = (-32768, 32767)
M, N, F = 2, 1, 2


def _conv(random: np.random.Generator, source: str, target: str, channels, **options) -> Conv:
    inputs, outputs = channels
    taps, groups = options.pop("taps", 1), options.pop("groups", 1)
    weight = random.integers(-20, 21, (outputs, inputs // groups, taps, taps))
    bias, slope = random.integers(-500, 501, outputs), random.integers(-3, 4, outputs)
    divisor = np.full(outputs, options.pop("divisor", 101))
    return Conv(source, target, weight, bias, slope, divisor, groups=groups, **options)


def _heads(random: np.random.Generator, source: str) -> tuple[Op, ...]:
    curve = np.rint(127 * np.tanh(np.arange(-8, 9) / 4)).astype(int)
    wide = {"low": INT16[0], "high": INT16[1]}
    return (
        Requantize(source, "c", np.full(F, 151)),
        _conv(random, "c", "d", (F, F), taps=3, groups=F, divisor=21, table=curve, table_low=-8),
        _conv(random, "d", "mean", (F, M), divisor=21, **wide),
        _conv(random, "d", "theta", (F, M), low=0, high=255),
    )


def micro_programs() -> dict[str, Program]:
    """Six programs with as few weights as 16 x 16 pixels per latent allow."""
    random = np.random.default_rng(3)
    y, f, z = Value("y", M, *INT16), Value("f", F, *INT16), Value("z", N, -128, 127)
    wide = {"low": INT16[0], "high": INT16[1]}
    analysis: tuple[Op, ...] = (
        Scale("pixels", "scaled", np.array([1, 2, 1])),
        Unshuffle("scaled", "blocks", 16),
        _conv(random, "blocks", "y", (768, M), divisor=301, **wide),
    )
    hyper_analysis: tuple[Op, ...] = (
        _conv(random, "y", "h", (M, F), taps=3, stride=2, low=0, high=255, divisor=31),
        _conv(random, "h", "z", (F, N), taps=3, stride=2, divisor=501),
    )
    hyper_synthesis: tuple[Op, ...] = (
        _conv(random, "z", "h", (N, 4 * F), divisor=3),
        Shuffle("h", "s", 2),
        _conv(random, "s", "g", (F, 4 * F), divisor=3, **wide),
        Shuffle("g", "f", 2),
    )
    prior_b = (
        Requantize("y", "ya", np.full(M, 255)),
        _conv(random, "ya", "yb", (M, F), taps=3, **wide),
        Add("f", "yb", "s"),
        *_heads(random, "s"),
    )
    synthesis: tuple[Op, ...] = (
        _conv(random, "y", "patches", (M, 768), divisor=201),
        Shuffle("patches", "pixels", 16),
    )
    heads = ("mean", "theta")
    pixels = Value("pixels", 3, -128, 127)
    return {
        "analysis": Program("analysis", (pixels,), analysis, ("y",)),
        "hyper_analysis": Program("hyper_analysis", (y,), hyper_analysis, ("z",)),
        "hyper_synthesis": Program("hyper_synthesis", (z,), hyper_synthesis, ("f",)),
        "prior_a": Program("prior_a", (f,), _heads(random, "f"), heads),
        "prior_b": Program("prior_b", (f, y), prior_b, heads),
        "synthesis": Program("synthesis", (y,), synthesis, ("pixels",)),
    }


@cache
def micro_model() -> Model:
    """The smallest model that passes every check."""
    return Model(
        name="micro",
        programs=micro_programs(),
        bottleneck=Checkerboard(
            tables_y=bell_tables([0.2 + 0.02 * scale for scale in range(NUM_SCALES)]),
            tables_z=bell_tables([3.0] * N),
            levels=Levels(*(np.array(row) for row in ([640, 64], [9, 0], [64, -64], [200, 30]))),
            skip=1,
            predicted=1,
        ),
        info={"trained": "not at all"},
    )


@cache
def models() -> tuple[Model, ...]:
    """The tiny and the micro model, and those of the kinds `hyperprior` and `vector`."""
    vectors = map(tiny_vector, VECTOR_MODELS)
    return tiny_model(), micro_model(), *map(tiny_hyperprior, MODELS), *vectors


@dataclass(frozen=True)
class ImageSeed:
    """A good image file, and what it decodes to."""

    name: str
    data: bytes
    model: Model
    pixels: np.ndarray
    file: ImageFile = field(repr=False)


def _seed(name: str, model: Model, shape: tuple[int, int, int], **options) -> ImageSeed:
    tile_log2, quality = options.pop("tile_log2", 6), options.pop("quality", 50)
    extra = options.pop("extra", ())
    with mock.patch.object(encoder, "MAX_TILE_LOG2", tile_log2):  # no encoder makes small tiles
        pixels = options.pop("pixels", None)
        data = image.encode(
            picture(*shape) if pixels is None else pixels,
            model=model,
            quality=quality,
            backend="reference",
            **options,
        )
    if extra:
        file = unpack_image(data)
        joined = sorted((*file.chunks, *extra), key=lambda chunk: chunk.type)
        data = pack_image(ImageFile(file.header, file.tiles, tuple(joined)))
    pixels = image.decode(data, model=model, backend="reference").pixels
    return ImageSeed(name, data, model, pixels, unpack_image(data))


@cache
def image_seeds() -> tuple[ImageSeed, ...]:
    """All exact models; every mode; 1 to 5,600 pixels; one and several tiles; every chunk."""
    tiny, micro, *others = models()
    metadata = {"exif": b"MM\0*\0\0\0\x08\0\0", "icc_profile": b"profile" * 9, "xmp": b"<x/>"}
    found = []
    for model in (tiny, micro):
        for channels in (1, 2, 3, 4):
            found.append(_seed(f"{model.name}-1x1x{channels}", model, (1, 1, channels)))
            found.append(_seed(f"{model.name}-17x33x{channels}", model, (17, 33, channels)))
        found.append(_seed(f"{model.name}-meta", model, (16, 20, 4), metadata=metadata))
        found.append(_seed(f"{model.name}-tiles", model, (9, 530, 3), tile_log2=4))
        found.append(_seed(f"{model.name}-80x70", model, (80, 70, 4), quality=100))
        plain = np.full((330, 270, 3), 77, np.uint8)  # a whole block, hyper-latents that repeat
        found.append(_seed(f"{model.name}-plain", model, plain.shape, pixels=plain))
    for model in (model for model in others if model.is_exact):
        found.append(_seed(f"{model.name}-17x33", model, (17, 33, 4)))
        found.append(_seed(f"{model.name}-tiles", model, (9, 530, 3), tile_log2=4))
    embedded = (chunks.Chunk(chunks.MODEL, micro.to_bytes()), chunks.Chunk("what", b"?"))
    found.append(_seed("micro-embedded", micro, (15, 8, 3), extra=embedded, metadata=metadata))
    return tuple(found)


@dataclass(frozen=True)
class ModelSeed:
    """A good model file and its parts."""

    model: Model
    data: bytes
    tree: Tree
    bones: bytes
    blobs: tuple[tuple[int, bytes], ...]
    specs: tuple[IntArray, ...]

    @property
    def content_bytes(self) -> int:
        """Size of the canonical content."""
        return len(self.bones) + sum(array.nbytes for array in self.specs)


@cache
def model_seeds() -> tuple[ModelSeed, ...]:
    """Files of all models."""
    found = []
    for model in models():
        bones, arrays = skeleton(model.tree)
        blobs = tuple(pack_array(array) for array in arrays)
        data = build_model(model.id, bones, blobs, len(bones) + sum(a.nbytes for a in arrays))
        found.append(ModelSeed(model, data, model.tree, bones, blobs, tuple(arrays)))
    return tuple(found)


def build_model(
    id: bytes, bones: bytes, blobs: tuple[tuple[int, bytes], ...], content_bytes: int
) -> bytes:
    """A model file of any parts, with a right CRC."""
    packed = zlib.compress(bones, 1)
    body = b"".join(
        [
            b"\xcdINT\r\n\x1a\n\x10",
            id,
            varint.encode(content_bytes),
            varint.encode(len(bones)),
            varint.encode(len(packed)),
            packed,
            *[bytes([method & 255]) + varint.encode(len(blob)) for method, blob in blobs],
            *[blob for _, blob in blobs],
        ]
    )
    return body + zlib.crc32(body).to_bytes(4, "little")


@dataclass(frozen=True)
class PayloadSeed:
    """A good payload, and what a decoder needs beside it."""

    payload: bytes
    parts: tuple[tuple[np.ndarray, TableBank], ...]


@cache
def payload_seeds() -> tuple[PayloadSeed, ...]:
    """Payloads of 1 to 256 lanes, with and without escapes, of 1 and 3 parts."""
    random = np.random.default_rng(7)
    bank = TableBank.build(
        [-4, 0, -(1 << 30)],
        [apportion([1, 9, 50, 200, 900, 200, 50, 9, 1, 3]), [TOTAL - 1, 1], [9000, TOTAL - 9000]],
    )
    found = []
    for lanes in (1, 2, 8, 64, 256):
        for counts in ((7,), (300,), (40, 0, 25), (700, 130, 3), (2500,)):
            parts = []
            for count in counts:
                # Rows of many lanes go another way when no escape is among them; table 2 is half
                # escape, so the long part does without it.
                indexes = random.integers(0, 2 if count == 2500 else 3, count).astype(np.uint16)
                symbols = np.rint(random.normal(0, 2, count)).astype(np.int32)
                symbols[indexes == 1] = 0
                far = random.random(count) < (0.02 if count < 2500 else 0.001)
                symbols[far] = random.integers(-(1 << 31), 1 << 31, int(far.sum()))
                parts.append((symbols, indexes, bank))
            payload = rans.encode(parts, lanes)
            found.append(PayloadSeed(payload, tuple((i, b) for _, i, b in parts)))
    return tuple(found)


@dataclass(frozen=True)
class BlobSeed:
    """A good blob of an array in a model file."""

    method: int
    blob: bytes
    dtype: str
    shape: tuple[int, ...]


@cache
def blob_seeds() -> tuple[BlobSeed, ...]:
    """Each method, several types and shapes; rANS with one and with several tables."""
    random = np.random.default_rng(9)
    spread = np.repeat([1.0, 9.0, 60.0], 4)[:, None]
    arrays = [
        np.rint(random.normal(0, 1, (12, 150)) * spread).astype(np.int16),
        np.rint(random.normal(0, 3, 90)).astype(np.int8),
        random.integers(-(1 << 40), 1 << 40, (3, 5)),
        np.arange(0, 9000, 300, dtype=np.int32),
        random.integers(0, 256, (2, 3, 4), dtype=np.uint8),
        np.zeros((0, 4), np.uint16),
        np.array(7, np.int32),
    ]
    found = []
    for array in arrays:
        digits = zlib.compress(b"".join(varint.encode(varint.zigzag(int(v))) for v in array.flat))
        raw = little_endian(array)
        blobs = [raw, zlib.compress(raw), digits, arrays_module._maybe_pack_rans(array)]
        for method, blob in enumerate(blobs):
            if blob is not None:
                # rANS three times: it has by far the most ways to be wrong
                found += [BlobSeed(method, blob, array.dtype.name, array.shape)] * (
                    3 if method == 3 else 1
                )
    return tuple(found)
