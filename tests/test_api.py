"""Files by name, targets, headers: what `intact.api` does beside the codec."""

import numpy as np
import pytest
from PIL import Image

import intact
from intact import ArgumentError, CorruptDataError, UnreachableError, UnsupportedError, pillow
from tiny_model import picture

PIXELS = picture(40, 60)


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.fixture
def file(tiny, tmp_path):
    path = tmp_path / "a.intact"
    path.write_bytes(intact.encode(PIXELS, model=tiny))
    return path


def test_an_image_can_be_named(tiny, png):
    assert intact.encode(png, model=tiny) == intact.encode(PIXELS, model=tiny)
    assert intact.encode(str(png), model=tiny) == intact.encode(PIXELS, model=tiny)


def test_a_file_can_be_named(tiny, file):
    wanted = intact.decode(file.read_bytes(), model=tiny)
    for name in (file, str(file)):
        np.testing.assert_array_equal(intact.decode(name, model=tiny).pixels, wanted.pixels)


def test_what_is_wrong_with_a_name_is_said(tiny, tmp_path, png):
    for call in (intact.encode, intact.decode, intact.peek):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "none")
        with pytest.raises(ArgumentError, match=r"is 'a\\x00b', which is no path"):
            call("a\0b")
        with pytest.raises(FileNotFoundError):
            call("")
    with pytest.raises(CorruptDataError, match="not an Intact image file"):
        intact.decode(png, model=tiny)
    (tmp_path / "a.txt").write_text("no image")
    with pytest.raises(UnsupportedError, match="not an image in one of the formats"):
        intact.encode(tmp_path / "a.txt", model=tiny)


def test_a_header_is_read_without_the_rest(tiny, file):
    header = intact.peek(file)
    assert (header.width, header.height, header.mode.name) == (60, 40, "RGB")
    assert header.model_id == tiny.id
    data = file.read_bytes()
    assert intact.peek(data) == intact.peek(memoryview(data)[:47]) == header
    with pytest.raises(CorruptDataError):
        intact.peek(data[:30])
    with pytest.raises(TypeError, match="data is 5"):
        intact.peek(5)  # type: ignore[arg-type]


def test_a_target_is_met_and_the_next_level_misses_it(tiny):
    sizes = [len(intact.encode(PIXELS, model=tiny, quality=q)) for q in (0, 100)]
    size = sum(sizes) // 2
    best = intact.encode(PIXELS, model=tiny, target_size=size)
    assert sizes[0] <= len(best) <= size
    assert intact.encode(PIXELS, model=tiny, target_bpp=8 * size / 2400) == best
    level = intact.peek(best).level
    next_one = intact.codec.image.Encoder(PIXELS, tiny).encode(level + 1)
    assert len(next_one.data) > size


def test_the_smallest_file_of_so_many_decibels(tiny):
    def decibels(data):
        return intact.measure.psnr(PIXELS, intact.decode(data, model=tiny).pixels)

    wanted = decibels(intact.encode(PIXELS, model=tiny, quality=0)) + 0.05
    found = intact.encode(PIXELS, model=tiny, target_psnr=wanted)
    assert decibels(found) >= wanted
    assert intact.peek(found).level > 0
    encoder = intact.codec.image.Encoder(PIXELS, tiny)
    assert encoder.psnr(encoder.encode(intact.peek(found).level)) == decibels(found)


@pytest.mark.parametrize("target", [{"target_size": 9}, {"target_bpp": 0.01}, {"target_psnr": 90}])
def test_a_target_out_of_reach_is_an_error(tiny, target):
    with pytest.raises(UnreachableError, match=r"level (takes|gives)"):
        intact.encode(PIXELS, model=tiny, **target)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target_size": 900, "target_psnr": 30}, ArgumentError, "give one of target_bpp"),
        ({"target_size": 900, "quality": 30}, ArgumentError, "a quality or a target"),
        ({"target_size": 0}, ArgumentError, "target_size is 0, must be a positive number"),
        ({"target_bpp": float("inf")}, ArgumentError, "target_bpp is inf"),
        ({"target_psnr": "high"}, TypeError, "target_psnr is 'high'"),
    ],
)
def test_a_wrong_target_is_named(tiny, options, error, message):
    with pytest.raises(error, match=message):
        intact.encode(PIXELS, model=tiny, **options)


def test_the_plugin_takes_targets(tiny_path, tmp_path):
    pillow.register()
    path = tmp_path / "a.intact"
    Image.fromarray(PIXELS).save(path, model=str(tiny_path), target_size=300)
    assert path.stat().st_size <= 300
