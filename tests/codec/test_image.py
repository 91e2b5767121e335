import io
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from intact import CorruptDataError, ModelError, NotExactError, UnsupportedError
from intact.bits import fast
from intact.bottleneck import tiles
from intact.codec import depth, encoder as encoder_module, opinion
from intact.codec.image import Encoder, Runtime, decode, encode
from intact.codec.model import Model
from intact.codec.networks import Networks
from intact.codec.target import search_level
from intact.container.image_file import pack_image, unpack_image
from intact.intnet.backends import choose
from tiny_model import DEEP, NUM_LEVELS, picture, tiny_model

# Below, at and above one latent (16) and one hyper-latent (64), and primes.
SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (15, 17),
    (16, 16),
    (17, 31),
    (33, 64),
    (64, 65),
    (70, 65),
    (1, 70),
]
METADATA = {"exif": b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "icc_profile": b"profile", "xmp": b"<x/>"}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_decodes_to_what_the_encoder_saw(tiny, size, channels):
    image = picture(size[0], size[1], channels)
    encoded = Encoder(image, tiny).encode(9)
    decoded = decode(encoded.data, model=tiny)
    assert decoded.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (size if channels == 1 else (*size, channels))
    np.testing.assert_array_equal(decoded.pixels.reshape(encoded.pixels.shape), encoded.pixels)
    assert (decoded.level, decoded.model_name) == (9, "tiny")


def test_alpha_is_kept_without_loss(tiny):
    image = picture(40, 50, 4)
    decoded = decode(encode(image, quality=0, model=tiny), model=tiny)
    np.testing.assert_array_equal(decoded.pixels[:, :, 3], image[:, :, 3])


def test_two_dimensional_arrays_are_gray(tiny):
    assert decode(encode(picture(20, 30, 1)[:, :, 0], model=tiny), model=tiny).mode == "L"


def test_better_quality_is_closer_and_larger(tiny):
    # Constant 8x8 blocks, which this model's transform can express.
    blocks = np.kron(picture(12, 12)[:, :, 0], np.ones((8, 8), np.uint8))
    encoder = Encoder(blocks, tiny)
    encoded = [encoder.encode(level) for level in (0, 4, 9)]
    psnr = [encoder.psnr(e) for e in encoded]
    assert psnr == sorted(psnr)
    assert psnr[-1] > psnr[0] + 3
    sizes = [len(e.data) for e in encoded]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (0, 0, 300, 200), (299, 199, 1, 1), (17, 31, 64, 48), (120, 0, 3, 200)]
)
@pytest.mark.parametrize("tile_log2", [4, 6])
def test_a_region_equals_the_same_cut_of_the_whole(tiny, monkeypatch, region, tile_log2):
    monkeypatch.setattr(encoder_module, "MAX_TILE_LOG2", tile_log2)
    data = encode(picture(200, 300, 4), model=tiny)
    x, y, w, h = region
    cut = decode(data, model=tiny).pixels[y : y + h, x : x + w]
    np.testing.assert_array_equal(decode(data, model=tiny, region=region).pixels, cut)


def with_wrong_crc(data):
    image = unpack_image(data)
    crc = image.header.pixel_crc ^ 1
    return pack_image(replace(image, header=replace(image.header, pixel_crc=crc)))


def test_a_region_that_is_the_whole_is_tested_against_the_checksum(tiny):
    data = with_wrong_crc(encode(picture(40, 30), model=tiny))
    with pytest.raises(CorruptDataError, match="checksum"):
        decode(data, model=tiny, region=(0, 0, 30, 40))
    assert decode(data, model=tiny, region=(0, 0, 30, 39)).pixels.shape == (39, 30, 3)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_bytes_like_file_is_decoded(tiny, kind):
    data = encode(picture(20, 30), model=tiny)
    pixels = decode(data, model=tiny).pixels
    np.testing.assert_array_equal(decode(kind(data), model=tiny).pixels, pixels)
    strided = memoryview(b"".join(bytes([b, 0]) for b in data))[::2]
    np.testing.assert_array_equal(decode(strided, model=tiny).pixels, pixels)
    with pytest.raises(TypeError):
        decode(100, model=tiny)  # type: ignore[arg-type]


