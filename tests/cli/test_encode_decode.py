import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import intact as package
from intact.cli.errors import Code
from intact.codec import store
from intact.codec.exif import orientation
from intact.codec.image import Encoder
from tiny_model import DEEP, bmp_565, picture, tiny_model
from tiny_vector import tiny_vector


def left_over(folder):
    return [p.name for p in folder.rglob("*") if "partial" in p.name]


def test_encode_then_decode(intact, photo, tiny_path, tmp_path):
    done = intact("encode", photo, "--model", tiny_path, "-q", 80)
    assert done.code == Code.OK
    line = done.out.decode()
    assert line.startswith(f"{photo} -> {tmp_path / 'photo.intact'}  2400 px  ")
    assert [unit in line for unit in ("bytes", "bpp", "dB", " s\n")] == [True] * 4
    out = tmp_path / "back.png"
    assert intact("decode", tmp_path / "photo.intact", "--model", tiny_path, "-o", out).code == 0
    expected = package.decode((tmp_path / "photo.intact").read_bytes(), model=str(tiny_path))
    with Image.open(out) as image:
        np.testing.assert_array_equal(np.asarray(image), expected.pixels)
    assert left_over(tmp_path) == []


def test_quiet_prints_nothing(intact, photo, tiny_path):
    done = intact("encode", photo, "--model", tiny_path, "--quiet")
    assert (done.code, done.out, done.err.count("\n")) == (0, b"", done.err.count("backend native"))


def test_check_names_the_second_backend(intact, photo, tiny_path, tmp_path):
    out = tmp_path / "photo.intact"
    assert intact("encode", photo, "--model", tiny_path, "--check").code == 0
    unchecked = out.read_bytes()
    done = intact("encode", photo, "--model", tiny_path, "--check", "--json", "--force")
    [result] = done.json["files"]
    assert result["checked_with"] in ("numpy", "native", "torch", "reference")
    assert out.read_bytes() == unchecked


def test_a_file_that_fails_its_check_is_not_written(
    intact, photo, tiny_path, tmp_path, monkeypatch
):
    def fail(self, encoded):
        raise package.NotExactError("what backend native encoded, numpy decodes to other pixels")

    monkeypatch.setattr(Encoder, "check", fail)
    done = intact("encode", photo, "--model", tiny_path, "--check")
    assert done.code == Code.NOT_EXACT
    assert "photo.png: what backend native encoded" in done.err
    assert not (tmp_path / "photo.intact").exists()
    assert left_over(tmp_path) == []


def test_json_has_all_numbers(intact, photo, file, tiny_path, tmp_path):
    [result] = intact("encode", photo, "--model", tiny_path, "--json", "--force").json["files"]
    size = (tmp_path / "photo.intact").stat().st_size
    assert (result["width"], result["height"], result["bytes"]) == (60, 40, size)
    assert result["bpp"] == 8 * size / 2400
    assert result["psnr"] > 20
    [result] = intact(
        "decode", file, "--model", tiny_path, "--json", "-o", tmp_path / "x.png"
    ).json["files"]
    assert (result["width"], result["mode"], result["model"]) == (60, "RGB", "tiny")


def test_standard_streams(intact, photo, tiny_path):
    encoded = intact("encode", "-", "--model", tiny_path, stdin=photo.read_bytes())
    assert encoded.code == 0
    expected = package.encode(Image.open(photo), model=str(tiny_path))
    assert encoded.out == expected
    decoded = intact("decode", "-", "--model", tiny_path, stdin=encoded.out)
    assert decoded.out.startswith(b"\x89PNG")
    ppm = intact("decode", "-", "--model", tiny_path, "--format", "ppm", stdin=encoded.out)
    assert ppm.out.startswith(b"P6")


