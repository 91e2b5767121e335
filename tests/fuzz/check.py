"""What must hold for any bytes at all, as checks that raise `Broken` where it does not.

Only `IntactError` may come out of a parser; a decoded picture is the true one; whatever is accepted
has one spelling; every coder accepts and refuses the same payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest import mock

import numpy as np

import intact
from fuzz.seeds import ImageSeed, PayloadSeed, image_seeds, models
from intact.bits import fast, rans
from intact.bottleneck import tiles
from intact.codec.image import Decoded, Encoder, Runtime
from intact.codec.model import Model
from intact.container.arrays import unpack_array
from intact.container.image_file import pack_image, peek, unpack_image
from intact.container.model_file import peek_model
from intact.errors import CorruptDataError, IntactError
from intact.intnet.backends import choose
from tiny_model import picture

ACCEPTED = "accepted"
FAST_DECODER = fast.Decoder
CODERS: tuple[fast.Backend, ...] = ("native", "python")
LONG_PART = 20_000  # symbols from which a part is not decoded by every coder


class Broken(Exception):
    """A property does not hold. Not an `AssertionError`: the package raises those itself."""


def outcome(call: Callable[[], Any]) -> tuple[str, Any]:
    """The name of the `IntactError` that a call raises, or ``accepted``, and its value."""
    try:
        return ACCEPTED, call()
    except IntactError as error:
        return type(error).__name__, None


def coders() -> list[Callable[[bytes], Any]]:
    """The decoders of payloads that are here: C, tuned Python, and the normative one."""
    found: list[Callable[[bytes], Any]] = [rans.Decoder]
    for name in CODERS:
        if name != "native" or fast._functions() is not None:
            found.append(lambda payload, name=name: FAST_DECODER(payload, backend=name))
    return found


class AllDecoders:
    """Runs every coder and compares: symbols, or the fact that it refuses."""

    def __init__(self, payload: bytes, backend: str | None = None) -> None:
        del backend  # all of them
        self.decoders = self._agree([lambda make=make: make(payload) for make in coders()])

    def _agree(self, calls: list[Callable[[], Any]]) -> list[Any]:
        results, errors = [], []
        for call in calls:
            try:
                results.append(call())
            except CorruptDataError as error:
                errors.append(error)
        if errors and results:
            raise Broken(f"coders disagree: {len(results)} accept, others say {errors[0]}")
        if errors:
            raise errors[0]
        return results

    def decode(self, indexes: np.ndarray, bank: Any) -> np.ndarray:
        """The symbols of a part, by all."""
        if indexes.size > LONG_PART:
            self.decoders = self.decoders[-1:]  # the others are behind from here on
        found = self._agree([lambda d=d: d.decode(indexes, bank) for d in self.decoders])
        if not all(np.array_equal(found[0], other) for other in found[1:]):
            raise Broken("coders decode different symbols")
        return found[0]

    def finish(self) -> None:
        """The end, by all."""
        self._agree([decoder.finish for decoder in self.decoders])


@contextmanager
def all_coders() -> Iterator[None]:
    """Every payload in the package is decoded by every coder."""
    with (
        mock.patch.object(tiles, "Decoder", AllDecoders),
        mock.patch.object(fast, "Decoder", AllDecoders),
    ):
        yield


def check_payload(payload: bytes, seed: PayloadSeed) -> str:
    """All coders on one payload."""

    def call() -> None:
        decoder = AllDecoders(payload)
        for indexes, bank in seed.parts:
            decoder.decode(indexes, bank)
        decoder.finish()

    return outcome(call)[0]


def check_blob(method: int, blob: bytes, dtype: str, shape: tuple[int, ...]) -> str:
    """One blob of an array; what is accepted has the type and the shape that were asked for."""
    found, array = outcome(lambda: unpack_array(method, blob, dtype, shape))
    if found == ACCEPTED and (array.dtype != dtype or array.shape != shape):
        raise Broken(f"blob of {dtype}{shape} gives {array.dtype}{array.shape}")
    return found


def _known_pixels(pixel_crc: int) -> list[np.ndarray]:
    return [seed.pixels for seed in image_seeds() if seed.file.header.pixel_crc == pixel_crc]


Decode = Callable[..., Decoded]


def check_image(
    data: bytes, model: Model, r: Random, decode: Decode = intact.decode, backend: str = "reference"
) -> str:
    """One image file through every door: peek, unpack, decode, and decode of a region."""
    options = {"model": model, "backend": backend, "threads": 1}
    max_pixels = 1 << 28 if r.random() < 1 / 16 else 1 << 16
    peeked, _ = outcome(lambda: peek(data))
    unpacked, file = outcome(lambda: unpack_image(data, max_pixels=max_pixels))
    found, decoded = outcome(lambda: decode(data, max_pixels=max_pixels, **options))
    if choose._REFUSED:
        raise Broken(f"a backend was wrong: {choose._REFUSED}")
    if unpacked != ACCEPTED:
        if found == ACCEPTED:
            raise Broken("decode accepts what unpack_image refuses")
        return found
    if peeked != ACCEPTED:
        raise Broken("unpack_image accepts what peek refuses")
    _check_spelling(data, file)
    header = file.header
    if found == ACCEPTED:
        if decoded.pixels.shape[:2] != (header.height, header.width):
            raise Broken(f"decoded {decoded.pixels.shape} for {header.width}x{header.height}")
        truths = _known_pixels(header.pixel_crc)
        if not truths:
            raise Broken("pixels meet a checksum that no seed has")
        if not any(truth.tobytes() == decoded.pixels.tobytes() for truth in truths):
            raise Broken("a wrong picture was returned")
    if file is not None and header.num_pixels <= 1 << 13 and r.random() < 0.2:
        x, y = r.randrange(header.width), r.randrange(header.height)
        region = (x, y, r.randint(1, header.width - x), r.randint(1, header.height - y))
        part, cut = outcome(lambda: decode(data, region=region, **options))
        if part == ACCEPTED and cut.pixels.shape[:2] != (region[3], region[2]):
            raise Broken(f"region {region} has the shape {cut.pixels.shape}")
        if found == ACCEPTED:
            whole = decoded.pixels[y : y + region[3], x : x + region[2]]
            if part != ACCEPTED or not np.array_equal(cut.pixels, whole):
                raise Broken(f"region {region} differs from the whole")
    return found


def _check_spelling(data: bytes, file: Any) -> None:
    again = bytearray(pack_image(file))
    same_minor = again[8] == data[8]  # the minor version is not kept
    if same_minor and bytes(again) != data:
        raise Broken("two files unpack to the same value")


def check_model(data: bytes, r: Random, load: Callable[[bytes], Model] = Model.from_bytes) -> str:
    """One model file: peek, load, and a picture there and back with what was accepted."""
    peeked, header = outcome(lambda: peek_model(data))
    found, model = outcome(lambda: load(data))
    if found != ACCEPTED:
        return found
    if peeked != ACCEPTED:
        raise Broken("a model is accepted whose header is not")
    if model.id != header.model_id:
        raise Broken("a model has another id than its file: two spellings of one content")
    backend = "numpy" if r.random() < 0.02 else "reference"
    image = picture(*r.choice(((1, 1, 3), (5, 7, 4), (18, 33, 1))))
    quality = r.choice((0, 50, 100))

    def there_and_back() -> None:
        allow = not model.is_exact
        encoder = Encoder(image, model, runtime=Runtime(backend, 1, allow_inexact=allow))
        encoded = encoder.encode(model.levels.of_quality(quality))
        decoded = intact.decode(
            encoded.data, model=model, backend=backend, threads=1, allow_inexact=allow
        )
        if decoded.pixels.tobytes() != encoded.pixels.tobytes():
            raise Broken("an accepted model decodes other pixels than it encoded")

    used, _ = outcome(there_and_back)
    if used != ACCEPTED:
        raise Broken(f"an accepted model cannot be used: {used}")
    if r.random() < 0.05:
        seed = r.choice(image_seeds())
        other, _ = outcome(lambda: intact.decode(seed.data, model=model, backend=backend))
        if (other == ACCEPTED) != (model.id == seed.model.id):
            raise Broken(f"an image of another model: {other}")
    return ACCEPTED


def check_seeds() -> None:
    """The seeds decode, on each backend that is used here."""
    for model in models():
        if outcome(lambda model=model: Model.from_bytes(model.to_bytes()))[0] != ACCEPTED:
            raise Broken(f"model {model.name} is not accepted")
    for seed in image_seeds():
        _check_seed(seed)


def _check_seed(seed: ImageSeed) -> None:
    for backend in ("reference", "numpy"):
        decoded = intact.decode(seed.data, model=seed.model, backend=backend, threads=1)
        if decoded.pixels.tobytes() != seed.pixels.tobytes():
            raise Broken(f"{seed.name} does not decode")