def test_all_cores_are_those_that_this_process_may_use(tiny, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert Runtime().networks(tiny, 1 << 24).threads == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    assert Runtime().networks(tiny, 1 << 24).threads == 9


@pytest.mark.parametrize(
    ("pixels", "threads"), [(1, 1), (256 * 256, 1), (512 * 512, 2), (2**24, 8)]
)
def test_small_images_are_computed_by_fewer_threads(tiny, pixels, threads):
    """Two threads are never slower than one."""
    assert Runtime(threads=8).networks(tiny, pixels).threads == threads


def test_tiles_change_nothing_but_the_file(tiny, monkeypatch):
    image = picture(530, 300)  # three by two tiles of 256 pixels
    one = Encoder(image, tiny).encode(8)
    monkeypatch.setattr(encoder_module, "MAX_TILE_LOG2", 4)
    many = Encoder(image, tiny).encode(8)
    assert unpack_image(many.data).header.tile_shape == (3, 2)
    np.testing.assert_array_equal(one.pixels, many.pixels)
    np.testing.assert_array_equal(decode(many.data, model=tiny).pixels, one.pixels)
    # A region needs the tiles that its networks see, and no others.
    np.testing.assert_array_equal(
        decode(many.data, model=tiny, region=(250, 250, 12, 12)).pixels,
        one.pixels[250:262, 250:262],
    )


@pytest.mark.parametrize("region", [(0, 0, 0, 1), (-1, 0, 2, 2), (0, 0, 31, 1), (29, 39, 2, 2)])
def test_a_region_outside_is_refused(tiny, region):
    data = encode(picture(40, 30), model=tiny)
    with pytest.raises(ValueError, match="region"):
        decode(data, model=tiny, region=region)


def test_a_region_of_no_width_is_called_empty(tiny):
    data = encode(picture(40, 30), model=tiny)
    with pytest.raises(ValueError, match=r"region \(1, 2, 0, 5\) is empty"):
        decode(data, model=tiny, region=(1, 2, 0, 5))


@pytest.mark.parametrize("backend", choose.NAMES)
def test_every_backend_makes_the_same_bytes_and_pixels(tiny, backend):
    if backend not in choose.available():
        pytest.skip("not available here")
    image = picture(70, 130, 4)
    data = encode(image, model=tiny, backend="reference")
    assert encode(image, model=tiny, backend=backend, threads=2) == data
    pixels = decode(data, model=tiny, backend="reference").pixels
    np.testing.assert_array_equal(decode(data, model=tiny, backend=backend).pixels, pixels)


def test_encoding_twice_gives_the_same_bytes(tiny):
    image = picture(50, 60)
    assert encode(image, model=tiny) == encode(image.copy(), model=tiny)


def test_a_model_read_back_from_its_file_is_the_same_codec(tiny, tiny_path):
    image = picture(50, 60)
    read = Model.from_bytes(tiny_path.read_bytes())
    assert read.id == tiny.id
    data = encode(image, model=read)
    assert data == encode(image, model=str(tiny_path)) == encode(image, model=tiny)


def test_metadata_is_kept_and_can_be_dropped(tiny):
    image = picture(20, 20)
    decoded = decode(encode(image, model=tiny, metadata=METADATA), model=tiny)
    found = {k: getattr(decoded, k) for k in METADATA}
    assert found == METADATA
    picture_file = Image.fromarray(image)
    picture_file.info["icc_profile"] = b"profile"
    assert decode(encode(picture_file, model=tiny), model=tiny).icc_profile == b"profile"
    bare = encode(picture_file, model=tiny, metadata={"icc_profile": b""})
    assert decode(bare, model=tiny).icc_profile == b""


def test_metadata_behind_the_pixels_of_a_png_is_found(tiny, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "description"
    plain, tagged = tmp_path / "plain.png", tmp_path / "tagged.png"
    Image.fromarray(picture(20, 20)).save(plain)
    Image.fromarray(picture(20, 20)).save(tagged, exif=exif)
    chunks = tagged.read_bytes()
    start = chunks.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(chunks[start : start + 4], "big")
    whole = plain.read_bytes()
    moved = tmp_path / "moved.png"
    moved.write_bytes(whole[:-12] + chunks[start:end] + whole[-12:])
    with Image.open(moved) as image:
        decoded = decode(encode(image, model=tiny), model=tiny)
    loaded = Image.Exif()
    loaded.load(decoded.exif)
    assert loaded[0x010E] == "description"


def test_exif_is_stored_without_the_prefix_of_jpeg(tiny):
    tiff = METADATA["exif"]
    data = encode(picture(8, 8), model=tiny, metadata={"exif": b"Exif\0\0" + tiff})
    assert unpack_image(data).chunk("exif") == tiff
    data = encode(picture(8, 8), model=tiny, metadata={"exif": b"Exif\0\0"})
    assert unpack_image(data).chunk("exif") is None


def test_a_palette_that_holds_alpha_keeps_it(tiny):
    image = Image.fromarray(picture(8, 8)[:, :, 0] % 2, "L")
    image = Image.frombytes("P", (8, 8), image.tobytes())
    image.putpalette([10, 20, 30, 77, 40, 50, 60, 255], "RGBA")
    assert "transparency" not in image.info
    encoder = Encoder(image, tiny)
    decoded = decode(encoder.encode(5).data, model=tiny)
    assert decoded.mode == "RGBA"
    np.testing.assert_array_equal(decoded.pixels[:, :, 3], np.where(np.asarray(image), 255, 77))
    assert "P to RGBA" in encoder.source.note


def test_a_transparent_color_of_a_bilevel_image_is_kept(tiny, tmp_path):
    image = Image.fromarray(picture(8, 8)[:, :, 0] > 128)
    image.save(tmp_path / "a.png", transparency=0)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "1"
        decoded = decode(encode(opened, model=tiny), model=tiny)
    assert decoded.mode == "LA"
    np.testing.assert_array_equal(decoded.pixels[:, :, 1], np.where(np.asarray(image), 255, 0))


def test_xmp_as_text_is_kept(tiny, tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x>ä</x>")
    Image.fromarray(picture(8, 8)).save(tmp_path / "a.png", pnginfo=info)
    with Image.open(tmp_path / "a.png") as image:
        assert decode(encode(image, model=tiny), model=tiny).xmp == "<x>ä</x>".encode()


@pytest.mark.parametrize(
    ("mode", "wanted"), [("P", "RGB"), ("1", "L"), ("YCbCr", "RGB"), ("LA", "LA"), ("PA", "RGBA")]
)
def test_other_eight_bit_modes_are_converted_and_said(tiny, mode, wanted):
    image = Image.fromarray(picture(20, 20)).convert("LA" if mode == "PA" else mode).convert(mode)
    encoded = Encoder(image, tiny).encode(5)
    assert decode(encoded.data, model=tiny).mode == wanted
    assert (encoded.note == "") == (mode == wanted)


@pytest.mark.parametrize(("mode", "kept"), [("LAB", b""), ("P", b"profile")])
def test_a_profile_of_other_colors_is_dropped(tiny, mode, kept):
    image = Image.fromarray(picture(8, 8))
    image = image.convert("P") if mode == "P" else Image.frombytes(mode, (8, 8), image.tobytes())
    image.info["icc_profile"] = b"profile"
    assert decode(encode(image, model=tiny), model=tiny).icc_profile == kept


@pytest.mark.parametrize("make", list(DEEP.values()))
def test_color_of_16_bits_is_refused_while_that_can_be_seen(tiny, make):
    with pytest.raises(UnsupportedError, match="samples of 16 bits"):
        encode(Image.open(io.BytesIO(make(5, 7))), model=tiny)


@pytest.mark.parametrize(("flags", "bits"), [(0x0C, 8), (0x4C, 10), (0x6C, 12)])
def test_the_depth_of_an_avif_is_read_from_its_configuration(flags, bits):
    stream = io.BytesIO()
    try:
        Image.new("RGB", (16, 16)).save(stream, "AVIF")
    except (KeyError, OSError) as error:
        pytest.skip(f"Pillow without AVIF: {error}")
    data = bytearray(stream.getvalue())
    assert depth._avif_bits(bytes(data)) == 8
    data[data.find(b"av1C") + 6] = flags  # Pillow writes 8 bits alone, and libavif sees the lie
    assert depth._avif_bits(bytes(data)) == bits


@pytest.mark.parametrize(
    ("kind", "tile", "head", "bits"),
    [
        ("AVIF", "avif", b"....av1C\x81\x00\x4c", 10),
        ("AVIF", "avif", b"....av1C\x81\x00\x0c", 8),
        ("JPEG2000", "jpeg2k", b"....ihdr" + bytes(8) + b"\0\3\x0f\7\0\0", 16),
        ("JPEG2000", "jpeg2k", b"....ihdr" + bytes(8) + b"\0\3\x07\7\0\0", 8),
        ("JPEG2000", "jpeg2k", b"ihdr" + bytes(8) + b"\0\2\xff...bpcc\7\x0b", 12),
        ("SGI", "SGI16", b"", 16),
        ("SGI", "raw", b"", 8),
        ("BMP", "raw", b"", 8),
    ],
)
def test_formats_that_nobody_here_writes_say_their_depth(kind, tile, head, bits):
    stand_in = SimpleNamespace(format=kind, tile=[(tile, None, 0, "BGR;16")], fp=io.BytesIO(head))
    if kind == "SGI":
        stand_in.tile = [(tile, None, 0, "RGB")]
    if bits == 8:
        depth.refuse_deep(stand_in)
        return
    with pytest.raises(UnsupportedError, match=f"samples of {bits} bits"):
        depth.refuse_deep(stand_in)


def test_a_name_is_no_file(tmp_path):
    for name in ("photo.intact", tmp_path):
        with pytest.raises(TypeError, match="must be an array or Pillow image"):
            encode(name)
        with pytest.raises(TypeError, match="must be the content of a file"):
            decode(name)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "CMYK"])
def test_deep_and_cmyk_images_are_refused(tiny, mode):
    with pytest.raises(UnsupportedError, match=mode):
        encode(Image.new(mode, (8, 8)), model=tiny)


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((4, 4), np.uint16), UnsupportedError),
        (np.zeros((4, 4, 3), float), UnsupportedError),
        (np.zeros((0, 4, 3), np.uint8), ValueError),
        (np.zeros((4, 4, 5), np.uint8), ValueError),
        (np.zeros(4, np.uint8), ValueError),
    ],
)
def test_wrong_arrays_are_refused(tiny, array, error):
    with pytest.raises(error):
        encode(array, model=tiny)


