"""Files that ask a decoder for as much as they can: refused, by name, before the work is done.

`tests/fuzz/worst.py` measures what those take that are not refused.
"""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import intact
from fuzz import worst
from intact import ArgumentError, CorruptDataError, ModelError, UnsupportedError
from intact.codec.embedded import check_embedded, pixel_weight
from intact.codec.image import Encoder, decode, encode
from intact.codec.store import load_model
from intact.container import chunks, limits
from intact.container.image_file import ImageHeader, Mode, check_pixels, pack_image, unpack_image
from tiny_model import picture, tiny_model

LIMIT = worst.MAX_PIXELS


def header(width: int, height: int) -> ImageHeader:
    return ImageHeader(bytes(16), Mode.RGB, 0, width, height, 0)


def refused(data: bytes, error: type[Exception], match: str, **options: object) -> None:
    """Decoding ends in an error of this type, soon and with little memory."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(error, match=match):
            decode(data, max_pixels=LIMIT, **options)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert time.process_time() - begin < 5  # under 0.3 s on a quiet machine of 2026


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize(
    "size", [(1000, 1000), (1920, 520), (10_000, 100), (256, 256), (62_496, 1)]
)
def test_images_of_as_many_pixels_as_allowed_are_not_refused_for_their_padding(size):
    check_pixels(header(*size), max(size[0] * size[1], LIMIT))
    check_pixels(header(*size), float("inf"))


@pytest.mark.parametrize("size", [(524_288, 1), (1, 524_288), (100_000, 8), (1001, 1000)])
def test_whole_squares_count(size):
    with pytest.raises(UnsupportedError, match=f"{size[0]} x {size[1]} pixels .*{LIMIT}"):
        check_pixels(header(*size), LIMIT)


def test_a_small_image_is_allowed_its_padding():
    check_pixels(header(1, 1), 1)
    check_pixels(header(17, 33), 17 * 33)
    with pytest.raises(UnsupportedError, match="exceeds the limit of 560"):
        check_pixels(header(17, 33), 560)


def test_a_row_of_half_a_million_pixels_is_refused(tiny):
    """11 kB that took 389 MB under a limit of a million pixels."""
    data = encode(np.zeros((1, 72_000, 3), np.uint8), model=tiny)
    refused(
        data, UnsupportedError, "counts as 1152000, in whole squares of 16 on a side", model=tiny
    )


def test_an_encoder_writes_nothing_that_a_decoder_refuses(tiny):
    wide = np.broadcast_to(np.uint8(0), (1, limits.MAX_PIXELS // 8, 3))
    with pytest.raises(ArgumentError, match="in whole squares"):
        Encoder(wide, tiny)


# ---------------------------------------------------------------- models in files


def carrying(model: intact.Model, side: int, data: bytes | None = None) -> bytes:
    """A file of an image that size, with a model that is never run, packed small or as ``data``."""
    made = encode(picture(16, 16), model=tiny_model())
    file = unpack_image(made)
    head = replace(file.header, model_id=model.id, width=side, height=side)
    chunk = chunks.Chunk(chunks.MODEL, data or worst.packed(model.tree))
    return pack_image(
        replace(file, header=head, tiles=file.tiles * head.num_tiles, chunks=(chunk,))
    )


def test_the_shipped_models_count_as_one_pixel_for_a_pixel():
    for name in ("photo", "photo-eyes", "photo-2", "photo-3", "photo-4", "photo-5", "photo-6"):
        assert pixel_weight(load_model(name)) == 1
        check_embedded(load_model(name), header(1000, 1000), LIMIT)
    # For its 768 latents; web/test/golden.test.mjs has the same number.
    for name in ("photo-psnr", "photo-mse"):
        assert round(float(pixel_weight(load_model(name))), 4) == 1.2094
    assert pixel_weight(tiny_model()) == 1


def test_latents_count():
    """23 kB of 0.52 megapixels took 2.3 GB under a limit of a million."""
    model = worst.model_of(4096, "latents")
    assert pixel_weight(model) > 4
    refused(carrying(model, 720), CorruptDataError, "may not hold a content of")
    model = worst.model_of(1024, "latents")
    refused(carrying(model, 960, model.to_bytes()), UnsupportedError, "for what its model takes")


def test_operations_are_counted_by_what_they_cost():
    """505 depthwise layers: 38 kB of 256 x 256 took 18 s. They are few multiplications."""
    refused(
        carrying(worst.deep("depthwise", 505, 1), 256),
        ModelError,
        "the model in the file: operations: 519, at most 512",
    )
    model = worst.deep("depthwise", 490, 1)
    refused(carrying(model, 512), UnsupportedError, r"counts as \d+, .* for what its model takes")


def test_channels_count():
    ops = worst.chain(38, 1024, worst.KINDS["requantize"])
    many = worst.model_of(1, "wide", synthesis=ops, hyper_analysis=ops)
    with pytest.raises(ModelError, match=r"channels in all operations: \d+, at most 131072"):
        check_embedded(many, header(16, 16), LIMIT)


@pytest.mark.parametrize("name", worst.BOMBS)
def test_content_that_unpacks_to_much_is_refused_before_it_does(name):
    """32 kB took 762 MB."""
    refused(worst.bomb(worst.BOMBS[name]), CorruptDataError, "may not hold a content of")


def test_an_encoder_embeds_no_model_that_a_decoder_refuses():
    model = worst.deep("depthwise", 505, 1)
    encode(picture(16, 16), model=model)
    with pytest.raises(ModelError, match="operations: 519"):
        encode(picture(16, 16), model=model, embed_model=True)


def test_a_model_that_somebody_chose_may_be_larger():
    model = worst.model_of(4096, "latents")
    data = encode(picture(16, 16), model=model, embed_model=True)
    assert decode(data, model=model, max_pixels=256).pixels.shape == (16, 16, 3)


def test_a_heavy_model_may_travel_where_enough_pixels_are_allowed():
    model = worst.deep("depthwise", 50, 1)
    weight = pixel_weight(model)
    assert weight > 2
    side = 272  # 65,536 padded pixels are always allowed
    data = encode(picture(side, side), model=model, embed_model=True)
    decode(data, max_pixels=int(side**2 * weight))
    with pytest.raises(UnsupportedError, match="for what its model takes"):
        decode(data, max_pixels=side**2)


def test_models_in_files_can_be_turned_off(tiny):
    data = encode(picture(20, 30), model=tiny, embed_model=True)
    with pytest.raises(intact.ModelNotFoundError, match="embedded models are off") as caught:
        decode(data, embedded_models=False)
    assert caught.value.model_id == tiny.id
    assert decode(data).pixels.shape == (20, 30, 3)
    found = decode(data, model=tiny, embedded_models=False)  # it is not from the file
    assert found.pixels.shape == (20, 30, 3)
    with pytest.raises(TypeError, match="embedded_models is 'no', must be True or False"):
        decode(data, embedded_models="no")  # type: ignore[arg-type]