def test_a_region(intact, file, tiny_path, tmp_path):
    out = tmp_path / "cut.npy"
    assert (
        intact("decode", file, "--model", tiny_path, "--region", "10,5,20,8", "-o", out).code == 0
    )
    whole = package.decode(file.read_bytes(), model=str(tiny_path)).pixels
    np.testing.assert_array_equal(np.load(out, allow_pickle=False), whole[5:13, 10:30])


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "50,30,20,20"])
def test_a_bad_region_is_a_usage_error(intact, file, tiny_path, tmp_path, region):
    out = tmp_path / "cut.png"
    done = intact("decode", file, "--model", tiny_path, "--region", region, "-o", out)
    assert (done.code, out.exists()) == (Code.USAGE, False)


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "jpg"])
def test_formats_keep_metadata_and_never_rotate(intact, file, tiny_path, tmp_path, suffix):
    out = tmp_path / f"back.{suffix}"
    assert intact("decode", file, "--model", tiny_path, "-o", out).code == 0
    with Image.open(out) as image:
        # Pillow itself turns a TIFF by its orientation when it loads it.
        assert image.size == ((40, 60) if suffix == "tiff" else (60, 40))
        assert image.getexif()[0x010E] == "description"
        assert image.getexif()[0x0112] == 6
        assert image.info["icc_profile"] == b"profile"
        image.load()
        assert image.info["xmp"] == b"<x/>"


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "ppm", "bmp", "npy"])
def test_lossless_formats_hold_the_decoded_pixels(intact, file, tiny_path, tmp_path, suffix):
    out = tmp_path / f"back.{suffix}"
    bare = tmp_path / "bare.intact"
    image = package.decode(file.read_bytes(), model=str(tiny_path)).pixels
    bare.write_bytes(package.encode(image, model=str(tiny_path)))
    expected = package.decode(bare.read_bytes(), model=str(tiny_path)).pixels
    assert intact("decode", bare, "--model", tiny_path, "-o", out).code == 0
    found = np.load(out, allow_pickle=False) if suffix == "npy" else np.asarray(Image.open(out))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "jpg", "ppm", "bmp"])
def test_alpha_is_kept_or_refused(intact, tiny, tiny_path, tmp_path, suffix, channels):
    source, out = tmp_path / "alpha.intact", tmp_path / f"back.{suffix}"
    source.write_bytes(package.encode(picture(20, 30, channels), model=tiny))
    done = intact("decode", source, "--model", tiny_path, "-o", out)
    if suffix in ("jpg", "ppm", "bmp"):
        assert (done.code, out.exists()) == (Code.UNSUPPORTED, False)
        assert "alpha" in done.err
        return
    expected = package.decode(source.read_bytes(), model=tiny).pixels
    with Image.open(out) as image:
        np.testing.assert_array_equal(np.asarray(image)[:, :, -1], expected[:, :, -1])
        np.testing.assert_array_equal(np.asarray(image)[:, :, 0], expected[:, :, 0])


def test_strip_metadata(intact, photo, tiny_path, tmp_path):
    out = tmp_path / "bare.intact"
    assert intact("encode", photo, "--model", tiny_path, "--strip-metadata", "-o", out).code == 0
    decoded = package.decode(out.read_bytes(), model=str(tiny_path))
    # What the look depends on stays: that the picture is turned, and what its colors are.
    assert (orientation(decoded.exif), len(decoded.exif)) == (6, 26)
    assert (decoded.icc_profile, decoded.xmp) == (b"profile", b"")


def test_targets_are_met_by_the_best_level(intact, tiny, tiny_path, tmp_path):
    source, out = tmp_path / "a.png", tmp_path / "a.intact"
    blocks = np.kron(picture(12, 12)[:, :, 0], np.ones((8, 8), np.uint8))
    Image.fromarray(blocks).save(source)
    from intact.codec.image import Encoder

    encoder = Encoder(blocks, tiny)
    sizes = [len(encoder.encode(level).data) for level in range(16)]
    fits = sizes[7]

    def level(*options):
        done = intact("encode", source, "--model", tiny_path, "--json", "-o", out, *options)
        return done.json["files"][0]["level"]

    assert level("--target-size", fits) == max(i for i in range(16) if sizes[i] <= fits)
    assert level("--target-bpp", 8 * fits / blocks.size) == level("--target-size", fits)
    psnr = [encoder.psnr(encoder.encode(i)) for i in range(16)]
    assert level("--target-psnr", psnr[4]) == 4
    assert level("--target-psnr", 1) == 0
    assert level("--target-size", 10**9) == 15


@pytest.mark.parametrize(
    "target", [("--target-size", 10), ("--target-bpp", 0.001), ("--target-psnr", 99)]
)
def test_a_target_that_no_level_meets_writes_nothing(intact, photo, tiny_path, tmp_path, target):
    out = tmp_path / "out.intact"
    done = intact("encode", photo, "--model", tiny_path, "-o", out, *target)
    assert (done.code, out.exists()) == (Code.UNREACHABLE, False)
    assert f"intact: {photo}: the " in done.err