@pytest.mark.parametrize("quality", [-1, 100.1, float("nan")])
def test_quality_has_a_range(tiny, quality):
    with pytest.raises(ValueError, match="quality"):
        encode(picture(8, 8), model=tiny, quality=quality)


def test_another_model_is_refused(tiny, tmp_path):
    data = encode(picture(20, 20), model=tiny)
    with pytest.raises(ModelError, match=tiny.id.hex()):
        decode(data, model=tiny_model(seed=2))
    with pytest.raises(ModelError, match="not installed"):
        decode(data)
    with pytest.raises(ModelError, match="no model at"):
        decode(data, model=str(tmp_path / "none.intactm"))


def test_an_image_beyond_the_callers_limit_is_refused(tiny):
    data = encode(picture(20, 20), model=tiny)
    with pytest.raises(UnsupportedError, match="20 x 20"):
        decode(data, model=tiny, max_pixels=399)


def test_a_backend_that_errs_is_replaced_by_the_reference(tiny, monkeypatch, caplog):
    """Wrong pixels are caught by the checksum, and never returned."""
    monkeypatch.setattr(choose, "_REFUSED", {})
    data = encode(picture(40, 40), model=tiny)
    pixels = decode(data, model=tiny).pixels
    true_run = Networks.run

    def wrong(self, name, inputs, level):
        result = true_run(self, name, inputs, level)
        if self.backend.name == "numpy" and name == "synthesis":
            result = {k: v ^ 1 for k, v in result.items()}
        return result

    monkeypatch.setattr(Networks, "run", wrong)
    np.testing.assert_array_equal(decode(data, model=tiny, backend="numpy").pixels, pixels)
    assert "decoding again with reference" in caplog.text
    assert not choose.prove("numpy", tiny.programs["synthesis"]).ok


