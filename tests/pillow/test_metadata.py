"""What the plugin writes of an image's metadata, and when: Pillow's conventions."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

import intact.pillow
from foreign_files import MAKER, camera_exif, png_with, saved, srgb_profile
from intact import decode, encode
from intact.codec import exif as ex, store
from intact.container.image_file import unpack_image
from tiny_model import picture, tiny_model

ICC = srgb_profile()
XMP = b"<x:xmpmeta/>"
GPS, INNER = 34853, 34665


@pytest.fixture(autouse=True)
def installed(monkeypatch, tiny_path):
    monkeypatch.setattr(store, "search_path", lambda: [tiny_path.parent])


@pytest.fixture
def photo():
    """An opened JPEG of a camera."""
    data = saved("JPEG", exif=b"Exif\0\0" + camera_exif(), icc_profile=ICC, xmp=XMP)
    return Image.open(io.BytesIO(data))


def written(image, **options):
    """Metadata of the file that the plugin writes, by the name of the chunk."""
    stream = io.BytesIO()
    image.save(stream, "INTACT", model="tiny", **options)
    return {chunk.type: chunk.data for chunk in unpack_image(stream.getvalue()).chunks}


def by_api(image):
    return {c.type: c.data for c in unpack_image(encode(image, model="tiny")).chunks}


BOTH = pytest.mark.parametrize("write", [written, by_api])


@BOTH
def test_what_was_opened_keeps_its_metadata_byte_for_byte(photo, write):
    assert write(photo) == {"exif": camera_exif(), "iccp": ICC, "xmpd": XMP}
    photo.getexif().get_ifd(GPS)  # reading is no edit, not even where there is 0/0
    assert write(photo)["exif"] == camera_exif()


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.transpose(Image.Transpose.ROTATE_270),
        lambda image: image.rotate(90, expand=True),
        lambda image: image.crop((0, 0, 10, 10)),
        lambda image: image.resize((10, 10)),
        lambda image: image.convert("L"),
        lambda image: image.copy(),
        ImageOps.exif_transpose,
    ],
)
def test_what_was_derived_keeps_its_colors_and_nothing_else(photo, write, change):
    """An orientation does not outlive the pixels that it was about, nor a place the edit."""
    assert write(change(photo)) == {"iccp": ICC}


@BOTH
def test_turning_in_place_leaves_no_orientation(photo, write):
    ImageOps.exif_transpose(photo, in_place=True)
    found = write(photo)
    assert ex.orientation(found["exif"]) == 0
    assert photo.size == (24, 40)


@BOTH
def test_what_is_deleted_from_exif_is_gone(photo, write):
    del photo.getexif()[GPS]
    found = write(photo)["exif"]
    parsed = Image.Exif()
    parsed.load(found)
    assert parsed.get_ifd(GPS) == {}
    assert b"\0\0\0\x34" not in found  # 52 degrees
    assert (parsed[272], parsed.get_ifd(INNER)[37500]) == ("Model 70", MAKER)
    assert write(photo.copy()) == {"iccp": ICC}


@BOTH
def test_a_value_deleted_inside_a_directory_is_gone_and_a_changed_one_is_written(photo, write):
    del photo.getexif().get_ifd(GPS)[2]
    photo.getexif()[315] = "Somebody"
    parsed = Image.Exif()
    parsed.load(write(photo)["exif"])
    assert set(parsed.get_ifd(GPS)) == {0, 1, 3, 4}
    assert parsed[315] == "Somebody"


@BOTH
def test_what_is_taken_out_of_info_is_gone(photo, write):
    for key in ("exif", "xmp", "icc_profile"):
        photo.info.pop(key)
    assert write(photo) == {}


@BOTH
def test_edits_of_a_tiff_count_too(write):
    from intact.cli.tiff import write_tiff

    data = write_tiff(picture(8, 12), exif=camera_exif(orientation=1)).data
    with Image.open(io.BytesIO(data)) as image:
        del image.getexif()[GPS]
        parsed = Image.Exif()
        parsed.load(write(image)["exif"])
    assert parsed.get_ifd(GPS) == {}
    assert parsed[272] == "Model 70"
    assert 273 not in parsed


@pytest.mark.parametrize("nothing", [None, b"", ""])
def test_none_and_nothing_drop(photo, nothing):
    drop = dict.fromkeys(("exif", "icc_profile", "xmp"), nothing)
    assert written(photo, **drop) == {}
    assert set(written(photo, icc_profile=nothing)) == {"exif", "xmpd"}


def test_what_is_given_is_written_also_of_derived_images(photo):
    upright = ImageOps.exif_transpose(photo)
    edited = upright.getexif()
    edited[315] = "Somebody"
    found = written(upright, exif=edited, xmp="<y/>", icc_profile=b"other")
    parsed = Image.Exif()
    parsed.load(found["exif"])
    assert (parsed[315], ex.orientation(found["exif"])) == ("Somebody", 0)
    assert (found["xmpd"], found["iccp"]) == (b"<y/>", b"other")


def test_the_conventions_are_those_of_png(photo):
    """Colors are inherited, None drops, EXIF of a derived image is not written by itself."""
    for image in (photo.transpose(Image.Transpose.ROTATE_270), photo.convert("L")):
        for options in ({}, {"icc_profile": None}, {"exif": camera_exif()}):
            stream = io.BytesIO()
            image.save(stream, "PNG", **options)
            with Image.open(stream) as png:
                theirs = {"exif" in png.info, bool(png.info.get("icc_profile"))}
                ours = written(image, **options)
                assert theirs == {"exif" in ours, "iccp" in ours}


def test_code_points_travel(tiny, tmp_path):
    pq = bytes([9, 16, 0, 1])
    with Image.open(io.BytesIO(png_with((b"cICP", pq)))) as image:
        data = encode(image, model=tiny)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["cicp"] == pq
        assert written(image) == {"cicp": pq}
        assert written(image, cicp=None) == {}
        # Whoever says what the colors mean says all of it.
        assert written(image, icc_profile=ICC) == {"iccp": ICC}
    assert decode(encode(image_of(data), model=tiny), model=tiny).cicp == pq


def image_of(data):
    return Image.open(io.BytesIO(data))


def test_an_unknown_option_is_refused_by_name(photo):
    with pytest.raises(TypeError, match="no option qualty, optimize; it has quality, target"):
        written(photo, qualty=90, optimize=True)
    written(photo, quality=90, exif=b"", icc_profile=None, xmp=None, cicp=None)


# ---------------------------------------------------------------- verify


@pytest.fixture
def data(photo):
    stream = io.BytesIO()
    photo.save(stream, "INTACT", model="tiny")
    return stream.getvalue()


def test_verify_passes_a_sound_file_and_decodes_nothing(data, monkeypatch):
    monkeypatch.setattr("intact.codec.image.decode", None)
    image = Image.open(io.BytesIO(data))
    image.verify()
    with pytest.raises(OSError, match="directly after opening"):
        image.verify()


def test_an_image_must_be_opened_again_after_verify(data):
    image = Image.open(io.BytesIO(data))
    image.verify()
    with pytest.raises(OSError, match="cannot load"):
        image.load()


def test_verify_finds_every_damaged_byte(data):
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            image = Image.open(io.BytesIO(damaged))
        except Image.UnidentifiedImageError:
            assert at < 42  # the header
            continue
        except Image.DecompressionBombError:
            continue
        with warnings.catch_warnings(), pytest.raises(OSError, match="INTACT"):
            image.verify()


def test_verify_finds_a_file_that_was_cut(data, tmp_path):
    path = tmp_path / "cut.intact"
    path.write_bytes(data[:-1])
    image = Image.open(path)
    with pytest.raises(OSError, match="INTACT"):
        image.verify()
    path.unlink()  # it is closed


def test_exif_that_pillow_cannot_write_is_an_error_of_saving():
    """A damaged file's rational that was read as bytes, as the fuzzer found one."""
    exif = Image.Exif()
    exif[0x011A] = b"no number"  # XResolution
    exif.get_ifd(0x8769)[0x829A] = b"no number"  # ExposureTime
    with pytest.raises(OSError, match="exif: Pillow cannot write"):
        Image.new("RGB", (8, 8)).save(io.BytesIO(), intact.pillow.FORMAT, exif=exif)


def test_registering_is_what_importing_did():
    assert Image.OPEN[intact.pillow.FORMAT][0] is intact.pillow.IntactImageFile


# ---------------------------------------------------------------- files from strangers


def test_the_plugin_takes_no_model_from_a_file_where_that_is_off():
    stranger = tiny_model(seed=3)
    data = encode(picture(20, 30), model=stranger, embed_model=True)
    assert image_of(data).getpixel((0, 0))
    try:
        intact.pillow.register(embedded_models=False)
        with pytest.raises(OSError, match="embedded models are off"):
            image_of(data).load()
    finally:
        intact.pillow.register()
    assert image_of(data).getpixel((0, 0))
    with pytest.raises(TypeError, match="embedded_models is 3, must be True or False"):
        intact.pillow.register(embedded_models=3)  # type: ignore[arg-type]


def test_pillows_limit_on_pixels_counts_whole_squares(data, monkeypatch):
    wide = encode(np.zeros((1, 20_000, 3), np.uint8), model=tiny_model())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    with pytest.raises(OSError, match="counts as 320000, in whole squares"):
        image_of(wide).load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    image_of(data).load()
