"""Files of other formats: which are taken, what their errors say, what they say of colors."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from foreign_files import (
    adobe_rgb_exif,
    avif_with,
    bmp_with,
    box,
    camera_exif,
    chromaticities,
    chunk,
    gif_with,
    gray_png,
    jp2_with,
    long,
    png_with,
    qoi,
    retagged,
    saved,
    short,
    srgb_profile,
)
from intact import CorruptDataError, UnsupportedError
from intact.codec import exif, foreign
from intact.codec.image import Encoder, decode, encode
from intact.codec.pixels import stripped
from intact.images import identify, open_listed, read_image
from tiny_model import picture

GAMMA_1 = (b"gAMA", (100000).to_bytes(4, "big"))
PQ = bytes([9, 16, 0, 1])
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ENUMERATED_SRGB = b"\1\0\0\0\0\0\x10"
UUID_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
needs_jp2 = pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow without JPEG 2000")


def colors_of(profile) -> list[tuple[int, ...]]:
    """Where a profile puts samples: sRGB of a few of its colors, by lcms."""
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    gray = profile[16:20] == b"GRAY"
    image = Image.new("L" if gray else "RGB", (3, 1))
    for x, value in enumerate([128, 55, 230] if gray else [(128,) * 3, (55,) * 3, (10, 200, 30)]):
        image.putpixel((x, 0), value)
    shown = ImageCms.profileToProfile(
        image,
        opened,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    assert shown is not None
    return [tuple(int(v) for v in np.asarray(shown)[0, x]) for x in range(3)]


# ---------------------------------------------------------------- a closed list


def test_postscript_starts_no_other_program(tmp_path, monkeypatch):
    """Named .png or not: the content decides, and Ghostscript must not see it."""
    started = tmp_path / "started"
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    data = saved("EPS")
    with pytest.raises(UnsupportedError, match="formats that are read"):
        read_image(data)
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    with pytest.raises(UnsupportedError, match="formats that are read"):
        open_listed(path)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(UnsupportedError, match="EPS"):
        encode(image)  # not loaded yet: that would start it
    assert not started.exists()


def test_what_somebody_has_loaded_is_pixels_whatever_it_was(tiny):
    with Image.open(io.BytesIO(saved("PCX"))) as image:
        with pytest.raises(UnsupportedError, match="PCX is not among"):
            encode(image, model=tiny)
        image.load()
        assert encode(image, model=tiny)


def test_a_plugin_that_the_caller_registered_is_the_callers_choice(tiny, tmp_path, monkeypatch):
    import intact.pillow as plugin
    from intact.codec import store

    monkeypatch.setattr(store, "find_model", lambda *_: tiny)
    monkeypatch.setattr("intact.codec.image.find_model", lambda *_: tiny)
    Image.fromarray(picture(9, 9)).save(tmp_path / "a.intact", model=tiny)
    with Image.open(tmp_path / "a.intact") as image:
        assert isinstance(image, plugin.IntactImageFile)
        assert encode(image, model=tiny)


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "SGI", "WEBP", "JPEG2000", "AVIF"]
)
def test_every_format_of_the_list_is_known_by_its_first_bytes(kind):
    if kind in ("WEBP", "JPEG2000", "AVIF") and not features.check(
        {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}[kind]
    ):
        pytest.skip(f"Pillow without {kind}")
    data = saved(kind)
    assert identify(data[:64]) == kind
    assert read_image(data).color.shape == (24, 40, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89HDF\r\n\x1a\n" + bytes(100),
        b"GRIB\0\0\0\1" + bytes(100),
        b"\xd7\xcd\xc6\x9a" + bytes(100),
        b"\0\0\1\xba" + bytes(100),
        b"%PDF-1.7\n" + bytes(100),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        b"Pages of text, which are no portable pixmap",
        b"P1 is followed by white space; P12 is not"[25:],
        b"",
        b"x",
    ],
)
def test_other_content_is_unsupported_and_not_damaged(data):
    with pytest.raises(UnsupportedError, match="not an image in one of the formats"):
        read_image(data)


def test_a_pillow_without_a_format_says_so(monkeypatch):
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(UnsupportedError, match="built without WEBP"):
        read_image(b"RIFF\x24\0\0\0WEBPVP8 " + bytes(20))


# ---------------------------------------------------------------- damaged, or not supported


@pytest.mark.parametrize(
    "error",
    [IndexError("x"), RuntimeError("x"), TypeError(), struct.error("x"), AttributeError("x"),
     KeyError("x"), AssertionError(), ZeroDivisionError("x"), SyntaxError("x"), OSError("x"),
     zlib.error("x"), RecursionError("x"), UnicodeDecodeError("ascii", b"x", 0, 1, "x")],
)  # fmt: skip
@pytest.mark.parametrize("where", ["_open", "load"])
def test_whatever_a_plugin_raises_is_damage(monkeypatch, error, where):
    from PIL import PngImagePlugin

    def fail(*_):
        raise error

    data = saved("PNG")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, where, fail)
    with pytest.raises(CorruptDataError, match=r"the image is damaged: \S"):
        read_image(data)


def test_no_memory_is_no_damage(monkeypatch):
    from PIL import PngImagePlugin

    def fail(*_):
        raise MemoryError

    data = saved("PNG")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(MemoryError):
        read_image(data)


def test_a_bug_of_ours_is_not_mistaken_for_damage(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(foreign, "look", broken)
    with pytest.raises(ZeroDivisionError):
        read_image(saved("PNG"))


def test_every_cut_of_an_animation_is_read_or_damaged():
    frames = [Image.fromarray(picture(24, 40, seed=seed)) for seed in (1, 2)]
    data = saved("GIF", frames[0], save_all=True, append_images=frames[1:])
    codes = set()
    for length in range(len(data) - 1, 8, -7):
        try:
            codes.add(read_image(data[:length]).color.shape)
        except (CorruptDataError, UnsupportedError) as error:
            codes.add(type(error))
    assert codes == {CorruptDataError, (24, 40, 3)}


def test_a_wrong_checksum_in_front_of_the_pixels_is_damage():
    data = bytearray(saved("PNG"))
    data[30] ^= 255
    with pytest.raises(CorruptDataError, match="checksum in b'IHDR'"):
        read_image(bytes(data))


def test_a_missing_tag_is_damage():
    data = bytearray(saved("TIFF"))
    data[8] = 0
    with pytest.raises(CorruptDataError, match="damaged"):
        read_image(bytes(data))


@pytest.mark.parametrize(
    ("number", "name"), [(34887, "LERC"), (50001, "WebP"), (50002, "JPEG XL"), (60001, "unknown")]
)
def test_a_compression_that_libtiff_lacks_is_unsupported(number, name):
    data = saved("TIFF", compression="tiff_lzw")
    entry = data.find(struct.pack("<HHI", 259, 3, 1))
    with pytest.raises(UnsupportedError, match=rf"compression {number} \({name}\)"):
        read_image(data[: entry + 8] + struct.pack("<H", number) + data[entry + 10 :])


def test_a_pixel_mode_that_pillow_has_not_is_unsupported():
    data = retagged(saved("TIFF"), 262, 3, short("<", 32845))  # LogLuv
    with pytest.raises(UnsupportedError, match="unknown pixel mode"):
        read_image(data)


def test_texts_and_profiles_beyond_pillows_limit_are_read():
    profile = bytearray(np.random.default_rng(1).integers(0, 256, 1_500_000, np.uint8).tobytes())
    profile[16:20] = b"RGB "
    text = b"Comment\0\0" + zlib.compress(b"workflow " * 150_000)
    data = png_with((b"zTXt", text), (b"iCCP", b"x\0\0" + zlib.compress(bytes(profile))))
    source = read_image(data)
    assert source.metadata["icc_profile"] == profile
    assert source.left_out == ("text 'Comment'",)


def test_a_text_that_explodes_is_too_large_and_not_damaged():
    bomb = b"Comment\0\0" + zlib.compress(bytes((1 << 26) + 1), 9)
    with pytest.raises(UnsupportedError, match="too large"):
        read_image(png_with((b"zTXt", bomb)))


@needs_jp2
@pytest.mark.parametrize("bits", [1, 4])
def test_jpeg_2000_of_few_bits_is_refused_as_pillow_would_make_it_darker(bits):
    data = bytearray(saved("JPEG2000"))
    data[data.find(b"ihdr") + 14] = bits - 1
    with pytest.raises(UnsupportedError, match=f"samples of {bits} bits"):
        read_image(bytes(data))


def test_signed_samples_are_refused():
    gray = saved("TIFF", Image.fromarray(picture(8, 8)[:, :, 0]))
    with pytest.raises(UnsupportedError, match="signed"):
        read_image(retagged(gray, 339, 3, short("<", 2)))


# ---------------------------------------------------------------- transparency


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_value_of_a_gray_png_is_in_units_of_its_depth(bits):
    top = (1 << bits) - 1
    samples = [[x % (top + 1) for x in range(16)]] * 3
    for value in {0, 1, top}:
        source = read_image(gray_png(bits, samples, value))
        assert source.alpha is not None
        np.testing.assert_array_equal(source.alpha, np.where(np.array(samples) == value, 0, 255))
        assert "with a transparent color to LA" in source.note or "1 to LA" in source.note


def test_bits_beyond_the_depth_of_a_transparent_color_do_not_count():
    image = Image.new("RGB", (4, 2), (10, 20, 30))
    image.putpixel((0, 0), (10, 20, 31))
    source = read_image(png_with((b"tRNS", struct.pack(">3H", 0x10A, 0x214, 0xFF1E)), image=image))
    assert source.alpha is not None
    np.testing.assert_array_equal(source.alpha, [[255, 0, 0, 0], [0, 0, 0, 0]])


def test_a_transparent_color_of_an_opened_image_is_right_in_the_api(tiny):
    data = gray_png(2, [[0, 1, 2, 3] * 2] * 4, 3)
    with Image.open(io.BytesIO(data)) as image:
        decoded = decode(encode(image, model=tiny), model=tiny)
    np.testing.assert_array_equal(decoded.pixels[..., 1], np.tile([255, 255, 255, 0], (4, 2)))


def test_channels_that_are_no_alpha_are_said():
    image = Image.fromarray(picture(8, 8, 4))
    data = retagged(saved("TIFF", image), 338, 3, short("<", 0))
    source = read_image(data)
    assert source.alpha is None
    assert "1 more channels" in source.note or "RGBX" in source.note


# ---------------------------------------------------------------- colors


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (png_with(GAMMA_1), [(188,) * 3, (128,) * 3]),
        (png_with((b"gAMA", (55556).to_bytes(4, "big"))), [(147,) * 3, (72,) * 3]),
        (qoi(1), [(188,) * 3, (128,) * 3]),
    ],
)
def test_a_gamma_becomes_a_profile_that_means_the_same(data, wanted):
    source = read_image(data)
    shown = colors_of(source.metadata["icc_profile"])[:2]
    assert np.abs(np.subtract(shown, wanted)).max() <= 1
    assert "kept as an ICC profile" in source.note
    assert source.lost == ()


def test_the_gamma_of_a_gray_image_becomes_a_profile_of_gray():
    source = read_image(png_with(GAMMA_1, image=Image.fromarray(picture(8, 8)[:, :, 0])))
    assert source.metadata["icc_profile"][16:20] == b"GRAY"
    assert colors_of(source.metadata["icc_profile"])[:2] == [(188,) * 3, (128,) * 3]


def test_wide_primaries_become_a_profile_that_means_the_same():
    """Green (10, 200, 30) of Display P3 lies outside of sRGB in red; grays are the same."""
    for data in (
        png_with((b"cHRM", chromaticities(*P3))),
        png_with((b"cICP", bytes([12, 13, 0, 1]))),
    ):
        gray, dark, green = colors_of(read_image(data).metadata["icc_profile"])
        assert (gray, dark) == ((128,) * 3, (55,) * 3)
        assert green[0] == 0
        assert green[1] > 200


@needs_avif
def test_colors_of_an_avif_without_a_profile():
    display_p3 = read_image(avif_with(12, 13))
    assert colors_of(display_p3.metadata["icc_profile"])[0] == (128,) * 3
    assert "Display P3" in display_p3.note
    for primaries, transfer in ((1, 13), (2, 2), (1, 2)):
        assert read_image(avif_with(primaries, transfer)).metadata == {}
    source = read_image(avif_with(9, 16))
    assert source.metadata == {"cicp": PQ}
    assert "BT.2020 PQ (9-16-0-1), are kept" in source.note


def test_code_points_that_no_profile_can_say_are_kept_and_go_before_gamma():
    source = read_image(png_with((b"cICP", PQ), GAMMA_1))
    assert source.metadata == {"cicp": PQ}
    source = read_image(png_with((b"cICP", bytes([1, 13, 0, 1])), GAMMA_1))
    assert (source.metadata, source.note) == ({}, "")


def test_code_points_beside_a_profile_are_both_kept():
    icc = srgb_profile()
    source = read_image(png_with((b"cICP", PQ), (b"iCCP", b"x\0\0" + zlib.compress(icc))))
    assert source.metadata == {"cicp": PQ, "icc_profile": icc}


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"sRGB", b"\0"), GAMMA_1],
        [(b"gAMA", (45455).to_bytes(4, "big"))],
        [
            (b"gAMA", (45455).to_bytes(4, "big")),
            (b"cHRM", chromaticities(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)),
        ],
        [(b"gAMA", bytes(4))],
    ],
)
def test_srgb_said_in_another_way_needs_no_profile(chunks):
    source = read_image(png_with(*chunks))
    assert (source.metadata, source.note) == ({}, "")


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([(b"cHRM", bytes(32))], "no brightness"),
        ([(b"cHRM", chromaticities(0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3))], "on one line"),
        ([(b"gAMA", b"\0\0\0\1")], "beyond what a profile can hold"),
        ([(b"iCCP", b"x\0\0garbage")], "profile is damaged"),
        ([(b"cICP", bytes([9, 16, 9, 1]))], "breaks the rules"),
        ([(b"cICP", PQ[:3])], "breaks the rules"),
        ([(b"cICP", PQ), (b"mDCV", bytes(24)), (b"cLLI", bytes(8))], "mDCV, cLLI"),
    ],
)
def test_colors_that_cannot_be_kept_are_said(chunks, message):
    source = read_image(png_with(*chunks))
    assert any(message in text for text in source.lost)
    assert message in source.note


def test_the_api_warns_of_colors_that_cannot_be_kept(tiny, caplog):
    with Image.open(io.BytesIO(png_with((b"iCCP", b"x\0\0garbage")))) as image:
        encode(image, model=tiny)
    assert "its color profile is damaged and left out" in caplog.text


@needs_jp2
def test_a_profile_in_a_box_of_jpeg_2000_is_kept():
    icc = srgb_profile()
    assert read_image(jp2_with(b"\2\0\0" + icc)).metadata == {"icc_profile": icc}


@needs_jp2
def test_metadata_in_boxes_of_jpeg_2000_is_kept():
    boxes = box(b"uuid", b"JpgTiffExif->JP2" + camera_exif()) + box(b"uuid", UUID_XMP + b"<x/>")
    source = read_image(jp2_with(ENUMERATED_SRGB, behind=boxes))
    assert source.metadata == {"exif": camera_exif(), "xmp": b"<x/>"}


@needs_jp2
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: jp2_with(b"\1\0\0" + (14).to_bytes(4, "big")), "CIELab"),
        (lambda: jp2_with(b"\1\0\0" + (21).to_bytes(4, "big")), "ROMM-RGB"),
        (lambda: jp2_with(b"\1\0\0" + (99).to_bytes(4, "big")), "color space 99"),
        (
            lambda: jp2_with(ENUMERATED_SRGB, inside=box(b"cdef", struct.pack(">4H", 1, 0, 2, 1))),
            "premultiplied",
        ),
    ],
)
def test_colors_of_jpeg_2000_that_pillow_misreads_are_refused(data, message):
    with pytest.raises(UnsupportedError, match=message):
        read_image(data())


def test_the_profile_of_a_ycbcr_tiff_is_one_of_rgb_and_stays():
    image, icc = Image.fromarray(picture(24, 40)), srgb_profile()
    source = read_image(saved("TIFF", image.convert("YCbCr"), icc_profile=icc))
    assert source.metadata == {"icc_profile": icc}
    lab = icc[:16] + b"Lab " + icc[20:]
    source = read_image(saved("TIFF", image.convert("YCbCr"), icc_profile=lab))
    assert source.metadata == {}
    assert source.lost == ("its color profile, of other colors than RGB, is left out",)


def test_primaries_of_a_tiff_become_a_profile_and_its_curve_is_said():
    def primaries(*values):
        data = saved("TIFF")
        white = long("<", 3127, 10000, 3290, 10000)
        others = long("<", *(n for v in values for n in (v, 100)))
        return read_image(retagged(retagged(data, 318, 5, white), 319, 5, others))

    assert "icc_profile" in primaries(64, 33, 21, 71, 15, 6).metadata
    assert primaries(64, 33, 30, 60, 15, 6).metadata == {}  # sRGB, as ImageMagick writes it
    curve = read_image(retagged(saved("TIFF"), 301, 3, short("<", *range(256))))
    assert curve.lost == ("its TransferFunction is left out",)


def test_what_a_bmp_says_of_its_colors():
    icc = srgb_profile()
    assert read_image(bmp_with(b"DEBM", profile=icc)).metadata == {"icc_profile": icc}
    assert "in another file" in read_image(bmp_with(b"KNIL")).note
    assert read_image(bmp_with(b"BGRs")).metadata == {}
    assert read_image(bmp_with(bytes(4))).metadata == {}
    ends = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
    source = read_image(bmp_with(bytes(4), ends=ends, gamma=1.0))
    assert np.abs(np.subtract(colors_of(source.metadata["icc_profile"])[0], 188)).max() <= 1
    assert read_image(bmp_with(bytes(4), ends=ends)).lost == ("its calibrated colors are left out",)


def test_what_a_gif_says_in_extensions_is_kept():
    icc = srgb_profile()
    assert read_image(gif_with(b"ICCRGBG1012", icc)).metadata == {"icc_profile": icc}
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    source = read_image(gif_with(b"XMP DataXMP", b"<x>" + b"a" * 300 + trailer, blocks=False))
    assert source.metadata == {"xmp": b"<x>" + b"a" * 300}


# ---------------------------------------------------------------- other metadata


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_of_a_tiff_that_describe_the_picture_become_exif(order):
    data = saved("TIFF")
    data = retagged(retagged(data, 271, 2, b"Maker\0"), 315, 2, b"Somebody\0")
    found = read_image(data).metadata["exif"]
    parsed = Image.Exif()
    parsed.load(found)
    assert dict(parsed) == {271: "Maker", 315: "Somebody"}
    # A camera's: its directories go with it, and not the layout of its pixels.
    from intact.cli.tiff import write_tiff

    tiff = write_tiff(picture(8, 12), exif=camera_exif(order)).data
    source = read_image(tiff)
    assert source.color.shape == (12, 8, 3)  # Pillow turned it, so that nothing is left to say
    parsed = Image.Exif()
    parsed.load(source.metadata["exif"])
    assert {256, 257, 258, 273, 274} & set(parsed) == set()
    assert parsed[272] == "Model 70"
    assert parsed.get_ifd(34665)[36867] == "2020:01:01 00:00:00"
    assert parsed.get_ifd(34853)[1] == "N"
    assert parsed.get_ifd(40965)[1] == "R98"


def test_a_tiff_with_nothing_but_a_resolution_has_no_exif():
    assert read_image(saved("TIFF", dpi=(300, 300))).metadata == {}


def test_exif_that_imagemagick_writes_as_text_is_kept():
    data = b"Exif\0\0" + camera_exif()
    lines = "\n".join(data.hex()[i : i + 72] for i in range(0, 2 * len(data), 72))
    text = f"Raw profile type exif\0\0\nexif\n{len(data):8}\n{lines}\n".encode()
    name, _, body = text.partition(b"\0\0")
    source = read_image(png_with((b"zTXt", name + b"\0\0" + zlib.compress(body))))
    assert source.metadata == {"exif": camera_exif()}
    assert source.left_out == ()


def test_metadata_that_no_file_of_ours_holds_is_named():
    assert read_image(saved("JPEG", comment=b"hello")).left_out == ("comment",)
    data = saved("JPEG")
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\4" + b"\x1c\2\0\0"
    segment = b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc
    assert read_image(data[:2] + segment + data[2:]).left_out == ("IPTC",)
    extended = b"http://ns.adobe.com/xmp/extension/\0" + bytes(50)
    segment = b"\xff\xe1" + (len(extended) + 2).to_bytes(2, "big") + extended
    assert read_image(data[:2] + segment + data[2:]).left_out == ("extended XMP",)
    texts = [(b"tEXt", f"Key {i}\0value".encode()) for i in range(7)]
    assert read_image(png_with(*texts)).left_out[-1] == "2 more texts"
    assert read_image(retagged(saved("TIFF"), 33723, 7, b"12345678")).left_out == ("IPTC",)


# ---------------------------------------------------------------- stripping


def test_stripping_keeps_what_the_look_depends_on():
    icc = srgb_profile()
    source = read_image(saved("JPEG", exif=b"Exif\0\0" + camera_exif(), icc_profile=icc))
    kept = stripped(source.metadata)
    assert exif.orientation(kept["exif"]) == 6
    assert len(kept["exif"]) == 26
    assert set(kept) == {"exif", "xmp"}  # the profile is not overridden
    assert stripped({"exif": camera_exif(orientation=1)}) == {"exif": b"", "xmp": b""}


def test_stripping_keeps_an_orientation_that_only_xmp_says():
    for xmp in (b'<r tiff:Orientation="8"/>', b"<tiff:Orientation>8</tiff:Orientation>"):
        assert exif.orientation(stripped({"xmp": xmp})["exif"]) == 8
    both = {"xmp": b'tiff:Orientation="8"', "exif": camera_exif(orientation=3)}
    assert exif.orientation(stripped(both)["exif"]) == 3


def test_stripping_keeps_colors_that_only_exif_says():
    kept = stripped({"exif": adobe_rgb_exif()})
    assert np.abs(np.subtract(colors_of(kept["icc_profile"])[0], 128)).max() <= 1
    assert b"A\0d\0o\0b\0e" in kept["icc_profile"]
    assert "icc_profile" not in stripped({"exif": adobe_rgb_exif(), "icc_profile": b"other"})


def test_no_warning_of_pillow_gets_out():
    exif_of_nothing = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(saved("JPEG", exif=exif_of_nothing))


def test_the_number_of_frames_is_known(tiny):
    frames = [Image.fromarray(picture(8, 8, seed=seed)) for seed in (1, 2, 3)]
    source = read_image(saved("GIF", frames[0], save_all=True, append_images=frames[1:]))
    assert source.frames == 3
    assert Encoder(source, tiny).source is source


def test_a_chunk_that_lies_about_its_length_ends_the_search():
    data = png_with(GAMMA_1)
    assert chunk(*GAMMA_1) in data
    with pytest.raises(CorruptDataError):
        read_image(data[:33] + b"\x7f\xff\xff\xff" + data[37:])
