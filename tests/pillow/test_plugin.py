import io

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import intact.pillow
from intact.codec import image as codec, store
from tiny_model import picture


@pytest.fixture(autouse=True)
def installed(monkeypatch, tiny_path):
    """The tiny model as the only one on the search path."""
    monkeypatch.setattr(store, "search_path", lambda: [tiny_path.parent])


@pytest.fixture
def path(tiny, tmp_path):
    path = tmp_path / "a.intact"
    Image.fromarray(picture(40, 60)).save(path, model=tiny, quality=70)
    return path


def test_what_is_saved_is_opened(path, tiny):
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("INTACT", "RGB", (60, 40))
        assert image.get_format_mimetype() == "image/x-intact"
        np.testing.assert_array_equal(
            np.asarray(image), intact.decode(path.read_bytes(), model=tiny).pixels
        )
    assert path.read_bytes() == intact.encode(picture(40, 60), model=tiny, quality=70)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_mode(tiny, channels):
    pixels = picture(20, 30, channels)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "INTACT", model=tiny)
    stream.seek(0)
    decoded = np.asarray(Image.open(stream))
    np.testing.assert_array_equal(decoded, intact.decode(stream.getvalue(), model=tiny).pixels)


def test_opening_decodes_nothing(path, monkeypatch):
    def decode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(codec, "decode", decode)
    with Image.open(path) as image:
        assert image.size == (60, 40)
        assert image.info == {}
        with pytest.raises(AssertionError, match="decoded"):
            image.load()


def test_pixels_are_decoded_once_and_the_file_is_closed(path, monkeypatch):
    calls = []
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda *a, **k: calls.append(1) or decode(*a, **k))
    image = Image.open(path)
    image.load()
    image.load()
    assert image.getpixel((3, 4)) == image.copy().getpixel((3, 4))
    assert len(calls) == 1
    path.unlink()


def test_metadata_travels(tiny, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "description"
    path = tmp_path / "a.intact"
    image = Image.fromarray(picture(9, 9))
    image.save(path, model=tiny, exif=exif, icc_profile=b"profile", xmp="<x/>")
    with Image.open(path) as opened:
        assert opened.getexif()[0x010E] == "description"
        assert opened.info["icc_profile"] == b"profile"
        assert opened.info["xmp"] == b"<x/>"
        # What was opened keeps it, from file to file and into other formats.
        again, jpeg = tmp_path / "b.intact", tmp_path / "b.jpg"
        opened.save(again, model=tiny)
        opened.save(jpeg, exif=opened.info["exif"])
        opened.save(tmp_path / "c.intact", model=tiny, exif=b"", icc_profile=b"", xmp=b"")
    for other in (again, jpeg):
        with Image.open(other) as image:
            assert image.getexif()[0x010E] == "description"
    with Image.open(tmp_path / "c.intact") as image:
        assert image.info == {}


def test_what_is_no_file_of_ours_is_unidentified(tmp_path, path):
    for data in (b"", b"no image at all, but long enough", path.read_bytes()[:20]):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))
    newer = bytearray(path.read_bytes())
    newer[8] = 0x20
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(bytes(newer)))


def test_damage_shows_when_pixels_are_needed(path, tmp_path):
    data = path.read_bytes()
    flipped = data[:50] + bytes([data[50] ^ 1]) + data[51:]
    for damaged in (data[:-10], flipped):
        image = Image.open(io.BytesIO(damaged))
        assert image.size == (60, 40)
        with pytest.raises(OSError, match="INTACT"):
            image.load()
        with pytest.raises(OSError, match="INTACT"):
            image.load()


def test_a_missing_model_is_an_oserror(path, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "search_path", lambda: [tmp_path / "none"])
    with Image.open(path) as image, pytest.raises(OSError, match="not installed"):
        image.load()


def test_modes_that_cannot_be_written_are_oserrors(tiny, tmp_path):
    out = tmp_path / "a.intact"
    with pytest.raises(OSError, match="cannot write mode CMYK"):
        Image.new("CMYK", (4, 4)).save(out, model=tiny)
    assert not out.exists()


def test_the_bomb_check_applies(path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_registering_twice_does_no_harm(path):
    intact.pillow.register()
    with Image.open(path) as image:
        assert image.format == "INTACT"


def test_gray_that_is_stored_as_rgb_stays_gray_and_rgb(tiny, tmp_path):
    gray = Image.fromarray(picture(40, 60, 1)[:, :, 0]).convert("RGB")
    gray.save(tmp_path / "gray.intact", model=tiny)
    with Image.open(tmp_path / "gray.intact") as image:
        assert image.mode == "RGB"
        red, green, blue = (np.asarray(band) for band in image.split())
    np.testing.assert_array_equal(green, red)
    np.testing.assert_array_equal(blue, red)