def test_pixels_that_no_backend_confirms_are_not_returned(tiny):
    with pytest.raises(CorruptDataError, match="checksum"):
        decode(with_wrong_crc(encode(picture(40, 40), model=tiny)), model=tiny)


@pytest.fixture
def asked(monkeypatch):
    """The backends that are asked for, in order."""
    names = []
    true_init = Networks.__init__

    def noted(self, model, pixels, backend, *others):
        names.append(backend)
        true_init(self, model, pixels, backend, *others)

    monkeypatch.setattr(Networks, "__init__", noted)
    return names


@pytest.mark.skipif("native" not in choose.available(), reason="the extension is not built")
def test_two_backends_that_agree_put_the_blame_on_the_file(tiny, asked):
    """A file with a wrong checksum must not buy fifty times the work of a right one."""
    wrong = with_wrong_crc(encode(picture(40, 40), model=tiny))
    asked.clear()
    with pytest.raises(CorruptDataError, match="checksum"):
        decode(wrong, model=tiny, backend="native")
    assert asked == ["native", "numpy"]


@pytest.mark.parametrize(("limit", "second"), [(48**2, ["reference"]), (48**2 - 1, [])])
def test_numpy_alone_asks_the_reference_about_small_images_only(
    tiny, asked, monkeypatch, limit, second
):
    monkeypatch.setattr(opinion, "REFERENCE_PIXELS", limit)
    wrong = with_wrong_crc(encode(picture(40, 40), model=tiny))
    asked.clear()
    with pytest.raises(CorruptDataError, match="checksum"):
        decode(wrong, model=tiny, backend="numpy")
    assert asked == ["numpy", *second]