@pytest.mark.parametrize(
    "options",
    [
        ("-q", 101),
        ("-q", "good"),
        ("-q", 5, "--target-size", 5),
        ("--target-bpp", 1, "--target-psnr", 5),
        ("--target-bpp", "nan"),
        ("--target-psnr", "inf"),
        ("--target-size", 0),
        ("--target-size", -5),
        ("--backend", "abacus"),
        ("--nonsense",),
        ("-o", "-", "--json"),
    ],
)
def test_wrong_options_are_usage_errors_in_one_line(intact, photo, tiny_path, options):
    done = intact("encode", photo, "--model", tiny_path, *options)
    assert done.code == Code.USAGE
    assert done.err.startswith("intact: ")
    assert done.err.count("\n") == 1
    assert not photo.with_suffix(".intact").exists()


def test_several_inputs_go_next_to_themselves_or_into_a_folder(intact, photo, tiny_path, tmp_path):
    other = tmp_path / "other.bmp"
    Image.fromarray(picture(10, 12)).save(other)
    assert intact("encode", photo, other, "--model", tiny_path).code == 0
    assert (tmp_path / "photo.intact").exists()
    folder = tmp_path / "new"
    done = intact("encode", photo, other, "--model", tiny_path, "-o", folder, "--json")
    assert [f["output"] for f in done.json["files"]] == [
        str(folder / "photo.intact"),
        str(folder / "other.intact"),
    ]
    done = intact("decode", *folder.iterdir(), "--model", tiny_path, "-o", folder)
    assert done.code == 0
    assert {p.suffix for p in folder.iterdir()} == {".intact", ".png"}


def test_several_inputs_do_not_go_into_a_file(intact, photo, tiny_path, tmp_path):
    other, out = tmp_path / "other.bmp", tmp_path / "out.intact"
    Image.fromarray(picture(10, 12)).save(other)
    out.write_bytes(b"mine")
    done = intact("encode", photo, other, "--model", tiny_path, "-o", out)
    assert (done.code, out.read_bytes()) == (Code.USAGE, b"mine")
    assert f"{out} is in the way" in done.err
    done = intact("encode", photo, "--model", tiny_path, "-o", f"{out}/deeper/")
    assert (done.code, f"{out} is in the way" in done.err) == (Code.USAGE, True)


