"""A small model made by hand, so that tests need neither training nor a shipped model.

Eight latents: a two by two Haar transform of the mean colors of 8x8 blocks. The other networks have
fixed random weights: they predict badly, which costs bytes and nothing else. Every network reaches
beyond its own position, so that windows and tiles have margins to get wrong.
"""

from __future__ import annotations

import io
import math
import struct
import zlib

import numpy as np
from PIL import Image

from intact.bits.apportion import apportion
from intact.bits.tables import TableBank
from intact.bottleneck.checkerboard import Checkerboard
from intact.bottleneck.scalar import NUM_SCALES, Levels
from intact.codec.model import Model
from intact.intnet.program import (
    Add,
    Conv,
    Op,
    Program,
    Requantize,
    Shuffle,
    Unshuffle,
    Value,
)

M, N, F = 8, 4, 8
"""Channels of latents, hyper-latents and features."""
NUM_LEVELS = 16
INT16 = (-32768, 32767)
SCALE_MIN, RATIO = 0.15, 1.14
"""Table i is for symbols of standard deviation ``SCALE_MIN * RATIO**i``."""

GRAY, RED_BLUE, GREEN = (1, 1, 1), (1, 0, -1), (1, -2, 1)
FLAT, LEFT_RIGHT, UP_DOWN, CROSS = (1, 1, 1, 1), (1, -1, 1, -1), (1, 1, -1, -1), (1, -1, -1, 1)
BASIS = [
    (GRAY, FLAT), (RED_BLUE, FLAT), (GREEN, FLAT), (GRAY, LEFT_RIGHT),
    (GRAY, UP_DOWN), (GRAY, CROSS), (RED_BLUE, LEFT_RIGHT), (RED_BLUE, UP_DOWN),
]  # fmt: skip
GAIN = 8
"""Latent steps per unit of the orthonormal transform."""