@pytest.fixture
def wrong_coder(monkeypatch):
    """A native entropy decoder that is right about short messages, and then gets a symbol wrong."""
    true = fast.Decoder._decode_native

    def decode_native(self, functions, indexes, bank):
        symbols = true(self, functions, indexes, bank)
        if symbols.size > 100:
            symbols[50] += 1
        return symbols

    monkeypatch.setattr(fast, "_refused", "")
    monkeypatch.setattr(choose, "_REFUSED", {})
    monkeypatch.setattr(fast.Decoder, "_decode_native", decode_native)


@pytest.mark.skipif(not fast.is_native(), reason="the extension is not built")
@pytest.mark.parametrize("backend", choose.available())
def test_a_wrong_symbol_of_the_native_coder_is_not_the_files_fault(tiny, request, caplog, backend):
    """Both opinions once came from the same coder, and a sound file was called damaged."""
    data = encode(picture(90, 90), model=tiny)
    pixels = decode(data, model=tiny, backend="reference").pixels
    request.getfixturevalue("wrong_coder")
    np.testing.assert_array_equal(decode(data, model=tiny, backend=backend).pixels, pixels)
    assert not choose.refusals()  # the networks were right
    assert "the native entropy coder is refused" in caplog.text
    assert not fast.is_native()
    caplog.clear()
    np.testing.assert_array_equal(decode(data, model=tiny, backend=backend).pixels, pixels)
    assert not caplog.text  # it is not asked again


@pytest.mark.skipif("native" not in choose.available(), reason="the extension is not built")
def test_a_second_backend_notices_what_the_encoders_own_cannot(tiny, monkeypatch):
    """The checksum comes from the backend that made the pixels: alone it never disagrees."""
    assert encode(picture(40, 40), model=tiny, check=True) == encode(picture(40, 40), model=tiny)
    true_run = Networks.run

    def broken(self, name, inputs, level):
        outputs = true_run(self, name, inputs, level)
        if name == "synthesis" and self.backend.name == "native":
            outputs["pixels"][3, 4, 1] ^= 1
        return outputs

    monkeypatch.setattr(Networks, "run", broken)
    silent = encode(picture(40, 40), model=tiny, backend="native")
    with pytest.raises(CorruptDataError, match="checksum"):
        decode(silent, model=tiny, backend="numpy")
    with pytest.raises(NotExactError, match="native encoded, numpy decodes"):
        encode(picture(40, 40), model=tiny, backend="native", check=True)


def checked(tiny, backend="auto"):
    """The name of the backend that confirms a file."""
    encoder = Encoder(picture(40, 40), tiny, runtime=Runtime(backend, 1))
    return encoder.check(encoder.encode(5))


def test_a_file_is_checked_by_another_backend(tiny):
    assert checked(tiny, "numpy") != "numpy"
    if "native" in choose.available():
        assert checked(tiny, "native") == "numpy"


@pytest.mark.skipif("native" not in choose.available(), reason="the extension is not built")
@pytest.mark.parametrize(("used", "refused"), [("native", "numpy"), ("numpy", "native")])
def test_a_refused_backend_does_not_check(tiny, monkeypatch, used, refused):
    """Nor does what takes its place, which may be the encoder's own or the slow reference."""
    monkeypatch.setattr(choose, "_REFUSED", {refused: "made up"})
    assert checked(tiny, used) in ("torch", "reference")
    monkeypatch.setattr(choose, "available", lambda: ("native", "numpy", "reference"))
    assert checked(tiny, used) == "reference"
    monkeypatch.setattr(opinion, "REFERENCE_PIXELS", 40 * 40 - 1)
    with pytest.raises(UnsupportedError, match="no second backend"):
        checked(tiny, used)