def test_a_folder_of_outputs_is_made_at_any_depth(intact, photo, tiny_path, tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    assert intact("encode", photo, "--model", tiny_path, "-o", f"{folder}/").code == 0
    assert [p.name for p in folder.iterdir()] == ["photo.intact"]


def test_a_folder_is_its_images_and_keeps_its_shape(intact, photo, tiny_path, tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "deeper").mkdir(parents=True)
    (pictures / ".hidden").mkdir()
    for name in ("b.PNG", "deeper/a.png", ".hidden/c.png", "notes.txt"):
        (pictures / name).write_bytes(photo.read_bytes())
    coded, back = tmp_path / "coded", tmp_path / "back"
    assert intact("encode", pictures, "--model", tiny_path, "-o", coded).code == 0
    files = [coded / "b.intact", coded / "deeper" / "a.intact"]
    assert [p for p in sorted(coded.rglob("*")) if p.is_file()] == files
    done = intact("verify", coded, "--model", tiny_path, "--json")
    assert [f["input"] for f in done.json["files"]] == [str(f) for f in files]
    assert intact("decode", coded, "--model", tiny_path, "-o", back).code == 0
    assert (back / "deeper" / "a.png").exists()
    done = intact("encode", coded, "--model", tiny_path, "-o", back)
    assert (done.code, "no file in this folder ends in .png" in done.err) == (Code.USAGE, True)


def test_a_folder_misses_nothing_silently(intact, photo, tiny_path, tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(photo.read_bytes())
    (pictures / "b.heic").write_bytes(b"from a telephone")
    (pictures / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (pictures / "link").symlink_to(tmp_path)
    os.mkfifo(pictures / "pipe.png")  # reading it would wait for ever
    done = intact("encode", pictures, "--model", tiny_path, "-o", out)
    assert done.code == Code.SYSTEM
    assert f"{pictures}: 1 left out, by their suffix no images: 1 .heic" in done.err
    assert f"{pictures / 'lost.png'}: No such file" in done.err
    for name in ("link", "pipe.png"):
        assert f"{pictures / name}: a link to a folder, or no file: left out" in done.err
    assert [p.name for p in out.iterdir()] == ["a.intact"]


def test_a_folder_that_cannot_be_read_ends_it(intact, photo, tiny_path, tmp_path, monkeypatch):
    (tmp_path / "secret").mkdir()
    true = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return true(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = intact("encode", tmp_path, "--model", tiny_path, "-o", tmp_path / "out")
    assert (done.code, "secret: Permission denied" in done.err) == (Code.SYSTEM, True)


def test_the_same_name_with_two_suffixes_becomes_two_files(intact, photo, tiny_path, tmp_path):
    twin, out = photo.with_suffix(".bmp"), tmp_path / "out"
    Image.fromarray(picture(5, 5)).save(twin)
    done = intact("encode", photo, twin, twin, "--model", tiny_path, "-o", out)
    assert done.code == 0
    assert sorted(p.name for p in out.iterdir()) == ["photo.bmp.intact", "photo.png.intact"]


def test_an_image_is_not_replaced_by_a_file_of_ours(intact, photo, tiny_path, tmp_path):
    before = photo.read_bytes()
    other = tmp_path / "other.png"
    Image.fromarray(picture(5, 5)).save(other)
    done = intact("encode", other, "--model", tiny_path, "-o", photo)
    assert (done.code, photo.read_bytes()) == (Code.USAGE, before)
    assert "is an image's name" in done.err


def test_a_folder_in_an_outputs_place_is_not_skipped(intact, photo, tiny_path):
    photo.with_suffix(".intact").mkdir()
    done = intact("encode", photo, "--model", tiny_path, "--skip-existing")
    assert (done.code, "is in the way" in done.err) == (Code.USAGE, True)


def test_what_exists_can_be_left_out(intact, file, photo, tiny_path, tmp_path):
    other, made = tmp_path / "other.bmp", file.read_bytes()
    Image.fromarray(picture(10, 12)).save(other)
    options = ("--model", tiny_path, "--skip-existing")
    before = file.stat().st_ino
    assert intact("encode", photo, other, *options).code == 0
    assert (file.stat().st_ino, other.with_suffix(".intact").exists()) == (before, True)
    done = intact("encode", photo, "-o", file, *options)
    assert (done.code, file.stat().st_ino) == (0, before)
    assert "nothing to do" in done.err
    done = intact("encode", photo, other, "--model", tiny_path)
    assert f"{file} exists (and 1 more)" in done.err
    assert intact("encode", photo, "--model", tiny_path, "--force").code == 0
    assert file.read_bytes() == made


def test_one_bad_file_does_not_stop_the_others(intact, photo, tiny_path, tmp_path):
    text, missing = tmp_path / "text.txt", tmp_path / "missing.png"
    text.write_text("no image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(photo.read_bytes()[:-500])
    folder = tmp_path / "out"
    done = intact("encode", cut, text, missing, photo, "--model", tiny_path, "-o", folder, "--json")
    assert done.code == Code.SYSTEM  # the largest
    codes = [f.get("code", 0) for f in done.json["files"]]
    assert codes == [Code.DAMAGED, Code.UNSUPPORTED, Code.SYSTEM, Code.OK]
    lines = [line for line in done.err.splitlines() if "backend native" not in line]
    assert [line.split(": ")[1] for line in lines] == [str(cut), str(text), str(missing)]
    assert [p.name for p in folder.iterdir()] == ["photo.intact"]


def test_derived_outputs_are_not_replaced_without_force(intact, file, photo, tiny_path):
    original = photo.read_bytes()
    done = intact("decode", file, "--model", tiny_path)  # would become photo.png
    assert (done.code, photo.read_bytes()) == (Code.USAGE, original)
    assert "--force" in done.err
    assert intact("decode", file, "--model", tiny_path, "--force").code == 0
    assert photo.read_bytes() != original


def test_a_named_output_is_replaced(intact, photo, tiny_path, tmp_path):
    out = tmp_path / "out.intact"
    out.write_bytes(b"old")
    out.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(out)
    assert intact("encode", photo, "--model", tiny_path, "-o", link).code == 0
    assert link.is_symlink()
    assert out.stat().st_size > 100
    assert out.stat().st_mode & 0o777 == 0o640


def test_circular_outputs_are_refused(intact, photo, tiny_path, tmp_path):
    twin = photo.with_suffix(".bmp")
    Image.fromarray(picture(5, 5)).save(twin)
    assert intact("encode", photo, "--model", tiny_path, "-o", photo).code == Code.USAGE
    assert intact("encode", "-", photo, "--model", tiny_path).code == Code.USAGE
    assert intact("encode", photo, twin, "--model", tiny_path, "-o", "-").code == Code.USAGE
    assert not photo.with_suffix(".intact").exists()
    mine = photo.with_suffix(".intact")  # an image of that name, and input of the same command
    mine.write_bytes(photo.read_bytes())
    done = intact("encode", photo, mine, "--model", tiny_path, "--force")
    # Both would be photo.intact, so both keep their whole names, and no input is written over.
    assert (done.code, mine.read_bytes()) == (Code.OK, photo.read_bytes())
    assert (tmp_path / "photo.png.intact").exists()
    assert (tmp_path / "photo.intact.intact").exists()
    done = intact("encode", mine, "--model", tiny_path, "--force")
    assert (done.code, mine.read_bytes()) == (Code.USAGE, photo.read_bytes())


@pytest.mark.parametrize("step", ["fsync", "write", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    intact, photo, tiny_path, tmp_path, monkeypatch, step
):
    out = tmp_path / "out.intact"
    out.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __init__(self, descriptor, _mode):
            os.close(descriptor)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        write = full

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "write":
        monkeypatch.setattr(os, "fdopen", Full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    done = intact("encode", photo, "--model", tiny_path, "-o", out)
    assert done.code == Code.SYSTEM
    assert f"intact: {out}: No space left on device\n" in done.err
    assert (out.read_bytes(), left_over(tmp_path)) == (b"old", [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
@pytest.mark.parametrize("stdout", [False, True])
def test_a_device_without_room(intact, photo, tiny_path, stdout):
    # In a process of its own: Python flushes standard output once more when it ends.
    command = [sys.executable, "-m", "intact", "encode", photo, "--model", tiny_path, "-o"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*command, "-" if stdout else "/dev/full"],
            stdout=full if stdout else None,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == Code.SYSTEM
    assert done.stderr.splitlines()[-1].endswith("No space left on device")
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_not_there(intact, photo, tiny_path, tmp_path):
    out = tmp_path / "none" / "out.intact"
    done = intact("encode", photo, "--model", tiny_path, "-o", out)
    assert done.code == Code.SYSTEM
    assert f"intact: {out}: No such file or directory\n" in done.err


def test_damaged_files_and_models(intact, file, photo, tiny_path, tmp_path):
    data = bytearray(file.read_bytes())
    data[60] ^= 4
    bad, out = tmp_path / "bad.intact", tmp_path / "out.png"
    bad.write_bytes(data)
    done = intact("decode", bad, "--model", tiny_path, "-o", out)
    assert (done.code, out.exists()) == (Code.DAMAGED, False)
    assert done.err.startswith(f"intact: {bad}: ")
    assert intact("decode", photo, "--model", tiny_path, "-o", out).code == Code.DAMAGED
    assert intact("decode", file, "-o", out).code == Code.MODEL
    other = tmp_path / "other.intactm"
    other.write_bytes(tiny_model(seed=3).to_bytes())
    assert intact("decode", file, "--model", other, "-o", out).code == Code.MODEL
    assert intact("encode", photo, "--model", tmp_path / "no.intactm", "--force").code == 4
    other.write_bytes(tiny_path.read_bytes()[:-9])
    assert intact("encode", photo, "--model", other, "--force").code == Code.DAMAGED


def test_unsupported_images(intact, tiny_path, tmp_path):
    deep = tmp_path / "deep.png"
    Image.new("I;16", (5, 5)).save(deep)
    done = intact("encode", deep, "--model", tiny_path)
    assert done.code == Code.UNSUPPORTED
    assert "samples of 16 bits" in done.err


@pytest.mark.parametrize(("name", "make"), list(DEEP.items()))
def test_color_of_16_bits_is_refused_although_pillow_cuts_it(
    intact, tiny_path, tmp_path, name, make
):
    path = tmp_path / name
    path.write_bytes(make(5, 7))
    done = intact("encode", path, "--model", tiny_path)
    assert (done.code, "samples of 16 bits" in done.err) == (Code.UNSUPPORTED, True)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_quiet_says_nothing_of_frames_either(intact, tiny_path, tmp_path):
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(picture(8, 8)), Image.fromarray(255 - picture(8, 8))]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert intact("encode", path, "--model", tiny_path, "--quiet").err == ""


def test_16_bits_per_pixel_are_not_16_per_sample(intact, tiny_path, tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(bmp_565(6, 8))
    assert intact("encode", path, "--model", tiny_path).code == 0


def test_only_the_first_frame_is_coded_and_that_is_said(intact, tiny_path, tmp_path):
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(picture(9, 9, seed=i)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    done = intact("encode", path, "--model", tiny_path)
    assert done.code == 0
    assert "first of 3 frames" in done.err


def test_a_bug_is_not_mistaken_for_damage(intact, photo, tiny_path, monkeypatch):
    from intact.codec import image

    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(image.Encoder, "encode", broken)
    done = intact("encode", photo, "--model", tiny_path)
    assert done.code == Code.BUG
    assert "Traceback" in done.err


def test_interruption(intact, photo, tiny_path, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    done = intact("encode", photo, "--model", tiny_path)
    assert done.code == Code.INTERRUPTED
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.png"]


def test_larger_images_than_allowed_are_refused(intact, file, tmp_path):
    png = tmp_path / "out.png"
    done = intact("decode", file, "-o", png, "--max-pixels", 2399)
    assert done.code == 3
    assert "60 x 40 pixels exceeds the limit of 2399" in done.err
    verified = intact("verify", file, "--max-pixels", 2399, "--json").json
    assert verified["files"][0]["code"] == 3
    done = intact("decode", file, "-o", png, "--max-pixels", 0)
    assert done.code == 2
    assert "--max-pixels" in done.err


def test_no_model_is_taken_from_a_file_where_that_is_off(intact, photo, tiny_path, tmp_path):
    file, png = tmp_path / "a.intact", tmp_path / "a.png"
    assert intact("encode", photo, "-o", file, "--model", tiny_path, "--embed-model").code == 0
    done = intact("decode", file, "-o", png, "--no-embedded-models")
    assert (done.code, png.exists()) == (4, False)
    assert "embedded models are off" in done.err
    verified = intact("verify", file, "--no-embedded-models", "--json").json
    assert verified["files"][0]["code"] == 4
    assert intact("decode", file, "-o", png).code == 0


def test_a_model_of_one_rate_says_once_that_quality_has_no_effect(intact, photo, tmp_path):
    model = tmp_path / "vector.intactm"
    model.write_bytes(tiny_vector().to_bytes())
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    done = intact("encode", folder, "-q", "80", "--model", model, "-o", tmp_path / "out")
    assert done.code == 0
    assert done.err.count("has one rate: --quality has no effect") == 1
    assert "one rate" not in intact("encode", photo, "--model", model).err
    size = photo.with_suffix(".intact").stat().st_size
    target = ["--target-size", str(size - 1), "--model", model, "-o", tmp_path / "no.intact"]
    assert intact("encode", photo, *target).code == 6


def test_all_verbs_take_the_kind_vector(intact, photo, tmp_path):
    model, file = tmp_path / "vector.intactm", tmp_path / "p.intact"
    model.write_bytes(tiny_vector().to_bytes())
    assert intact("encode", photo, "--model", model, "-o", file, "--check").code == 0
    assert intact("decode", file, "--model", model, "-o", tmp_path / "p.png").code == 0
    region = ["--region", "8,4,20,30", "-o", tmp_path / "cut.png"]
    assert intact("decode", file, "--model", model, *region).code == 0
    assert intact("verify", file, "--model", model).code == 0
    [facts] = intact("info", file, "--model", model, "--json").json["files"]
    assert facts["exact"] is True
    assert "1 level," in intact("models", model).out.decode()


def test_models_say_which_one_is_the_default(intact):
    found = intact("models", "--json").json
    assert [m["name"] for m in found["models"] if m["default"]] == [store.DEFAULT]
    lines = intact("models").out.decode().splitlines()
    assert [line.split()[0] for line in lines if line.endswith("  the default")] == [store.DEFAULT]


def test_a_file_larger_than_its_original_is_told(intact, tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "text.png")
    done = intact("encode", tmp_path / "text.png", "-q", "100")
    assert done.code == 0
    size = (tmp_path / "text.intact").stat().st_size
    assert f"{size:,} bytes, the original" in done.err
    assert intact("encode", tmp_path / "text.png", "-q", "100", "--force", "--quiet").err == ""