def conv(random, source, target, channels, kind=(-128, 127), **options) -> Conv:
    """A convolution with random weights; ``channels`` are (in, out)."""
    inputs, outputs = channels
    taps, groups = options.pop("taps", 1), options.pop("groups", 1)
    return Conv(
        source,
        target,
        random.integers(-20, 21, (outputs, inputs // groups, taps, taps)),
        options.pop("bias", random.integers(-500, 501, outputs)),
        random.integers(-3, 4, outputs),
        np.full(outputs, options.pop("divisor", 101)),
        groups=groups,
        low=kind[0],
        high=kind[1],
        **options,
    )


def requantize(source: str, target: str, channels: int, divisor: int) -> Requantize:
    return Requantize(source, target, np.full(channels, divisor))


def haar() -> tuple[np.ndarray, np.ndarray]:
    """float [M, 3, 2, 2] signs times colors, float [M] norms over 16x16 pixels."""
    vectors = np.array([np.multiply.outer(c, np.reshape(s, (2, 2))) for c, s in BASIS], float)
    return vectors, np.sqrt(64 * np.square(vectors).sum(axis=(1, 2, 3)))


def analysis() -> Program:
    vectors, norms = haar()
    weight = np.zeros((M, 192, 3, 3), int)
    # Taps 1 and 2 of a stride of 2 are the four 8x8 blocks of a latent.
    weight[:, :, 1:, 1:] = np.repeat(16 * vectors, 64, axis=1)
    divisor = np.rint(16 * norms / GAIN).astype(int) | 1
    zeros = np.zeros(M, int)
    ops = (
        Unshuffle("pixels", "blocks", 8),
        Conv("blocks", "y", weight, zeros, zeros, divisor, stride=2, low=-32768, high=32767),
    )
    return Program("analysis", (Value("pixels", 3, -128, 127),), ops, ("y",))


def synthesis(random: np.random.Generator) -> Program:
    vectors, norms = haar()
    divisor = 101
    scale = 63 * divisor / (GAIN * norms[:, None, None, None])
    weight = np.repeat(np.rint(vectors * scale), 64, axis=1)  # [M, 192, 2, 2]
    weight = weight.transpose(1, 2, 3, 0).reshape(768, M, 1, 1).astype(int)
    zeros = np.zeros(768, int)
    ops: tuple[Op, ...] = (
        Conv("y", "first", weight, zeros, zeros, np.full(768, divisor), low=-32768, high=32767),
        Shuffle("first", "s0", 2),
        requantize("s0", "a", 192, 255),
        conv(random, "a", "b", (192, 192), INT16, taps=3, groups=192, divisor=9),
        Add("s0", "b", "s1"),
        requantize("s1", "patches", 192, 63),
        Shuffle("patches", "pixels", 8),
    )
    return Program("synthesis", (Value("y", M, *INT16),), ops, ("pixels",))


def heads(random: np.random.Generator, source: str) -> tuple[Op, ...]:
    # Gray is the widest latent by far.
    bias = 101 * np.array([215, 185, 175, 190, 190, 165, 165, 165])
    return (
        requantize(source, "c", F, 151),
        conv(random, "c", "d", (F, F), taps=3, groups=F, divisor=21),
        conv(random, "d", "h", (F, 2 * F), (0, 255)),
        conv(random, "h", "mean", (2 * F, M), INT16, divisor=21),
        conv(random, "h", "theta", (2 * F, M), (0, 255), bias=bias),
    )


def tiny_programs(seed: int = 1) -> dict[str, Program]:
    random = np.random.default_rng(seed)
    y, f = Value("y", M, *INT16), Value("f", F, *INT16)
    hyper_analysis: tuple[Op, ...] = (
        requantize("y", "a", M, 255),
        conv(random, "a", "h0", (M, F), (0, 255), divisor=31),
        conv(random, "h0", "h1", (F, F), (0, 255), taps=3, stride=2),
        conv(random, "h1", "z", (F, N), taps=3, stride=2, divisor=1001),
    )
    hyper_synthesis: tuple[Op, ...] = (
        conv(random, "z", "h0", (N, 4 * F), INT16, divisor=3),
        Shuffle("h0", "s0", 2),
        requantize("s0", "a", F, 3),
        conv(random, "a", "b", (F, F), INT16, taps=3, groups=F, divisor=5),
        Add("s0", "b", "s1"),
        requantize("s1", "c", F, 5),
        conv(random, "c", "h1", (F, 4 * F), INT16, divisor=3),
        Shuffle("h1", "f", 2),
    )
    prior_b: tuple[Op, ...] = (
        requantize("y", "ya", M, 255),
        conv(random, "ya", "yb", (M, F), INT16, taps=3),
        Add("f", "yb", "s"),
        *heads(random, "s"),
    )
    outputs = ("mean", "theta")
    z = Value("z", N, -128, 127)
    return {
        "analysis": analysis(),
        "hyper_analysis": Program("hyper_analysis", (y,), hyper_analysis, ("z",)),
        "hyper_synthesis": Program("hyper_synthesis", (z,), hyper_synthesis, ("f",)),
        "prior_a": Program("prior_a", (f,), heads(random, "f"), outputs),
        "prior_b": Program("prior_b", (f, y), prior_b, outputs),
        "synthesis": synthesis(random),
    }


def bell_tables(deviations: list[float]) -> TableBank:
    """One table per standard deviation, of Gaussian shape, with an escape of one in a thousand."""
    minimums, rows = [], []
    for sigma in deviations:
        radius = min(1000, math.ceil(3 * sigma) + 2)
        x = np.arange(-radius, radius + 1)
        weights = np.rint(2**40 * np.exp(-np.square(x / sigma) / 2)).astype(np.int64)
        minimums.append(-radius)
        rows.append(apportion(np.append(weights, int(weights.sum()) // 1000)))
    return TableBank.build(minimums, rows)


def tiny_levels() -> Levels:
    steps = np.rint(64 * np.geomspace(12, 0.4, NUM_LEVELS)).astype(int)
    return Levels(
        steps=steps,
        shifts=np.rint(4 * np.log(steps / 64) / math.log(RATIO)).astype(int),
        parameters=np.rint(np.linspace(127, -127, NUM_LEVELS)).astype(int),
        offsets=steps * 2 // 5,
    )


def tiny_bottleneck(predicted: int = 3) -> Checkerboard:
    return Checkerboard(
        tables_y=bell_tables([SCALE_MIN * RATIO**i for i in range(NUM_SCALES)]),
        tables_z=bell_tables([20.0] * N),
        levels=tiny_levels(),
        skip=1,
        predicted=predicted,
    )


def tiny_model(seed: int = 1, name: str = "tiny", predicted: int = 3) -> Model:
    """Build the model; another seed gives another model id."""
    return Model(
        name=name,
        programs=tiny_programs(seed),
        bottleneck=tiny_bottleneck(predicted),
        info={"trained": "not at all"},
    )


def picture(height: int, width: int, channels: int = 3, seed: int = 5) -> np.ndarray:
    """uint8 [h, w, c]: smooth color with an edge and some grain; alpha, if any, is a ramp."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / 23 + c) * np.cos(y / (17 + c)) for c in range(channels)]
    image = np.stack(planes, axis=2) + 25 * ((x + 2 * y) % 64 < 24)[:, :, None]
    image += random.normal(0, 3, image.shape)
    if channels in (2, 4):
        image[:, :, -1] = (x * 7 + y) % 256
    return np.clip(image, 0, 255).astype(np.uint8)


def deep_png(height: int, width: int) -> bytes:
    """A PNG of 16-bit RGB, which Pillow reads, but neither writes nor has a mode for."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(range(6)) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def deep_tiff(height: int, width: int, planar: int = 1) -> bytes:
    """The same as an uncompressed TIFF, little-endian."""
    data = bytes(range(6)) * (height * width)
    plane = len(data) // 3 if planar == 2 else len(data)
    planes = len(data) // plane
    depths, offsets, sizes = 8, 14, 14 + 4 * planes  # where the lists lie
    start = sizes + 4 * planes
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, depths), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, planes, offsets if planes > 1 else start), (277, 3, 1, 3),
        (278, 3, 1, height), (279, 4, planes, sizes if planes > 1 else plane), (284, 3, 1, planar),
    ]  # fmt: skip
    lists = struct.pack("<3H", 16, 16, 16)
    lists += struct.pack(f"<{planes}I", *(start + plane * i for i in range(planes)))
    lists += struct.pack(f"<{planes}I", *[plane] * planes)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<I", start + len(data)) + lists + data + directory


def deep_planes(height: int, width: int) -> bytes:
    """The same plane by plane, which Pillow reads as if it had 8 bits."""
    return deep_tiff(height, width, planar=2)


def deep_ppm(height: int, width: int) -> bytes:
    """The same as a portable pixmap."""
    return f"P6 {width} {height} 65535\n".encode() + bytes(range(6)) * (height * width)


def deep_jpeg2000(height: int, width: int) -> bytes:
    """A JPEG 2000 file whose header says 16 bits, as Pillow cannot write one; its data does not."""
    stream = io.BytesIO()
    Image.fromarray(picture(height, width)).save(stream, "JPEG2000", no_jp2=True)
    data = bytearray(stream.getvalue())
    at = data.find(b"\xff\x4f\xff\x51") + 42
    data[at : at + 9 : 3] = bytes([15, 15, 15])
    return bytes(data)


def bmp_565(height: int, width: int) -> bytes:
    """A BMP of 16 bits per pixel: 5, 6 and 5 bits per sample, no more than 8."""
    rows = bytes(height * (width * 2 + 3) // 4 * 4)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3, len(rows), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    offset = 14 + len(info) + len(masks)
    return struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset) + info + masks + rows


DEEP = {
    "a.png": deep_png, "chunky.tif": deep_tiff, "planar.tif": deep_planes, "a.ppm": deep_ppm,
    "a.j2k": deep_jpeg2000,
}  # fmt: skip
"""Makers of color of more than 8 bits, by a file name."""