def test_only_the_small_are_checked_by_the_reference(tiny, monkeypatch):
    monkeypatch.setattr(choose, "available", lambda: ("numpy", "reference"))
    assert checked(tiny, "numpy") == "reference"
    monkeypatch.setattr(opinion, "REFERENCE_PIXELS", 40 * 40 - 1)
    with pytest.raises(UnsupportedError, match="no second backend here for 1600 pixels"):
        checked(tiny, "numpy")


@pytest.mark.skipif("native" not in choose.available(), reason="the extension is not built")
def test_what_native_code_has_coded_is_checked_in_python(tiny, monkeypatch):
    coders = []

    class Noted(fast.Decoder):
        def __init__(self, payload, *, backend=None):
            coders.append(backend)
            super().__init__(payload, backend=backend)

    monkeypatch.setattr(tiles, "Decoder", Noted)
    for used in ("native", "numpy"):  # native code has coded for NumPy, too
        coders.clear()
        checked(tiny, used)
        assert coders == ["python"]


def test_a_check_does_not_ask_anybody_else(tiny, monkeypatch):
    """`decode` would: it would blame the second backend, and return the encoder's wrong pixels."""
    monkeypatch.setattr(choose, "_REFUSED", {})
    encoder = Encoder(picture(40, 40), tiny, runtime=Runtime("numpy", 1))
    encoded = encoder.encode(5)
    with pytest.raises(NotExactError):
        encoder.check(replace(encoded, pixels=encoded.pixels ^ 1))
    with pytest.raises(NotExactError):
        encoder.check(replace(encoded, data=with_wrong_crc(encoded.data)))
    assert not choose.refusals()


@pytest.mark.parametrize("predicted", [0, 8])
def test_any_number_of_latents_can_be_predicted(tiny, predicted):
    model = tiny_model(predicted=predicted)
    assert model.id != tiny.id
    image = picture(300, 290)
    encoded = Encoder(image, model, runtime=Runtime("numpy", 1)).encode(6)
    for backend in choose.available():
        pixels = decode(encoded.data, model=model, backend=backend).pixels
        np.testing.assert_array_equal(pixels, encoded.pixels)
    cut = decode(encoded.data, model=model, region=(100, 33, 120, 90)).pixels
    np.testing.assert_array_equal(cut, encoded.pixels[33:123, 100:220])


def test_only_as_many_are_predicted_as_there_are():
    with pytest.raises(ModelError, match=r"predicted is 9, must be in 0\.\.8"):
        tiny_model(predicted=9)


def test_programs_that_were_not_proven_do_not_run(tiny):
    networks = Runtime().networks(tiny, 1, tiny.decoding)
    with pytest.raises(ValueError, match="'analysis' was not proven"):
        networks.run("analysis", {"pixels": np.zeros((16, 16, 3), np.int8)}, 0)


@pytest.mark.parametrize("highest", range(-1, 8))
def test_search_level_finds_the_highest_that_fits(highest):
    calls = []
    found = search_level(8, lambda i: calls.append(i) or i <= highest)
    assert found == max(highest, 0)
    assert len(calls) == 3


def test_levels_span_the_qualities(tiny):
    assert tiny.levels.of_quality(0) == 0
    assert tiny.levels.of_quality(100) == NUM_LEVELS - 1


def test_runtime_rejects_unknown_backends(tiny):
    with pytest.raises(ValueError, match="legal"):
        Runtime("abacus").networks(tiny, 1)


def test_a_file_with_its_model_inside_needs_no_other(tiny):
    image = picture(20, 30)
    data = encode(image, model=tiny, embed_model=True, metadata={"xmp": b"x"})
    plain = decode(encode(image, model=tiny), model=tiny).pixels
    np.testing.assert_array_equal(decode(data).pixels, plain)


def test_an_embedded_model_of_another_id_is_refused(tiny):
    from intact.container.chunks import Chunk

    image = unpack_image(encode(picture(9, 9), model=tiny))
    other = Chunk("modl", tiny_model(2).to_bytes())
    with pytest.raises(CorruptDataError, match="the model in the file"):
        decode(pack_image(replace(image, chunks=(other,))))
