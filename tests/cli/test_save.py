"""Decoded images in formats of others: pixels and metadata as they were, losses said."""

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, features

from foreign_files import MAKER, camera_exif, srgb_profile
from intact import UnsupportedError
from intact.cli import save
from intact.cli.save import METADATA, pack, turned
from intact.cli.tiff import STRIP_BYTES, write_tiff
from intact.codec import exif as ex
from intact.codec.image import Decoded
from intact.codec.png import read_chunks
from intact.images import read_image
from tiny_model import picture

PQ = bytes([9, 16, 0, 1])
XMP = b'<?xpacket begin="\xef\xbb\xbf"?><x:xmpmeta/>'


def decoded(height=24, width=40, channels=3, **metadata):
    pixels = picture(height, width, channels)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Decoded(pixels[:, :, 0] if channels == 1 else pixels, mode, **metadata)


def tags_of(data):
    """IFD0, Exif, GPS and interoperability directories, by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.getexif()
        parts = [dict(found), *(found.get_ifd(tag) for tag in (34665, 34853, 40965))]
    return [{k: repr(v) for k, v in part.items()} for part in parts]


# ---------------------------------------------------------------- EXIF of cameras


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_directory_of_a_cameras_exif_arrives(kind, order):
    icc = srgb_profile()
    packed = pack(decoded(exif=camera_exif(order), icc_profile=icc, xmp=XMP), kind)
    assert packed.notes == []
    first, inner, gps, interoperability = tags_of(packed.data)
    wanted = tags_of(b"\xff\xd8\xff\xe1" + (len(camera_exif(order)) + 8).to_bytes(2, "big")
                     + b"Exif\0\0" + camera_exif(order) + save_jpeg()[2:])  # fmt: skip
    assert (inner, gps, interoperability) == tuple(wanted[1:])
    for tag in (271, 272, 274, 282, 283, 296, 306, 33432):
        assert first[tag] == wanted[0][tag]
    with Image.open(io.BytesIO(packed.data)) as image:
        assert image.info["icc_profile"] == icc
        image.load()
        assert image.info["xmp"] == XMP


def save_jpeg():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_makers_note_stays_where_its_offsets_say(order):
    """Makers' notes hold offsets from the start of the EXIF. In a TIFF that is the file's."""
    source = camera_exif(order)
    tiff = write_tiff(picture(8, 8), exif=source).data
    assert tiff.find(MAKER) == source.find(MAKER)


@pytest.mark.parametrize(
    "entry",
    [
        (262, 3, 1, 6), (262, 3, 1, 0), (257, 4, 1, 3000), (256, 4, 1, 4000), (284, 3, 1, 2),
        (339, 3, 1, 3), (338, 3, 1, 2), (317, 3, 1, 3), (258, 3, 1, 1), (259, 3, 1, 7),
        (266, 3, 1, 2), (277, 3, 1, 1), (273, 4, 1, 0), (278, 4, 1, 1), (279, 4, 1, 1),
        (320, 3, 1, 1), (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, 1, 0), (325, 4, 1, 1),
        (330, 4, 1, 8), (347, 7, 4, 0), (512, 3, 1, 1), (513, 4, 1, 8), (514, 4, 1, 8),
        (529, 5, 1, 0), (530, 3, 1, 2), (532, 5, 1, 0), (254, 4, 1, 1), (255, 3, 1, 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_no_tag_of_the_exif_says_how_the_tiffs_pixels_are_stored(entry, channels):
    tag, kind, count, value = entry
    exif = camera_exif(orientation=1, more=[(tag, kind, count, struct.pack("<I", value))])
    image = decoded(channels=channels, exif=exif)
    packed = pack(image, "TIFF")
    assert packed.notes == []
    with Image.open(io.BytesIO(packed.data)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), image.pixels)
        assert opened.getexif()[271] == "Camera"


def test_a_private_tag_is_left_out_and_named():
    packed = pack(decoded(exif=camera_exif(more=[(50706, 1, 4, bytes([1, 4, 0, 0]))])), "TIFF")
    assert packed.notes == ["tags that do not go from EXIF's first directory into a TIFF: 50706"]
    with Image.open(io.BytesIO(packed.data)) as image:
        assert 50706 not in image.getexif()  # DNGVersion: it would be another format


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_turns_the_tiff_that_is_read_and_not_the_one_that_is_written(orientation):
    image = decoded(exif=camera_exif(orientation=orientation))
    with Image.open(io.BytesIO(pack(image, "TIFF").data)) as opened:
        assert opened.getexif()[274] == orientation
        np.testing.assert_array_equal(np.asarray(opened), turned(image.pixels, orientation))
    with Image.open(io.BytesIO(pack(image, "PNG").data)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), image.pixels)


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_that_there_is_not_is_left_out_and_said(orientation):
    packed = pack(decoded(exif=camera_exif(orientation=orientation)), "TIFF")
    assert packed.notes == ["tags that do not go from EXIF's first directory into a TIFF: 274"]
    assert 274 not in tags_of(packed.data)[0]


@pytest.mark.parametrize("exif", [b"this is no TIFF structure", b"II*", b"MM", b"\0" * 40])
def test_exif_that_is_no_structure_is_left_out_of_a_tiff_and_said(exif):
    packed = pack(decoded(exif=exif), "TIFF")
    assert packed.notes == ["TIFF holds no EXIF (damaged): left out"]
    assert read_image(packed.data).color.shape == (24, 40, 3)


@pytest.mark.parametrize("at", range(0, 640, 3))
def test_any_damage_of_the_exif_leaves_the_picture_right(at):
    exif = bytearray(camera_exif(orientation=1))
    exif[at] ^= 0xFF
    image = decoded(8, 8, exif=bytes(exif))
    packed = pack(image, "TIFF")
    found = read_image(packed.data).color
    # A TIFF is a structure as EXIF is: its orientation is in its first directory, too.
    np.testing.assert_array_equal(found, turned(image.pixels, ex.orientation(packed.data)))


def test_entries_that_claim_more_than_there_is_take_no_memory():
    huge = [(270, 2, 0xFFFFFFF0, b"\x08\0\0\0"), (315, 12, 0x20000001, b"\x08\0\0\0")]
    packed = pack(decoded(exif=camera_exif(more=huge)), "TIFF")
    assert packed.notes == ["tags that do not go from EXIF's first directory into a TIFF: 270, 315"]


def test_exif_that_the_reader_trips_over_is_left_out_and_said(monkeypatch):
    tried = []

    def read(data):
        tried.append(b"Camera" in data)
        if tried[-1]:
            raise UnsupportedError("tripped")
        return read_image(data)

    monkeypatch.setattr("intact.images.read_image", read)
    packed = pack(decoded(exif=camera_exif()), "PNG")
    assert tried == [True, False]
    assert packed.notes[0].startswith("the EXIF is left out: with it PNG cannot be written")


def test_a_file_that_reads_as_another_picture_is_not_kept(monkeypatch):
    image = decoded()
    wrong = read_image(pack(decoded(8, 8), "PNG").data)
    monkeypatch.setattr("intact.images.read_image", lambda _: wrong)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        with pytest.raises(UnsupportedError, match="reads as another picture"):
            pack(image, kind)


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (33, 20), (700, 500)])
def test_a_tiff_holds_the_pixels(size, channels):
    """The last size has several strips."""
    image = decoded(*size, channels=channels)
    with Image.open(io.BytesIO(pack(image, "TIFF").data)) as opened:
        np.testing.assert_array_equal(np.asarray(opened), image.pixels)
        strips = opened.tag_v2[273]  # pyright: ignore[reportAttributeAccessIssue]
    assert (len(strips) > 1) == (size[0] * size[1] * channels > STRIP_BYTES)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_opaque_and_gray_images_survive_webp(channels):
    image = decoded(channels=channels)
    if channels in (2, 4):
        image.pixels[:, :, -1] = 255
    assert pack(image, "WEBP").notes == []


# ---------------------------------------------------------------- what a format cannot hold


@pytest.mark.parametrize("kind", ["BMP", "PPM", "NPY"])
def test_formats_without_metadata_say_what_is_lost(kind):
    packed = pack(decoded(exif=camera_exif(), icc_profile=b"p", xmp=b"x", cicp=PQ), kind)
    (note,) = packed.notes
    assert note == (
        f"{kind} holds no EXIF, which says that the picture is turned (orientation 6); "
        "no color profile; no XMP; no code points of colors, BT.2020 PQ (9-16-0-1): left out"
    )
    assert pack(decoded(), kind).notes == []


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_code_points_are_for_png_alone(kind):
    (note,) = pack(decoded(cicp=PQ), kind).notes
    assert "BT.2020 PQ (9-16-0-1)" in note


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_code_points_come_back_from_a_png(channels):
    image = decoded(channels=channels, cicp=PQ, icc_profile=srgb_profile())
    packed = pack(image, "PNG")
    assert packed.notes == []
    assert read_chunks(io.BytesIO(packed.data)).data[b"cICP"] == PQ
    assert packed.data.find(b"cICP") < packed.data.find(b"iCCP") < packed.data.find(b"IDAT")
    assert read_image(packed.data).metadata["cicp"] == PQ


def test_what_is_too_long_for_jpeg_is_left_out_and_said():
    long = camera_exif() + bytes(65536)
    packed = pack(decoded(exif=long, xmp=bytes(65536)), "JPEG")
    assert packed.notes == [
        "JPEG holds no EXIF (too long), which says that the picture is turned (orientation 6); "
        "no XMP (too long): left out"
    ]
    with Image.open(io.BytesIO(packed.data)) as image:
        assert "exif" not in image.info
    most = save.JPEG_SEGMENT - 6
    exif = camera_exif().ljust(most, b"\0")
    xmp = bytes(save.JPEG_SEGMENT - save.XMP_OVERHEAD)
    assert pack(decoded(exif=exif, xmp=xmp), "JPEG").notes == []


def test_xmp_keeps_its_bytes_whatever_they_are():
    for kind in METADATA:
        for xmp in (XMP, b"\xff\xfe no UTF-8 \xe4"):
            with Image.open(io.BytesIO(pack(decoded(xmp=xmp), kind).data)) as image:
                image.load()
                assert image.info["xmp"] == xmp


def test_a_picture_too_wide_for_a_format_is_refused():
    if not features.check("webp"):
        pytest.skip("Pillow without WebP")
    with pytest.raises(UnsupportedError, match="cannot be written as WEBP"):
        pack(Decoded(np.zeros((1, 20_000, 3), np.uint8), "RGB"), "WEBP")


# ---------------------------------------------------------------- the command


def test_decode_says_what_a_format_cannot_hold(intact, file, tiny_path, tmp_path):
    done = intact("decode", file, "--model", tiny_path, "-o", tmp_path / "a.bmp")
    assert done.code == 0
    assert f"{file}: BMP holds no EXIF, which says that the picture is turned" in done.err
    assert "no color profile; no XMP" in done.err
    done = intact("decode", file, "--model", tiny_path, "-o", tmp_path / "b.bmp", "--quiet")
    assert "BMP" not in done.err


def test_a_region_keeps_its_metadata(intact, file, tiny_path, tmp_path):
    out = tmp_path / "cut.jpg"
    options = ("--model", tiny_path, "--region", "10,5,20,8", "-o", out)
    assert intact("decode", file, *options).code == 0
    with Image.open(out) as image:
        assert image.size == (20, 8)
        assert (image.getexif()[274], image.info["icc_profile"]) == (6, b"profile")


def test_encode_says_what_it_does_not_keep(intact, tiny_path, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(8, 8)).save(path, comment=b"hello")
    done = intact("encode", path, "--model", tiny_path)
    assert f"{path}: not kept: comment" in done.err
    done = intact("encode", path, "--model", tiny_path, "--strip-metadata", "--force")
    assert "not kept" not in done.err


def test_a_cameras_photo_goes_in_and_out(intact, tiny_path, tmp_path):
    """The most frequent case of all."""
    photo, coded = tmp_path / "a.jpg", tmp_path / "a.intact"
    Image.fromarray(picture(24, 40)).save(photo, exif=b"Exif\0\0" + camera_exif())
    assert intact("encode", photo, "--model", tiny_path).code == 0
    wanted = tags_of(photo.read_bytes())
    for suffix in ("png", "jpg", "webp", "tif"):
        out = tmp_path / f"back.{suffix}"
        done = intact("decode", coded, "--model", tiny_path, "-o", out)
        assert done.code == 0
        assert "left out" not in done.err
        assert tags_of(out.read_bytes())[1:] == wanted[1:]


def test_a_folder_of_postscript_and_stubs_is_unsupported(intact, tiny_path, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(picture(8, 8)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(pictures / "holiday.png")
    (pictures / "field.tif").write_bytes(b"GRIB\0\0\0\1" + bytes(100))
    done = intact("encode", pictures, "--model", tiny_path, "-o", tmp_path / "out")
    assert done.code == 3
    assert done.err.count("not an image in one of the formats that are read") == 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_ppm_is_what_pillow_writes(mode):
    whole = decoded()
    pixels = whole.pixels if mode == "RGB" else whole.pixels[:, :, 0].copy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PPM")
    assert pack(replace(whole, pixels=pixels, mode=mode), "PPM").data == stream.getvalue()
